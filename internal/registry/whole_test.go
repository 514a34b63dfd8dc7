package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// site is an outside registry whose files lie at NAME/VERSION/FILE, each with
// its checksum at FILE.sha1. /NAME lists them all.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string]string
	asked map[string]int
	down  bool
}

func newSite(t *testing.T, files map[string]string) *site {
	t.Helper()
	s := &site{files: files, asked: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Trim(r.URL.Path, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[path]++
	if s.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if content, ok := s.files[path]; ok {
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		_, _ = io.WriteString(w, content)
		return
	}
	if name, ok := strings.CutSuffix(path, ".sha1"); ok && s.files[name] != "" {
		set := digest.Of([]byte(s.files[name]))
		_, _ = io.WriteString(w, set.Hex(digest.SHA1))
		return
	}
	list := map[string]map[string]string{}
	for file, content := range s.files {
		parts := strings.Split(file, "/")
		if len(parts) != 3 || parts[0] != path {
			continue
		}
		if list[parts[1]] == nil {
			list[parts[1]] = map[string]string{}
		}
		list[parts[1]][parts[2]] = digest.Of([]byte(content)).Integrity()
	}
	if len(list) == 0 {
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func (s *site) put(path, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = content
}

// wheels is a format of several listed files a version, which say things.
type wheels struct{ plain }

func (wheels) Name() artifact.Format { return artifact.PyPI }
func (wheels) Traits() Traits        { return Traits{Growth: GrowsAlways, Whole: true} }

func (wheels) Remote(base string) upstream.Remote { return wheelRemote{plainRemote(base)} }

func (wheels) Inspect(_ artifact.Coordinates, _, asset string, r io.ReaderAt, size int64) ([]byte, error) {
	b := make([]byte, size)
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if strings.HasPrefix(string(b), "bad") {
		return nil, fault.New(fault.Invalid, "it is bad")
	}
	return []byte(asset + "=" + string(b)), nil
}

func (wheels) Merge(manifest, facts []byte) ([]byte, error) {
	lines := strings.Fields(string(manifest))
	if !slices.Contains(lines, string(facts)) {
		lines = append(lines, string(facts))
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, " ")), nil
}

type wheelRemote struct{ plainRemote }

func (b wheelRemote) Parse(c artifact.Coordinates, doc []byte) (*upstream.Listing, error) {
	var list map[string]map[string]string
	if err := json.Unmarshal(doc, &list); err != nil {
		return nil, err
	}
	l := &upstream.Listing{}
	for number, files := range list {
		v := upstream.ListedVersion{Number: number, Manifest: []byte("claimed")}
		for name, integrity := range files {
			v.Assets = append(v.Assets, upstream.ListedAsset{Name: name, URL: string(b.plainRemote) + c.Name + "/" + number + "/" + name, Integrity: integrity})
		}
		slices.SortFunc(v.Assets, func(x, y upstream.ListedAsset) int { return strings.Compare(x.Name, y.Name) })
		l.Versions = append(l.Versions, v)
	}
	return l, nil
}

func (b wheelRemote) Locate(_ artifact.Coordinates, version, name string, l *upstream.Listing) (upstream.ListedAsset, error) {
	for _, v := range l.Versions {
		for _, a := range v.Assets {
			if v.Number == version && a.Name == name {
				return a, nil
			}
		}
	}
	return upstream.ListedAsset{}, fault.New(fault.NotFound, "not listed")
}

// ruled is a format whose remotes have files by rule, and versions that change.
type ruled struct{ plain }

func (ruled) Name() artifact.Format { return artifact.Maven }

func (ruled) Traits() Traits {
	return Traits{Growth: GrowsAlways, Whole: true, Changing: func(v string) bool { return strings.HasSuffix(v, "-SNAPSHOT") }}
}

func (ruled) Remote(base string) upstream.Remote { return ruledRemote{wheelRemote{plainRemote(base)}} }

type ruledRemote struct{ wheelRemote }

func (b ruledRemote) Version(c artifact.Coordinates, number string) (upstream.ListedVersion, error) {
	v := upstream.ListedVersion{Number: number}
	for _, name := range []string{"pom", "jar"} {
		a, err := b.Locate(c, number, name, nil)
		if err != nil {
			return v, err
		}
		v.Assets = append(v.Assets, a)
	}
	return v, nil
}

func (b ruledRemote) Locate(c artifact.Coordinates, version, name string, _ *upstream.Listing) (upstream.ListedAsset, error) {
	return upstream.ListedAsset{Name: name, URL: string(b.plainRemote) + c.Name + "/" + version + "/" + name, Guessed: true}, nil
}

func (b ruledRemote) Integrity(ctx context.Context, get upstream.Get, a upstream.ListedAsset) (string, error) {
	res, err := get(ctx, a.URL+".sha1", nil)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	e, err := digest.ExpectHex(digest.SHA1, string(text))
	if err != nil {
		return "", err
	}
	return e.Set().SRI(digest.SHA1), nil
}

const (
	pypi     = "public:pypi"
	central  = "public:maven-central"
	androids = "public:maven-googleandroid"
)

// take downloads any asset as a client would.
func (h *house) take(repo string, f artifact.Format, version, name string) (got string, err error) {
	h.t.Helper()
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			got, err = "", fault.New(fault.Upstream, "broken off")
		} else if p != nil {
			panic(p)
		}
	}()
	c, err := h.open(repo).Asset(h.t.Context(), artifact.Coordinates{Format: f, Name: "thing"}, version, name)
	if err != nil {
		return "", err
	}
	w := httptest.NewRecorder()
	err = c.ServeHTTP(w, httptest.NewRequestWithContext(h.t.Context(), http.MethodGet, "/", nil))
	return w.Body.String(), err
}

func (h *house) mustTake(repo string, f artifact.Format, version, name, want string) {
	h.t.Helper()
	if got, err := h.take(repo, f, version, name); err != nil || got != want {
		h.t.Fatalf("%s %s from %s: %q, %v; want %q", version, name, repo, got, err, want)
	}
}

// stored tells manifest and assets of a version that a repository holds.
func (h *house) stored(repo string, f artifact.Format, version string) (out []string) {
	h.t.Helper()
	h.update(func(tx *catalog.Tx) error {
		out = nil
		p, err := tx.Package(h.repos[repo].ID, artifact.Coordinates{Format: f, Name: "thing"})
		if err != nil {
			return ignoreMissing(err)
		}
		v, err := tx.Version(p.ID, version)
		if err != nil {
			return ignoreMissing(err)
		}
		out = append(out, string(v.Manifest))
		rows, err := tx.Assets(v.ID, "", 0)
		for _, a := range rows {
			out = append(out, a.Name)
		}
		return err
	})
	return out
}

func ignoreMissing(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (h *house) wantStored(repo string, f artifact.Format, version string, want ...string) {
	h.t.Helper()
	h.service.rests.Wait() // what is fetched behind
	if diff := gocmp.Diff(want, h.stored(repo, f, version)); diff != "" {
		h.t.Fatalf("%s %s in %s (-want +got):\n%s", f, version, repo, diff)
	}
}

func wheelHouse(t *testing.T, files map[string]string) (*house, *site) {
	t.Helper()
	s := newSite(t, files)
	h := newHouseOf(t, map[string]artifact.Connection{pypi: {Name: pypi, Format: artifact.PyPI, URL: s.URL + "/"}}, wheels{})
	h.repo("public", pypi)
	h.repo("internal")
	h.repo("app", "internal", "public")
	return h, s
}

func TestWhole_BringsTheRestOfAVersionAndItsFacts(t *testing.T) {
	h, s := wheelHouse(t, map[string]string{"thing/1/a": "A", "thing/1/b": "B", "thing/1/c": "bad", "thing/2/a": "A2"})
	h.mustTake("app", artifact.PyPI, "1", "a", "A")
	for _, repo := range []string{"app", "public"} {
		h.wantStored(repo, artifact.PyPI, "1", "a=A b=B claimed", "a", "b")
	}
	h.wantStored("internal", artifact.PyPI, "1")
	h.wantStored("app", artifact.PyPI, "2") // nobody asked for that one
	s.mu.Lock()
	s.down = true
	s.mu.Unlock()
	h.mustTake("app", artifact.PyPI, "1", "b", "B")
	for path, want := range map[string]int{"thing": 1, "thing/1/a": 1, "thing/1/b": 1} {
		if n := s.count(path); n != want {
			t.Errorf("%s was fetched %d times, want %d", path, n, want)
		}
	}
}

func TestWhole_RefusesAFileThatIsNotWhatItSays(t *testing.T) {
	h, _ := wheelHouse(t, map[string]string{"thing/1/c": "bad"})
	if got, err := h.take("app", artifact.PyPI, "1", "c"); !fault.Is(err, fault.Upstream) {
		t.Errorf("a bad file came through: %q, %v", got, err)
	}
	h.wantStored("app", artifact.PyPI, "1")
}

func TestWhole_StopsAtItsBound(t *testing.T) {
	h, _ := wheelHouse(t, map[string]string{"thing/1/a": "A", "thing/1/b": "B"})
	h.service.opt.MaxWholeBytes = -1
	h.mustTake("app", artifact.PyPI, "1", "a", "A")
	h.wantStored("app", artifact.PyPI, "1", "a=A claimed", "a")
	h.mustTake("app", artifact.PyPI, "1", "b", "B") // what a retained version lacks is looked for where it came from
	h.wantStored("app", artifact.PyPI, "1", "a=A b=B claimed", "a", "b")
}

func TestGrow_RetainedVersionGetsFurtherFilesOfItsUpstream(t *testing.T) {
	h, _ := wheelHouse(t, map[string]string{})
	c := artifact.Coordinates{Format: artifact.PyPI, Name: "thing"}
	add := func(name string) {
		t.Helper()
		r := h.open("internal")
		staged, err := r.Stage(t.Context(), c, name, strings.NewReader(name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Publish(t.Context(), c, Publication{Version: "1", Assets: []Staged{staged}, Merge: func(held []byte) ([]byte, error) {
			return append(held, name...), nil
		}}); err != nil {
			t.Fatal(err)
		}
	}
	add("a")
	h.mustTake("app", artifact.PyPI, "1", "a", "a")
	add("b")
	l, err := h.open("app").Listing(t.Context(), c)
	if err != nil || len(l.Versions) != 1 || len(l.Versions[0].Assets) != 2 {
		t.Fatalf("listed %+v, %v; want one version of two files", l, err)
	}
	h.mustTake("app", artifact.PyPI, "1", "b", "b")
	h.wantStored("app", artifact.PyPI, "1", "a", "a", "b")
	h.wantStored("internal", artifact.PyPI, "1", "ab", "a", "b")
}

func ruledHouse(t *testing.T, one, two map[string]string) (*house, *site, *site) {
	t.Helper()
	a, b := newSite(t, one), newSite(t, two)
	h := newHouseOf(t, map[string]artifact.Connection{
		androids: {Name: androids, Format: artifact.Maven, URL: a.URL + "/"},
		central:  {Name: central, Format: artifact.Maven, URL: b.URL + "/"},
	}, ruled{})
	h.repo("google", androids)
	h.repo("public", central)
	h.repo("internal")
	h.repo("app", "internal", "google", "public")
	return h, a, b
}

func TestAddressed_SearchGoesOnWhereAGuessWasWrong(t *testing.T) {
	h, a, b := ruledHouse(t, map[string]string{}, map[string]string{"thing/1/pom": "P"})
	h.mustTake("app", artifact.Maven, "1", "pom", "P")
	h.wantStored("public", artifact.Maven, "1", "", "pom")
	h.wantStored("google", artifact.Maven, "1")
	if _, err := h.take("app", artifact.Maven, "1", "jar"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a file nobody has: %v", err)
	}
	if _, err := h.take("app", artifact.Maven, "1", "jar"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a file nobody has, again: %v", err)
	}
	for path, want := range map[string]int{"thing/1/pom": 1, "thing/1/jar": 1, "thing": 0} {
		if n := a.count(path); n != want {
			t.Errorf("the first was asked for %s %d times, want %d", path, n, want)
		}
	}
	if n := b.count("thing/1/jar"); n != 1 {
		t.Errorf("what is not there was asked for %d times", n)
	}
	var published time.Time
	h.update(func(tx *catalog.Tx) error {
		p, err := tx.Package(h.repos["app"].ID, artifact.Coordinates{Format: artifact.Maven, Name: "thing"})
		if err == nil {
			var v catalog.Version
			v, err = tx.Version(p.ID, "1")
			published = v.Published
		}
		return err
	})
	if published.Year() != 2006 {
		t.Errorf("published %v, the remote says 2006", published)
	}
}

func TestAddressed_ChecksumsAreKept(t *testing.T) {
	h, _, b := ruledHouse(t, map[string]string{}, map[string]string{"thing/1/pom": "P", "thing/1/pom.sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709"})
	if got, err := h.take("app", artifact.Maven, "1", "pom"); !fault.Is(err, fault.Upstream) {
		t.Errorf("a file with another checksum: %q, %v", got, err)
	}
	b.put("thing/1/pom.sha1", "junk")
	if got, err := h.take("app", artifact.Maven, "1", "pom"); !fault.Is(err, fault.Upstream) {
		t.Errorf("a checksum that is none: %q, %v", got, err)
	}
	h.wantStored("app", artifact.Maven, "1")
}

func TestTurn_MakesABuildTheCurrentOne(t *testing.T) {
	h, _, _ := ruledHouse(t, nil, nil)
	c := artifact.Coordinates{Format: artifact.Maven, Name: "thing"}
	build := func(n int) {
		t.Helper()
		r, number := h.open("internal"), fmt.Sprintf("1-%d", n)
		staged, err := r.Stage(t.Context(), c, "jar-"+number, strings.NewReader(number))
		if err == nil {
			_, err = r.Publish(t.Context(), c, Publication{Version: number, Assets: []Staged{staged}, Manifest: []byte(number), Status: artifact.Unfinished})
		}
		if err == nil {
			err = r.Turn(t.Context(), c, Turn{Current: "1-SNAPSHOT", Next: number, Retired: func(was artifact.Version) (string, error) { return string(was.Manifest), nil }})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	build(1)
	h.mustTake("app", artifact.Maven, "1-SNAPSHOT", "jar-1-1", "1-1")
	h.wantStored("app", artifact.Maven, "1-SNAPSHOT") // never retained: it changes
	build(2)
	h.mustTake("app", artifact.Maven, "1-SNAPSHOT", "jar-1-2", "1-2")
	h.wantStored("internal", artifact.Maven, "1-1", "1-1", "jar-1-1")
	held, err := h.open("internal").Held(t.Context(), c)
	if err != nil || len(held) != 2 || held[0].Status != artifact.Unlisted || held[1].Status != artifact.Published || len(held[1].Assets) != 1 {
		t.Errorf("held %+v, %v", held, err)
	}
	if err := h.open("internal").Turn(t.Context(), c, Turn{Current: "1-1", Next: "1-SNAPSHOT"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a release was replaced: %v", err)
	}
}

func TestFinishAndSetStatus(t *testing.T) {
	h, _, _ := ruledHouse(t, nil, nil)
	c := artifact.Coordinates{Format: artifact.Maven, Name: "thing"}
	r := h.open("internal")
	for _, number := range []string{"1", "2"} {
		staged, err := r.Stage(t.Context(), c, "jar", strings.NewReader(number))
		if err == nil {
			_, err = r.Publish(t.Context(), c, Publication{Version: number, Assets: []Staged{staged}, Status: artifact.Unfinished})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.take("internal", artifact.Maven, "1", "jar"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unfinished version is served: %v", err)
	}
	refused := fault.New(fault.Invalid, "no")
	if _, err := r.Finish(t.Context(), c, func(v artifact.Version) (bool, error) { return v.Number == "1", refused }); !fault.Is(err, fault.Invalid) {
		t.Errorf("finished though refused: %v", err)
	}
	done, err := r.Finish(t.Context(), c, func(v artifact.Version) (bool, error) { return v.Number == "1", nil })
	if diff := gocmp.Diff([]string{"1"}, done); diff != "" || err != nil {
		t.Fatalf("finished (-want +got): %s %v", diff, err)
	}
	h.mustTake("app", artifact.Maven, "1", "jar", "1")
	if err := r.SetStatus(t.Context(), c, artifact.Unlisted, "1"); err != nil {
		t.Error(err)
	}
	if err := r.SetStatus(t.Context(), c, artifact.Unlisted, "2"); !fault.Is(err, fault.Conflict) {
		t.Errorf("an unfinished version was unlisted: %v", err)
	}
	if err := r.SetStatus(t.Context(), c, artifact.Unlisted, "3"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing version was unlisted: %v", err)
	}
}

func TestVersionPolicy_KeepsReleasesAndSnapshotsApart(t *testing.T) {
	h, _, _ := ruledHouse(t, nil, nil)
	c := artifact.Coordinates{Format: artifact.Maven, Name: "thing"}
	for policy, taken := range map[artifact.VersionPolicy][2]bool{
		artifact.Releases: {true, false}, artifact.Snapshots: {false, true}, "": {true, true},
	} {
		h.update(func(tx *catalog.Tx) error { return tx.SetVersionPolicy(h.repos["internal"].ID, policy) })
		for i, number := range []string{"1" + string(policy), "1" + string(policy) + "-SNAPSHOT"} {
			r := h.open("internal")
			staged, err := r.Stage(t.Context(), c, "jar", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Publish(t.Context(), c, Publication{Version: number, Assets: []Staged{staged}})
			if taken[i] != (err == nil) || err != nil && !strings.Contains(fault.Message(err), "--version-policy") {
				t.Errorf("policy %q, version %s: %v", policy, number, err)
			}
		}
	}
}

func TestOverwrite_OnlyWhatChanges(t *testing.T) {
	h, _, _ := ruledHouse(t, nil, nil)
	c := artifact.Coordinates{Format: artifact.Maven, Name: "thing"}
	put := func(version, content string) error {
		t.Helper()
		r := h.open("internal")
		staged, err := r.Stage(t.Context(), c, "jar", strings.NewReader(content))
		if err == nil {
			_, err = r.Publish(t.Context(), c, Publication{Version: version, Assets: []Staged{staged}, Overwrite: true})
		}
		return err
	}
	for _, version := range []string{"1", "1-SNAPSHOT"} {
		if err := put(version, "one"); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("1", "two"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a release was overwritten: %v", err)
	}
	if err := put("1-SNAPSHOT", "two"); err != nil {
		t.Errorf("a snapshot was not: %v", err)
	}
	h.hold("internal", c, "1-SNAPSHOT")
	if err := put("1-SNAPSHOT", "three"); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "legal hold") {
		t.Errorf("a snapshot on legal hold was overwritten: %v", err)
	}
	h.mustTake("app", artifact.Maven, "1-SNAPSHOT", "jar", "two")
	h.mustTake("app", artifact.Maven, "1", "jar", "one")
}

func TestBesideAndDerive(t *testing.T) {
	h, s := wheelHouse(t, map[string]string{"thing/1/a": "A", "thing/1/a.meta": "M"})
	h.service.opt.MaxWholeBytes = -1
	c := artifact.Coordinates{Format: artifact.PyPI, Name: "thing"}
	for range 2 {
		got, err := h.open("app").Beside(t.Context(), c, "1", "a.meta")
		if string(got) != "M" || err != nil {
			t.Errorf("beside: %q, %v", got, err)
		}
	}
	if n := s.count("thing/1/a.meta"); n != 1 {
		t.Errorf("fetched %d times, want once", n)
	}
	h.wantStored("app", artifact.PyPI, "1") // looking at it retains nothing
	if _, err := h.open("app").Beside(t.Context(), c, "1", "b.meta"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a file the remote does not have: %v", err)
	}
	made := 0
	for range 2 {
		d, err := h.open("app").Derive(t.Context(), c, "1", "a", "upper", "text/plain", func(r io.ReaderAt, size int64, w io.Writer) error {
			made++
			b := make([]byte, size)
			_, _ = r.ReadAt(b, 0)
			_, err := io.WriteString(w, strings.ToLower(string(b)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if w.Body.String() != "a" {
			t.Errorf("derived %q", w.Body)
		}
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
	if names, err := h.open("app").Packages(t.Context(), artifact.PyPI, nil); err != nil || len(names) != 1 {
		t.Errorf("packages %v, %v", names, err)
	}
}

// TestPeek: who looks into an asset of an upstream retains nothing; who downloads
// it afterwards does.
func TestPeek(t *testing.T) {
	h, s := wheelHouse(t, map[string]string{"thing/1/a": "A"})
	c := artifact.Coordinates{Format: artifact.PyPI, Name: "thing"}
	if got, err := h.open("app").Peek(t.Context(), c, "1", "a"); got != nil || err != nil {
		t.Errorf("what is only outside: %v, %v", got, err)
	}
	if n := s.count("thing/1/a"); n != 0 {
		t.Errorf("it was fetched %d times", n)
	}
	h.mustTake("public", artifact.PyPI, "1", "a", "A")
	upper := func(r io.ReaderAt, _ int64, w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(r, 0, 1))
		return err
	}
	if _, err := h.open("app").Derive(t.Context(), c, "1", "a", "copy", "text/plain", upper); err != nil {
		t.Error(err)
	}
	got, err := h.open("app").Peek(t.Context(), c, "1", "a")
	if err != nil {
		t.Fatal(err)
	}
	f, err := got.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size())); string(b) != "A" || err != nil {
		t.Errorf("peeked %q, %v", b, err)
	}
	h.wantStored("app", artifact.PyPI, "1")
	h.mustTake("app", artifact.PyPI, "1", "a", "A")
	h.wantStored("app", artifact.PyPI, "1", "a=A claimed", "a")
}
