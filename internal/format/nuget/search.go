package nuget

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// Bounds of a page of results, as the public gallery has them.
const (
	defaultTake = 20
	maxTake     = 1000
	maxSkip     = 3000
)

// searchStep is how many names are looked at together.
const searchStep = 50

// exactField is the field of a query that names a whole ID.
const exactField = "package" + "id"

// query is what search and autocomplete ask for
// (search-query-service-resource.md).
type query struct {
	text       string
	skip, take int
	exact      bool // the text is a whole ID
	prerelease bool
	semVer2    bool
	kind       string // a package type; empty: any
}

func readQuery(r *format.Request) (query, url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query{}, nil, fault.Wrap(fault.Invalid, err, "the query cannot be read")
	}
	q := query{prerelease: strings.EqualFold(values.Get("prerelease"), "true"), kind: values.Get("packageType")}
	if q.skip, err = count(values, "skip", 0, maxSkip); err != nil {
		return q, nil, err
	}
	if q.take, err = count(values, "take", defaultTake, maxTake); err != nil {
		return q, nil, err
	}
	if level, ok := parseVersion(values.Get("semVerLevel")); ok {
		q.semVer2 = level.part[0] >= 2
	}
	q.text = strings.ToLower(strings.TrimSpace(values.Get("q")))
	if field, rest, ok := strings.Cut(q.text, ":"); ok && (field == exactField || field == "id") {
		q.text, q.exact = strings.Trim(rest, `" `), field == exactField
	}
	return q, values, nil
}

// count reads a whole number of the query that is not negative.
func count(values url.Values, name string, otherwise, most int) (int, error) {
	s := values.Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fault.Field(name, "not a number of results: %q", clip(s))
	}
	return min(n, most), nil
}

// hit is a package that was found, with the versions that answer the query.
type hit struct {
	c        artifact.Coordinates
	versions []shown // lowest first, at least one
}

// newest is the version a hit is shown as.
func (h *hit) newest() *shown { return &h.versions[len(h.versions)-1] }

// find looks through what the repository and its upstreams hold. total counts
// the hits; beyond those asked for it takes each name for one.
func (q *query) find(ctx context.Context, repo *registry.Repo) (hits []hit, total int, err error) {
	matched := 0
	for offset := 0; ; offset += searchStep {
		found, names, err := repo.Search(ctx, artifact.NuGet, q.text, offset, searchStep)
		if err != nil {
			return nil, 0, err
		}
		for _, f := range found {
			if q.exact && f.Coordinates.Name != q.text {
				continue
			}
			h, err := q.match(ctx, repo, f.Coordinates)
			if err != nil {
				return nil, 0, err
			}
			if len(h.versions) == 0 {
				continue
			}
			if matched++; matched > q.skip && len(hits) < q.take {
				hits = append(hits, h)
			}
		}
		if rest := names - offset - searchStep; rest <= 0 || len(hits) == q.take {
			return hits, matched + max(rest, 0), nil
		}
	}
}

// match gives the versions of a package that are listed and answer the query.
func (q *query) match(ctx context.Context, repo *registry.Repo, c artifact.Coordinates) (hit, error) {
	h := hit{c: c}
	l, err := repo.Stored(ctx, c)
	if fault.Is(err, fault.NotFound) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	h.versions = q.choose(l)
	if q.kind != "" && len(h.versions) > 0 && !h.newest().metadata.isType(q.kind) {
		h.versions = nil
	}
	return h, nil
}

func (q *query) choose(l *registry.Listing) []shown {
	all := showAll(l)
	kept := all[:0]
	for _, s := range all {
		if s.listed() && (q.prerelease || !isPrerelease(s.Number)) && (q.semVer2 || !s.metadata.needsSemVer2()) {
			kept = append(kept, s)
		}
	}
	return kept
}

type results struct {
	TotalHits int      `json:"totalHits"`
	Data      []result `json:"data"`
}

type result struct {
	AtID           string        `json:"@id"`
	Type           string        `json:"@type"`
	Registration   string        `json:"registration"`
	ID             string        `json:"id"`
	Version        text          `json:"version"`
	Title          text          `json:"title"`
	Description    text          `json:"description"`
	Summary        text          `json:"summary"`
	IconURL        text          `json:"iconUrl,omitzero"`
	LicenseURL     text          `json:"licenseUrl,omitzero"`
	ProjectURL     text          `json:"projectUrl,omitzero"`
	Tags           words         `json:"tags"`
	Authors        []text        `json:"authors"`
	Owners         []text        `json:"owners"`
	TotalDownloads int           `json:"totalDownloads"`
	Verified       bool          `json:"verified"`
	PackageTypes   []packageType `json:"packageTypes"`
	Versions       []oneVersion  `json:"versions"`
}

type oneVersion struct {
	AtID      string `json:"@id"`
	Version   text   `json:"version"`
	Downloads int    `json:"downloads"`
}

func serveSearch(w http.ResponseWriter, r *format.Request) error {
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	q, _, err := readQuery(r)
	if err != nil {
		return err
	}
	hits, total, err := q.find(r.Context(), r.Repo)
	if err != nil {
		return err
	}
	h := oldest()
	if q.semVer2 {
		h = newest()
	}
	answer := results{TotalHits: total, Data: make([]result, 0, len(hits))}
	for i := range hits {
		answer.Data = append(answer.Data, hits[i].result(r.Base, h))
	}
	return respond(w, r, answer)
}

// result is a hit as clients read it. Downloads are not counted by this house.
func (h *hit) result(base string, of *hive) result {
	b := book{base: base, hive: of, c: h.c}
	best := h.newest()
	e := b.entry(best, "", "")
	root := b.root()
	out := result{
		AtID: root + "index.json", Type: "Package", Registration: root + "index.json",
		ID: string(e.ID), Version: e.Version, Title: e.Title, Description: e.Description, Summary: e.Summary,
		IconURL: e.IconURL, LicenseURL: e.LicenseURL, ProjectURL: e.ProjectURL,
		Tags: e.Tags, Authors: []text{}, Owners: []text{}, PackageTypes: e.PackageTypes,
	}
	if out.Title == "" {
		out.Title = e.ID
	}
	if e.Authors != "" {
		out.Authors = append(out.Authors, e.Authors)
	}
	if out.Tags == nil {
		out.Tags = words{}
	}
	if len(out.PackageTypes) == 0 {
		out.PackageTypes = []packageType{{Name: "Dependency"}}
	}
	for i := range h.versions {
		s := &h.versions[i]
		out.Versions = append(out.Versions, oneVersion{AtID: root + s.Number + ".json", Version: s.metadata.Version})
	}
	return out
}

// serveAutocomplete answers with IDs that hold a text, or with the versions of
// one package (search-autocomplete-service-resource.md).
func serveAutocomplete(w http.ResponseWriter, r *format.Request) error {
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	q, values, err := readQuery(r)
	if err != nil {
		return err
	}
	if id := values.Get("id"); id != "" {
		return serveVersions(w, r, q, id)
	}
	hits, total, err := q.find(r.Context(), r.Repo)
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(hits))
	for i := range hits {
		ids = append(ids, displayID(hits[i].c, &hits[i].newest().metadata))
	}
	return respond(w, r, struct {
		TotalHits int      `json:"totalHits"`
		Data      []string `json:"data"`
	}{total, ids})
}

// serveVersions gives what can be installed of one package, so that external
// connections count too. An unknown package has no versions.
func serveVersions(w http.ResponseWriter, r *format.Request, q query, id string) error {
	c, err := New().Normalize(artifact.Coordinates{Name: id})
	if err != nil {
		return err
	}
	numbers := []text{}
	l, err := r.Repo.Listing(r.Context(), c)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err == nil {
		for _, s := range q.choose(l) {
			numbers = append(numbers, s.metadata.Version)
		}
	}
	return respond(w, r, struct {
		Data []text `json:"data"`
	}{numbers})
}
