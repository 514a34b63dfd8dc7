package pypi

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// release is the answer of pypi/{project}/json, in the shape of the public
// index's JSON API. What is not said is null or empty, as there.
type release struct {
	Info            info                 `json:"info"`
	Releases        map[string][]archive `json:"releases,omitempty"`
	URLs            []archive            `json:"urls"`
	Vulnerabilities []any                `json:"vulnerabilities"` // none are known here
}

type info struct {
	Author            string            `json:"author"`
	AuthorEmail       string            `json:"author_email"`
	Classifiers       []string          `json:"classifiers"`
	Description       string            `json:"description"`
	ContentType       string            `json:"description_content_type"`
	DownloadURL       string            `json:"download_url"`
	Dynamic           []string          `json:"dynamic"`
	HomePage          string            `json:"home_page"`
	Keywords          string            `json:"keywords"`
	License           string            `json:"license"`
	LicenseExpression string            `json:"license_expression"`
	LicenseFiles      []string          `json:"license_files"`
	Maintainer        string            `json:"maintainer"`
	MaintainerEmail   string            `json:"maintainer_email"`
	MetadataVersion   string            `json:"metadata_version"`
	Name              string            `json:"name"`
	PackageURL        string            `json:"package_url"`
	Platform          []string          `json:"platform"`
	ProjectURL        string            `json:"project_url"`
	ProjectURLs       map[string]string `json:"project_urls"`
	ProvidesExtra     []string          `json:"provides_extra"`
	ReleaseURL        string            `json:"release_url"`
	RequiresDist      []string          `json:"requires_dist"`
	RequiresPython    string            `json:"requires_python"`
	Summary           string            `json:"summary"`
	Version           string            `json:"version"`
	Yanked            bool              `json:"yanked"`
	YankedReason      *string           `json:"yanked_reason"`
}

// take fills in what core metadata say.
func (i *info) take(m *metadata) {
	i.Author, i.AuthorEmail, i.Maintainer, i.MaintainerEmail = m.Author, m.AuthorEmail, m.Maintainer, m.MaintainerEmail
	i.Classifiers, i.Dynamic, i.Keywords, i.Platform = m.Classifiers, m.Dynamic, m.Keywords, m.Platform
	i.License, i.LicenseExpression, i.LicenseFiles = m.License, m.LicenseExpression, m.LicenseFiles
	i.DownloadURL, i.HomePage, i.Summary = m.DownloadURL, m.HomePage, m.Summary
	i.MetadataVersion, i.Name, i.ContentType = m.MetadataVersion, m.Name, m.ContentType
	i.ProvidesExtra, i.RequiresDist, i.RequiresPython = m.ProvidesExtra, m.RequiresDist, m.RequiresPython
	for _, text := range m.ProjectURLs {
		if label, address, ok := strings.Cut(text, ","); ok {
			i.ProjectURLs[strings.TrimSpace(label)] = strings.TrimSpace(address)
		}
	}
}

// archive is one file.
type archive struct {
	Filename       string            `json:"filename"`
	URL            string            `json:"url"` // absolute
	Digests        map[string]string `json:"digests"`
	Size           int64             `json:"size"`
	Type           string            `json:"packagetype"`
	PythonVersion  string            `json:"python_version"`
	RequiresPython *string           `json:"requires_python"`
	UploadTime     string            `json:"upload_time_iso_8601,omitempty"`
	Yanked         bool              `json:"yanked"`
	YankedReason   *string           `json:"yanked_reason"`
}

const plainJSON = "application/json"

// serveJSON answers pypi/{project}/json and pypi/{project}/{version}/json.
func serveJSON(w http.ResponseWriter, r *format.Request, rest string) error {
	r.Operation = "json"
	rest, err := format.Unescape(rest)
	if err != nil {
		return err
	}
	rest, ok := strings.CutSuffix(rest, "/json")
	name, number, one := strings.Cut(rest, "/")
	if !ok || strings.Contains(number, "/") {
		return errNoAddress
	}
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	c, err := coordinates(name)
	if err != nil {
		return err
	}
	l, err := r.Repo.Listing(r.Context(), c)
	if err != nil {
		return err
	}
	said, v, err := releaseOf(l, r.Base, number, one)
	if err != nil {
		return err
	}
	said.Info.describe(v, metadataOf(r, c, v))
	b, err := json.Marshal(said, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	return answer(w, r, plainJSON, b, "private, no-cache")
}

// chosen is a version to show.
type chosen struct {
	*registry.Listed
	project  string // its normalised name
	files    []entry
	manifest manifest
}

// releaseOf says what a listing does of one version, or of all with the newest
// as the one that is described.
func releaseOf(l *registry.Listing, base, number string, one bool) (said release, best *chosen, err error) {
	releases := map[string][]archive{}
	err = visible(l, func(v *registry.Listed, files []entry) error {
		if !one {
			releases[v.Number] = archives(base, l.Coordinates, files)
		} else if !sameRelease(v.Number, number) {
			return nil
		}
		if best == nil || newer(v, files, best) {
			best = &chosen{Listed: v, project: l.Coordinates.Name, files: files}
		}
		return nil
	})
	if err != nil {
		return said, nil, err
	}
	if best == nil {
		return said, nil, missing(l.Coordinates, number)
	}
	if best.manifest, err = parseManifest(best.Manifest); err != nil {
		return said, nil, err
	}
	said = release{Releases: releases, URLs: archives(base, l.Coordinates, best.files), Vulnerabilities: []any{}}
	if one {
		said.Releases = nil
	}
	i := &said.Info
	i.PackageURL = base + "simple/" + l.Coordinates.Name + "/"
	i.ProjectURL, i.ReleaseURL = i.PackageURL, i.PackageURL
	i.Yanked, i.YankedReason = allYanked(best.files)
	return said, best, nil
}

// describe fills in what is said of a version: in its manifest, else in the core
// metadata that were found, which alone have the description.
func (i *info) describe(v *chosen, found *metadata) {
	i.ProjectURLs = map[string]string{}
	if m := cmp.Or(v.manifest.Metadata, found); m != nil {
		i.take(m)
	}
	if found != nil {
		i.Description = found.Description
	}
	if i.Name == "" {
		i.Name = v.project
	}
	if i.RequiresPython == "" {
		i.RequiresPython = v.files[0].RequiresPython
	}
	i.Version = v.Number
}

// newer tells whether v is rather the version to describe than best: yanked
// ones and pre-releases come after all others.
func newer(v *registry.Listed, files []entry, best *chosen) bool {
	rank := func(number string, files []entry) int {
		parsed, ok := parseVersion(number)
		all, _ := allYanked(files)
		switch {
		case all:
			return 0
		case !ok || !parsed.stable():
			return 1
		}
		return 2
	}
	a, b := rank(v.Number, files), rank(best.Number, best.files)
	return a > b || a == b && compareVersions(v.Number, best.Number) > 0
}

func allYanked(files []entry) (all bool, reason *string) {
	for i := range files {
		if !files[i].Yanked.Yes {
			return false, nil
		}
	}
	return true, &files[0].Yanked.Reason
}

func archives(base string, c artifact.Coordinates, files []entry) []archive {
	all := make([]archive, len(files))
	for i := range files {
		e := &files[i]
		a := archive{
			Filename: e.Name, URL: base + "simple/" + c.Name + "/" + e.address(), Digests: e.Hashes, Size: e.Size,
			Type: "sdist", PythonVersion: "source", UploadTime: e.UploadTime, Yanked: e.Yanked.Yes,
		}
		if d, ok := parseFileName(e.Name, c.Name); ok && d.kind != sdist {
			a.Type, a.PythonVersion = "bdist_egg", ""
			if d.kind == wheel {
				parts := strings.Split(d.tags, "-")
				a.Type, a.PythonVersion = string(wheel), parts[len(parts)-3]
			}
		}
		if e.RequiresPython != "" {
			a.RequiresPython = &e.RequiresPython
		}
		if e.Yanked.Yes {
			a.YankedReason = &e.Yanked.Reason
		}
		if a.Digests == nil {
			a.Digests = map[string]string{}
		}
		all[i] = a
	}
	return all
}

// metadataOf finds the core metadata of a version with its description, which no
// manifest holds: in a file that is held in reach, or beside a wheel at its
// remote. No distribution is fetched for it and nothing retained, and that there
// are none to be had is no failure.
func metadataOf(r *format.Request, c artifact.Coordinates, v *chosen) (best *metadata) {
	for i := range min(len(v.files), maxCandidates) {
		m, err := metadataIn(r, c, v.Number, v.files[i].Name)
		if fault.Is(err, fault.Upstream) {
			break // it would not answer for the next file either
		}
		if m != nil && (best == nil || m.Description != "") {
			best = m
		}
		if best != nil && best.Description != "" {
			break
		}
	}
	return best
}

func metadataIn(r *format.Request, c artifact.Coordinates, number, name string) (*metadata, error) {
	ctx := r.Context()
	content, err := r.Repo.Peek(ctx, c, number, name)
	if err != nil {
		return nil, err
	}
	if content == nil {
		if !isWheel(name) {
			return nil, nil
		}
		body, err := r.Repo.Beside(ctx, c, number, name+metadataSuffix)
		if err != nil {
			return nil, err
		}
		return besideOf(c, body), nil
	}
	d, ok := parseFileName(name, c.Name)
	if !ok {
		return nil, nil
	}
	f, err := content.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found, err := readDistribution(d, f, f.Size())
	return found.metadata, err
}

func missing(c artifact.Coordinates, version string) error {
	return fault.About(fault.NotFound, "package-version", version, "version %s of %s is not in this repository, its upstreams or their external connections", version, c.Name)
}
