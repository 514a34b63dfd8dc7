package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"golang.org/x/tools/txtar"

	"packhouse/internal/upstream/upstreamtest"
)

// clock is the time, moved forward when told. What is signed with the machine's
// own time must be asked for before.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// site is a whole server with the npm part of the model organisation: app looks
// into internal, then into public, which has the external connection.
type site struct {
	*running
	clock *clock
	data  string
	flags map[string]string
	api   *codeartifact.Client
	token string
	http  *http.Client
}

const (
	account = "123456789012"
	root    = "/repo/" + account + "/corp/npm/"
)

// newSite starts a server whose public registry is at outside; a bare address
// is enough where nobody asks it.
func newSite(t *testing.T, outside string, flags map[string]string) *site {
	t.Helper()
	s := &site{clock: &clock{}, data: filepath.Join(t.TempDir(), "data"), flags: map[string]string{"connection": "public:npmjs=" + outside}, http: httpClient(t)}
	maps.Copy(s.flags, flags)
	s.running = startAt(t, s.clock.now, s.data, s.flags)
	s.api = codeartifact.NewFromConfig(s.aws(t))
	ctx, corp := t.Context(), aws.String("corp")
	for _, err := range []error{
		second(s.api.CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: corp})),
		second(s.api.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: corp, Repository: aws.String("internal")})),
		second(s.api.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: corp, Repository: aws.String("public")})),
		second(s.api.AssociateExternalConnection(ctx, &codeartifact.AssociateExternalConnectionInput{Domain: corp, Repository: aws.String("public"), ExternalConnection: aws.String("public:npmjs")})),
		second(s.api.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{
			Domain: corp, Repository: aws.String("app"),
			Upstreams: []types.UpstreamRepository{{RepositoryName: aws.String("internal")}, {RepositoryName: aws.String("public")}},
		})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.token = s.newToken(t, "corp")
	return s
}

// restart stops the server and starts it again on the same folder.
func (s *site) restart(t *testing.T) {
	t.Helper()
	s.stop()
	s.running = startAt(t, s.clock.now, s.data, s.flags)
}

func (s *site) newToken(t *testing.T, domain string) string {
	t.Helper()
	issued, err := s.api.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String(domain)})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(issued.AuthorizationToken)
}

// tokenNow is a token asked for at the site's time rather than the machine's.
func (s *site) tokenNow(t *testing.T) string {
	t.Helper()
	cred, err := s.aws(t).Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/v1/authorization-token?domain=corp", nil)
	if err != nil {
		t.Fatal(err)
	}
	sign(t, req, cred, s.clock.now())
	res, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var issued struct{ AuthorizationToken string }
	if err := json.NewDecoder(res.Body).Decode(&issued); err != nil || issued.AuthorizationToken == "" {
		t.Fatalf("%s, %v", res.Status, err)
	}
	return issued.AuthorizationToken
}

// sign signs a request without a body.
func sign(t *testing.T, req *http.Request, cred aws.Credentials, at time.Time) {
	t.Helper()
	empty := sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(t.Context(), cred, req, hex.EncodeToString(empty[:]), "codeartifact", "us-east-1", at); err != nil {
		t.Fatal(err)
	}
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	broken bool // the connection broke off before the end
}

// do makes a request below the npm endpoints of the domain, path beginning with
// the repository; header are names and values. The token is sent unless an
// Authorization is given.
func (s *site) do(t *testing.T, method, path string, body io.Reader, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+root+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.http.Do(req)
	if err != nil {
		return answer{broken: true, body: err.Error()}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, header: res.Header, body: string(text), broken: err != nil}
}

func (s *site) get(t *testing.T, path string, header ...string) answer {
	t.Helper()
	return s.do(t, http.MethodGet, path, nil, header...)
}

func (s *site) want(t *testing.T, status int, path string) answer {
	t.Helper()
	a := s.get(t, path)
	if a.status != status || a.broken {
		t.Errorf("%s: %d %.300s, broken %v; want %d", path, a.status, a.body, a.broken, status)
	}
	return a
}

func (s *site) publish(t *testing.T, name, version string, data []byte) answer {
	t.Helper()
	return s.do(t, http.MethodPut, "internal/"+name, bytes.NewReader(release(name, version, data)))
}

// release is what npm publish sends.
func release(name, version string, data []byte) []byte {
	b, err := json.Marshal(map[string]any{
		"name": name, "dist-tags": map[string]string{"latest": version},
		"versions":     map[string]any{version: map[string]any{"name": name, "version": version, "dist": map[string]any{}}},
		"_attachments": map[string]any{name + "-" + version + ".tgz": map[string]any{"data": base64.StdEncoding.EncodeToString(data), "length": len(data)}},
	})
	if err != nil {
		panic(err)
	}
	return b
}

// exchange sends text as it is and gives all that comes back until the server
// closes or patience ends.
func (s *site) exchange(t *testing.T, text string) string {
	t.Helper()
	conn := s.dial(t)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil && len(b) == 0 {
		t.Errorf("no answer to %.100q: %v", text, err)
	}
	return string(b)
}

func (s *site) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// metric is the value of a series, given as it stands in /metrics; 0 when it is
// not there.
func (s *site) metric(t *testing.T, series string) float64 {
	t.Helper()
	_, text := get(t, s.URL()+"/metrics")
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	return 0
}

// contents lists the blobs and spools in the data folder that hold what: the
// size tells.
func (s *site) contents(t *testing.T, size int) (found []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.data, "blobs"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone meanwhile
			}
			return err
		}
		if info, err := e.Info(); err == nil && e.Type().IsRegular() && info.Size() == int64(size) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// eventually waits until something holds, for what happens behind a request.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// publicRegistry has two versions of hello.
func publicRegistry(t *testing.T) *upstreamtest.Registry {
	t.Helper()
	return upstreamtest.NPM(t, txtar.Parse([]byte("-- hello/1.0.0/index.js --\none\n-- hello/1.1.0/index.js --\ntwo\n-- other/1.0.0/index.js --\nother\n")))
}
