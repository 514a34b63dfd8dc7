package app

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"packhouse/internal/dataplane"
	"packhouse/internal/ops"
)

// router splits the requests of the main listener: packages, health, and the
// AWS API for the rest.
type router struct {
	packages *dataplane.Handler
	api      http.Handler
	health   *ops.Health
	metrics  http.Handler // nil when metrics have a listener of their own
	proxies  []netip.Prefix
	log      *slog.Logger
}

// ServeHTTP implements http.Handler.
func (m *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(m.proxies) > 0 {
		restoreHost(r, m.proxies)
	}
	switch {
	case m.packages.Serves(r):
		m.packages.ServeHTTP(w, r)
	case r.URL.Path == "/healthz":
		describe(w, "health")
		m.health.Alive(w, r)
	case r.URL.Path == "/readyz":
		describe(w, "ready")
		m.health.Ready(w, r)
	case r.URL.Path == "/metrics" && m.metrics != nil:
		describe(w, "metrics")
		m.metrics.ServeHTTP(w, r)
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path == "/" && !isLink(r):
		describe(w, "root")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("Packhouse. The AWS API of CodeArtifact is at this address, packages are below " + dataplane.Prefix + "\n")) // a client that has left is nobody's failure
	default:
		m.api.ServeHTTP(w, r)
	}
}

// isLink tells whether a request for "/" follows an address of a message.
func isLink(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("Action") }

func describe(w http.ResponseWriter, operation string) {
	if x, ok := w.(*ops.Exchange); ok {
		x.Describe("", operation, "", "")
	}
}

// restoreHost puts back the host that a trusted proxy was asked for: clients
// sign it, and addresses are made from it.
func restoreHost(r *http.Request, proxies []netip.Prefix) {
	if host := r.Header.Get("X-Forwarded-Host"); host != "" && fromProxy(r, proxies) {
		host, _, _ = strings.Cut(host, ",")
		r.Host = strings.TrimSpace(host)
	}
}

func fromProxy(r *http.Request, proxies []netip.Prefix) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range proxies {
		if p.Contains(peer.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// scheme is how the client reached the server.
func (a *App) scheme(r *http.Request) string {
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") && fromProxy(r, a.cfg.TrustedProxies) {
		return "https"
	}
	return "http"
}

func trimSlash(s string) string { return strings.TrimRight(s, "/") }

func trimFileScheme(s string) string { return strings.TrimPrefix(s, "file://") }
