package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"packhouse/internal/organisation"
)

// terminal is what a server prints to, with a way to wait for a line.
type terminal struct {
	mu   sync.Mutex
	b    bytes.Buffer
	want string
	seen chan struct{}
}

func (p *terminal) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	had := strings.Contains(p.b.String(), p.want)
	p.b.Write(b)
	if !had && strings.Contains(p.b.String(), p.want) {
		close(p.seen)
	}
	return len(b), nil
}

func (p *terminal) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// serving runs serve or quickstart until it has printed its last line, calls
// check, and stops it.
func serving(t *testing.T, home string, args []string, check func(printed string)) string {
	t.Helper()
	out, errs := &terminal{want: "aws codeartifact list-", seen: make(chan struct{})}, &terminal{want: "\x00", seen: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, Env{Args: args, Stdin: strings.NewReader(""), Stdout: out, Stderr: errs, Services: Services(), LookupEnv: os.LookupEnv, Home: home, Version: "test"})
	}()
	select {
	case <-out.seen:
		check(out.String())
	case c := <-code:
		t.Fatalf("ended with %d before it served\n%s%s", c, out, errs)
	}
	cancel()
	if c := <-code; c != exitOK {
		t.Errorf("exit %d\n%s", c, errs)
	}
	return out.String() + errs.String()
}

func TestQuickstart_SetsUpOnceAndHidesTheSecret(t *testing.T) {
	home := isolate(t)
	data := filepath.Join(home, "data")
	args := []string{"quickstart", "--data", data, "--listen", "127.0.0.1:0"}
	for _, want := range []string{"is set up", "is there already"} {
		all := serving(t, home, args, func(printed string) {
			for _, line := range []string{
				want, "frontend-app     <- npm-internal, npm-public", "npm-public       keeps versions younger than 30 days\n",
				"any other        keeps versions younger than 90 days or among the newest 20 of their package\n", "codeartifact-storage-high tells the topic alerts\n",
			} {
				if !strings.Contains(printed, line) {
					t.Errorf("lacks %q:\n%s", line, printed)
				}
			}
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(data, "credentials"))
			_, address, _ := strings.Cut(printed, "serves at ")
			address, _, _ = strings.Cut(address, "\n")
			r := runCommand(t.Context(), home, "list-repositories-in-domain", "--domain", "my-company-domain", "--endpoint-url", address, "--query", "length(repositories)")
			if r.stdout != "9\n" {
				t.Errorf("%+v", r)
			}
			file := filepath.Join(home, "model.yaml")
			if err := os.WriteFile(file, organisationFile, 0o600); err != nil {
				t.Fatal(err)
			}
			if r := runCommand(t.Context(), home, "diff", "-f", file, "--endpoint-url", address); r.code != exitOK {
				t.Errorf("it is not what the file says: %+v", r)
			}
		})
		key, err := os.ReadFile(filepath.Join(data, "credentials"))
		if err != nil {
			t.Fatal(err)
		}
		_, secret, _ := strings.Cut(string(key), "aws_secret_access_key = ")
		secret, _, _ = strings.Cut(secret, "\n")
		if secret == "" || strings.Contains(all, secret) {
			t.Error("the secret was printed")
		}
	}
}

// What has become of it since the first start does not keep it from starting.
func TestQuickstart_RetentionThatIsRefusedIsTold(t *testing.T) {
	h := open(t)
	api, options := h.caller()
	f, err := organisation.Parse("organisation.yaml", organisationFile)
	if err != nil {
		t.Fatal(err)
	}
	options.CreateOnly = true
	plan, err := organisation.Make(t.Context(), api, f, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := makeModel(t.Context(), refusing{api}, plan); err != nil {
		t.Error(err)
	}
	if len(plan.Notes) != 5 || !strings.Contains(plan.Notes[0], "without the retention of my-company-domain INTERNAL: ") {
		t.Errorf("%q", plan.Notes)
	}
	if got := h.must("describe-alarms", "--query", "length(MetricAlarms)"); got != "1\n" {
		t.Error(got)
	}
}

// refusing takes on no retention.
type refusing struct{ organisation.API }

func (r refusing) Call(ctx context.Context, operation string, in map[string]any) (map[string]any, error) {
	if strings.HasPrefix(operation, "Put") && strings.HasSuffix(operation, "RetentionConfiguration") {
		return nil, &callError{Operation: operation, Code: "ValidationException"}
	}
	return r.API.Call(ctx, operation, in)
}

func TestServe_PrintsNextSteps(t *testing.T) {
	home := isolate(t)
	data := filepath.Join(home, "data")
	serving(t, home, []string{"serve", "--data", data, "--listen", "127.0.0.1:0"}, func(printed string) {
		if !strings.Contains(printed, "AWS_SHARED_CREDENTIALS_FILE="+data+"/credentials") {
			t.Errorf("printed:\n%s", printed)
		}
		r := runCommand(t.Context(), home, "serve", "--data", data, "--listen", "127.0.0.1:0")
		if r.code != exitFailed || !strings.Contains(r.stderr, "another packhouse server") {
			t.Errorf("a second server: %+v", r)
		}
	})
}

func TestQuickstart_Print(t *testing.T) {
	if r := runCommand(t.Context(), isolate(t), "quickstart", "--print"); r.code != exitOK || r.stdout != string(organisationFile) {
		t.Errorf("%+v", r)
	}
}

func TestOrganisation_FileIsRight(t *testing.T) {
	f, err := organisation.Parse("organisation.yaml", organisationFile)
	if err != nil || f.Domains[0].Name != "my-company-domain" || len(f.Domains[0].Repositories) != 9 || *f.Domains[0].Retention.RetentionDays != 90 {
		t.Errorf("%+v, %v", f, err)
	}
}

type report struct {
	OK     bool
	Checks []finding
}

// doctorReport runs doctor on a data folder; no connection leads outside.
func doctorReport(t *testing.T, home string, wantCode int, args ...string) report {
	t.Helper()
	r := runCommand(t.Context(), home, append([]string{"doctor", "--output", "json"}, args...)...)
	var got report
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	if r.code != wantCode || got.OK != (wantCode == exitOK) {
		t.Errorf("exit %d, want %d: %s", r.code, wantCode, r.stdout)
	}
	return got
}

func (r report) find(name, status string) (finding, bool) {
	for _, f := range r.Checks {
		if f.Name == name && f.Status == status {
			return f, true
		}
	}
	return finding{}, false
}

func TestDoctor_HealthyServer(t *testing.T) {
	h := open(t)
	got := doctorReport(t, h.home, exitOK, "--data", h.data)
	for _, name := range []string{"data folder", "database", "server", "public:npmjs", "clock"} {
		if _, ok := got.find(name, statusOK); !ok {
			t.Errorf("%s is not ok: %+v", name, got)
		}
	}
}

func TestDoctor_NothingThereYet(t *testing.T) {
	home := isolate(t)
	public := httptest.NewServer(http.NotFoundHandler())
	defer public.Close()
	got := doctorReport(t, home, exitOK, "--data", filepath.Join(home, "data"), "--listen", "127.0.0.1:0", "--connection", "public:npmjs="+public.URL)
	if _, ok := got.find("data folder", statusNote); !ok {
		t.Errorf("%+v", got)
	}
	if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
		t.Errorf("doctor left %v, %v", left, err)
	}
}

func TestDoctor_FindsWhatIsWrong(t *testing.T) {
	home := isolate(t)
	data := filepath.Join(home, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"packhouse.db": "not a database, not at all, whatever one may say of it", "credentials": "x"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stranger, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	go func() {
		for {
			conn, err := stranger.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	wrongClock := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	}))
	defer wrongClock.Close()
	got := doctorReport(t, home, exitFailed, "--data", data, "--listen", stranger.Addr().String(),
		"--connection", "public:npmjs="+wrongClock.URL, "--blobs", filepath.Join(data, "packhouse.db", "x"))
	for _, name := range []string{"data folder", "credentials", "database", "server", "clock", "blobs"} {
		if f, ok := got.find(name, statusFail); !ok || f.Detail == "" {
			t.Errorf("%s is not found wrong: %+v", name, got)
		}
	}
	got = doctorReport(t, home, exitFailed, "--data", filepath.Join(home, "other"), "--listen", "127.0.0.1:0", "--connection", "public:npmjs=http://127.0.0.1:1/")
	if f, ok := got.find("public:npmjs", statusFail); !ok || !strings.Contains(f.Advice, "mirror") {
		t.Errorf("%+v", got)
	}
}

func TestDoctor_TextSaysWhatToDo(t *testing.T) {
	home := isolate(t)
	r := runCommand(t.Context(), home, "doctor", "--data", filepath.Join(home, "data"), "--listen", "127.0.0.1:0", "--connection", "public:npmjs=http://127.0.0.1:1/")
	if r.code != exitFailed || !strings.Contains(r.stdout, "fail  public:npmjs") || !strings.Contains(r.stdout, "-> ") {
		t.Errorf("%+v", r)
	}
}
