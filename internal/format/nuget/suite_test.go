package nuget_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/nuget"
	"packhouse/internal/upstream/upstreamtest"
)

func TestFormat(t *testing.T) {
	formattest.Run(t, formattest.Driver{
		Format:      nuget.New(),
		Names:       [2]string{"Company.Hello", "Left-Pad"},
		Numbers:     [3]string{"1.0.0", "1.1.0-beta.2", "1.1.0"},
		Coordinates: coordinates,
		Outside: func(t *testing.T, versions ...formattest.Version) *upstreamtest.Registry {
			t.Helper()
			var a txtar.Archive
			for _, v := range versions {
				a.Files = append(a.Files, txtar.File{Name: v.Name + "/" + v.Number + "/lib/net45/a.dll", Data: []byte(v.Name + " from outside")})
			}
			return upstreamtest.NuGet(t, &a)
		},
		OutsideList: func(name string) string {
			return "GET /v3/registration-gz-semver2/" + strings.ToLower(name) + "/index.json"
		},
		OutsideFile: func(name string) string { return "GET /v3/flatcontainer/" + strings.ToLower(name) + "/*.nupkg" },
		OutsideBytes: func(r *upstreamtest.Registry, v formattest.Version) []byte {
			return r.Bytes(filePath(v.Name, v.Number, "nupkg"))
		},
		Publish: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{pushed("v2/package", nupkg(v.Name, v.Number))}
		},
		Bytes: func(v formattest.Version) []byte { return nupkg(v.Name, v.Number) },
		Republish: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{pushed("v2/package", nupkg(v.Name, v.Number, "lib/other.dll", "other"))}
		},
		More: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{pushed("v2/symbolpackage/", snupkg(v.Name, v.Number))}
		},
		MoreFile: func(v formattest.Version) formattest.Call {
			return formattest.Call{Path: filePath(v.Name, v.Number, "snupkg")}
		},
		List: func(name string) formattest.Call {
			return formattest.Call{Path: "v3/registrations-gz-semver2/" + strings.ToLower(name) + "/index.json"}
		},
		Listed: listed,
		File: func(v formattest.Version) formattest.Call {
			return formattest.Call{Path: filePath(v.Name, v.Number, "nupkg")}
		},
		Bad: []formattest.Call{
			{Path: ""},
			{Path: "v3"},
			{Path: "v3/"},
			{Path: "v3/flatcontainer/"},
			{Path: "v3/flatcontainer/left-pad"},
			{Path: "v3/flatcontainer/left-pad/1.0.0"},
			{Path: "v3/flatcontainer/left-pad/1.0.0/"},
			{Path: "v3/flatcontainer/..%2f..%2fetc/index.json"},
			{Path: "v3/flatcontainer/%2e%2e/index.json"},
			{Path: "v3/flatcontainer/a%00b/index.json"},
			{Path: "v3/flatcontainer/a%5cb/index.json"},
			{Path: "v3/flatcontainer/a%252fb/index.json"},
			{Path: "v3/flatcontainer/a..b/index.json"},
			{Path: "v3/flatcontainer/.a/index.json"},
			{Path: "v3/flatcontainer/%ff/index.json"},
			{Path: "v3/flatcontainer/" + strings.Repeat("a", 101) + "/index.json"},
			{Path: "v3/flatcontainer/left-pad/junk/left-pad.junk.nupkg"},
			{Path: "v3/flatcontainer/left-pad/1.0.0/left-pad.1.0.0.exe"},
			{Path: "v3/flatcontainer/left-pad/1.0.0/left-pad.1.1.0.nupkg"},
			{Path: "v3/flatcontainer/left-pad/1.0.0/other.1.0.0.nupkg"},
			{Path: "v3/flatcontainer/left-pad/1.0.0/..%2f..%2fx.nupkg"},
			{Path: "v3/flatcontainer/left-pad/1.0.0/%2e%2e/left-pad.1.0.0.nupkg"},
			{Path: "v3/flatcontainer/left-pad/99999999999.0.0/left-pad.99999999999.0.0.nupkg"},
			{Path: "v3/registrations/left-pad/"},
			{Path: "v3/registrations/left-pad/index"},
			{Path: "v3/registrations/left-pad/page/1.0.0.json"},
			{Path: "v3/registrations/left-pad/page/a/b.json"},
			{Path: "v3/registrations/left-pad/..%2findex.json"},
			{Path: "v3/flatcontainer/left-pad/index.json", Method: http.MethodPost},
			{Path: "v3/index.json", Method: http.MethodPut},
			{Path: "v3/query", Method: http.MethodPost},
			{Path: "v3/query?take=junk"},
			{Path: "v3/query?q=%zz"},
			{Path: "v2/package", Method: http.MethodGet},
			{Path: "v2/package", Method: http.MethodPut, Body: []byte("junk")},
			{Path: "v2/package/left-pad/1.0.0", Method: http.MethodPut},
			{Path: "v2/package/left-pad", Method: http.MethodDelete},
			{Path: "v2/package/left-pad/junk", Method: http.MethodDelete},
			{Path: "v2/package/..%2fx/1.0.0", Method: http.MethodDelete},
			{Path: "v2/packages"},
		},
	})
}

func coordinates(name string) artifact.Coordinates {
	return artifact.Coordinates{Format: artifact.NuGet, Name: strings.ToLower(name)}
}

func filePath(name, version, ext string) string {
	id, version := strings.ToLower(name), strings.ToLower(version)
	return fmt.Sprintf("v3/flatcontainer/%s/%s/%s.%s.%s", id, version, id, version, ext)
}

// listed reads the versions in a registration index whose pages are in it.
func listed(body []byte) (versions []string, err error) {
	var doc struct {
		Items []struct {
			Items []struct {
				CatalogEntry struct{ Version string }
			}
		}
	}
	err = json.Unmarshal(body, &doc)
	for _, p := range doc.Items {
		for _, item := range p.Items {
			versions = append(versions, item.CatalogEntry.Version)
		}
	}
	return versions, err
}

// zipOf makes an archive of files given as name and content.
func zipOf(files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, _ := z.CreateHeader(&zip.FileHeader{Name: files[i], Method: zip.Deflate, Modified: time.Unix(1600000000, 0).UTC()})
		_, _ = w.Write([]byte(files[i+1]))
	}
	_ = z.Close()
	return b.Bytes()
}

// spec is a nuspec with further elements of its metadata.
func spec(id, version string, more ...string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.test/nuspec.xsd"><metadata><id>%s</id><version>%s</version><authors>me, you</authors><description>a test</description>%s</metadata></package>`,
		id, version, strings.Join(more, ""))
}

// nupkg is a package with a plain nuspec and further files.
func nupkg(id, version string, files ...string) []byte {
	return zipOf(append([]string{"_rels/.rels", "<Relationships/>", id + ".nuspec", spec(id, version)}, files...)...)
}

func snupkg(id, version string) []byte {
	return zipOf(id+".nuspec", spec(id, version, `<packageTypes><packageType name="SymbolsPackage" /></packageTypes>`), "lib/net45/a.pdb", "BSJB")
}

// pushed is a push as clients send it.
func pushed(path string, data []byte) formattest.Call {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	w, _ := m.CreateFormFile("package", "package.nupkg")
	_, _ = w.Write(data)
	_ = m.Close()
	return formattest.Call{Method: http.MethodPut, Path: path, Body: b.Bytes(), Header: http.Header{"Content-Type": {m.FormDataContentType()}}}
}
