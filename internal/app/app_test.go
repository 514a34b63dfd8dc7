package app_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"packhouse/internal/app"
	"packhouse/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is a writer that several goroutines share.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type running struct {
	*app.App
	log  *log
	stop func() // SIGTERM; waits for the end and gives everything back
}

func configure(t *testing.T, data string, flags map[string]string) config.Config {
	t.Helper()
	all := map[string][]string{"data": {data}, "listen": {"127.0.0.1:0"}}
	for k, v := range flags {
		all[k] = []string{v}
	}
	cfg, err := config.Load(config.Sources{Flags: all})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func start(t *testing.T, data string, flags map[string]string) *running {
	t.Helper()
	return startAt(t, time.Now, data, flags)
}

// startAt is start with a clock of the test's own.
func startAt(t *testing.T, now func() time.Time, data string, flags map[string]string) *running {
	t.Helper()
	r := &running{log: &log{}}
	a, err := app.New(t.Context(), configure(t, data, flags), app.Options{Log: r.log, Version: "test", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	r.App = a
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-ended, a.Close()); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
	t.Cleanup(r.stop)
	return r
}

func httpClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := httpClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (r *running) aws(t *testing.T) aws.Config {
	t.Helper()
	path, _ := r.Credentials()
	t.Setenv("AWS_ENDPOINT_URL", r.URL())
	t.Setenv("AWS_CA_BUNDLE", "")
	cfg, err := awsconfig.LoadDefaultConfig(t.Context(), awsconfig.WithRegion("us-east-1"), awsconfig.WithHTTPClient(httpClient(t)),
		awsconfig.WithSharedCredentialsFiles([]string{path}), awsconfig.WithSharedConfigFiles([]string{}))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestApp_FirstStartMakesFolderAndKey(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data, nil)
	path, created := r.Credentials()
	if !created {
		t.Error("the first start says that it made no key")
	}
	for name, want := range map[string]os.FileMode{data: 0o700, path: 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: mode %o, want %o", name, got, want)
		}
	}
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	again := start(t, data, nil)
	if _, created := again.Credentials(); created {
		t.Error("the second start made a key")
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(key, now) {
		t.Errorf("the credentials changed: %v", err)
	}
	_, secret, _ := strings.Cut(string(key), "aws_secret_access_key = ")
	secret, _, _ = strings.Cut(secret, "\n")
	if secret == "" || strings.Contains(r.log.String()+again.log.String(), secret) {
		t.Error("the log holds the secret")
	}
}

func TestApp_SDKDrivesIt(t *testing.T) {
	r := start(t, t.TempDir(), nil)
	cfg := r.aws(t)
	client := codeartifact.NewFromConfig(cfg)
	if _, err := client.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: aws.String("my-domain")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: aws.String("my-domain"), Repository: aws.String("my-repo")}); err != nil {
		t.Fatal(err)
	}
	endpoint, err := client.GetRepositoryEndpoint(t.Context(), &codeartifact.GetRepositoryEndpointInput{
		Domain: aws.String("my-domain"), Repository: aws.String("my-repo"), Format: types.PackageFormatNpm,
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.URL()+"/repo/123456789012/my-domain/npm/my-repo/", aws.ToString(endpoint.RepositoryEndpoint)); diff != "" {
		t.Error(diff)
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(who.Arn) != "arn:aws:iam::123456789012:user/admin" {
		t.Errorf("%v, %v", who, err)
	}
	_, err = client.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: aws.String("nobodys")})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Errorf("%v", err)
	}
}

func TestApp_PackagesThroughTheWholeHouse(t *testing.T) {
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	defer public.Close()
	r := start(t, t.TempDir(), map[string]string{"connection": "public:npmjs=" + public.URL})
	client := codeartifact.NewFromConfig(r.aws(t))
	for _, err := range []error{
		second(client.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: aws.String("my-domain")})),
		second(client.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: aws.String("my-domain"), Repository: aws.String("my-repo")})),
		second(client.AssociateExternalConnection(t.Context(), &codeartifact.AssociateExternalConnectionInput{Domain: aws.String("my-domain"), Repository: aws.String("my-repo"), ExternalConnection: aws.String("public:npmjs")})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	issued, err := client.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String("my-domain")})
	if err != nil {
		t.Fatal(err)
	}
	token := aws.ToString(issued.AuthorizationToken)
	address := r.URL() + "/repo/123456789012/my-domain/npm/my-repo/no-such?token=" + token
	for _, c := range []struct {
		header string
		want   int
	}{{"Bearer " + token, http.StatusNotFound}, {"", http.StatusUnauthorized}, {"Bearer nonsense", http.StatusUnauthorized}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.header != "" {
			req.Header.Set("Authorization", c.header)
		}
		resp, err := httpClient(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%.12q: %d, want %d", c.header, resp.StatusCode, c.want)
		}
	}
	if _, text := get(t, r.URL()+"/metrics"); !strings.Contains(text, `packhouse_requests_total{format="npm",operation="`) ||
		!strings.Contains(text, `packhouse_upstream_duration_seconds_count{connection="public:npmjs"} 1`) {
		t.Error("metrics lack the requests")
	}
	r.stop()
	if strings.Contains(r.log.String(), token) {
		t.Error("the log holds the token")
	}
	if !strings.Contains(r.log.String(), `"path":"/repo/123456789012/my-domain/npm/my-repo/no-such","status":404`) {
		t.Error("the log lacks the request")
	}
}

func second[T any](_ T, err error) error { return err }

func TestApp_HealthAndMetrics(t *testing.T) {
	r := start(t, t.TempDir(), nil)
	for path, want := range map[string]string{
		"/healthz": `{"status":"alive"}`, "/readyz": `{"status":"ready","checks":{"blobs":"ok","database":"ok"}}`,
		"/metrics": "packhouse_build_info", "/": "Packhouse",
	} {
		if code, text := get(t, r.URL()+path); code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, text := get(t, r.URL()+"/v1/no-such"); code != http.StatusNotFound || !strings.Contains(text, "UnknownOperationException") {
		t.Errorf("%d %s", code, text)
	}
}

func TestApp_MetricsOnTheirOwnListener(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"metrics-listen": "127.0.0.1:0"})
	if code, _ := get(t, r.URL()+"/metrics"); code == http.StatusOK {
		t.Error("the main listener answers /metrics")
	}
	if code, text := get(t, "http://"+r.MetricsAddr()+"/metrics"); code != http.StatusOK || !strings.Contains(text, "packhouse_build_info") {
		t.Errorf("%d", code)
	}
}

func TestApp_NotReadyBeforeItIsPrepared(t *testing.T) {
	entered, release := make(chan struct{}), make(chan error)
	a, err := app.New(t.Context(), configure(t, t.TempDir(), nil), app.Options{Log: io.Discard, Prepare: func(context.Context, *app.App) error {
		close(entered)
		return <-release
	}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(t.Context()) }()
	<-entered
	if code, text := get(t, a.URL()+"/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "starting") {
		t.Errorf("%d %s", code, text)
	}
	broken := errors.New("no organisation")
	release <- broken
	if err := <-ended; !errors.Is(err, broken) {
		t.Errorf("Run ended with %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestApp_OneServerPerFolder(t *testing.T) {
	data := t.TempDir()
	r := start(t, data, nil)
	_, err := app.New(t.Context(), configure(t, data, nil), app.Options{Log: io.Discard})
	if !errors.Is(err, app.ErrInUse) || !strings.Contains(err.Error(), r.URL()) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("%v", err)
	}
}

func TestApp_PortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	data := t.TempDir()
	_, err = app.New(t.Context(), configure(t, data, map[string]string{"listen": l.Addr().String()}), app.Options{Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("%v", err)
	}
	start(t, data, nil) // nothing was left open or locked
}

func TestApp_UnknownConnectionIsRefused(t *testing.T) {
	_, err := app.New(t.Context(), configure(t, t.TempDir(), map[string]string{"connection": "public:nowhere=http://x.test/"}), app.Options{Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "public:nowhere") {
		t.Errorf("%v", err)
	}
}

func TestApp_FinishesRunningRequests(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"name":"slow","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"slow","version":"1.0.0","dist":{"tarball":"http://x.test/slow.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}}}}`)
	}))
	defer public.Close()
	r := start(t, t.TempDir(), map[string]string{"connection": "public:npmjs=" + public.URL})
	client := codeartifact.NewFromConfig(r.aws(t))
	for _, err := range []error{
		second(client.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: aws.String("my-domain")})),
		second(client.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: aws.String("my-domain"), Repository: aws.String("my-repo")})),
		second(client.AssociateExternalConnection(t.Context(), &codeartifact.AssociateExternalConnectionInput{Domain: aws.String("my-domain"), Repository: aws.String("my-repo"), ExternalConnection: aws.String("public:npmjs")})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	issued, err := client.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String("my-domain")})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/repo/123456789012/my-domain/npm/my-repo/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+aws.ToString(issued.AuthorizationToken))
	answer := make(chan error, 1)
	go func() {
		resp, err := httpClient(t).Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = errors.New(resp.Status)
			}
		}
		answer <- err
	}()
	<-arrived
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	for { // the listener closes first
		conn, err := net.Dial("tcp", r.Addr())
		if err != nil {
			break
		}
		conn.Close()
	}
	close(release)
	if err := <-answer; err != nil {
		t.Errorf("the running request ended with %v", err)
	}
	<-stopped
}

func TestApp_TLS(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := selfSigned(t, dir)
	r := start(t, filepath.Join(dir, "data"), map[string]string{"tls-cert": cert, "tls-key": key})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(r.URL(), "https://") {
		t.Errorf("%s from %s", resp.Status, r.URL())
	}
}

func selfSigned(t *testing.T, dir string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, data := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, key, pool
}

func TestApp_TrustedProxySpeaksForTheClient(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"trusted-proxies": "127.0.0.0/8"})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "203.0.113.7")
	resp, err := httpClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r.stop()
	if !strings.Contains(r.log.String(), `"client":"203.0.113.7"`) {
		t.Errorf("log: %s", r.log)
	}
}

func TestApp_MixedNamesSwitchesTheGuardOfADomain(t *testing.T) {
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"name":"ours","dist-tags":{"latest":"9.9.9"},"versions":{"9.9.9":{"name":"ours","version":"9.9.9","dist":{"tarball":"http://`+r.Host+`/ours.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}}}}`)
	}))
	defer public.Close()
	r := start(t, t.TempDir(), map[string]string{"connection": "public:npmjs=" + public.URL, "mixed-names": "mixed-domain"})
	client := codeartifact.NewFromConfig(r.aws(t))
	for domain, foreign := range map[string]bool{"mixed-domain": true, "other-domain": false} {
		for _, err := range []error{
			second(client.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: aws.String(domain)})),
			second(client.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: aws.String(domain), Repository: aws.String("internal")})),
			second(client.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{
				Domain: aws.String(domain), Repository: aws.String("outside"),
			})),
			second(client.AssociateExternalConnection(t.Context(), &codeartifact.AssociateExternalConnectionInput{
				Domain: aws.String(domain), Repository: aws.String("outside"), ExternalConnection: aws.String("public:npmjs"),
			})),
			second(client.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{
				Domain: aws.String(domain), Repository: aws.String("app"),
				Upstreams: []types.UpstreamRepository{{RepositoryName: aws.String("outside")}, {RepositoryName: aws.String("internal")}},
			})),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		issued, err := client.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String(domain)})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(method, repository, name string, body io.Reader) (int, string) {
			req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+"/repo/123456789012/"+domain+"/npm/"+repository+"/"+name, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+aws.ToString(issued.AuthorizationToken))
			resp, err := httpClient(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(text)
		}
		if code, text := ask(http.MethodPut, "internal", "ours", strings.NewReader(`{"name":"ours","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"ours","version":"1.0.0"}},`+
			`"_attachments":{"ours-1.0.0.tgz":{"data":"bm90IGEgdGFyYmFsbA==","length":13}}}`)); code/100 != 2 {
			t.Fatalf("publish: %d %s", code, text)
		}
		// The switch follows the domain at once, but not in the same instant.
		for range 1000 {
			if _, text := ask(http.MethodGet, "app", "ours", nil); strings.Contains(text, "9.9.9") == foreign {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if _, text := ask(http.MethodGet, "app", "ours", nil); strings.Contains(text, "9.9.9") != foreign {
			t.Errorf("%s: the foreign version is shown: %v\n%s", domain, !foreign, text)
		}
	}
}

// TestOperationsPage_NamesEveryMetric, and no other, and deploy/ uses only what
// there is: series appear with the first thing they count, so there is some of
// everything.
func TestOperationsPage_NamesEveryMetric(t *testing.T) {
	public := publicRegistry(t)
	s := newSite(t, public.URL, nil)
	s.clock.advance(3 * time.Hour) // background jobs are due
	s.restart(t)
	s.want(t, http.StatusOK, "app/hello/-/hello-1.0.0.tgz")
	s.publish(t, "mine", "1.0.0", []byte("x"))
	s.want(t, http.StatusOK, "app/mine/-/mine-1.0.0.tgz")
	public.Stop()
	s.want(t, http.StatusBadGateway, "app/other")
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := func() (names []string) {
		_, text := get(t, s.URL()+"/metrics")
		for line := range strings.Lines(text) {
			if name, ok := strings.CutPrefix(line, "# TYPE packhouse_"); ok {
				name, _, _ = strings.Cut(name, " ")
				names = append(names, "packhouse_"+name)
			}
		}
		return names
	}
	eventually(t, "a background job", func() bool { return slices.Contains(shown(), "packhouse_job_duration_seconds") })
	for _, name := range shown() {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/operations.md does not say what %s is", name)
		}
	}
	for line := range strings.Lines(string(page)) {
		names, isRow := strings.CutPrefix(line, "| `packhouse_")
		if !isRow {
			continue
		}
		names, _, _ = strings.Cut("`packhouse_"+names, " | ")
		for name := range strings.SplitSeq(names, ", ") {
			if name = strings.Trim(name, "`"); !slices.Contains(shown(), name) {
				t.Errorf("docs/operations.md tells of %s, which is not there", name)
			}
		}
	}
	_, text := get(t, s.URL()+"/metrics")
	checkDeployed(t, text)
}

func TestConnections_AreKnownByName(t *testing.T) {
	known := app.Connections(configure(t, t.TempDir(), map[string]string{"connection": "public:npmjs=http://127.0.0.1:9000/npm"}))
	if len(known) != 10 {
		t.Errorf("%d connections, want the 10 of the API", len(known))
	}
	if got := known["public:npmjs"].URL; got != "http://127.0.0.1:9000/npm/" {
		t.Errorf("URL %q", got)
	}
	if !strings.HasSuffix(known["public:pypi"].URL, "/simple/") {
		t.Errorf("the Python index is %q", known["public:pypi"].URL)
	}
}
