package ops

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"
)

// Check is one thing that must work for the server to be ready.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

const (
	checkTimeout = 2 * time.Second
	checkEvery   = time.Second // readiness is asked for by anybody; the checks run this often at most
)

// Health answers /healthz and /readyz.
type Health struct {
	checks   []Check
	log      *slog.Logger
	starting atomic.Bool
	stopping atomic.Bool

	mu   sync.Mutex
	last time.Time
	code int
	body []byte
}

// NewHealth makes a Health of these checks.
func NewHealth(log *slog.Logger, checks ...Check) *Health { return &Health{checks: checks, log: log} }

// Starting makes readiness fail until it is called with false: what the server
// was started to offer is not there yet.
func (h *Health) Starting(on bool) { h.starting.Store(on) }

// Stopping makes readiness fail, so that load balancers send nobody here.
func (h *Health) Stopping() { h.stopping.Store(true) }

// Alive answers /healthz: 200 while the process answers at all.
func (h *Health) Alive(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, []byte(`{"status":"alive"}`))
}

// Ready answers /readyz: 200 when every check passes, else 503. The body names
// the checks; why one failed is in the log only.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	if h.stopping.Load() {
		write(w, http.StatusServiceUnavailable, []byte(`{"status":"stopping"}`))
		return
	}
	if h.starting.Load() {
		write(w, http.StatusServiceUnavailable, []byte(`{"status":"starting"}`))
		return
	}
	code, body := h.run(context.WithoutCancel(r.Context()))
	write(w, code, body)
}

func (h *Health) run(ctx context.Context) (int, []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.last) < checkEvery {
		return h.code, h.body
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	results := make([]error, len(h.checks))
	var group sync.WaitGroup
	for i, c := range h.checks {
		group.Go(func() { results[i] = c.Run(ctx) })
	}
	group.Wait()
	answer := struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}{"ready", map[string]string{}}
	h.code = http.StatusOK
	for i, c := range h.checks {
		answer.Checks[c.Name] = "ok"
		if results[i] != nil {
			answer.Checks[c.Name], answer.Status, h.code = "failed", "not ready", http.StatusServiceUnavailable
			h.log.Error("readiness check failed", slog.String("check", c.Name), slog.Any("error", results[i]))
		}
	}
	h.body, _ = json.Marshal(answer) // strings only
	h.last = time.Now()
	return h.code, h.body
}

func write(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a client that has left is nobody's failure
}

// Pprof serves Go's profiler. Importing it also registers it on the default
// mux, which nothing serves.
func Pprof() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
