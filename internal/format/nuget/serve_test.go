package nuget_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/nuget"
	"packhouse/internal/upstream"
	"packhouse/internal/upstream/upstreamtest"
)

func house(t testing.TB) *formattest.House {
	t.Helper()
	h := formattest.NewHouse(t, nuget.New(), formattest.Options{})
	h.Repository("internal")
	return h
}

// outside is a house of which "app" sees "internal" and, through "public", a
// source with the packages of a.
func outside(t testing.TB, o formattest.Options, archive string) (*formattest.House, *upstreamtest.Registry) {
	t.Helper()
	r := upstreamtest.NuGet(t, txtar.Parse([]byte(archive)))
	o.Outside = r.URL
	h := formattest.NewHouse(t, nuget.New(), o)
	h.Repository("internal")
	h.Repository("public", formattest.Connection)
	h.Repository("app", "internal", "public")
	return h, r
}

func push(t testing.TB, h *formattest.House, data []byte) {
	t.Helper()
	if a := h.Do(formattest.Admin, "internal", pushed("v2/package", data)); a.Status != http.StatusCreated {
		t.Fatalf("push: %d %s", a.Status, a.Body)
	}
}

// read gets a document that must be there.
func read(t testing.TB, h *formattest.House, repo, path string) map[string]any {
	t.Helper()
	a := h.Get(repo, path)
	if a.Status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, a.Status, a.Body)
	}
	var doc map[string]any
	if err := json.Unmarshal(a.Body, &doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return doc
}

// at walks a document by members and indexes.
func at(doc any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := doc.(map[string]any)
			doc = m[s]
		case int:
			l, _ := doc.([]any)
			if s >= len(l) {
				return nil
			}
			doc = l[s]
		}
	}
	return doc
}

func versionsIn(t testing.TB, h *formattest.House, repo, path string) []string {
	t.Helper()
	a := h.Get(repo, path)
	got, err := listed(a.Body)
	if a.Status != http.StatusOK || err != nil {
		t.Fatalf("%s: %d %s, %v", path, a.Status, a.Body, err)
	}
	return got
}

func TestIndex_HasWhatClientsAskFor(t *testing.T) {
	h := house(t)
	doc := read(t, h, "internal", "v3/index.json")
	byType := map[string]string{}
	for _, r := range doc["resources"].([]any) {
		byType[at(r, "@type").(string)] = at(r, "@id").(string)
	}
	for _, want := range []string{
		"PackageBaseAddress/3.0.0", "RegistrationsBaseUrl", "RegistrationsBaseUrl/3.0.0-beta", "RegistrationsBaseUrl/3.0.0-rc",
		"RegistrationsBaseUrl/3.4.0", "RegistrationsBaseUrl/3.6.0", "RegistrationsBaseUrl/Versioned", "SearchQueryService",
		"SearchQueryService/3.0.0-beta", "SearchQueryService/3.0.0-rc", "SearchQueryService/3.5.0", "SearchAutocompleteService",
		"PackagePublish/2.0.0", "SymbolPackagePublish/4.9.0", "ReadmeUriTemplate/6.13.0",
	} {
		if !strings.HasPrefix(byType[want], h.URL+"internal/v") {
			t.Errorf("%s is %q", want, byType[want])
		}
	}
	first := h.Get("internal", "v3/index.json")
	again := h.Do(formattest.Admin, "internal", formattest.Call{Path: "v3/index.json", Header: http.Header{"If-None-Match": {first.Header.Get("ETag")}}})
	if again.Status != http.StatusNotModified || len(again.Body) > 0 {
		t.Errorf("again: %d", again.Status)
	}
}

func TestRegistration_Entry(t *testing.T) {
	h := house(t)
	push(t, h, zipOf("Company.Lib.nuspec", spec("Company.Lib", "01.2+build.5", `<title>Lib</title><tags>one two, three</tags><icon>i.png</icon>
		<license type="expression">MIT OR Apache-2.0</license><licenseUrl>http://l.test/</licenseUrl><requireLicenseAcceptance>true</requireLicenseAcceptance>
		<releaseNotes>long</releaseNotes><dependencies><group targetFramework="net45"><dependency id="Left.Pad" version="1.0" exclude="Build" /></group>
		<group targetFramework=".NETStandard2.0" /></dependencies><packageTypes><packageType name="Dependency"/></packageTypes>`), "i.png", "PNG"))
	doc := read(t, h, "internal", "v3/registrations-gz-semver2/COMPANY.LIB/index.json")
	item := at(doc, "items", 0, "items", 0)
	entry := at(item, "catalogEntry").(map[string]any)
	root := h.URL + "internal/v3/registrations-gz-semver2/company.lib/"
	if published, err := time.Parse(time.RFC3339, entry["published"].(string)); err != nil || time.Since(published) > time.Hour {
		t.Errorf("published %v", entry["published"])
	}
	delete(entry, "published")
	want := map[string]any{
		"@id": root + "1.2.0.json", "@type": "PackageDetails", "id": "Company.Lib", "version": "01.2+build.5", "title": "Lib",
		"authors": "me, you", "description": "a test", "tags": []any{"one", "two", "three"}, "listed": true,
		"licenseExpression": "MIT OR Apache-2.0", "licenseUrl": "http://l.test/", "requireLicenseAcceptance": true,
		"iconFile": "i.png", "iconUrl": h.URL + "internal/v3/flatcontainer/company.lib/1.2.0/icon",
		"packageContent": h.URL + "internal/v3/flatcontainer/company.lib/1.2.0/company.lib.1.2.0.nupkg",
		"packageTypes":   []any{map[string]any{"name": "Dependency"}},
		"dependencyGroups": []any{
			map[string]any{"targetFramework": "net45", "dependencies": []any{map[string]any{"id": "Left.Pad", "range": "[1.0.0, )", "exclude": "Build"}}},
			map[string]any{"targetFramework": ".NETStandard2.0"},
		},
	}
	if diff := cmp.Diff(want, entry); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	if at(item, "packageContent") != want["packageContent"] || at(item, "registration") != root+"index.json" || at(doc, "items", 0, "lower") != "1.2.0" {
		t.Errorf("item %v", item)
	}
	leaf := read(t, h, "internal", "v3/registrations-gz-semver2/company.lib/1.2.0.json")
	if leaf["listed"] != true || at(leaf, "catalogEntry", "version") != "01.2+build.5" || leaf["packageContent"] != want["packageContent"] {
		t.Errorf("leaf %v", leaf)
	}
	for path, kind := range map[string]string{"icon": "image/png", "company.lib.nuspec": "application/xml"} {
		if a := h.Get("internal", "v3/flatcontainer/company.lib/1.2.0/"+path); a.Status != http.StatusOK || a.Header.Get("Content-Type") != kind {
			t.Errorf("%s: %d %s", path, a.Status, a.Header)
		}
	}
	if a := h.Get("internal", "v3/flatcontainer/company.lib/1.2.0/readme"); a.Status != http.StatusNotFound {
		t.Errorf("a readme that is not there: %d", a.Status)
	}
	// spellings of one address
	for _, path := range []string{
		"v3/flatcontainer/Company.Lib/1.2.0/Company.Lib.1.2.0.nupkg", "v3/flatcontainer/company.lib/01.2.0.0/company.lib.01.2.0.0.nupkg",
		"v3/flatcontainer/company.lib/1.2/company.lib.1.2.0.nupkg", "v3/flatcontainer/company.lib/1.2.0%2Bbuild.5/company.lib.1.2.0%2Bbuild.5.nupkg",
	} {
		if a := h.Get("internal", path); a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

// TestRegistration_OldClientsSeeNoSemVer2: the poorer hives leave out what their
// clients would fail on.
func TestRegistration_OldClientsSeeNoSemVer2(t *testing.T) {
	h := house(t)
	push(t, h, nupkg("Lib", "1.0.0"))
	push(t, h, nupkg("Lib", "1.1.0-beta"))
	push(t, h, nupkg("Lib", "2.0.0-beta.1"))
	push(t, h, nupkg("Lib", "2.0.0+meta"))
	push(t, h, zipOf("Lib.nuspec", spec("Lib", "3.0.0", `<dependencies><dependency id="x" version="[1.0.0-a.1]"/></dependencies>`)))
	push(t, h, nupkg("New", "1.0.0-a.b"))
	for hive, want := range map[string][]string{
		"registrations":            {"1.0.0", "1.1.0-beta"},
		"registrations-gz":         {"1.0.0", "1.1.0-beta"},
		"registrations-gz-semver2": {"1.0.0", "1.1.0-beta", "2.0.0-beta.1", "2.0.0+meta", "3.0.0"},
	} {
		if diff := cmp.Diff(want, versionsIn(t, h, "internal", "v3/"+hive+"/lib/index.json")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", hive, diff)
		}
	}
	if a := h.Get("internal", "v3/registrations/new/index.json"); a.Status != http.StatusNotFound {
		t.Errorf("a package without versions for old clients: %d", a.Status)
	}
	if a := h.Get("internal", "v3/registrations/lib/3.0.0.json"); a.Status != http.StatusNotFound {
		t.Errorf("a leaf of one: %d", a.Status)
	}
	doc := read(t, h, "internal", "v3/flatcontainer/lib/index.json")
	if diff := cmp.Diff([]any{"1.0.0", "1.1.0-beta", "2.0.0-beta.1", "2.0.0", "3.0.0"}, doc["versions"]); diff != "" {
		t.Errorf("flat container (-want +got):\n%s", diff)
	}
}

// TestRegistration_Pages: many versions come in pages of their own, whose
// addresses stay good when a version is added.
func TestRegistration_Pages(t *testing.T) {
	var a strings.Builder
	for i := range 150 {
		fmt.Fprintf(&a, "-- Many/1.%d.0/a.txt --\na\n", i)
	}
	h, r := outside(t, formattest.Options{Lifetimes: upstream.Lifetimes{Metadata: time.Nanosecond, Revalidate: time.Nanosecond, Patience: time.Minute}}, a.String()+"-- Many/pages --\n40\n")
	const path = "v3/registrations/many/index.json"
	doc := read(t, h, "app", path)
	var all []string
	var addresses []string
	for _, p := range doc["items"].([]any) {
		if at(p, "items") != nil {
			t.Error("a page of many is in the index")
		}
		address := at(p, "@id").(string)
		page := h.Get("app", address)
		var one any
		if err := json.Unmarshal(page.Body, &one); err != nil || page.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", address, page.Status, page.Body)
		}
		addresses = append(addresses, address)
		for _, item := range at(one, "items").([]any) {
			all = append(all, at(item, "catalogEntry", "version").(string))
		}
	}
	if len(all) != 150 || all[0] != "1.0.0" || all[149] != "1.149.0" || len(addresses) != 3 {
		t.Errorf("%d versions on %d pages: %v", len(all), len(addresses), all)
	}
	if n := r.Count("GET /v3/registration-gz-semver2/many/page/*"); n < 4 {
		t.Errorf("%d pages were fetched", n)
	}
	// The remote's index has not changed: its pages are not fetched again.
	r.Forget()
	if got := read(t, h, "app", path); len(got["items"].([]any)) != 3 {
		t.Errorf("again: %v", got)
	}
	if n := r.Count("GET /v3/registration-gz-semver2/many/page/*"); n != 0 {
		t.Errorf("%d pages were fetched though the index had not changed", n)
	}
	if err := r.Add(txtar.Parse([]byte("-- Many/1.150.0/a.txt --\nb\n"))); err != nil {
		t.Fatal(err)
	}
	if got := h.Get("app", "v3/flatcontainer/many/index.json"); !strings.Contains(string(got.Body), "1.150.0") {
		t.Errorf("a new version is not seen: %s", got.Body)
	}
	if a := h.Get("app", addresses[2]); a.Status != http.StatusOK {
		t.Errorf("the address of a page that has grown: %d", a.Status)
	}
	if a := h.Get("app", "v3/registrations/many/page/1.0.0/9.9.9.json"); a.Status != http.StatusNotFound {
		t.Errorf("a page that never was: %d", a.Status)
	}
}

func TestUnlistAndRelist(t *testing.T) {
	h := house(t)
	h.Repository("app", "internal")
	push(t, h, nupkg("Lib", "1.0.0"))
	push(t, h, nupkg("Lib", "2.0.0"))
	change := func(method, path string) int {
		return h.Do(formattest.Admin, "internal", formattest.Call{Method: method, Path: path}).Status
	}
	state := func() string {
		doc := read(t, h, "app", "v3/registrations/lib/index.json")
		e := at(doc, "items", 0, "items", 1, "catalogEntry")
		year, _, _ := strings.Cut(at(e, "published").(string), "-")
		hits := read(t, h, "app", "v3/query?q=lib")
		return fmt.Sprint(at(e, "version"), " ", at(e, "listed"), " ", year == "1900", " ", at(hits, "data", 0, "version"))
	}
	if got := state(); got != "2.0.0 true false 2.0.0" {
		t.Error(got)
	}
	if got := change(http.MethodDelete, "v2/package/LIB/2.0"); got != http.StatusNoContent {
		t.Errorf("unlist: %d", got)
	}
	if got := state(); got != "2.0.0 false true 1.0.0" {
		t.Error(got)
	}
	if a := h.Get("internal", filePath("Lib", "2.0.0", "nupkg")); a.Status != http.StatusOK {
		t.Errorf("an unlisted version by its number: %d", a.Status)
	}
	if got := change(http.MethodPost, "v2/package/lib/2.0.0"); got != http.StatusOK {
		t.Errorf("relist: %d", got)
	}
	if got := state(); got != "2.0.0 true false 2.0.0" {
		t.Error(got)
	}
	if got := change(http.MethodDelete, "v2/package/lib/9.0.0"); got != http.StatusNotFound {
		t.Errorf("unlist what is not there: %d", got)
	}
	// What was taken away by other means is not there for a client to bring back.
	for _, status := range []artifact.Status{artifact.Disposed, artifact.Archived} {
		h.SetStatus("internal", artifact.Coordinates{Format: artifact.NuGet, Name: "lib"}, "2.0.0", status)
		for _, method := range []string{http.MethodDelete, http.MethodPost} {
			if got := change(method, "v2/package/lib/2.0.0"); got != http.StatusNotFound {
				t.Errorf("%s of a version that is %s: %d", method, status, got)
			}
		}
	}
	if a := h.Get("internal", filePath("Lib", "2.0.0", "nupkg")); a.Status != http.StatusNotFound {
		t.Errorf("an archived version: %d", a.Status)
	}
	h.User("writer", "codeartifact:ReadFromRepository", "codeartifact:PublishPackageVersion")
	if a := h.Do("writer", "internal", formattest.Call{Method: http.MethodDelete, Path: "v2/package/lib/1.0.0"}); a.Status != http.StatusForbidden || a.Header.Get("X-NuGet-Warning") == "" {
		t.Errorf("unlist without permission: %d %v", a.Status, a.Header)
	}
}

func TestSearch(t *testing.T) {
	h, r := outside(t, formattest.Options{}, "-- Left.Pad/1.0.0/a.txt --\na\n-- Left.Far/1.0.0/a.txt --\na\n")
	push(t, h, nupkg("Company.Lib", "1.0.0"))
	push(t, h, nupkg("Company.Lib", "1.1.0-beta"))
	push(t, h, nupkg("Company.Lib", "1.2.0-beta.1"))
	push(t, h, zipOf("Company.Tool.nuspec", spec("Company.Tool", "1.0.0", `<packageTypes><packageType name="DotnetTool"/></packageTypes><tags>a b</tags>`)))
	push(t, h, nupkg("Company.Next", "0.1.0-alpha"))
	h.Get("app", filePath("Left.Pad", "1.0.0", "nupkg"))
	asked := len(r.Requests())
	for query, want := range map[string]string{
		"":                          "3 Company.Lib 1.0.0, Company.Tool 1.0.0, Left.Pad 1.0.0",
		"q=company":                 "2 Company.Lib 1.0.0, Company.Tool 1.0.0",
		"q=COMPANY&prerelease=true": "3 Company.Lib 1.1.0-beta, Company.Next 0.1.0-alpha, Company.Tool 1.0.0",
		"q=lib&prerelease=true&semVerLevel=2.0.0":   "1 Company.Lib 1.2.0-beta.1",
		"q=PackageId:company.tool":                  "1 Company.Tool 1.0.0",
		"q=PackageId:company":                       "0 ",
		"packageType=DotnetTool":                    "1 Company.Tool 1.0.0",
		"q=company&packageType=Dependency":          "1 Company.Lib 1.0.0",
		"take=1&skip=1":                             "3 Company.Tool 1.0.0",
		"skip=100":                                  "3 ",
		"q=nothing":                                 "0 ",
		"q=left&prerelease=false&semVerLevel=2.0.0": "1 Left.Pad 1.0.0",
		"q=" + strings.Repeat("x", 2000):            "0 ",
		"q=%00":                                     "0 ",
	} {
		doc := read(t, h, "app", "v3/query?"+query)
		var found []string
		for _, d := range doc["data"].([]any) {
			found = append(found, fmt.Sprint(at(d, "id"), " ", at(d, "version")))
		}
		if got := fmt.Sprint(doc["totalHits"], " ", strings.Join(found, ", ")); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]any{
		"q=comp":                         []any{"Company.Lib", "Company.Tool"},
		"id=Company.Lib":                 []any{"1.0.0"},
		"id=company.lib&prerelease=true": []any{"1.0.0", "1.1.0-beta"},
		"id=company.lib&prerelease=true&semVerLevel=2.0.0": []any{"1.0.0", "1.1.0-beta", "1.2.0-beta.1"},
		"id=no-such": []any{},
	} {
		if diff := cmp.Diff(want, read(t, h, "internal", "v3/autocomplete?"+query)["data"]); diff != "" {
			t.Errorf("autocomplete %s (-want +got):\n%s", query, diff)
		}
	}
	if n := len(r.Requests()); n != asked {
		t.Errorf("searching asked the outside: %v", r.Requests()[asked:])
	}
}

// TestPush_Refuses: nothing of a bad push stays, and none of them is an error of
// the server.
func TestPush_Refuses(t *testing.T) {
	h := house(t)
	good := nupkg("Lib", "1.0.0")
	damaged := bytes.Clone(good)
	damaged[bytes.Index(damaged, []byte("_rels/.rels"))+len("_rels/.rels")+9+3] ^= 0xff // behind the name and the time
	form := func(parts ...string) formattest.Call {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		for _, p := range parts {
			w, _ := m.CreateFormFile("package", "a")
			_, _ = w.Write([]byte(p))
		}
		_ = m.Close()
		return formattest.Call{Method: http.MethodPut, Path: "v2/package/", Body: b.Bytes(), Header: http.Header{"Content-Type": {m.FormDataContentType()}}}
	}
	half := pushed("v2/package", good)
	half.Body = half.Body[:len(half.Body)/2]
	noEnd := pushed("v2/package", good)
	noEnd.Body = noEnd.Body[:bytes.LastIndex(noEnd.Body, []byte("\r\n--"))]
	plain := pushed("v2/package", good)
	plain.Header = http.Header{"Content-Type": {"application/octet-stream"}}
	bomb := zipOf("Lib.nuspec", spec("Lib", "1.0.0", "<description>", strings.Repeat(" ", 2<<20), "</description>"))
	laughs := `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><package><metadata><id>Lib</id><version>1.0.0</version><description>&b;</description></metadata></package>`
	for name, c := range map[string]formattest.Call{
		"no form": plain, "half": half, "no end": noEnd, "no parts": form(), "two packages": form(string(good), string(good)), "nothing": form(""),
		"no zip":          form("hello"),
		"cut zip":         form(string(good[:len(good)-10])),
		"damaged":         form(string(damaged)),
		"no nuspec":       form(string(zipOf("a.txt", "a"))),
		"nested nuspec":   form(string(zipOf("sub/Lib.nuspec", spec("Lib", "1.0.0")))),
		"two nuspecs":     form(string(zipOf("Lib.nuspec", spec("Lib", "1.0.0"), "Other.NuSpec", spec("Other", "1.0.0")))),
		"same nuspec":     form(string(zipOf("Lib.nuspec", spec("Lib", "1.0.0"), "Lib.nuspec", spec("Lib", "2.0.0")))),
		"traversal":       form(string(nupkg("Lib", "1.0.0", "../../etc/passwd", "x"))),
		"backslashes":     form(string(nupkg("Lib", "1.0.0", `lib\..\..\x`, "x"))),
		"absolute":        form(string(nupkg("Lib", "1.0.0", "/etc/passwd", "x"))),
		"drive":           form(string(nupkg("Lib", "1.0.0", `C:\x`, "x"))),
		"no xml":          form(string(zipOf("Lib.nuspec", "{}"))),
		"other xml":       form(string(zipOf("Lib.nuspec", "<html/>"))),
		"entities":        form(string(zipOf("Lib.nuspec", laughs))),
		"huge nuspec":     form(string(bomb)),
		"two ids":         form(string(zipOf("Lib.nuspec", spec("Lib", "1.0.0", "<id>Other</id>")))),
		"two metadata":    form(string(zipOf("Lib.nuspec", strings.Replace(spec("Lib", "1.0.0"), "</package>", "<metadata><id>x</id></metadata></package>", 1)))),
		"bad id":          form(string(zipOf("Lib.nuspec", spec("../Lib", "1.0.0")))),
		"no id":           form(string(zipOf("Lib.nuspec", spec("", "1.0.0")))),
		"bad version":     form(string(zipOf("Lib.nuspec", spec("Lib", "1.0.0/..")))),
		"no version":      form(string(zipOf("Lib.nuspec", spec("Lib", "")))),
		"symbols":         form(string(snupkg("Lib", "1.0.0"))),
		"unknown charset": form(string(zipOf("Lib.nuspec", `<?xml version="1.0" encoding="ebcdic"?>`+spec("Lib", "1.0.0")))),
	} {
		a := h.Do(formattest.Admin, "internal", c)
		if a.Status != http.StatusBadRequest || a.Header.Get("X-NuGet-Warning") == "" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if a := h.Get("internal", "v3/flatcontainer/lib/index.json"); a.Status != http.StatusNotFound {
		t.Errorf("something stayed: %d %s", a.Status, a.Body)
	}
	if a := h.Do(formattest.Admin, "internal", pushed("v2/symbolpackage", snupkg("Lib", "1.0.0"))); a.Status != http.StatusNotFound {
		t.Errorf("symbols without their package: %d %s", a.Status, a.Body)
	}
	push(t, h, good)
	if a := h.Do(formattest.Admin, "internal", pushed("v2/symbolpackage", nupkg("Lib", "1.0.0"))); a.Status != http.StatusBadRequest {
		t.Errorf("a package in place of symbols: %d %s", a.Status, a.Body)
	}
}

// TestPush_Encodings: nuspecs are not always UTF-8.
func TestPush_Encodings(t *testing.T) {
	h := house(t)
	utf16 := func(s string) string {
		b := []byte{0xff, 0xfe}
		for _, r := range s {
			b = binary.LittleEndian.AppendUint16(b, uint16(r))
		}
		return string(b)
	}
	text := strings.Replace(spec("Lib", "1.0.0", "<title>Grüße</title>"), "utf-8", "utf-16", 1)
	push(t, h, zipOf("Lib.nuspec", utf16(text)))
	push(t, h, zipOf("Lib.nuspec", strings.Replace(spec("Lib", "1.1.0", "<title>Gr\xfc\xdfe</title>"), "utf-8", "iso-8859-1", 1)))
	push(t, h, zipOf("Lib.nuspec", "\ufeff"+spec("Lib", "1.2.0", "<title>Grüße</title>")))
	doc := read(t, h, "internal", "v3/registrations/lib/index.json")
	for i := range 3 {
		if got := at(doc, "items", 0, "items", i, "catalogEntry", "title"); got != "Grüße" {
			t.Errorf("%d: %v", i, got)
		}
	}
}

// TestPush_PermissionForOnePackage: who may publish some packages alone is
// judged by the name that the archive begins with, and by what it turns out to be.
func TestPush_PermissionForOnePackage(t *testing.T) {
	h := house(t)
	h.UserOn("ann", "arn:aws:codeartifact:us-east-1:"+formattest.Owner+":package/corp/internal/nuget//company.*", "codeartifact:PublishPackageVersion")
	try := func(data []byte) int { return h.Do("ann", "internal", pushed("v2/package", data)).Status }
	if got := try(nupkg("Company.Lib", "1.0.0")); got != http.StatusCreated {
		t.Errorf("one that is hers: %d", got)
	}
	for name, data := range map[string][]byte{
		"another":              nupkg("Lib", "1.0.0"),
		"another behind":       zipOf("Company.Lib.nuspec", spec("Lib", "1.0.0")),
		"one without a name":   zipOf("a.txt", strings.Repeat("a", 10), "b.txt", "b"),
		"no archive":           []byte("hello"),
		"an archive cut short": nupkg("Lib", "1.0.0")[:35],
	} {
		if got := try(data); got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestRemote_Unlisted(t *testing.T) {
	h, _ := outside(t, formattest.Options{}, `
-- Pad/1.0.0/a.txt --
a
-- Pad/2.0.0/a.txt --
b
-- Pad/2.0.0/catalogEntry.json --
{"listed": false, "deprecation": {"reasons": ["Legacy"]}}
`)
	check := func() {
		t.Helper()
		e := at(read(t, h, "app", "v3/registrations/pad/index.json"), "items", 0, "items", 1, "catalogEntry")
		if at(e, "listed") != false || at(e, "published") != "1900-01-01T00:00:00Z" || at(e, "deprecation", "reasons", 0) != "Legacy" {
			t.Errorf("entry %v", e)
		}
	}
	check()
	if a := h.Get("app", filePath("Pad", "2.0.0", "nupkg")); a.Status != http.StatusOK {
		t.Errorf("an unlisted version: %d", a.Status)
	}
	check()
	doc := read(t, h, "app", "v3/query?q=pad")
	if doc["totalHits"] != 0.0 {
		t.Errorf("a search finds it: %v", doc)
	}
}

// TestRemote_Lies: what a remote says is held against what it sends.
func TestRemote_Lies(t *testing.T) {
	for name, archive := range map[string]string{
		"another package inside": "-- Pad/1.0.0/Pad.nuspec --\n<package><metadata><id>Evil</id><version>1.0.0</version></metadata></package>\n",
		"another version inside": "-- Pad/1.0.0/Pad.nuspec --\n<package><metadata><id>Pad</id><version>6.6.6</version></metadata></package>\n",
		"traversal":              "-- Pad/1.0.0/../../evil --\nx\n",
		"another hash":           "-- Pad/1.0.0/a --\nx\n-- Pad/1.0.0/catalogEntry.json --\n{\"packageHashAlgorithm\":\"SHA512\",\"packageHash\":\"" + strings.Repeat("A", 86) + "==\"}\n",
	} {
		h, _ := outside(t, formattest.Options{}, archive)
		if a := h.Get("app", filePath("Pad", "1.0.0", "nupkg")); a.Status != http.StatusBadGateway && !a.Broken {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if _, err := h.Service.Ecosystem(artifact.NuGet); err != nil {
			t.Error(err)
		}
	}
	for name, archive := range map[string]string{
		"about another":   "-- Pad/1.0.0/a --\nx\n-- Pad/1.0.0/catalogEntry.json --\n{\"id\":\"Evil\"}\n",
		"twice":           "-- Pad/1.0.0/a --\nx\n-- Pad/2.0.0/a --\nx\n-- Pad/2.0.0/catalogEntry.json --\n{\"version\":\"1.0\"}\n",
		"page is missing": "-- Pad/1.0.0/a --\nx\n-- Pad/pages --\n1\n",
	} {
		h, r := outside(t, formattest.Options{}, archive)
		r.Fail("GET /v3/registration-gz-semver2/pad/page/*", upstreamtest.Fault{Status: http.StatusNotFound})
		if a := h.Get("app", "v3/flatcontainer/pad/index.json"); a.Status != http.StatusBadGateway {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}

// TestRemote_ServiceIndex: without it nothing is known, and that is no answer
// about a package.
func TestRemote_ServiceIndex(t *testing.T) {
	h, r := outside(t, formattest.Options{}, "-- Pad/1.0.0/a --\nx\n")
	for name, f := range map[string]upstreamtest.Fault{
		"404":   {Status: http.StatusNotFound},
		"500":   {Status: http.StatusInternalServerError},
		"html":  {HTML: true},
		"empty": {Body: []byte(`{}`)},
		"junk":  {Body: []byte(`{"resources":[{"@id":"ftp://x/","@type":"RegistrationsBaseUrl/3.6.0"},{"@id":7,"@type":[]},3]}`)},
	} {
		r.Fail("GET /v3/index.json", f)
		if a := h.Get("app", "v3/flatcontainer/pad/index.json"); a.Status != http.StatusBadGateway {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		r.Heal()
	}
	if a := h.Get("app", "v3/flatcontainer/pad/index.json"); a.Status != http.StatusOK {
		t.Errorf("healed: %d %s", a.Status, a.Body)
	}
	r.Forget()
	h.Get("app", "v3/flatcontainer/other/index.json")
	if n := r.Count("GET /v3/index.json"); n != 0 {
		t.Errorf("the index was asked for again %d times", n)
	}
	if !slices.ContainsFunc(r.Requests(), func(q upstreamtest.Request) bool { return strings.Contains(q.Path, "/other/") }) {
		t.Error("another package was not asked for")
	}
}

// FuzzPush sends any body as a push: what is refused leaves nothing, and what is
// taken can be had as it was sent.
func FuzzPush(f *testing.F) {
	const boundary = "b"
	multipartOf := func(parts ...string) string {
		var b strings.Builder
		for _, p := range parts {
			b.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"package\"; filename=\"p.nupkg\"\r\n\r\n" + p + "\r\n")
		}
		return b.String() + "--" + boundary + "--\r\n"
	}
	good, symbols := string(nupkg("Left-Pad", "1.0.0")), string(snupkg("Left-Pad", "1.0.0"))
	whole := multipartOf(good)
	for _, body := range []string{
		whole, whole[:len(whole)-8], whole[:len(whole)/2], multipartOf(good, good), multipartOf(good, "x"), multipartOf(""), multipartOf(), multipartOf(symbols), multipartOf(whole),
		multipartOf(good[:len(good)-10]), "--b\r\n\r\n" + good + "\r\n--b--", "--b\nContent-Type: x\n\n" + good + "\n--b--", "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nUEs=\r\n--b--\r\n",
		"--b\r\n" + strings.Repeat("X: y\r\n", 2000) + "\r\n" + good + "\r\n--b--\r\n", "--b\r\n: \r\n\r\n\r\n--b--", "junk" + whole, "", "--b--", "--b",
		multipartOf(string(zipOf("a.nuspec", spec("a", "1.0", "<![CDATA[")))), multipartOf(string(zipOf("../a.nuspec", spec("../a", "1.0")))), multipartOf(string(zipOf("a.nuspec", spec("a", "1"), "b.nuspec", spec("b", "1")))),
	} {
		f.Add(`multipart/form-data; boundary="`+boundary+`"`, []byte(body))
	}
	for _, kind := range []string{"", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b", "multipart/form-data; boundary=b; boundary=c", `multipart/form-data; boundary="` + strings.Repeat("b", 200) + `"`} {
		f.Add(kind, []byte(whole))
	}
	h := formattest.NewHouse(f, nuget.New(), formattest.Options{})
	h.Repository("internal")
	// Not through a connection: a header may be one that none carries.
	do := func(t *testing.T, method, path, kind string, body []byte) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, h.URL+"internal/"+path, bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+formattest.Admin)
		if kind != "" {
			r.Header["Content-Type"] = []string{kind}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		for _, path := range []string{"v2/symbolpackage", "v2/package", "v2/package/", "v2/symbolpackage"} {
			before := held(t, h)
			w := do(t, http.MethodPut, path, kind, body)
			after := held(t, h)
			switch grown := len(after) - len(before); {
			case w.Code >= http.StatusInternalServerError:
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			case grown != 0 && (w.Code != http.StatusCreated || path == "v2/symbolpackage"), grown < 0, grown > 1:
				t.Errorf("%s: %d %s, and %d more packages are there", path, w.Code, w.Body, grown)
			}
			for _, file := range after {
				if slices.Contains(before, file) {
					continue
				}
				if got := do(t, http.MethodGet, file, "", nil); got.Code != http.StatusOK || !bytes.Contains(body, got.Body.Bytes()) {
					t.Errorf("%s: %d, %d bytes", file, got.Code, got.Body.Len())
				}
			}
		}
	})
}

// held are the addresses of all packages in "internal".
func held(t testing.TB, h *formattest.House) (files []string) {
	t.Helper()
	r, err := h.Open(t.Context(), formattest.Admin, "internal")
	if err != nil {
		t.Fatal(err)
	}
	packages, err := r.Packages(t.Context(), artifact.NuGet, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range packages {
		l, err := r.Listing(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for i := range l.Versions {
			files = append(files, filePath(c.Name, l.Versions[i].Number, "nupkg"))
		}
	}
	return files
}
