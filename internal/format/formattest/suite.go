package formattest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
	"packhouse/internal/upstream/upstreamtest"
)

// Version is one version the suite handles.
type Version struct{ Name, Number string }

// Driver is what the suite must know of a format. The functions speak for a
// client of it; none of them makes a request.
type Driver struct {
	Format format.Format
	// Names are names of two packages the suite may make versions of.
	Names [2]string
	// Numbers are three version numbers, lowest first.
	Numbers [3]string
	// Coordinates are those of a name.
	Coordinates func(name string) artifact.Coordinates
	// Outside starts a public registry that has versions. What is said of the
	// outside is left out for a format without a Remote.
	Outside func(t *testing.T, versions ...Version) *upstreamtest.Registry
	// OutsideList and OutsideFile are the patterns (see upstreamtest) of a
	// package's document and of its files there.
	OutsideList, OutsideFile func(name string) string
	// OutsideBytes is the file of v as the public registry has it.
	OutsideBytes func(r *upstreamtest.Registry, v Version) []byte

	// Publish are the requests that publish v with a file that Bytes gives.
	Publish func(v Version) []Call
	Bytes   func(v Version) []byte
	// Republish are requests that publish v with another file of the same name;
	// nil where Publish itself is refused the second time.
	Republish func(v Version) []Call
	// More are requests that add a further file to v, MoreFile asks for it; for
	// formats whose versions grow.
	More     func(v Version) []Call
	MoreFile func(v Version) Call
	// List asks for the versions of a package, Listed reads the answer.
	List   func(name string) Call
	Listed func(body []byte) ([]string, error)
	// File asks for the file of v.
	File func(v Version) Call
	// Bad are requests with names, versions or files that no server should
	// take: traversal, escaped slashes, control characters.
	Bad []Call
}

// Run holds a format to what every format must do, on both engines.
func Run(t *testing.T, d Driver) {
	t.Helper()
	t.Run("Rules", func(t *testing.T) { rules(t, d) })
	for name, test := range tests(d.Format) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, d, ""))
		})
		t.Run("PostgreSQL/"+name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, d, pgtest.NewDatabase(t)))
		})
	}
}

// tests are those that a format of its traits has to pass.
func tests(f format.Format) map[string]func(*testing.T, suite) {
	all := map[string]func(*testing.T, suite){
		"PublishListFetch":    publishListFetch,
		"RepublishConflicts":  republishConflicts,
		"OriginBlocksPublish": originBlocksPublish,
		"StatusDecides":       statusDecides,
		"Conditional":         conditional,
		"Ranges":              ranges,
		"Head":                head,
		"Strangers":           strangers,
		"Unknown":             unknown,
		"BadAddresses":        badAddresses,
		"QuotaLeavesNothing":  quotaLeavesNothing,
	}
	if f.Traits().Local {
		all["StaysLocal"] = staysLocal
	} else {
		all["UpstreamsInOrder"] = upstreamsInOrder
	}
	if f.Traits().Growth != registry.GrowsNever {
		all["Grows"] = grows
	}
	if hasOutside(f) {
		all["OutsideThroughUpstreams"] = outsideThroughUpstreams
		all["RetainedSurvivesOutage"] = retainedSurvivesOutage
		all["PublishedHidesOutside"] = publishedHidesOutside
		all["OutsideFails"] = outsideFails
		all["OutsideLies"] = outsideLies
	}
	return all
}

// hasOutside tells whether the format has outside registries.
func hasOutside(f format.Format) bool { return f.Remote("http://outside.test/") != nil }

// suite is a house with the layout of section 7: app looks into internal, then
// into public, which has the external connection.
type suite struct {
	Driver
	*House
	outside *upstreamtest.Registry // nil for a format that has none
	reader  string                 // a repository that sees what "internal" has
	one     Version                // outside and, when published, inside
	two     Version                // the next version of the same package
	other   Version                // of a package that is outside only
}

// patience is how long a remote that hangs is waited for. One that does not may
// be slow on a busy machine.
const patience = 2 * time.Second

func open(t *testing.T, d Driver, database string) suite {
	t.Helper()
	s := suite{Driver: d}
	s.one, s.two, s.other = Version{d.Names[0], d.Numbers[0]}, Version{d.Names[0], d.Numbers[1]}, Version{d.Names[1], d.Numbers[0]}
	o, connections := Options{HeaderTimeout: patience, Database: database}, []string(nil)
	if hasOutside(d.Format) {
		s.outside = d.Outside(t, s.other, Version{d.Names[1], d.Numbers[1]})
		o.Outside, connections = s.outside.URL, []string{Connection}
	}
	s.House = NewHouse(t, d.Format, o)
	s.Repository("internal")
	s.Repository("public", connections...)
	s.Repository("app", "internal", "public")
	if s.reader = "app"; d.Format.Traits().Local {
		s.reader = "internal"
	}
	return s
}

// publish puts v into the repository "internal".
func (s suite) publish(t *testing.T, v Version) {
	t.Helper()
	for _, c := range s.Publish(v) {
		if a := s.Do(Admin, "internal", c); a.Status/100 != 2 {
			t.Fatalf("publish %v: %d %s", v, a.Status, a.Body)
		}
	}
}

func (s suite) wantListed(t *testing.T, repo, name string, want ...string) {
	t.Helper()
	a := s.Do(Admin, repo, s.List(name))
	if len(want) == 0 && a.Status == http.StatusNotFound {
		return
	}
	if a.Status != http.StatusOK {
		t.Errorf("list %s in %s: %d %s", name, repo, a.Status, a.Body)
		return
	}
	got, err := s.Listed(a.Body)
	if err != nil {
		t.Errorf("list %s in %s: %v", name, repo, err)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list %s in %s (-want +got):\n%s", name, repo, diff)
	}
}

func (s suite) wantFile(t *testing.T, repo string, v Version, want []byte) {
	t.Helper()
	a := s.Do(Admin, repo, s.File(v))
	if a.Status != http.StatusOK || a.Broken {
		t.Errorf("fetch %v from %s: %d %s", v, repo, a.Status, a.Body)
		return
	}
	if string(a.Body) != string(want) {
		t.Errorf("fetch %v from %s: %d other bytes than the %d published", v, repo, len(a.Body), len(want))
	}
}

func (s suite) wantStatus(t *testing.T, user, repo string, c Call, want ...int) Answer {
	t.Helper()
	a := s.Do(user, repo, c)
	if !slices.Contains(want, a.Status) {
		t.Errorf("%s %s in %s: %d %s, want %d", c.Method, c.Path, repo, a.Status, a.Body, want)
	}
	return a
}

func rules(t *testing.T, d Driver) {
	t.Helper()
	f := d.Format
	if !slices.Contains(artifact.Formats(), f.Name()) {
		t.Errorf("name %q is no format of the API", f.Name())
	}
	for _, name := range d.Names {
		c := d.Coordinates(name)
		once, err := f.Normalize(c)
		if err != nil {
			t.Errorf("normalize %v: %v", c, err)
		}
		if twice, err := f.Normalize(once); err != nil || twice != once {
			t.Errorf("normalize %v twice: %v, %v", once, twice, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/../b", "a\\b", "a\x00b", "a b", strings.Repeat("a", 256)} {
		c := d.Coordinates(d.Names[0])
		c.Name = name
		if _, err := f.Normalize(c); err == nil {
			t.Errorf("normalize takes the name %q", name)
		}
	}
	for i, a := range d.Numbers {
		for j, b := range d.Numbers {
			if got := f.Compare(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("compare %s and %s: %d", a, b, got)
			}
		}
	}
	for _, bad := range []string{"", "junk", "-", "1", "9999999999999999999999.0.0", "1.0.0-\x00", "\xff"} {
		for _, other := range append(d.Numbers[:], bad) {
			if x, y := f.Compare(bad, other), f.Compare(other, bad); (x < 0) != (y > 0) || (x > 0) != (y < 0) {
				t.Errorf("compare %q and %q: %d, and %d the other way round", bad, other, x, y)
			}
		}
	}
	snippets := f.Setup(format.Target{Endpoint: "http://house.test/there/", Token: "the-token"})
	if len(snippets) == 0 {
		t.Error("no client can be set up")
	}
	for _, s := range snippets {
		all := s.Settings + strings.Join(slices.Concat(s.Commands...), " ")
		if s.Tool == "" || !strings.Contains(all, "house.test/there/") || !strings.Contains(all, "the-token") || (s.File == "") != (s.Settings == "") {
			t.Errorf("snippet of %q lacks the endpoint, the token or the file: %+v", s.Tool, s)
		}
	}
}

func publishListFetch(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	s.publish(t, s.two)
	s.wantListed(t, "internal", s.one.Name, s.one.Number, s.two.Number)
	s.wantFile(t, "internal", s.one, s.Bytes(s.one))
	s.wantFile(t, "internal", s.two, s.Bytes(s.two))
	s.wantListed(t, "public", s.one.Name)
	for _, operation := range s.Operations() {
		if operation == "" {
			t.Error("a request has no operation")
		}
	}
}

func republishConflicts(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	before := s.Do(Admin, "internal", s.List(s.one.Name))
	again := s.Republish
	if again == nil {
		again = s.Publish
	}
	var last Answer
	for _, c := range again(s.one) {
		if last = s.Do(Admin, "internal", c); last.Status/100 != 2 {
			break
		}
	}
	if last.Status != http.StatusConflict {
		t.Errorf("publishing again: %d %s, want 409", last.Status, last.Body)
	}
	after := s.Do(Admin, "internal", s.List(s.one.Name))
	if diff := cmp.Diff(string(before.Body), string(after.Body)); diff != "" {
		t.Errorf("a refused publish changed the list (-before +after):\n%s", diff)
	}
	s.wantFile(t, "internal", s.one, s.Bytes(s.one))
}

func upstreamsInOrder(t *testing.T, s suite) {
	t.Helper()
	s.Repository("top", "app")
	s.publish(t, s.one)
	for _, repo := range []string{"app", "top"} {
		s.wantListed(t, repo, s.one.Name, s.one.Number)
		s.wantFile(t, repo, s.one, s.Bytes(s.one))
	}
	s.publish(t, s.two)
	s.wantListed(t, "top", s.one.Name, s.one.Number, s.two.Number)
}

// staysLocal: versions are where they were published and nowhere else.
func staysLocal(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	s.wantListed(t, "app", s.one.Name)
	s.wantStatus(t, Admin, "app", s.File(s.one), http.StatusNotFound)
	for _, c := range s.Publish(s.one) { // nor does what upstreams have stand in the way
		if a := s.Do(Admin, "app", c); a.Status/100 != 2 {
			t.Errorf("publish to another repository: %d %s", a.Status, a.Body)
		}
	}
	s.wantFile(t, "app", s.one, s.Bytes(s.one))
}

// grows: publishing the same again changes nothing, and further files come in
// until the version is closed, if ever.
func grows(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	before := s.Do(Admin, "internal", s.List(s.one.Name))
	s.publish(t, s.one)
	after := s.Do(Admin, "internal", s.List(s.one.Name))
	if diff := cmp.Diff(string(before.Body), string(after.Body)); diff != "" {
		t.Errorf("publishing the same again changed the list (-before +after):\n%s", diff)
	}
	want, found := http.StatusConflict, http.StatusNotFound
	if s.Driver.Format.Traits().Growth == registry.GrowsAlways {
		want, found = http.StatusCreated, http.StatusOK
	}
	for _, c := range s.More(s.one) {
		a := s.Do(Admin, "internal", c)
		if a.Status != want && (want == http.StatusConflict || a.Status/100 != 2) {
			t.Errorf("a further file of a published version: %d %s, want %d", a.Status, a.Body, want)
		}
	}
	s.wantStatus(t, Admin, "internal", s.MoreFile(s.one), found)
	s.wantFile(t, "internal", s.one, s.Bytes(s.one))
}

func outsideThroughUpstreams(t *testing.T, s suite) {
	t.Helper()
	s.Repository("top", "app")
	want := s.OutsideBytes(s.outside, s.other)
	for _, repo := range []string{"top", "app", "public"} {
		s.wantListed(t, repo, s.other.Name, s.Numbers[0], s.Numbers[1])
		s.wantFile(t, repo, s.other, want)
	}
	if n := s.outside.Count(s.OutsideFile(s.other.Name)); n != 1 {
		t.Errorf("the file was fetched %d times from outside", n)
	}
	if n := s.outside.Count(s.OutsideList(s.other.Name)); n != 1 {
		t.Errorf("the document was fetched %d times from outside", n)
	}
	for _, c := range s.Publish(s.other) {
		a := s.Do(Admin, "public", c)
		if a.Status == http.StatusForbidden || a.Status == http.StatusConflict {
			return
		}
	}
	t.Error("a version that came from outside could be published over")
}

func retainedSurvivesOutage(t *testing.T, s suite) {
	t.Helper()
	want := s.OutsideBytes(s.outside, s.other)
	s.wantFile(t, "app", s.other, want)
	s.wantListed(t, "app", s.other.Name, s.Numbers[0], s.Numbers[1]) // fetching a file need not ask for the list
	s.outside.Stop()
	s.wantFile(t, "app", s.other, want)
	s.wantListed(t, "app", s.other.Name, s.Numbers[0], s.Numbers[1])
	gone := s.Do(Admin, "app", s.File(Version{s.other.Name, s.Numbers[1]}))
	if gone.Status/100 != 5 && !gone.Broken {
		t.Errorf("a version nobody has while the outside is down: %d, want 5xx", gone.Status)
	}
}

// publishedHidesOutside is the guard against dependency confusion.
func publishedHidesOutside(t *testing.T, s suite) {
	t.Helper()
	inside := Version{s.other.Name, s.Numbers[2]}
	s.publish(t, inside)
	s.wantListed(t, "app", inside.Name, inside.Number)
	s.wantStatus(t, Admin, "app", s.File(s.other), http.StatusNotFound)
	if n := s.outside.Count(s.OutsideList(inside.Name)); n != 0 {
		t.Errorf("the outside was asked %d times for a name that is in use inside", n)
	}
}

func originBlocksPublish(t *testing.T, s suite) {
	t.Helper()
	s.Restrict("internal", s.Coordinates(s.one.Name), artifact.Restrictions{Publish: artifact.Block, Upstream: artifact.Allow})
	s.wantStatus(t, Admin, "internal", s.Publish(s.one)[0], http.StatusForbidden)
	s.wantListed(t, "internal", s.one.Name)
}

// quotaLeavesNothing: what is over a quota is answered 402 in words that say which
// limit is in the way, and nothing of it is kept; with room it is taken.
func quotaLeavesNothing(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	s.Quota("internal", catalog.Limits{Versions: new(int64(1))})
	before := s.Held("internal")
	for _, over := range []struct {
		limits catalog.Limits
		text   string
	}{
		{catalog.Limits{Versions: new(int64(1))}, "may hold 1 versions (maxVersions of its quota)"},
		{catalog.Limits{Bytes: &before.Bytes}, "(maxBytes of its quota)"},
		{catalog.Limits{AssetBytes: new(int64(3))}, "may have in the repository internal (maxAssetBytes of its quota)"},
	} {
		s.Quota("internal", over.limits)
		for _, v := range []Version{s.two, {s.other.Name, s.Numbers[2]}} { // of a package that is there, and of a new one
			var last Answer
			for _, c := range s.Publish(v) {
				if last = s.Do(Admin, "internal", c); last.Status/100 != 2 {
					break
				}
			}
			if last.Status != http.StatusPaymentRequired || !strings.Contains(string(last.Body), over.text) {
				t.Errorf("publishing %v over a quota: %d %s, want 402 with %q", v, last.Status, last.Body, over.text)
			}
			s.wantStatus(t, Admin, "internal", s.File(v), http.StatusNotFound)
		}
		if held := s.Held("internal"); held != before {
			t.Errorf("%s: it holds %+v, before the refused publishes %+v", over.text, held, before)
		}
		s.wantListed(t, "internal", s.one.Name, s.one.Number)
		s.wantFile(t, "internal", s.one, s.Bytes(s.one))
	}
	s.Update(func(tx *catalog.Tx) error {
		if _, err := tx.Package(s.repos["internal"].ID, s.Coordinates(s.other.Name)); !fault.Is(err, fault.NotFound) {
			t.Errorf("a refused publish left its package: %v", err)
		}
		return nil
	})
	s.Quota("internal", catalog.Limits{Versions: new(int64(2))})
	s.publish(t, s.two)
	s.wantFile(t, "internal", s.two, s.Bytes(s.two))
}

func statusDecides(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	s.publish(t, s.two)
	c := s.Coordinates(s.one.Name)
	s.SetStatus("internal", c, s.two.Number, artifact.Archived)
	s.wantListed(t, s.reader, s.one.Name, s.one.Number)
	s.wantStatus(t, Admin, s.reader, s.File(s.two), http.StatusNotFound)
	s.SetStatus("internal", c, s.two.Number, artifact.Unlisted)
	s.wantFile(t, s.reader, s.two, s.Bytes(s.two))
}

func conditional(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	for _, c := range []Call{s.List(s.one.Name), s.File(s.one)} {
		a := s.wantStatus(t, Admin, "internal", c, http.StatusOK)
		tag := a.Header.Get("ETag")
		if tag == "" || strings.HasPrefix(tag, "W/") {
			t.Errorf("%s: ETag %q is not a strong one", c.Path, tag)
		}
		c.Header = c.Header.Clone()
		if c.Header == nil {
			c.Header = http.Header{}
		}
		c.Header.Set("If-None-Match", tag)
		if a := s.wantStatus(t, Admin, "internal", c, http.StatusNotModified); len(a.Body) > 0 {
			t.Errorf("%s: a 304 has a body", c.Path)
		}
	}
	list := s.List(s.one.Name)
	first := s.Do(Admin, "internal", list)
	s.publish(t, s.two)
	if second := s.Do(Admin, "internal", list); second.Header.Get("ETag") == first.Header.Get("ETag") {
		t.Error("the list changed and its ETag did not")
	}
}

func ranges(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	want := s.Bytes(s.one)
	c := s.File(s.one)
	c.Header = http.Header{"Range": {"bytes=2-5"}}
	if a := s.wantStatus(t, Admin, "internal", c, http.StatusPartialContent); string(a.Body) != string(want[2:6]) {
		t.Errorf("bytes 2 to 5 are %q, want %q", a.Body, want[2:6])
	}
	c.Header = http.Header{"Range": {"bytes=99999999-"}}
	s.wantStatus(t, Admin, "internal", c, http.StatusRequestedRangeNotSatisfiable)
}

func head(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	for _, c := range []Call{s.List(s.one.Name), s.File(s.one)} {
		full := s.Do(Admin, "internal", c)
		c.Method = http.MethodHead
		a := s.wantStatus(t, Admin, "internal", c, http.StatusOK)
		for _, name := range []string{"Content-Type", "Content-Length", "Etag"} {
			if a.Header.Get(name) != full.Header.Get(name) {
				t.Errorf("HEAD %s: %s is %q, of GET it is %q", c.Path, name, a.Header.Get(name), full.Header.Get(name))
			}
		}
	}
}

func strangers(t *testing.T, s suite) {
	t.Helper()
	s.publish(t, s.one)
	s.User("eve")
	s.User("reader", "codeartifact:ReadFromRepository")
	for _, c := range append(s.Publish(s.two), s.List(s.one.Name), s.File(s.one), s.List("no-such-package")) {
		a := s.wantStatus(t, Nobody, "internal", c, http.StatusUnauthorized)
		if !slices.ContainsFunc(a.Header.Values("WWW-Authenticate"), func(v string) bool { return strings.HasPrefix(v, "Basic ") }) {
			t.Errorf("%s: a 401 without a Basic challenge: %q", c.Path, a.Header.Values("WWW-Authenticate"))
		}
		s.wantStatus(t, "eve", "internal", c, http.StatusForbidden)
	}
	s.wantStatus(t, "reader", "internal", s.List(s.one.Name), http.StatusOK)
	s.wantStatus(t, "reader", "internal", s.File(s.one), http.StatusOK)
	s.wantStatus(t, "reader", "internal", s.Publish(s.two)[0], http.StatusForbidden)
	s.wantListed(t, "internal", s.one.Name, s.one.Number)
}

func unknown(t *testing.T, s suite) {
	t.Helper()
	for _, c := range []Call{s.List(s.one.Name), s.File(s.one), s.File(Version{s.other.Name, s.Numbers[2]})} {
		s.wantStatus(t, Admin, "app", c, http.StatusNotFound)
	}
	s.wantStatus(t, Admin, "no-such-repository", s.List(s.one.Name), http.StatusNotFound)
	if s.outside == nil {
		return
	}
	before := s.outside.Count(s.OutsideList(s.one.Name))
	if before == 0 {
		t.Error("the outside was never asked for a name that only it could know")
	}
	for range 3 {
		s.Do(Admin, "app", s.List(s.one.Name))
	}
	if n := s.outside.Count(s.OutsideList(s.one.Name)) - before; n != 0 {
		t.Errorf("the answer that a name is unknown was not remembered: it was asked for %d times more", n)
	}
}

func badAddresses(t *testing.T, s suite) {
	t.Helper()
	for _, c := range s.Bad {
		s.wantStatus(t, Admin, "app", c, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed)
	}
	if s.outside == nil {
		return
	}
	if got := s.outside.Requests(); len(got) > 0 {
		t.Errorf("bad addresses reached the outside: %v", got)
	}
}

func outsideFails(t *testing.T, s suite) {
	t.Helper()
	for name, f := range map[string]upstreamtest.Fault{
		"500":       {Status: http.StatusInternalServerError},
		"401":       {Status: http.StatusUnauthorized},
		"403":       {Status: http.StatusForbidden},
		"429":       {Status: http.StatusTooManyRequests},
		"hangs":     {Hang: true},
		"truncated": {Truncate: true},
		"html":      {HTML: true},
		"garbage":   {Body: []byte("\x00\x01garbage")},
		"private":   {Redirect: "http://127.0.0.1:9/*"},
	} {
		s.outside.Fail(s.OutsideList(s.other.Name), f)
		a := s.wantStatus(t, Admin, "app", s.List(s.other.Name), http.StatusBadGateway, http.StatusGatewayTimeout)
		if strings.Contains(string(a.Body), "127.0.0.1:9/") {
			t.Errorf("%s: the answer tells where the remote led: %s", name, a.Body)
		}
		s.outside.Heal()
	}
}

func outsideLies(t *testing.T, s suite) {
	t.Helper()
	want := s.OutsideBytes(s.outside, s.other)
	faults := map[string]upstreamtest.Fault{
		"corrupt":   {Corrupt: true},
		"truncated": {Truncate: true},
		"html":      {HTML: true},
		"hangs":     {Hang: true},
		"401":       {Status: http.StatusUnauthorized},
		"404":       {Status: http.StatusNotFound}, // it is listed: clients must not take it for gone
		"429":       {Status: http.StatusTooManyRequests},
		"500":       {Status: http.StatusInternalServerError},
		"private":   {Redirect: "http://127.0.0.1:9/*"},
	}
	if _, addressed := s.Driver.Format.Remote("http://outside.test/").(upstream.Addressed); addressed {
		// Here it was only guessed. That it is not there is remembered for a while,
		// so it is tried with another version.
		delete(faults, "404")
		missing := Version{s.other.Name, s.Numbers[1]}
		s.outside.Fail(s.OutsideFile(missing.Name), upstreamtest.Fault{Status: http.StatusNotFound})
		s.wantStatus(t, Admin, "app", s.File(missing), http.StatusNotFound)
		s.outside.Heal()
	}
	for name, f := range faults {
		s.outside.Fail(s.OutsideFile(s.other.Name), f)
		if a := s.Do(Admin, "app", s.File(s.other)); !a.Broken && a.Status/100 != 5 {
			t.Errorf("%s: a file that is not what was promised came through: %d, %d bytes", name, a.Status, len(a.Body))
		}
		s.outside.Heal()
	}
	s.wantFile(t, "app", s.other, want)
}
