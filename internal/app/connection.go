package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/git-pkgs/purl"

	"packhouse/internal/artifact"
	"packhouse/internal/config"
	"packhouse/internal/fault"
	"packhouse/internal/outbound"
	"packhouse/internal/upstream"
)

// wellKnown are the external connections of the API (section 1.2). kind is
// what package purl calls the ecosystem, whose default address is taken; those
// without one need an address in the configuration before they can be fetched
// from.
var wellKnown = []struct {
	name   string
	format artifact.Format
	kind   string
	adjust func(string) string // the site's root to what the format's clients take
}{
	{"public:npmjs", artifact.NPM, "npm", same},
	{"public:pypi", artifact.PyPI, "pypi", func(s string) string { return s + "simple/" }},
	{"public:maven-central", artifact.Maven, "maven", same},
	{"public:maven-googleandroid", artifact.Maven, "", same},
	{"public:maven-gradleplugins", artifact.Maven, "", same},
	{"public:maven-commonsware", artifact.Maven, "", same},
	{"public:maven-clojars", artifact.Maven, "", same},
	{"public:nuget-org", artifact.NuGet, "nuget", func(s string) string { return strings.Replace(s, "://www.", "://api.", 1) + "v3/index.json" }},
	{"public:ruby-gems-org", artifact.Ruby, "gem", same},
	{"public:crates-io", artifact.Cargo, "cargo", func(s string) string { return strings.Replace(s, "://", "://index.", 1) }},
}

func same(s string) string { return s }

// Connections gives the external connections a configuration leads to, by name.
// The URL of one is empty when no address is known.
func Connections(cfg config.Config) map[string]artifact.Connection {
	byName := map[string]artifact.Connection{}
	for _, w := range wellKnown {
		c := artifact.Connection{Name: w.name, Format: w.format}
		if w.kind != "" {
			if root := purl.DefaultRegistry(w.kind); root != "" {
				c.URL = w.adjust(strings.TrimRight(root, "/") + "/")
			}
		}
		byName[c.Name] = c
	}
	for _, given := range cfg.Connections {
		c := byName[given.Name]
		c.Name, c.URL = given.Name, given.URL
		if given.Format != "" {
			c.Format = given.Format
		}
		if !strings.HasSuffix(c.URL, "/") && c.Format != artifact.NuGet {
			c.URL += "/"
		}
		byName[c.Name] = c
	}
	return byName
}

func (a *App) newOutbound() (*outbound.Client, error) {
	o := outbound.Options{
		UserAgent: "packhouse/" + a.version, Allow: a.cfg.AllowOutbound, Now: a.now,
		Observe: func(remote string, _ int, took time.Duration, err error) {
			kind := ""
			if err != nil {
				kind = fault.Of(err).String()
			}
			if kind == fault.Internal.String() { // a status that says no more than that it failed
				kind = fault.Upstream.String()
			}
			a.metrics.Upstream(remote, took, kind)
		},
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if os.Getenv(name) != "" {
			o.Proxy = http.ProxyFromEnvironment
		}
	}
	client, err := outbound.New(o)
	if err != nil {
		return nil, fmt.Errorf("allow-outbound: %w", err)
	}
	return client, nil
}

// connections makes the way out of each connection that has an address. A
// well-known one of a format nobody serves yet is known all the same: a
// repository may have it.
func (a *App) connections() (map[string]*outbound.Remote, error) {
	a.known = Connections(a.cfg)
	secrets := map[string]config.Connection{}
	for _, c := range a.cfg.Connections {
		secrets[c.Name] = c
	}
	remotes := map[string]*outbound.Remote{}
	for name, c := range a.known {
		if c.Format == "" {
			return nil, fmt.Errorf("connection %s: no connection of that name is well known; name it custom:... and give its format in the config file", name)
		}
		if c.URL == "" {
			continue
		}
		base, err := url.Parse(c.URL)
		if err != nil {
			return nil, fmt.Errorf("connection %s: %w", name, err)
		}
		remote, err := a.outbound.Remote(base, outbound.RemoteOptions{Name: name, Authorize: authorize(secrets[name])})
		if err != nil {
			return nil, fmt.Errorf("connection %s: %w", name, err)
		}
		remotes[name] = remote
		a.metrics.Breaker(name, remote.Open)
	}
	return remotes, nil
}

func authorize(c config.Connection) func(*http.Request) {
	switch {
	case c.Token != "":
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+string(c.Token)) }
	case c.Username != "" || c.Password != "":
		return func(r *http.Request) { r.SetBasicAuth(c.Username, string(c.Password)) }
	default:
		return nil
	}
}

// getter gives the registry its way out.
func (a *App) getter(remotes map[string]*outbound.Remote) func(artifact.Connection) upstream.Get {
	return func(c artifact.Connection) upstream.Get {
		remote, ok := remotes[c.Name]
		if !ok {
			return func(context.Context, string, http.Header) (*http.Response, error) {
				return nil, fault.New(fault.Upstream, "no address is configured for the external connection %s", c.Name)
			}
		}
		limit := int64(a.cfg.MaxAssetSize)
		return func(ctx context.Context, address string, header http.Header) (*http.Response, error) {
			resp, err := remote.Do(ctx, outbound.Request{URL: address, Header: header, MaxBytes: limit})
			if err != nil {
				a.log.DebugContext(ctx, "outside request failed", slog.String("connection", c.Name), slog.Any("error", err))
			}
			return resp, err
		}
	}
}

func lifetimes(cfg config.Config) upstream.Lifetimes {
	return upstream.Lifetimes{Metadata: cfg.MetadataTTL, Negative: cfg.NegativeTTL, Revalidate: cfg.MetadataTTL}
}
