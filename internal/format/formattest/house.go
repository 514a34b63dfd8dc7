// Package formattest is what every package format must do, whatever its
// clients speak: Run drives a format through a real registry.Service over
// SQLite, and over PostgreSQL, and a folder of blobs, with a fake public
// registry outside.
//
// House is the same machinery for a format's own tests.
package formattest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/blob/fsblob"
	"packhouse/internal/catalog"
	"packhouse/internal/format"
	"packhouse/internal/identity"
	"packhouse/internal/outbound"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

// The names a House is made with.
const (
	Owner  = "123456789012"
	Domain = "corp"
	Admin  = "admin" // may do everything
	Nobody = ""      // no credentials
)

// Connection is the name of the one external connection of a House.
const Connection = "public:outside"

// House is a server for one format. Its repositories answer over HTTP below
// URL, with the user's name as the token.
type House struct {
	URL     string // ends with a slash; a repository is URL + name + "/"
	Format  format.Format
	Service *registry.Service
	DB      *catalog.DB

	t          testing.TB
	identities *identity.Service
	domain     catalog.Domain
	repos      map[string]catalog.Repository

	mu         sync.Mutex
	operations []string
}

// Options change a House from what suits most tests.
type Options struct {
	Outside string // root of the registry behind Connection; empty for none
	// HeaderTimeout is how long a remote may take to begin its answer, default
	// 30 s.
	HeaderTimeout time.Duration
	Lifetimes     upstream.Lifetimes
	Database      string // catalog's DSN; empty: SQLite in a folder of the test
}

// NewHouse starts a house that ends with the test.
func NewHouse(t testing.TB, f format.Format, o Options) *House {
	t.Helper()
	ctx := t.Context()
	db, err := catalog.Open(ctx, cmp.Or(o.Database, "sqlite:"+t.TempDir()+"/catalog.db"), catalog.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	log := slog.New(slog.DiscardHandler)
	blobs, err := fsblob.Open(ctx, t.TempDir(), fsblob.Options{Limits: blob.Limits{HoldBack: 4}, Log: log})
	check(t, err)
	t.Cleanup(func() { check(t, blobs.Close()) })
	h := &House{Format: f, DB: db, t: t, identities: identity.New(db, identity.Options{}), repos: map[string]catalog.Repository{}}
	_, err = h.identities.Bootstrap(ctx, Owner)
	check(t, err)
	options := registry.Options{
		Region: "us-east-1", RenderDir: t.TempDir(), Lifetimes: o.Lifetimes, Logger: log,
		Connections: map[string]artifact.Connection{},
	}
	if o.Outside != "" {
		options.Connections[Connection] = artifact.Connection{Name: Connection, Format: f.Name(), URL: o.Outside}
		options.Get = wayOut(t, o)
	}
	h.Service, err = registry.New(db, blobs, access.New(db), []registry.Ecosystem{f}, options)
	check(t, err)
	t.Cleanup(h.Service.Close)
	h.Update(func(tx *catalog.Tx) (err error) {
		h.domain, err = tx.InsertDomain(catalog.Domain{Owner: Owner, Name: Domain, CrossRepositoryBlock: true})
		return err
	})
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.URL = server.URL + "/"
	return h
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wayOut is the real client, impatient enough for tests.
func wayOut(t testing.TB, o Options) func(artifact.Connection) upstream.Get {
	t.Helper()
	client, err := outbound.New(outbound.Options{HeaderTimeout: o.HeaderTimeout, Attempts: 1, BreakAfter: 1000})
	check(t, err)
	t.Cleanup(client.Close)
	return func(c artifact.Connection) upstream.Get {
		base, err := url.Parse(c.URL)
		check(t, err)
		remote, err := client.Remote(base, outbound.RemoteOptions{})
		check(t, err)
		return func(ctx context.Context, address string, header http.Header) (*http.Response, error) {
			return remote.Do(ctx, outbound.Request{URL: address, Header: header})
		}
	}
}

// Update changes the catalog.
func (h *House) Update(fn func(*catalog.Tx) error) {
	h.t.Helper()
	check(h.t, h.DB.Update(h.t.Context(), fn))
}

// Repository adds a repository with upstreams in order; Connection among them
// is the external connection.
func (h *House) Repository(name string, upstreams ...string) {
	h.t.Helper()
	r := catalog.Repository{DomainID: h.domain.ID, Name: name, Administrator: Owner}
	for _, u := range upstreams {
		if u == Connection {
			r.Connections = append(r.Connections, u)
		} else {
			r.Upstreams = append(r.Upstreams, h.repos[u].ID)
		}
	}
	h.Update(func(tx *catalog.Tx) (err error) {
		h.repos[name], err = tx.InsertRepository(r)
		return err
	})
}

// Restrict sets a package's origin configuration.
func (h *House) Restrict(repo string, c artifact.Coordinates, r artifact.Restrictions) {
	h.t.Helper()
	h.Update(func(tx *catalog.Tx) error {
		p, _, err := tx.EnsurePackage(h.repos[repo], c, c.Name, r)
		if err != nil {
			return err
		}
		return tx.SetRestrictions(p, r, true)
	})
}

// SetStatus changes the status of a stored version.
func (h *House) SetStatus(repo string, c artifact.Coordinates, version string, s artifact.Status) {
	h.t.Helper()
	h.Update(func(tx *catalog.Tx) error {
		p, err := tx.Package(h.repos[repo].ID, c)
		if err != nil {
			return err
		}
		v, err := tx.Version(p.ID, version)
		if err != nil {
			return err
		}
		v.Status = s
		return tx.UpdateVersion(p, v)
	})
}

// Hold puts a version on legal hold.
func (h *House) Hold(repo string, c artifact.Coordinates, version string) {
	h.t.Helper()
	h.Update(func(tx *catalog.Tx) error {
		return tx.PutHold(catalog.Hold{RepositoryID: h.repos[repo].ID, Coordinates: c, Version: version, Kind: catalog.HoldLegal})
	})
}

// Quota sets what a repository may hold.
func (h *House) Quota(repo string, l catalog.Limits) {
	h.t.Helper()
	h.Update(func(tx *catalog.Tx) error {
		_, err := tx.PutQuota(h.domain.ID, h.repos[repo].ID, l)
		return err
	})
}

// Held is what a repository with a quota holds.
func (h *House) Held(repo string) (held catalog.Holding) {
	h.t.Helper()
	h.Update(func(tx *catalog.Tx) error {
		if wrong, err := tx.CheckHoldings(h.domain.ID); err != nil || len(wrong) > 0 {
			h.t.Errorf("counts differ: %v, %v", wrong, err)
		}
		q, err := tx.Quota(h.repos[repo].ID)
		held = q.Held
		return err
	})
	return held
}

// User adds a user who may do the given actions (codeartifact:...) anywhere.
func (h *House) User(name string, actions ...string) {
	h.t.Helper()
	h.UserOn(name, "*", actions...)
}

// UserOn adds a user who may do the given actions on what an ARN, or a pattern
// of one, names.
func (h *House) UserOn(name, resource string, actions ...string) {
	h.t.Helper()
	h.Update(func(tx *catalog.Tx) error {
		if err := tx.InsertUser(catalog.User{Account: Owner, Name: name, Path: "/", ID: "AIDA" + strings.ToUpper(name)}); err != nil || len(actions) == 0 {
			return err
		}
		document, err := json.Marshal(map[string]any{
			"Version":   "2012-10-17",
			"Statement": []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": resource}},
		})
		if err != nil {
			return err
		}
		return tx.PutIdentityPolicy(catalog.IdentityPolicy{
			Account: Owner, PrincipalKind: catalog.PrincipalUser, PrincipalName: name, PolicyName: "may", Document: string(document),
		})
	})
}

// Open gives a repository to a user, as the data plane would.
func (h *House) Open(ctx context.Context, user, repo string) (*registry.Repo, error) {
	var caller identity.Caller
	if user != Nobody {
		var err error
		if caller, err = h.identities.UserCaller(ctx, Owner, user, identity.Facts{}); err != nil {
			return nil, err
		}
	}
	return h.Service.Open(ctx, caller, artifact.RepositoryID{Owner: Owner, Domain: Domain, Name: repo})
}

// ServeHTTP does what the data plane does, with less ado.
func (h *House) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	repo, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	q := &format.Request{Request: r, Path: rest, Base: "http://" + r.Host + "/" + repo + "/"}
	var err error
	if q.Repo, err = h.Open(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), repo); err == nil {
		err = h.Format.Serve(w, q)
		h.mu.Lock()
		h.operations = append(h.operations, q.Operation)
		h.mu.Unlock()
	}
	if err != nil {
		h.Format.WriteError(w, q, err)
	}
}

// Operations are the operations of the requests so far.
func (h *House) Operations() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.operations...)
}

// Call is one request below a repository's root.
type Call struct {
	Method string // GET if empty
	Path   string // escaped as it shall be sent; an absolute URL is taken as it is
	Header http.Header
	Body   []byte
}

// Answer is a response, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Broken bool // the connection broke off before the end
}

// Do makes a request as a user.
func (h *House) Do(user, repo string, c Call) Answer {
	h.t.Helper()
	target := c.Path
	if !strings.HasPrefix(target, h.URL) {
		target = h.URL + repo + "/" + c.Path
	}
	method := c.Method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(h.t.Context(), method, target, bytes.NewReader(c.Body))
	check(h.t, err)
	maps.Copy(r.Header, c.Header)
	if user != Nobody {
		r.Header.Set("Authorization", "Bearer "+user)
	}
	if r.Header.Get("Accept-Encoding") == "" {
		r.Header.Set("Accept-Encoding", "identity")
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if errors.Is(err, io.EOF) {
		return Answer{Broken: true}
	}
	check(h.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body, Broken: err != nil}
}

// Get is Do for a plain GET by the administrator.
func (h *House) Get(repo, path string) Answer {
	h.t.Helper()
	return h.Do(Admin, repo, Call{Path: path})
}
