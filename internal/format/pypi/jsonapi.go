package pypi

import (
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
	metadata     `json:",inline"`
	Description  string            `json:"description"`
	ProjectURLs  map[string]string `json:"project_urls"`
	ProjectURL   string            `json:"project_url"`
	PackageURL   string            `json:"package_url"`
	ReleaseURL   string            `json:"release_url"`
	Yanked       bool              `json:"yanked"`
	YankedReason *string           `json:"yanked_reason"`
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
	said.Info.Description = describe(r, c, v)
	b, err := json.Marshal(said, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	return answer(w, r, plainJSON, b, "private, no-cache")
}

// chosen is a version to show.
type chosen struct {
	*registry.Listed
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
			best = &chosen{Listed: v, files: files}
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
	if m := best.manifest.Metadata; m != nil {
		i.metadata = *m
	}
	if i.Name == "" {
		i.Name = l.Coordinates.Name
	}
	i.Version, i.ProjectURLs = best.Number, map[string]string{}
	for _, text := range i.metadata.ProjectURLs {
		if label, address, ok := strings.Cut(text, ","); ok {
			i.ProjectURLs[strings.TrimSpace(label)] = strings.TrimSpace(address)
		}
	}
	i.PackageURL = base + "simple/" + l.Coordinates.Name + "/"
	i.ProjectURL, i.ReleaseURL = i.PackageURL, i.PackageURL
	i.Yanked, i.YankedReason = allYanked(best.files)
	if i.RequiresPython == "" {
		i.RequiresPython = best.files[0].RequiresPython
	}
	return said, best, nil
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

// describe finds the description of a version, which no manifest holds: beside a
// wheel at its remote, or in a file that is here. Nothing is fetched for it, and
// that there is none to be had is no failure.
func describe(r *format.Request, c artifact.Coordinates, v *chosen) string {
	ctx := r.Context()
	for i := range v.files {
		e := &v.files[i]
		if !isStored(v.Listed, e.Name) {
			if body, err := r.Repo.Beside(ctx, c, v.Number, e.Name+metadataSuffix); err == nil && isWheel(e.Name) {
				if m, ok := parseMetadata(body); ok && m.Description != "" {
					return m.Description
				}
			}
			continue
		}
		content, err := r.Repo.Asset(ctx, c, v.Number, e.Name)
		if err != nil {
			continue
		}
		f, err := content.Open(ctx)
		if err != nil {
			continue
		}
		d, ok := parseFileName(e.Name, c.Name)
		var found contents
		if ok {
			found, err = readDistribution(d, f, f.Size())
		}
		_ = f.Close()
		if err == nil && found.metadata != nil && found.metadata.Description != "" {
			return found.metadata.Description
		}
	}
	return ""
}

func isStored(v *registry.Listed, name string) bool {
	for i := range v.Assets {
		if v.Assets[i].Name == name {
			return true
		}
	}
	return false
}

func missing(c artifact.Coordinates, version string) error {
	return fault.About(fault.NotFound, "package-version", version, "version %s of %s is not in this repository, its upstreams or their external connections", version, c.Name)
}
