package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/blob/memblob"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/upstream"
)

// plain is the smallest format there can be: a remote's document about a
// package is a JSON map of version to its bytes' address and digest.
type plain struct{}

type plainVersion struct {
	URL       string `json:"url"`
	Integrity string `json:"integrity"`
	Note      string `json:"note,omitempty"`
}

func (plain) Name() artifact.Format { return artifact.NPM }
func (plain) Traits() Traits        { return Traits{} }

func (plain) Normalize(c artifact.Coordinates) (artifact.Coordinates, error) { return c, nil }
func (plain) Compare(a, b string) int                                        { return cmp.Compare(a, b) }

func (plain) Describe(artifact.Coordinates, []byte) (artifact.Details, error) {
	return artifact.Details{}, nil
}

func (plain) Readme([]byte, []artifact.Asset, func(string) (io.ReadCloser, error)) (string, error) {
	return "", fault.New(fault.NotFound, "no readme")
}

func (plain) Remote(base string) upstream.Remote { return plainRemote(base) }

type plainRemote string

func (b plainRemote) List(ctx context.Context, get upstream.Get, c artifact.Coordinates, _ upstream.Validator) (upstream.Document, error) {
	res, err := get(ctx, string(b)+c.Name, http.Header{})
	if err != nil {
		return upstream.Document{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return upstream.Document{Body: body}, err
}

func (b plainRemote) Parse(_ artifact.Coordinates, doc []byte) (*upstream.Listing, error) {
	var versions map[string]plainVersion
	if err := json.Unmarshal(doc, &versions); err != nil {
		return nil, err
	}
	l := &upstream.Listing{Tags: map[string]string{}}
	for number, v := range versions {
		manifest, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		l.Versions = append(l.Versions, upstream.ListedVersion{
			Number: number, Manifest: manifest,
			Assets: []upstream.ListedAsset{{Name: "file", URL: v.URL, Integrity: v.Integrity}},
		})
		if number > l.Tags["latest"] {
			l.Tags["latest"] = number
		}
	}
	slices.SortFunc(l.Versions, func(a, b upstream.ListedVersion) int { return cmp.Compare(a.Number, b.Number) })
	return l, nil
}

func (plainRemote) Locate(_ artifact.Coordinates, version, name string, l *upstream.Listing) (upstream.ListedAsset, error) {
	for _, v := range l.Versions {
		if v.Number == version && v.Assets[0].Name == name {
			return v.Assets[0], nil
		}
	}
	return upstream.ListedAsset{}, fault.New(fault.NotFound, "not listed")
}

// outside is a public registry on loopback.
type outside struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte // package/version -> bytes
	lie   bool              // send other bytes than listed
	down  atomic.Bool
	docs  atomic.Int32
	gets  atomic.Int32
	gate  chan struct{} // when set, files wait for it
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{files: map[string][]byte{}}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *outside) put(name, version, content string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.files[name+"/"+version] = []byte(content)
}

func (o *outside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	path := strings.Trim(r.URL.Path, "/")
	o.mu.Lock()
	content, isFile := o.files[path]
	doc := map[string]plainVersion{}
	for key, b := range o.files {
		if name, version, _ := strings.Cut(key, "/"); name == path {
			doc[version] = plainVersion{URL: o.URL + "/" + key, Integrity: digest.Of(b).Integrity(), Note: "remote"}
		}
	}
	o.mu.Unlock()
	switch {
	case isFile:
		o.gets.Add(1)
		if o.gate != nil {
			<-o.gate
		}
		if o.lie {
			content = bytes.ToUpper(content)
		}
		_, _ = w.Write(content)
	case len(doc) > 0:
		o.docs.Add(1)
		_ = json.NewEncoder(w).Encode(doc)
	default:
		o.docs.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}
}

func get(ctx context.Context, url string, h http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = h
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fault.Wrap(fault.Upstream, err, "unreachable")
	}
	switch {
	case res.StatusCode == http.StatusNotFound:
		res.Body.Close()
		return nil, fault.New(fault.NotFound, "not there")
	case res.StatusCode/100 != 2:
		res.Body.Close()
		return nil, fault.New(fault.Upstream, "answered %d", res.StatusCode)
	}
	return res, nil
}

// house is a domain of repositories to test with.
type house struct {
	t       testing.TB
	db      *catalog.DB
	service *Service
	domain  catalog.Domain
	repos   map[string]catalog.Repository
	admin   identity.Caller
}

const (
	owner  = "123456789012"
	public = "public:npmjs"
)

func newHouse(t testing.TB, remote *outside) *house {
	t.Helper()
	connections := map[string]artifact.Connection{}
	if remote != nil {
		connections[public] = artifact.Connection{Name: public, Format: artifact.NPM, URL: remote.URL + "/"}
	}
	return newHouseOf(t, connections, plain{}, files{}, jars{})
}

func newHouseOf(t testing.TB, connections map[string]artifact.Connection, ecosystems ...Ecosystem) *house {
	t.Helper()
	db, err := catalog.Open(t.Context(), "sqlite:"+t.TempDir()+"/catalog.db", catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := identity.New(db, identity.Options{}).Bootstrap(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	s, err := New(db, memblob.New(blob.Limits{HoldBack: 4}), access.New(db), ecosystems, Options{
		Region: "us-east-1", Connections: connections, RenderDir: t.TempDir() + "/finished",
		Get: func(artifact.Connection) upstream.Get { return get }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	h := &house{t: t, db: db, service: s, repos: map[string]catalog.Repository{}}
	h.admin, err = identity.New(db, identity.Options{}).UserCaller(t.Context(), owner, "admin", identity.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	h.update(func(tx *catalog.Tx) (err error) {
		h.domain, err = tx.InsertDomain(catalog.Domain{Owner: owner, Name: "corp", CrossRepositoryBlock: true})
		return err
	})
	return h
}

func (h *house) update(fn func(*catalog.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// repo adds a repository; upstreams in priority order, "@" is the connection,
// and what has a colon is one by name.
func (h *house) repo(name string, upstreams ...string) {
	h.t.Helper()
	r := catalog.Repository{DomainID: h.domain.ID, Name: name, Administrator: owner}
	for _, u := range upstreams {
		switch {
		case u == "@":
			r.Connections = append(r.Connections, public)
		case strings.Contains(u, ":"):
			r.Connections = append(r.Connections, u)
		default:
			r.Upstreams = append(r.Upstreams, h.repos[u].ID)
		}
	}
	h.update(func(tx *catalog.Tx) (err error) {
		h.repos[name], err = tx.InsertRepository(r)
		return err
	})
}

func (h *house) open(name string) *Repo {
	h.t.Helper()
	r, err := h.service.Open(h.t.Context(), h.admin, artifact.RepositoryID{Owner: owner, Domain: "corp", Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func coords(name string) artifact.Coordinates {
	return artifact.Coordinates{Format: artifact.NPM, Name: name}
}

func (h *house) publish(repo, name, version, content string) error {
	h.t.Helper()
	r := h.open(repo)
	staged, err := r.Stage(h.t.Context(), coords(name), "file", strings.NewReader(content))
	if err != nil {
		return err
	}
	_, err = r.Publish(h.t.Context(), coords(name), Publication{
		Version: version, Manifest: []byte(`{"note":"ours"}`), Assets: []Staged{staged}, Tags: []string{"latest"},
	})
	return err
}

func (h *house) mustPublish(repo, name, version, content string) {
	h.t.Helper()
	if err := h.publish(repo, name, version, content); err != nil {
		h.t.Fatal(err)
	}
}

// fetch downloads an asset as a client would. A connection broken off before
// the end is an upstream fault.
func (h *house) fetch(repo, name, version string) (got string, err error) {
	h.t.Helper()
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			got, err = "", fault.New(fault.Upstream, "broken off")
		} else if p != nil {
			panic(p)
		}
	}()
	c, err := h.open(repo).Asset(h.t.Context(), coords(name), version, "file")
	if err != nil {
		return "", err
	}
	w := httptest.NewRecorder()
	err = c.ServeHTTP(w, httptest.NewRequestWithContext(h.t.Context(), http.MethodGet, "/", nil))
	return w.Body.String(), err
}

func (h *house) mustFetch(repo, name, version, want string) {
	h.t.Helper()
	got, err := h.fetch(repo, name, version)
	if err != nil || got != want {
		h.t.Fatalf("fetching %s %s through %s: got %q, %v; want %q", name, version, repo, got, err, want)
	}
}

// versions lists what a client sees.
func (h *house) versions(repo, name string) ([]string, error) {
	h.t.Helper()
	l, err := h.open(repo).Listing(h.t.Context(), coords(name))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, v := range l.Versions {
		out = append(out, v.Number)
	}
	return out, nil
}

func (h *house) wantVersions(repo, name string, want ...string) {
	h.t.Helper()
	got, err := h.versions(repo, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		h.t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		h.t.Fatalf("versions of %s in %s (-want +got):\n%s", name, repo, diff)
	}
}

// held lists the versions a repository itself holds, with their origin.
func (h *house) held(repo, name string) (out []string) {
	h.t.Helper()
	h.update(func(tx *catalog.Tx) error {
		out = nil
		p, err := tx.Package(h.repos[repo].ID, coords(name))
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		rows, err := tx.Versions(p.ID)
		for _, r := range rows {
			out = append(out, r.Number+" "+string(r.Origin.Type))
		}
		return err
	})
	return out
}

func (h *house) wantHeld(repo, name string, want ...string) {
	h.t.Helper()
	if diff := gocmp.Diff(want, h.held(repo, name)); diff != "" {
		h.t.Fatalf("%s holds of %s (-want +got):\n%s", repo, name, diff)
	}
}

func (h *house) restrict(repo, name string, publish, upstream artifact.Permission) {
	h.t.Helper()
	h.update(func(tx *catalog.Tx) error {
		p, _, err := tx.EnsurePackage(h.repos[repo], coords(name), name, artifact.DefaultRestrictions(true))
		if err != nil {
			return err
		}
		return tx.SetRestrictions(p, artifact.Restrictions{Publish: publish, Upstream: upstream}, true)
	})
}

// setUpstreams changes those of frontend-app.
func (h *house) setUpstreams(ups ...string) {
	h.t.Helper()
	h.update(func(tx *catalog.Tx) error {
		ids := []string{}
		for _, u := range ups {
			ids = append(ids, h.repos[u].ID)
		}
		return tx.SetUpstreams(h.repos["frontend-app"].ID, ids)
	})
}

// org is the npm part of the model organisation.
func org(t *testing.T) (*house, *outside) {
	t.Helper()
	o := newOutside(t)
	h := newHouse(t, o)
	h.repo("npm-public", "@")
	h.repo("npm-internal")
	h.repo("frontend-app", "npm-internal", "npm-public")
	return h, o
}

func TestAsset_RetainedWhereAskedAndAtTheConnection(t *testing.T) {
	h, o := org(t)
	h.repo("deep", "frontend-app")
	o.put("express", "1.0.0", "express one")
	h.mustFetch("deep", "express", "1.0.0", "express one")
	h.wantHeld("deep", "express", "1.0.0 EXTERNAL")
	h.wantHeld("npm-public", "express", "1.0.0 EXTERNAL")
	h.wantHeld("frontend-app", "express") // between the two: nothing is kept
	h.wantHeld("npm-internal", "express")
	h.mustFetch("deep", "express", "1.0.0", "express one")
	if n := o.gets.Load(); n != 1 {
		t.Errorf("fetched %d times, want 1", n)
	}
}

func TestAsset_RetainedCopySurvivesUnlinkingAndOutage(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "express one")
	h.mustFetch("frontend-app", "express", "1.0.0", "express one")
	h.setUpstreams()
	o.down.Store(true)
	h.mustFetch("frontend-app", "express", "1.0.0", "express one")
	h.wantVersions("frontend-app", "express", "1.0.0")
}

func TestAsset_InternalVersionIsRetainedThroughUpstream(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	h.wantVersions("frontend-app", "widget", "1.0.0")
	h.mustFetch("frontend-app", "widget", "1.0.0", "ours")
	h.wantHeld("frontend-app", "widget", "1.0.0 INTERNAL")
}

func TestAsset_LyingDigestStoresNothing(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "express one")
	o.lie = true
	if got, err := h.fetch("frontend-app", "express", "1.0.0"); !fault.Is(err, fault.Upstream) {
		t.Fatalf("got %q, %v; want an upstream fault", got, err)
	}
	h.wantHeld("frontend-app", "express")
	h.wantHeld("npm-public", "express")
	o.lie = false
	h.mustFetch("frontend-app", "express", "1.0.0", "express one")
}

func TestAsset_ManyClientsShareOneFetch(t *testing.T) {
	h, o := org(t)
	content := strings.Repeat("express ", 100_000)
	o.put("express", "1.0.0", content)
	o.gate = make(chan struct{})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if got, err := h.fetch("frontend-app", "express", "1.0.0"); err != nil || got != content {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
	close(o.gate)
	wg.Wait()
	if n := o.gets.Load(); n != 1 {
		t.Errorf("fetched %d times, want 1", n)
	}
}

func TestAsset_OneFetchRetainsForEveryRepositoryThatAsked(t *testing.T) {
	h, o := org(t)
	h.repo("other-app", "npm-public")
	o.put("express", "1.0.0", "express one")
	o.gate = make(chan struct{})
	var wg sync.WaitGroup
	for _, repo := range []string{"frontend-app", "other-app"} {
		wg.Go(func() {
			if _, err := h.fetch(repo, "express", "1.0.0"); err != nil {
				t.Error(err)
			}
		})
	}
	close(o.gate)
	wg.Wait()
	for _, repo := range []string{"frontend-app", "other-app", "npm-public"} {
		h.wantHeld(repo, "express", "1.0.0 EXTERNAL")
	}
}

func TestAsset_LeavingClientDoesNotStopTheFetch(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "express one")
	o.gate = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	asked, repo := make(chan error, 1), h.open("frontend-app")
	go func() {
		_, err := repo.Asset(ctx, coords("express"), "1.0.0", "file")
		asked <- err
	}()
	for o.gets.Load() == 0 {
		time.Sleep(time.Millisecond) // until the fetch is under way
	}
	cancel()
	if err := <-asked; err == nil {
		t.Fatal("the client that left got an answer")
	}
	close(o.gate)
	h.service.arrivals.wait.Wait()
	h.wantHeld("frontend-app", "express", "1.0.0 EXTERNAL")
}

func TestClose_EndsWhatNobodyWaitsFor(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "express one")
	o.gate = make(chan struct{})
	t.Cleanup(func() { close(o.gate) }) // before the outside registry closes
	ctx, cancel := context.WithCancel(t.Context())
	asked, repo := make(chan error, 1), h.open("frontend-app")
	go func() {
		_, err := repo.Asset(ctx, coords("express"), "1.0.0", "file")
		asked <- err
	}()
	for o.gets.Load() == 0 {
		time.Sleep(time.Millisecond) // until the fetch is under way
	}
	cancel()
	if err := <-asked; err == nil {
		t.Fatal("the client that left got an answer")
	}
	closed := make(chan struct{})
	go func() {
		h.service.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits for a registry that does not answer")
	}
	h.wantHeld("frontend-app", "express")
}

func TestListing_MergesFirstRepositoryWins(t *testing.T) {
	h, o := org(t)
	o.put("widget", "1.0.0", "theirs")
	o.put("widget", "2.0.0", "theirs too")
	h.restrict("npm-internal", "widget", artifact.Allow, artifact.Allow)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	h.wantVersions("frontend-app", "widget", "1.0.0", "2.0.0")
	h.mustFetch("frontend-app", "widget", "1.0.0", "ours")
	h.mustFetch("frontend-app", "widget", "2.0.0", "theirs too")
}

func TestListing_HiddenVersionHidesTheSameBelow(t *testing.T) {
	for _, status := range []artifact.Status{artifact.Archived, artifact.Disposed, artifact.Unfinished} {
		t.Run(string(status), func(t *testing.T) {
			h, o := org(t)
			o.put("express", "1.0.0", "one")
			o.put("express", "2.0.0", "two")
			h.mustFetch("frontend-app", "express", "1.0.0", "one")
			h.update(func(tx *catalog.Tx) error {
				p, err := tx.Package(h.repos["frontend-app"].ID, coords("express"))
				if err != nil {
					return err
				}
				v, err := tx.Version(p.ID, "1.0.0")
				if err != nil {
					return err
				}
				v.Status = status
				return tx.UpdateVersion(p, v)
			})
			h.wantVersions("frontend-app", "express", "2.0.0")
			if _, err := h.fetch("frontend-app", "express", "1.0.0"); !fault.Is(err, fault.NotFound) {
				t.Fatalf("got %v, want not found", err)
			}
			h.mustFetch("npm-public", "express", "1.0.0", "one")
		})
	}
}

func TestListing_DeepestTagWinsAmongVisibleVersions(t *testing.T) {
	h, o := org(t)
	o.put("widget", "3.0.0", "theirs")
	h.restrict("npm-internal", "widget", artifact.Allow, artifact.Allow)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	l, err := h.open("frontend-app").Listing(t.Context(), coords("widget"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(map[string]string{"latest": "3.0.0"}, l.Tags); diff != "" {
		t.Error(diff)
	}
}

func TestListing_StoredManifestIsShownWhenTheRemoteDisagrees(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "express one")
	h.mustFetch("frontend-app", "express", "1.0.0", "express one")
	o.put("express", "1.0.0", "swapped behind our back")
	if _, err := h.service.remotes.Refresh(t.Context(), h.service.sources[public], coords("express")); err != nil {
		t.Fatal(err)
	}
	l, err := h.open("frontend-app").Listing(t.Context(), coords("express"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(l.Versions[0].Manifest), digest.Of([]byte("express one")).Integrity()) {
		t.Errorf("manifest %s does not describe the bytes that are served", l.Versions[0].Manifest)
	}
	h.mustFetch("frontend-app", "express", "1.0.0", "express one")
}

func TestSearch_DepthFirstOnceEach(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("E")
	h.repo("C")
	h.repo("D", "E")
	h.repo("B", "C")
	h.repo("A", "C", "D")
	h.repo("my_repo", "A", "B")
	var got []string
	for _, n := range h.open("my_repo").node.reach(25) {
		got = append(got, n.id.Name)
	}
	if diff := gocmp.Diff([]string{"my_repo", "A", "C", "D", "E", "B"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSearch_FirstUpstreamWins(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("second")
	h.repo("first")
	h.repo("app", "first", "second")
	h.mustPublish("second", "widget", "1.0.0", "second")
	h.mustPublish("first", "widget", "1.0.0", "first")
	h.mustFetch("app", "widget", "1.0.0", "first")
}

func TestSearch_EndsAfter25Repositories(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("r00")
	for i := 1; i <= 25; i++ { // a chain: each the upstream of the next
		h.repo(fmt.Sprintf("r%02d", i), fmt.Sprintf("r%02d", i-1))
	}
	h.mustPublish("r00", "widget", "1.0.0", "far")
	h.mustPublish("r01", "gadget", "1.0.0", "near")
	if _, err := h.fetch("r25", "widget", "1.0.0"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the 26th repository was searched: %v", err)
	}
	h.mustFetch("r25", "gadget", "1.0.0", "near")
}

func TestConfusion_NameInUseInsideIsNeverLookedUpOutside(t *testing.T) {
	h, o := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	o.put("widget", "99.0.0", "attack")
	h.wantVersions("frontend-app", "widget", "1.0.0")
	if got, err := h.fetch("frontend-app", "widget", "99.0.0"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %q, %v", got, err)
	}
	if n := o.docs.Load(); n != 0 {
		t.Errorf("the connection was asked for the name %d times", n)
	}
}

func TestConfusion_RetainedAttackDisappearsWithTheInternalPublish(t *testing.T) {
	h, o := org(t)
	o.put("widget", "99.0.0", "attack")
	h.mustFetch("frontend-app", "widget", "99.0.0", "attack")
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	h.wantVersions("frontend-app", "widget", "1.0.0")
	if _, err := h.fetch("frontend-app", "widget", "99.0.0"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestConfusion_AllowOpensTheOutside(t *testing.T) {
	h, o := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	o.put("widget", "2.0.0", "theirs")
	h.restrict("npm-internal", "widget", artifact.Allow, artifact.Allow)
	h.wantVersions("frontend-app", "widget", "2.0.0", "1.0.0")
	h.restrict("npm-internal", "widget", artifact.Allow, artifact.Block)
	h.wantVersions("frontend-app", "widget", "1.0.0")
}

func TestConfusion_RetainedInternalVersionStillGuardsAfterUnlinking(t *testing.T) {
	h, o := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	h.mustFetch("frontend-app", "widget", "1.0.0", "ours")
	h.setUpstreams("npm-public")
	o.put("widget", "99.0.0", "attack")
	h.wantVersions("frontend-app", "widget", "1.0.0")
	h.restrict("frontend-app", "widget", artifact.Block, artifact.Allow)
	h.wantVersions("frontend-app", "widget", "99.0.0", "1.0.0")
}

func TestConfusion_SwitchOfTheDomain(t *testing.T) {
	h, o := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	o.put("widget", "2.0.0", "theirs")
	h.update(func(tx *catalog.Tx) error { return tx.SetCrossRepositoryBlock(h.domain.ID, false) })
	h.wantVersions("frontend-app", "widget", "2.0.0", "1.0.0")
	h.wantVersions("npm-internal", "widget", "1.0.0")
}

func TestRestrictions_BlockedUpstreamEndsTheSearchBelow(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "one")
	h.restrict("frontend-app", "express", artifact.Allow, artifact.Block)
	h.wantVersions("frontend-app", "express")
	if _, err := h.fetch("frontend-app", "express", "1.0.0"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
	h.wantVersions("npm-public", "express", "1.0.0")
}

func TestPublish_DefaultsKeepInsideAndOutsideApart(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "one")
	h.mustFetch("npm-public", "express", "1.0.0", "one")
	if err := h.publish("npm-public", "express", "9.9.9", "patched"); !fault.Is(err, fault.Denied) {
		t.Fatalf("publishing over an ingested package: %v, want denied", err)
	}
}

func TestPublish_DuplicateChangesNothing(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	if err := h.publish("npm-internal", "widget", "1.0.0", "other bytes"); !fault.Is(err, fault.Conflict) {
		t.Fatalf("got %v, want conflict", err)
	}
	h.mustFetch("npm-internal", "widget", "1.0.0", "ours")
}

func TestPublish_VersionVisibleUpstreamConflicts(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "one")
	if err := h.publish("frontend-app", "express", "1.0.0", "mine"); !fault.Is(err, fault.Conflict) {
		t.Fatalf("got %v, want conflict with the connection's version", err)
	}
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	if err := h.publish("frontend-app", "widget", "1.0.0", "mine"); !fault.Is(err, fault.Conflict) {
		t.Fatalf("got %v, want conflict with the upstream's version", err)
	}
}

func TestPublish_RaceHasOneWinner(t *testing.T) {
	h, _ := org(t)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			switch err := h.publish("npm-internal", "widget", "1.0.0", fmt.Sprint("content ", i)); {
			case err == nil:
				won.Add(1)
			case !fault.Is(err, fault.Conflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d publishes won", n)
	}
}

func TestRepo_NobodyReadsWithoutPermission(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	stranger := identity.NewCaller(&identity.Subject{Principal: policy.Principal{
		Type: policy.User, ARN: "arn:aws:iam::" + owner + ":user/eve", Account: owner, UserName: "eve", UserID: "AIDAEVE",
	}}, identity.Facts{})
	anonymous := identity.Caller{}
	for name, want := range map[string]struct {
		caller identity.Caller
		kind   fault.Kind
	}{"stranger": {stranger, fault.Denied}, "anonymous": {anonymous, fault.Unauthenticated}} {
		t.Run(name, func(t *testing.T) {
			id := artifact.RepositoryID{Owner: owner, Domain: "corp", Name: "npm-internal"}
			r, err := h.service.Open(t.Context(), want.caller, id)
			if err != nil {
				t.Fatal(err)
			}
			ctx, c := t.Context(), coords("widget")
			_, listing := r.Listing(ctx, c)
			_, document := r.Document(ctx, c, Variant{}, "text/plain", nil)
			_, asset := r.Asset(ctx, c, "1.0.0", "file")
			_, staged := r.Stage(ctx, c, "file", strings.NewReader("x"))
			_, published := r.Publish(ctx, c, Publication{Version: "2.0.0"})
			_, amended := r.Amend(ctx, c, nil)
			_, _, searched := r.Search(ctx, artifact.NPM, "", 0, 1)
			for what, err := range map[string]error{
				"listing": listing, "document": document, "asset": asset, "stage": staged, "publish": published, "amend": amended, "search": searched,
				"set tag": r.SetTag(ctx, c, "x", "1.0.0"), "delete tag": r.DeleteTag(ctx, c, "latest"),
				"unpublish": r.Unpublish(ctx, c, []string{"1.0.0"}), "delete": r.Unpublish(ctx, c, nil),
			} {
				if !fault.Is(err, want.kind) {
					t.Errorf("%s: got %v, want %v", what, err, want.kind)
				}
			}
			id.Name = "no-such-repository"
			if _, err := h.service.Open(t.Context(), want.caller, id); !fault.Is(err, want.kind) {
				t.Errorf("an absent repository: got %v, want %v", err, want.kind)
			}
		})
	}
}

func renderNumbers(_ context.Context, l *Listing, w io.Writer) error {
	for _, v := range l.Versions {
		if _, err := io.WriteString(w, v.Number+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func (h *house) document(name string) (*httptest.ResponseRecorder, error) {
	h.t.Helper()
	d, err := h.open("frontend-app").Document(h.t.Context(), coords(name), Variant{Name: "numbers"}, "text/plain", renderNumbers)
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequestWithContext(h.t.Context(), http.MethodGet, "/", nil))
	return w, nil
}

func TestDocument_FollowsEveryChangeInReach(t *testing.T) {
	h, o := org(t)
	o.put("other", "1.0.0", "other")
	want := func(text string) {
		t.Helper()
		w, err := h.document("widget")
		got := ""
		if err == nil {
			got = w.Body.String()
		} else if !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
		if got != text {
			t.Fatalf("got %q, want %q", got, text)
		}
	}
	want("")
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	want("1.0.0\n")
	h.mustPublish("npm-internal", "widget", "2.0.0", "two")
	want("1.0.0\n2.0.0\n")
	if err := h.open("npm-internal").Unpublish(t.Context(), coords("widget"), []string{"1.0.0"}); err != nil {
		t.Fatal(err)
	}
	want("2.0.0\n")
	h.setUpstreams()
	want("")
}

func TestDocument_RetentionChangesNothing(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "one")
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	get := func(name string) *Document {
		t.Helper()
		d, err := h.open("frontend-app").Document(t.Context(), coords(name), Variant{Name: "numbers"}, "text/plain", renderNumbers)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for name, content := range map[string]string{"express": "one", "widget": "ours"} {
		before := get(name)
		h.mustFetch("frontend-app", name, "1.0.0", content)
		if get(name) != before {
			t.Errorf("%s was rendered again for a version that it shows already", name)
		}
	}
}

func TestDocument_EncodingsAndConditions(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	d, err := h.open("npm-internal").Document(t.Context(), coords("widget"), Variant{Name: "numbers"}, "text/plain", renderNumbers)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		return w
	}
	plain, packed := ask(), ask("Accept-Encoding", "br, gzip")
	if plain.Header().Get("Content-Encoding") != "" || packed.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("encodings %q and %q", plain.Header().Get("Content-Encoding"), packed.Header().Get("Content-Encoding"))
	}
	if ask("Accept-Encoding", "gzip;q=0").Header().Get("Content-Encoding") != "" {
		t.Error("gzip;q=0 was answered with gzip")
	}
	if plain.Header().Get("Etag") == packed.Header().Get("Etag") {
		t.Error("two encodings share a strong ETag")
	}
	for _, tag := range []string{plain.Header().Get("Etag"), packed.Header().Get("Etag"), `"x", ` + plain.Header().Get("Etag"), "*"} {
		if w := ask("If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
			t.Errorf("If-None-Match %s: %d with %d bytes", tag, w.Code, w.Body.Len())
		}
	}
	if w := ask("If-None-Match", `"other"`); w.Code != http.StatusOK {
		t.Errorf("another tag: %d", w.Code)
	}
}

func TestDocument_LargeOnesAreKeptInFiles(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	line := strings.Repeat("x", 1023) + "\n"
	d, err := h.open("npm-internal").Document(t.Context(), coords("widget"), Variant{Name: "large"}, "text/plain", func(_ context.Context, _ *Listing, w io.Writer) error {
		for range 1024 {
			if _, err := io.WriteString(w, line); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.plain.mem != nil || d.plain.file == "" {
		t.Fatal("a megabyte is kept in memory")
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Body.String() != strings.Repeat(line, 1024) {
		t.Error("the file does not hold what was rendered")
	}
}

func TestDocument_OutsideDownKeepsTheLastAnswer(t *testing.T) {
	h, o := org(t)
	now := time.Now()
	var ahead atomic.Int64
	h.service.opt.Now = func() time.Time { return now.Add(time.Duration(ahead.Load())) }
	o.put("express", "1.0.0", "one")
	if w, err := h.document("express"); err != nil || w.Body.String() != "1.0.0\n" {
		t.Fatal(err)
	}
	o.down.Store(true)
	ahead.Store(int64(48 * time.Hour))
	if w, err := h.document("express"); err != nil || w.Body.String() != "1.0.0\n" {
		t.Fatalf("got %v, want the last answer", err)
	}
}

func TestDocument_OutsideDownAndNothingKnownIsNotA404(t *testing.T) {
	h, o := org(t)
	o.down.Store(true)
	if _, err := h.document("express"); !fault.Is(err, fault.Upstream) {
		t.Fatalf("got %v, want an upstream fault so that clients try again", err)
	}
}

func TestTags_MoveAndVanishWithTheirVersion(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	h.mustPublish("npm-internal", "widget", "2.0.0", "two")
	r, c := h.open("npm-internal"), coords("widget")
	if err := r.SetTag(t.Context(), c, "beta", "2.0.0"); err != nil {
		t.Fatal(err)
	}
	if err := r.SetTag(t.Context(), c, "beta", "3.0.0"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a tag at no version: %v", err)
	}
	if err := r.Unpublish(t.Context(), c, []string{"2.0.0"}); err != nil {
		t.Fatal(err)
	}
	l, err := r.Listing(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Tags) != 0 {
		t.Errorf("tags %v point at a version that is gone", l.Tags)
	}
}

func TestAmend_ChangesManifestsAndRevision(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	r, c := h.open("npm-internal"), coords("widget")
	before, _ := r.Listing(t.Context(), c)
	n, err := r.Amend(t.Context(), c, func(artifact.Version) ([]byte, error) { return []byte(`{"note":"amended"}`), nil })
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	after, _ := r.Listing(t.Context(), c)
	if string(after.Versions[0].Manifest) != `{"note":"amended"}` || after.Versions[0].Revision == before.Versions[0].Revision {
		t.Errorf("manifest %s, revision changed: %v", after.Versions[0].Manifest, after.Versions[0].Revision != before.Versions[0].Revision)
	}
}

func TestFind_SearchesNamesInReach(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	h.mustPublish("npm-internal", "widget-extra", "2.0.0", "two")
	h.mustPublish("npm-internal", "gadget", "1.0.0", "three")
	found, total, err := h.open("frontend-app").Search(t.Context(), artifact.NPM, "widget", 0, 10)
	if err != nil || total != 2 || len(found) != 2 || found[1].Version != "2.0.0" {
		t.Fatalf("got %v of %d, %v", found, total, err)
	}
}
