package app

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"packhouse/internal/audit"
	"packhouse/internal/awscbor"
	"packhouse/internal/awsjson"
	"packhouse/internal/control"
	"packhouse/internal/eventsapi"
	"packhouse/internal/fault"
	"packhouse/internal/iamapi"
	"packhouse/internal/identity"
	"packhouse/internal/monitoringapi"
	"packhouse/internal/ops"
	"packhouse/internal/restjson"
	"packhouse/internal/sigv4"
	"packhouse/internal/snsapi"
	"packhouse/internal/topic"
)

// apis answers for every AWS API at the one endpoint: REST-JSON and CBOR
// operations by their paths, the Query and JSON protocols at "/".
type apis struct {
	codeartifact, iam, events, sns http.Handler
	links, pages                   http.Handler // what messages lead to
	monitoring                     monitoringapi.Handlers
}

type exchangeKey struct{}

func (a *App) newAPI() http.Handler {
	cfg := restjson.Config{Describe: a.describeCall, Begin: a.callBegins, Done: a.callDone}
	sns, links := snsapi.New(snsapi.Options{
		DB: a.db, Identity: a.identities, Checker: a.access, House: a.topics, Region: a.cfg.Region, Mail: a.cfg.SMTPRelay != "", HTTP: cfg,
	})
	return &apis{
		codeartifact: control.New(control.Options{
			DB: a.db, Registry: a.registry, Checker: a.access, Identity: a.identities, Audit: a.trail, Usage: a.ledger,
			Region: a.cfg.Region, Account: a.cfg.Account, BaseURL: a.base, HTTP: cfg, Logger: a.log,
		}).Handler(),
		iam:    iamapi.New(a.db, a.identities, a.access, cfg),
		events: eventsapi.New(a.db, a.identities, a.access, a.cfg.Region, cfg),
		sns:    sns, links: links, pages: a.topics.Pages(a.log),
		monitoring: monitoringapi.New(monitoringapi.Options{
			DB: a.db, Identity: a.identities, Checker: a.access, Region: a.cfg.Region, Metrics: a.meter, Now: a.now, HTTP: cfg,
		}),
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
	h.of(r).ServeHTTP(w, r)
}

// of chooses who answers a request.
func (h *apis) of(r *http.Request) http.Handler {
	switch {
	case awscbor.Serves(r):
		return h.monitoring.CBOR
	case awsjson.Serves(r) && awsjson.TargetOf(r) == monitoringapi.Target:
		return h.monitoring.JSON
	case awsjson.Serves(r):
		return h.events
	case topic.Serves(r):
		return h.pages
	case r.URL.Path != "/":
		return h.codeartifact
	case r.Method == http.MethodGet:
		return h.links
	case r.Method != http.MethodPost:
		return h.codeartifact
	}
	switch sigv4.ServiceOf(r) {
	case monitoringapi.Service:
		return h.monitoring.Query
	case snsapi.Service:
		return h.sns
	}
	return h.iam
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
