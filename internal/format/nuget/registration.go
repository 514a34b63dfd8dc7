package nuget

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// hive is one set of registrations (registration-base-url-resource.md).
type hive struct {
	path    string
	types   []string // of the service index
	semVer2 bool     // has versions that only newer clients can read
}

// hives are the three that clients of different age ask for. Whether an answer
// is compressed is settled by its request here, in each of them.
var hives = [...]hive{ //nolint:gochecknoglobals // a table, never written
	{"v3/registrations/", []string{"RegistrationsBaseUrl", "RegistrationsBaseUrl/3.0.0-beta", "RegistrationsBaseUrl/3.0.0-rc"}, false},
	{"v3/registrations-gz/", []string{"RegistrationsBaseUrl/3.4.0"}, false},
	{"v3/registrations-gz-semver2/", []string{"RegistrationsBaseUrl/3.6.0"}, true},
}

// oldest and newest are the hives that search results lead to.
func oldest() *hive { return &hives[0] }
func newest() *hive { return &hives[2] }

// Versions to a page, and how many there may be before pages become documents
// of their own: a client that wants a range then reads only the pages it needs.
const (
	pageSize  = 64
	inlineMax = 2 * pageSize
)

type registrationIndex struct {
	ID    string   `json:"@id"`
	Type  []string `json:"@type"`
	Count int      `json:"count"`
	Items []page   `json:"items"`
}

type page struct {
	ID     string `json:"@id"`
	Type   string `json:"@type"`
	Count  int    `json:"count"`
	Lower  string `json:"lower"`
	Upper  string `json:"upper"`
	Parent string `json:"parent"`
	Items  []leaf `json:"items,omitempty"`
}

type leaf struct {
	ID             string `json:"@id"`
	Type           string `json:"@type"`
	CatalogEntry   entry  `json:"catalogEntry"`
	Listed         *flag  `json:"listed,omitempty"`    // of a leaf that is a document
	Published      string `json:"published,omitempty"` // likewise
	PackageContent string `json:"packageContent"`
	Registration   string `json:"registration"`
}

// entry is a catalogEntry. The shadowed members of metadata are those that are
// not a manifest's to say.
type entry struct {
	AtID           string `json:"@id"`
	Type           string `json:"@type"`
	Listed         bool   `json:"listed"`
	Published      string `json:"published"`
	PackageContent string `json:"packageContent"`
	metadata
}

// unlistedTime is the publish time of what is unlisted: clients that do not
// know the word listed go by its year.
const unlistedTime = "1900-01-01T00:00:00Z"

// serveRegistration answers {id}/index.json, {id}/page/{lower}/{upper}.json and
// {id}/{version}.json of a hive.
func serveRegistration(w http.ResponseWriter, r *format.Request, h *hive, rest string) error {
	r.Operation = "registration"
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	first, rest, _ := strings.Cut(rest, "/")
	c, err := packageAt(first)
	if err != nil {
		return err
	}
	if rest == "index.json" {
		return serveDocument(w, r, h, c, h.path, (*book).index)
	}
	rest, ok := strings.CutSuffix(rest, ".json")
	if !ok {
		return errNoAddress
	}
	if bounds, ok := strings.CutPrefix(rest, "page/"); ok {
		low, high, _ := strings.Cut(bounds, "/")
		if low, err = versionAt(low); err != nil {
			return err
		}
		if high, err = versionAt(high); err != nil {
			return err
		}
		return serveDocument(w, r, h, c, h.path+low+"/"+high, func(b *book, w io.Writer) error { return b.page(w, low, high) })
	}
	number, err := versionAt(rest)
	if err != nil {
		return err
	}
	return serveDocument(w, r, h, c, h.path+number, func(b *book, w io.Writer) error { return b.leaf(w, number) })
}

func serveDocument(w http.ResponseWriter, r *format.Request, h *hive, c artifact.Coordinates, name string, write func(*book, io.Writer) error) error {
	base := r.Base
	doc, err := r.Repo.Document(r.Context(), c, registry.Variant{Name: name, Base: base}, jsonType, func(_ context.Context, l *registry.Listing, w io.Writer) error {
		b := newBook(l, base, h)
		if len(b.versions) == 0 {
			return noVersions(c)
		}
		return write(b, w)
	})
	if err != nil {
		return err
	}
	doc.ServeHTTP(w, r.Request)
	return nil
}

func noVersions(c artifact.Coordinates) error {
	return fault.About(fault.NotFound, "package", c.String(), "package %s has no version that this kind of client can read", c.Name)
}

// book is a package as one hive shows it: its versions, lowest first.
type book struct {
	base     string // of the repository
	hive     *hive
	c        artifact.Coordinates
	versions []shown
}

type shown struct {
	*registry.Listed
	metadata metadata
}

func newBook(l *registry.Listing, base string, h *hive) *book {
	b := &book{base: base, hive: h, c: l.Coordinates, versions: showAll(l)}
	if !h.semVer2 {
		b.versions = slices.DeleteFunc(b.versions, func(s shown) bool { return s.metadata.needsSemVer2() })
	}
	return b
}

// showAll reads the manifests of a listing, lowest version first. A version
// without one, or whose number is none, cannot be shown.
func showAll(l *registry.Listing) []shown {
	all := make([]shown, 0, len(l.Versions))
	for i := range l.Versions {
		v := &l.Versions[i]
		m, err := readMetadata(v.Manifest)
		if number, ok := normalize(v.Number); err != nil || !ok || number != v.Number {
			continue
		}
		if number, ok := normalize(string(m.Version)); !ok || number != v.Number {
			m.Version = text(v.Number)
		}
		all = append(all, shown{v, m})
	}
	slices.SortFunc(all, func(a, b shown) int { return compare(a.Number, b.Number) })
	return all
}

// listed tells whether clients may choose a version by themselves: neither we
// nor the remote it came from have taken it off the lists.
func (s *shown) listed() bool {
	return s.Status == artifact.Published && (s.metadata.Listed == nil || bool(*s.metadata.Listed))
}

func (b *book) root() string { return b.base + b.hive.path + b.c.Name + "/" }

func (b *book) index(w io.Writer) error {
	root := b.root()
	doc := registrationIndex{ID: root + "index.json", Type: []string{"catalog:CatalogRoot", "PackageRegistration", "catalog:Permalink"}}
	for part := range slices.Chunk(b.versions, pageSize) {
		p := b.pageOf(part)
		if len(b.versions) <= inlineMax {
			p.ID = doc.ID + "#page/" + p.Lower + "/" + p.Upper
		} else {
			p.Items = nil
		}
		doc.Items = append(doc.Items, p)
	}
	doc.Count = len(doc.Items)
	return encode(w, doc)
}

func (b *book) pageOf(part []shown) page {
	root, low, high := b.root(), part[0].Number, part[len(part)-1].Number
	p := page{
		ID: root + "page/" + low + "/" + high + ".json", Type: "catalog:CatalogPage", Count: len(part),
		Lower: low, Upper: high, Parent: root + "index.json",
	}
	for i := range part {
		p.Items = append(p.Items, b.leafOf(&part[i]))
	}
	return p
}

func (b *book) leafOf(s *shown) leaf {
	root := b.root()
	id := root + s.Number + ".json"
	content := b.base + flatPath + b.c.Name + "/" + s.Number + "/" + packageFile(b.c, s.Number)
	return leaf{ID: id, Type: "Package", CatalogEntry: b.entry(s, id, content), PackageContent: content, Registration: root + "index.json"}
}

func (b *book) entry(s *shown, id, content string) entry {
	m := s.metadata
	m.ID = text(displayID(b.c, &m))
	m.ReleaseNotes, m.LicenseFound, m.Listed = "", "", nil
	inside := b.base + flatPath + b.c.Name + "/" + s.Number + "/"
	if m.IconFile != "" {
		m.IconURL = text(inside + "icon")
	}
	if m.LicenseFile != "" {
		m.LicenseURL = text(inside + "license")
	}
	for _, g := range m.DependencyGroups {
		for i := range g.Dependencies {
			g.Dependencies[i].Range = text(normalRange(string(g.Dependencies[i].Range)))
		}
	}
	e := entry{AtID: id, Type: "PackageDetails", Listed: s.listed(), Published: unlistedTime, PackageContent: content, metadata: m}
	if e.Listed {
		e.Published = s.Published.UTC().Format(time.RFC3339Nano)
	}
	return e
}

// page gives the versions between two that are there. An index that a client
// has kept may name bounds which are none any more; they still mean the same.
func (b *book) page(w io.Writer, low, high string) error {
	from := slices.IndexFunc(b.versions, func(s shown) bool { return s.Number == low })
	to := slices.IndexFunc(b.versions, func(s shown) bool { return s.Number == high })
	if from < 0 || to < from {
		return fault.New(fault.NotFound, "package %s has no page of that name; read its index again", b.c.Name)
	}
	return encode(w, b.pageOf(b.versions[from:to+1]))
}

func (b *book) leaf(w io.Writer, number string) error {
	at := slices.IndexFunc(b.versions, func(s shown) bool { return s.Number == number })
	if at < 0 {
		return fault.About(fault.NotFound, "package-version", number, "version %s of %s is not here", number, b.c.Name)
	}
	l := b.leafOf(&b.versions[at])
	listed := flag(l.CatalogEntry.Listed)
	l.Listed, l.Published = &listed, l.CatalogEntry.Published
	return encode(w, l)
}

func encode(w io.Writer, doc any) error {
	if err := json.MarshalWrite(w, doc, lenient(), json.Deterministic(true)); err != nil {
		return fmt.Errorf("write registration: %w", err)
	}
	return nil
}

// renderVersions makes the list of the package content resource: every version
// that can be fetched, also what is unlisted, so that a lock file restores.
func renderVersions(_ context.Context, l *registry.Listing, w io.Writer) error {
	numbers := make([]string, 0, len(l.Versions))
	for i := range l.Versions {
		if _, ok := normalize(l.Versions[i].Number); ok {
			numbers = append(numbers, l.Versions[i].Number)
		}
	}
	if len(numbers) == 0 {
		return noVersions(l.Coordinates)
	}
	slices.SortFunc(numbers, compare)
	return encode(w, struct {
		Versions []string `json:"versions"`
	}{numbers})
}
