package ops

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func sample() *Request {
	return &Request{
		Start: time.Date(2026, 1, 2, 3, 4, 5, 67_000_000, time.UTC), Duration: 1234567 * time.Nanosecond,
		ID: "id-1", Method: "GET", Path: "/repo/123456789012/dom/npm/r/@s%2fn", Status: 200, Out: 10, In: 3,
		Client: netip.MustParseAddr("192.0.2.1"), UserAgent: `npm "x"`, Principal: "arn:aws:iam::123456789012:user/admin",
		Format: "npm", Operation: "packument", Repository: "123456789012/dom/r", Cache: "hit",
	}
}

func TestRequestLog_LineIsJSON(t *testing.T) {
	var out bytes.Buffer
	l := NewRequestLog(&out, quiet())
	l.Write(sample())
	l.Close()
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", out.Bytes(), err)
	}
	want := map[string]any{
		"time": "2026-01-02T03:04:05.067Z", "level": "INFO", "msg": "request", "id": "id-1", "method": "GET",
		"path": "/repo/123456789012/dom/npm/r/@s%2fn", "status": 200.0, "ms": 1.234, "out": 10.0, "in": 3.0, "client": "192.0.2.1",
		"principal": "arn:aws:iam::123456789012:user/admin", "format": "npm", "operation": "packument",
		"repository": "123456789012/dom/r", "cache": "hit", "agent": `npm "x"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRequestLog_KeepsOrderAcrossWriters(t *testing.T) {
	var out bytes.Buffer
	l := NewRequestLog(&out, quiet())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				l.Write(sample())
			}
		})
	}
	group.Wait()
	l.Close()
	if n := strings.Count(out.String(), "\n"); n != 4000 {
		t.Errorf("%d lines, want 4000", n)
	}
}

// stuck blocks until it is released.
type stuck struct {
	release chan struct{}
	bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	return s.Buffer.Write(p)
}

func TestRequestLog_StuckWriterDropsAndCounts(t *testing.T) {
	w := &stuck{release: make(chan struct{})}
	l := NewRequestLog(w, quiet())
	r := sample()
	r.Path = strings.Repeat("p", maxLogged)
	for range 4 * bufferMax / maxLogged {
		l.Write(r)
	}
	if l.Dropped() == 0 {
		t.Error("nothing dropped")
	}
	close(w.release)
	l.Close()
	if !strings.Contains(w.String(), `"msg":"request lines dropped","count":`) {
		t.Error("the log does not tell that lines were dropped")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestRequestLog_BrokenWriterIsReported(t *testing.T) {
	var errs bytes.Buffer
	l := NewRequestLog(broken{}, slog.New(slog.NewJSONHandler(&errs, nil)))
	l.Write(sample())
	l.Close()
	if !strings.Contains(errs.String(), "disk full") {
		t.Errorf("%q", errs.String())
	}
}

func TestRequestLog_MakesNoGarbage(t *testing.T) {
	l := NewRequestLog(io.Discard, quiet())
	defer l.Close()
	r := sample()
	if n := testing.AllocsPerRun(1000, func() { l.Write(r) }); n > 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("a\"\\\x00\x7f\xff\u2028é\xf0\x9f\x98")
	f.Fuzz(func(t *testing.T, s string) {
		got := appendString(nil, s)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if len(s) <= maxLogged && back != strings.ToValidUTF8(s, "\ufffd") && strings.ToValidUTF8(s, "") == s {
			t.Errorf("%q became %q", s, back)
		}
	})
}

func BenchmarkRequestLog(b *testing.B) {
	l := NewRequestLog(io.Discard, quiet())
	defer l.Close()
	r := sample()
	b.ReportAllocs()
	for b.Loop() {
		l.Write(r)
	}
}

func BenchmarkRequestLog_Encode(b *testing.B) {
	l := &RequestLog{second: -1}
	r := sample()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = l.appendLine(buf[:0], r)
	}
}
