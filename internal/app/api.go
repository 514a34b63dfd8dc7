package app

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"packhouse/internal/audit"
	"packhouse/internal/awsjson"
	"packhouse/internal/control"
	"packhouse/internal/eventsapi"
	"packhouse/internal/fault"
	"packhouse/internal/iamapi"
	"packhouse/internal/identity"
	"packhouse/internal/ops"
	"packhouse/internal/restjson"
)

// apis answers for every AWS API at the one endpoint: REST-JSON operations by
// their paths, the Query and JSON protocols at "/".
type apis struct {
	codeartifact, query, events http.Handler
}

type exchangeKey struct{}

func (a *App) newAPI() http.Handler {
	cfg := restjson.Config{Describe: a.describeCall, Begin: a.callBegins, Done: a.callDone}
	return &apis{
		codeartifact: control.New(control.Options{
			DB: a.db, Registry: a.registry, Checker: a.access, Identity: a.identities, Audit: a.trail, Usage: a.ledger,
			Region: a.cfg.Region, Account: a.cfg.Account, BaseURL: a.base, HTTP: cfg, Logger: a.log,
		}).Handler(),
		query:  iamapi.New(a.db, a.identities, a.access, cfg),
		events: eventsapi.New(a.db, a.identities, a.access, a.cfg.Region, cfg),
	}
}

// base is what the client of a request reaches the server as.
func (a *App) base(r *http.Request) string {
	if a.url != "" {
		return a.url
	}
	return a.scheme(r) + "://" + r.Host
}

// ServeHTTP implements http.Handler.
func (h *apis) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if x, ok := w.(*ops.Exchange); ok {
		x.Describe("api", "unknown", "", "")
		r = r.WithContext(context.WithValue(context.WithValue(r.Context(), exchangeKey{}, x), witnessKey{}, &witness{}))
	}
	if awsjson.Serves(r) {
		h.events.ServeHTTP(w, r)
		return
	}
	if r.Method == http.MethodPost && r.URL.Path == "/" {
		h.query.ServeHTTP(w, r)
		return
	}
	h.codeartifact.ServeHTTP(w, r)
}

func (a *App) describeCall(r *http.Request) restjson.Call {
	c := restjson.Call{
		UserAgent: r.UserAgent(), Secure: a.scheme(r) == "https", Time: a.now(),
		SourceIP: identity.SourceIP(r, a.cfg.TrustedProxies), Source: audit.CodeArtifact,
	}
	if x, ok := r.Context().Value(exchangeKey{}).(*ops.Exchange); ok {
		c.RequestID = x.RequestID()
	}
	return c
}

// callDone tells the outermost handler what a call was, and logs what no
// client is told.
func (a *App) callDone(ctx context.Context, c *restjson.Call, _ int, err error) {
	x, _ := ctx.Value(exchangeKey{}).(*ops.Exchange)
	if x != nil {
		principal := ""
		if caller, ok := c.Principal.(identity.Caller); ok {
			principal = caller.ARN()
		}
		operation := c.Operation
		if operation == "" {
			operation = "unknown"
		}
		x.Describe("api", operation, "", principal)
	}
	if x != nil {
		a.recordCall(ctx, x.Entry(), c, err)
		a.countCall(ctx, x.Usage(), *x.Entry(), c, err)
	}
	if err == nil {
		return
	}
	kind := fault.Of(err)
	if x != nil {
		x.Failed(kind.String())
	}
	if kind == fault.Internal && ctx.Err() == nil && !strings.HasPrefix(err.Error(), "sigv4") {
		a.log.ErrorContext(ctx, "api call failed", slog.String("id", c.RequestID), slog.String("operation", c.Operation), slog.Any("error", err))
	}
}
