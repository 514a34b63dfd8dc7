package ops

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/audit"
	"packhouse/internal/catalog"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
)

func newEdge(next http.HandlerFunc, log *RequestLog, errs io.Writer) *Edge {
	return &Edge{Next: next, Metrics: NewMetrics("test"), Log: log, Errors: slog.New(slog.NewJSONHandler(errs, nil))}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestEdge_LogsWithoutSecrets(t *testing.T) {
	var out bytes.Buffer
	log := NewRequestLog(&out, quiet())
	e := newEdge(func(w http.ResponseWriter, _ *http.Request) {
		w.(*Exchange).Describe("npm", "packument", "1/d/r", "arn:x")
		w.WriteHeader(http.StatusNotFound)
	}, log, io.Discard)
	r := httptest.NewRequest(http.MethodGet, "/p%2fq?token=hush&X-Amz-Signature=hush", nil)
	r.Header.Set("Authorization", "Bearer hush")
	e.ServeHTTP(httptest.NewRecorder(), r)
	log.Close()
	line := out.String()
	if strings.Contains(line, "hush") {
		t.Errorf("a secret is in the log: %s", line)
	}
	for _, want := range []string{`"path":"/p%2fq"`, `"status":404`, `"format":"npm"`, `"principal":"arn:x"`} {
		if !strings.Contains(line, want) {
			t.Errorf("%s lacks %s", line, want)
		}
	}
}

func TestEdge_RecordsWhatHandlersDescribe(t *testing.T) {
	db, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), catalog.Options{Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	trail, err := audit.Open(t.Context(), audit.Options{DB: db, Every: time.Hour, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer trail.Close()
	e := newEdge(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		a := w.(*Exchange).Entry()
		a.Source, a.Event = audit.CodeArtifact, "ReadFromRepository"
		a.About(artifact.RepositoryID{Owner: "123456789012", Domain: "dom", Name: "r"})
		w.WriteHeader(http.StatusNotModified)
	}, nil, io.Discard)
	e.Audit = trail
	for _, path := range []string{"/healthz", "/p"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("User-Agent", "npm/1")
		e.ServeHTTP(httptest.NewRecorder(), r)
	}
	got, _, _, err := trail.List(t.Context(), audit.Query{Account: "123456789012", Domain: "dom", Limit: 10})
	if err != nil || len(got) != 1 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if r := got[0]; r.Method != http.MethodGet || r.Status != http.StatusNotModified || r.Agent != "npm/1" || r.Client != "192.0.2.1" || r.ID == (audit.ID{}) || r.Time.IsZero() {
		t.Errorf("%+v", r)
	}
}

func TestEdge_CountsByFormatOperationAndClass(t *testing.T) {
	e := newEdge(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.(*Exchange).Describe("npm", "publish", "", "")
		_, _ = w.Write([]byte("12345"))
	}, nil, io.Discard)
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, "/p", strings.NewReader("123")))
	text := scrape(t, e.Metrics)
	for _, want := range []string{
		`packhouse_requests_total{format="npm",operation="publish",status="2xx"} 1`,
		`packhouse_request_bytes_total{format="npm",operation="publish"} 3`,
		`packhouse_response_bytes_total{format="npm",operation="publish"} 5`,
		`packhouse_request_duration_seconds_count{format="npm",operation="publish"} 1`,
		`packhouse_build_info{`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestEdge_PanicBecomes500(t *testing.T) {
	var errs bytes.Buffer
	e := newEdge(func(http.ResponseWriter, *http.Request) { panic("oops") }, nil, &errs)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "oops") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(errs.String(), "oops") || !strings.Contains(errs.String(), w.Header().Get("X-Amzn-RequestId")) {
		t.Errorf("log: %s", errs.String())
	}
	if !strings.Contains(scrape(t, e.Metrics), "packhouse_panics_total 1") {
		t.Error("the panic is not counted")
	}
}

func TestEdge_AbortReachesTheServer(t *testing.T) {
	e := newEdge(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, io.Discard)
	defer func() {
		if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			t.Errorf("recovered %v", p)
		}
	}()
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

func TestEdge_FilesAreServedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	want := bytes.Repeat([]byte("x"), 1<<20)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	counted := make(chan int64, 1)
	e := newEdge(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, path)
		counted <- w.(*Exchange).Request.Out
	}, nil, io.Discard)
	srv := httptest.NewServer(e)
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if seen := <-counted; err != nil || !bytes.Equal(got, want) || seen != int64(len(want)) {
		t.Errorf("%d bytes, counted %d, %v", len(got), seen, err)
	}
}

func TestEdge_StalledUploadEnds(t *testing.T) {
	failed := make(chan error, 1)
	e := newEdge(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		failed <- err
	}, nil, io.Discard)
	e.BodyPatience = 50 * time.Millisecond
	srv := httptest.NewServer(e)
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12"); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestHealth_ReadyNamesTheFailedCheck(t *testing.T) {
	h := NewHealth(quiet(), Check{"database", func(context.Context) error { return errors.New("secret text") }}, Check{"blobs", func(context.Context) error { return nil }})
	w := httptest.NewRecorder()
	h.Ready(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	want := `{"status":"not ready","checks":{"blobs":"ok","database":"failed"}}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); w.Code != http.StatusServiceUnavailable || diff != "" {
		t.Error(w.Code, diff)
	}
}

func TestHealth_NotReadyWhileStopping(t *testing.T) {
	h := NewHealth(quiet())
	for _, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		w := httptest.NewRecorder()
		h.Ready(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != want {
			t.Errorf("%d, want %d", w.Code, want)
		}
		h.Stopping()
	}
}

func TestHealth_NotReadyWhileStarting(t *testing.T) {
	h := NewHealth(quiet())
	for _, on := range []bool{true, false} {
		h.Starting(on)
		w := httptest.NewRecorder()
		h.Ready(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if (w.Code == http.StatusOK) == on {
			t.Errorf("starting %v: %d", on, w.Code)
		}
	}
}

func TestMetrics_SeriesAreBounded(t *testing.T) {
	m := NewMetrics("test")
	for i := range 2 * maxSeries {
		m.Cache("npm", strings.Repeat("x", i))
	}
	if n := strings.Count(scrape(t, m), "packhouse_cache_total{"); n > maxSeries+1 {
		t.Errorf("%d series", n)
	}
}

// BenchmarkEdge is what a request costs besides being answered, with and
// without its access record; the writing and folding of records is in it.
func BenchmarkEdge(b *testing.B) {
	log := NewRequestLog(io.Discard, quiet())
	defer log.Close()
	body := []byte("x")
	subject := &identity.Subject{Principal: policy.Principal{Type: policy.User, ARN: "arn:aws:iam::123456789012:user/admin", Account: "123456789012", UserName: "admin"}}
	run := func(b *testing.B, trail *audit.Trail) {
		e := newEdge(func(w http.ResponseWriter, _ *http.Request) {
			x := w.(*Exchange)
			x.Describe("npm", "packument", "1/d/r", subject.Principal.ARN)
			a := x.Entry()
			a.Source, a.Event, a.ReadOnly, a.Subject = audit.CodeArtifact, "ReadFromRepository", true, subject
			a.About(artifact.RepositoryID{Owner: "123456789012", Domain: "dom", Name: "r"})
			a.Package, a.Path = artifact.Coordinates{Format: artifact.NPM, Name: "lodash"}, "lodash"
			_, _ = w.Write(body)
		}, log, io.Discard)
		e.Audit = trail
		w, r := nothing{http.Header{}}, httptest.NewRequest(http.MethodGet, "/repo/123456789012/d/npm/r/lodash", nil)
		r.Body = http.NoBody
		b.ReportAllocs()
		for b.Loop() {
			e.ServeHTTP(w, r)
		}
	}
	b.Run("without records", func(b *testing.B) { run(b, nil) })
	b.Run("with records", func(b *testing.B) {
		db, err := catalog.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "catalog.db"), catalog.Options{Logger: quiet()})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		trail, err := audit.Open(b.Context(), audit.Options{DB: db, Logger: quiet()})
		if err != nil {
			b.Fatal(err)
		}
		defer trail.Close()
		run(b, trail)
		if s := trail.Stats(); s.Dropped > 0 {
			b.ReportMetric(float64(s.Dropped)/float64(s.Added+s.Dropped), "dropped")
		}
	})
}

type nothing struct{ h http.Header }

func (n nothing) Header() http.Header       { return n.h }
func (nothing) Write(p []byte) (int, error) { return len(p), nil }
func (nothing) WriteHeader(int)             {}
