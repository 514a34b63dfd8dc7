package upstreamtest

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// NuGet starts a public NuGet source that ends with the test; its service index
// is at v3/index.json.
//
// Files of the archive (ID as its publisher writes it, VERSION normalised):
//
//	ID/VERSION/...                a file of that version's package; a nuspec in
//	                              the root folder is made when none is given
//	ID/VERSION/catalogEntry.json  a JSON merge patch (RFC 7396) of the version's
//	                              entry: deprecation, a lying id, ...; {"listed": false}
//	                              unlists, with the publish time that goes with it
//	ID/pages                      how many versions a page has; pages are then
//	                              documents of their own
//
// Versions are published in the order of the archive, a day apart from
// 2020-01-01, and listed in that order. There are three hives: semver1,
// gz-semver1 and gz-semver2 below v3/registration-, the latter two always
// compressed and the former two without versions of SemVer 2.0.0.
func NuGet(t testing.TB, a *txtar.Archive) *Registry {
	t.Helper()
	return running(t, "nuget", a)
}

type nugetFormat struct {
	mu       sync.Mutex
	packages map[string]*nugetPackage // by ID in lower case
}

type nugetPackage struct {
	id       string
	order    []string
	versions map[string]*nugetVersion
	perPage  int // 0: pages are in the index
}

type nugetVersion struct {
	entry object
	patch object
	nupkg []byte
}

func newNuGet() *nugetFormat { return &nugetFormat{packages: map[string]*nugetPackage{}} }

func (f *nugetFormat) add(a *txtar.Archive) error {
	type key struct{ id, version string }
	var order []key
	files := map[key][]txtar.File{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range a.Files {
		id, rest, ok := strings.Cut(file.Name, "/")
		if ok && rest == "pages" {
			n, err := strconv.Atoi(strings.TrimSpace(string(file.Data)))
			if err != nil {
				return fmt.Errorf("%s: %w", file.Name, err)
			}
			f.pkg(id).perPage = n
			continue
		}
		version, inside, ok := strings.Cut(rest, "/")
		if !ok {
			return fmt.Errorf("%s: want ID/VERSION/FILE", file.Name)
		}
		k := key{id, version}
		if _, seen := files[k]; !seen {
			order = append(order, k)
		}
		files[k] = append(files[k], txtar.File{Name: inside, Data: file.Data})
	}
	for _, k := range order {
		if err := f.publish(k.id, k.version, files[k]); err != nil {
			return fmt.Errorf("%s %s: %w", k.id, k.version, err)
		}
	}
	return nil
}

func (f *nugetFormat) pkg(id string) *nugetPackage {
	p := f.packages[strings.ToLower(id)]
	if p == nil {
		p = &nugetPackage{id: id, versions: map[string]*nugetVersion{}}
		f.packages[strings.ToLower(id)] = p
	}
	return p
}

func (f *nugetFormat) publish(id, version string, files []txtar.File) error {
	v := &nugetVersion{}
	var spec []byte
	inside := files[:0:0]
	for _, file := range files {
		switch {
		case file.Name == "catalogEntry.json":
			if err := json.Unmarshal(file.Data, &v.patch); err != nil {
				return fmt.Errorf("%s: %w", file.Name, err)
			}
			continue
		case strings.HasSuffix(file.Name, ".nuspec") && !strings.Contains(file.Name, "/"):
			spec = file.Data
		}
		inside = append(inside, file)
	}
	if spec == nil {
		spec = fmt.Appendf(nil, `<?xml version="1.0"?>
<package><metadata><id>%s</id><version>%s</version><authors>someone</authors><description>%s from outside</description></metadata></package>
`, id, version, id)
		inside = append([]txtar.File{{Name: id + ".nuspec", Data: spec}}, inside...)
	}
	var err error
	if v.entry, err = entryOf(id, version, spec); err != nil {
		return err
	}
	if v.nupkg, err = zipped(inside); err != nil {
		return err
	}
	p := f.pkg(id)
	if !slices.Contains(p.order, version) {
		p.order = append(p.order, version)
	}
	p.versions[version] = v
	return nil
}

type nugetDependency struct {
	ID      string `xml:"id,attr"`
	Version string `xml:"version,attr"`
}

// entryOf is what a source says of a package with such a nuspec.
func entryOf(id, version string, spec []byte) (object, error) {
	var doc struct {
		Metadata struct {
			Version     string `xml:"version"`
			Authors     string `xml:"authors"`
			Description string `xml:"description"`
			Tags        string `xml:"tags"`
			License     struct {
				Type string `xml:"type,attr"`
				Text string `xml:",chardata"`
			} `xml:"license"`
			ProjectURL string `xml:"projectUrl"`
			Groups     []struct {
				Framework    string            `xml:"targetFramework,attr"`
				Dependencies []nugetDependency `xml:"dependency"`
			} `xml:"dependencies>group"`
			Dependencies []nugetDependency `xml:"dependencies>dependency"`
		} `xml:"metadata"`
	}
	if err := xml.Unmarshal(spec, &doc); err != nil {
		return nil, fmt.Errorf("nuspec: %w", err)
	}
	m := doc.Metadata
	entry := object{
		"@type": "PackageDetails", "id": id, "version": version, "authors": m.Authors, "description": m.Description,
		"projectUrl": m.ProjectURL, "tags": strings.Fields(m.Tags), "listed": true,
	}
	if m.License.Type == "expression" {
		entry["licenseExpression"] = m.License.Text
	}
	if strings.EqualFold(m.Version[:min(len(version), len(m.Version))], version) {
		entry["version"] = m.Version // with its build metadata
	}
	var groups []object
	group := func(framework string, all []nugetDependency) {
		g := object{"@type": "PackageDependencyGroup"}
		if framework != "" {
			g["targetFramework"] = framework
		}
		var deps []object
		for _, d := range all {
			deps = append(deps, object{"@type": "PackageDependency", "id": d.ID, "range": "[" + d.Version + ", )"})
		}
		if deps != nil {
			g["dependencies"] = deps
		}
		groups = append(groups, g)
	}
	if len(m.Dependencies) > 0 {
		group("", m.Dependencies)
	}
	for _, g := range m.Groups {
		group(g.Framework, g.Dependencies)
	}
	if groups != nil {
		entry["dependencyGroups"] = groups
	}
	return entry, nil
}

// zipped makes a zip archive of files.
func zipped(files []txtar.File) ([]byte, error) {
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for _, file := range files {
		w, err := zw.CreateHeader(&zip.FileHeader{Name: file.Name, Method: zip.Deflate, Modified: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(file.Data); err != nil {
			return nil, err
		}
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func (f *nugetFormat) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		http.Error(w, "this source is read-only", http.StatusMethodNotAllowed)
		return
	}
	base := "http://" + q.Host + "/v3/"
	path, ok := strings.CutPrefix(q.URL.Path, "/v3/")
	parts := strings.Split(path, "/")
	switch {
	case !ok:
		http.NotFound(w, q)
	case path == "index.json":
		serveJSON(w, q, "application/json", nugetIndex(base))
	case len(parts) < 3 || f.packages[parts[1]] == nil:
		http.NotFound(w, q)
	case parts[0] == "flatcontainer":
		f.packages[parts[1]].serveFile(w, q, parts[2:])
	case strings.HasPrefix(parts[0], "registration-"):
		f.packages[parts[1]].serveRegistration(w, q, base, strings.TrimPrefix(parts[0], "registration-"), parts[2:])
	default:
		http.NotFound(w, q)
	}
}

func nugetIndex(base string) object {
	var resources []object
	for _, r := range [][2]string{
		{"RegistrationsBaseUrl", "registration-semver1/"},
		{"RegistrationsBaseUrl/3.0.0-rc", "registration-semver1/"},
		{"RegistrationsBaseUrl/3.4.0", "registration-gz-semver1/"},
		{"RegistrationsBaseUrl/3.6.0", "registration-gz-semver2/"},
		{"PackageBaseAddress/3.0.0", "flatcontainer/"},
	} {
		resources = append(resources, object{"@id": base + r[1], "@type": r[0]})
	}
	return object{"version": "3.0.0", "resources": resources}
}

func (p *nugetPackage) serveFile(w http.ResponseWriter, q *http.Request, rest []string) {
	id := strings.ToLower(p.id)
	if len(rest) == 1 && rest[0] == "index.json" {
		serveJSON(w, q, "application/json", object{"versions": p.order})
		return
	}
	v := p.versions[rest[0]]
	if v == nil || len(rest) != 2 || rest[1] != id+"."+rest[0]+".nupkg" {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", etag(v.nupkg))
	http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(v.nupkg))
}

func (p *nugetPackage) serveRegistration(w http.ResponseWriter, q *http.Request, base, hive string, rest []string) {
	root := base + "registration-" + hive + "/" + strings.ToLower(p.id) + "/"
	pages := p.pages(base, root, strings.HasSuffix(hive, "semver1"))
	if strings.HasPrefix(hive, "gz-") {
		q = q.Clone(q.Context())
		q.Header.Set("Accept-Encoding", "gzip")
	}
	if len(rest) == 1 && rest[0] == "index.json" && len(pages) > 0 {
		if p.perPage > 0 {
			for i, page := range pages {
				pages[i] = maps.Clone(page)
				delete(pages[i], "items")
				pages[i]["commitId"] = etag(fmt.Append(nil, page["items"])) // the index changes with its pages
			}
		}
		serveJSON(w, q, "application/json", object{
			"@id": root + "index.json", "@type": []string{"catalog:CatalogRoot", "PackageRegistration", "catalog:Permalink"},
			"count": len(pages), "items": pages,
		})
		return
	}
	for _, page := range pages {
		if page["@id"] == root+strings.Join(rest, "/") {
			serveJSON(w, q, "application/json", page)
			return
		}
	}
	http.NotFound(w, q)
}

// pages are the versions of a hive with all their entries.
func (p *nugetPackage) pages(base, root string, semVer1 bool) (pages []object) {
	per := p.perPage
	if per == 0 {
		per = 64
	}
	shown := slices.DeleteFunc(slices.Clone(p.order), func(v string) bool {
		_, labels, _ := strings.Cut(fmt.Sprint(p.versions[v].entry["version"]), "-")
		return semVer1 && strings.ContainsAny(labels, ".+")
	})
	for part := range slices.Chunk(shown, per) {
		low, high := part[0], part[len(part)-1]
		var items []object
		for _, number := range part {
			items = append(items, p.leaf(base, root, number))
		}
		pages = append(pages, object{
			"@id": root + "page/" + low + "/" + high + ".json", "@type": "catalog:CatalogPage",
			"count": len(part), "lower": low, "upper": high, "parent": root + "index.json", "items": items,
		})
	}
	return pages
}

func (p *nugetPackage) leaf(base, root, number string) object {
	v, id := p.versions[number], strings.ToLower(p.id)
	content := base + "flatcontainer/" + id + "/" + number + "/" + id + "." + number + ".nupkg"
	entry := maps.Clone(v.entry)
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, slices.Index(p.order, number))
	entry["@id"] = base + "catalog/" + id + "." + number + ".json"
	entry["published"] = at.Format("2006-01-02T15:04:05.999-07:00")
	entry["packageContent"] = content
	entry = mergePatch(entry, v.patch).(object)
	if entry["listed"] == false {
		entry["published"] = "1900-01-01T00:00:00+00:00"
	}
	return object{
		"@id": root + number + ".json", "@type": "Package", "catalogEntry": entry,
		"packageContent": content, "registration": root + "index.json",
	}
}
