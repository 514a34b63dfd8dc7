// Package control is the CodeArtifact API: what its operations do, one file per
// resource, and the one table that names them (ops.go).
//
// A new operation is a row of the table, its types in package api and a method
// of API. Permission is declared in the row from names alone and checked before
// a method runs, so a caller without it learns nothing about what exists.
//
// AWS's words and shapes stay here; below, the house speaks its own.
package control

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"packhouse/internal/access"
	"packhouse/internal/audit"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/identity"
	"packhouse/internal/registry"
	"packhouse/internal/restjson"
	"packhouse/internal/usage"
)

// Service is the name that requests are signed for (the credential scope).
const Service = "codeartifact"

// Options are what an API works with. DB, Registry, Checker and Identity are
// required.
type Options struct {
	DB       *catalog.DB
	Registry *registry.Service
	Checker  *access.Checker
	Identity *identity.Service
	Audit    *audit.Trail  // nil: there are no access records
	Usage    *usage.Ledger // nil: reports say what was counted before
	Region   string        // default us-east-1
	Account  string        // the one that manages the others, default 123456789012
	Limits   Limits
	// BaseURL is what the client of a request reaches this server as, without
	// a slash at the end. By default it is made of the request's Host.
	BaseURL func(*http.Request) string
	// HostSuffix switches GetRepositoryEndpoint to the virtual-host style:
	// DOMAIN-OWNER.d.codeartifact.REGION.SUFFIX. Empty: path style.
	HostSuffix string
	// HTTP may hold Describe, Done and BodyLimit; the rest is set here.
	HTTP   restjson.Config
	Logger *slog.Logger // for failures of ours when HTTP.Done is not set; default slog.Default()
}

// Limits are the quotas of section 1.1; zero values take the defaults.
type Limits struct {
	Domains      int // per account, default 10
	Repositories int // per domain, default 1000
	Upstreams    int // direct ones of a repository, default 10
	Tags         int // per resource, default 50
	// ConnectionPerFormat allows one external connection for each format,
	// where CodeArtifact allows one in all.
	ConnectionPerFormat bool
}

// API does the operations. It is safe for concurrent use.
type API struct {
	opt     Options
	handler *restjson.Handler
}

// New makes an API.
func New(o Options) *API {
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.Account = cmp.Or(o.Account, "123456789012")
	o.Limits.Domains = cmp.Or(o.Limits.Domains, 10)
	o.Limits.Repositories = cmp.Or(o.Limits.Repositories, 1000)
	o.Limits.Upstreams = cmp.Or(o.Limits.Upstreams, 10)
	o.Limits.Tags = cmp.Or(o.Limits.Tags, 50)
	if o.BaseURL == nil {
		o.BaseURL = fromHost
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	a := &API{opt: o}
	cfg := o.HTTP
	cfg.Authenticate = o.Identity.Authenticator(Service)
	cfg.Authorize = o.Checker.Authorize
	cfg.Shapes = api.Shapes()
	if cfg.Done == nil {
		cfg.Done = a.logFailure
	}
	a.handler = restjson.NewHandler(a.Rows(), cfg)
	return a
}

// Handler serves the operations at the root of the API's address.
func (a *API) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.handler.ServeHTTP(w, r.WithContext(WithBaseURL(r.Context(), a.opt.BaseURL(r))))
	})
}

// Do runs an operation for a caller in this process: in is its *Input of
// package api, the result its *Output. It is validated and authorised like any
// other. Endpoints need WithBaseURL.
func (a *API) Do(ctx context.Context, c *restjson.Call, operation string, in any) (any, error) {
	return a.handler.Do(ctx, c, operation, in)
}

type baseKey struct{}

// WithBaseURL says what the client behind ctx reaches this server as, without a
// slash at the end.
func WithBaseURL(ctx context.Context, base string) context.Context {
	return context.WithValue(ctx, baseKey{}, base)
}

func fromHost(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (a *API) logFailure(ctx context.Context, c *restjson.Call, status int, err error) {
	if status >= http.StatusInternalServerError && ctx.Err() == nil {
		a.opt.Logger.ErrorContext(ctx, "API request failed",
			slog.String("operation", c.Operation), slog.String("id", c.RequestID), slog.Any("error", err))
	}
}

// callerOf is who calls, as Authenticate found.
func callerOf(c *restjson.Call) identity.Caller {
	caller, ok := c.Principal.(identity.Caller)
	if !ok { // Authorize has refused anything else before an operation runs
		panic(fmt.Sprintf("control: operation %s is called by a %T", c.Operation, c.Principal))
	}
	return caller
}
