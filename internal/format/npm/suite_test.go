package npm_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/npm"
	"packhouse/internal/upstream/upstreamtest"
)

func TestFormat(t *testing.T) {
	for _, names := range [][2]string{{"hello", "left-pad"}, {"@sc/hello", "@Other/Left.Pad"}} {
		t.Run(strings.ReplaceAll(names[0], "/", "_"), func(t *testing.T) {
			formattest.Run(t, driver(names))
		})
	}
}

func driver(names [2]string) formattest.Driver {
	return formattest.Driver{
		Format:      npm.New(),
		Names:       names,
		Numbers:     [3]string{"1.0.0", "1.1.0-beta.2", "1.1.0"},
		Coordinates: coordinates,
		Outside: func(t *testing.T, versions ...formattest.Version) *upstreamtest.Registry {
			t.Helper()
			var a txtar.Archive
			for _, v := range versions {
				a.Files = append(a.Files, txtar.File{Name: v.Name + "/" + v.Number + "/index.js", Data: []byte("// " + v.Name + " from outside")})
			}
			return upstreamtest.NPM(t, &a)
		},
		OutsideList: func(name string) string { return "GET /" + name },
		OutsideFile: func(name string) string { return "GET /" + name + "/-/*" },
		OutsideBytes: func(r *upstreamtest.Registry, v formattest.Version) []byte {
			return r.Bytes(tarballPath(v.Name, v.Number))
		},
		Publish: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{{Method: http.MethodPut, Path: escaped(v.Name), Body: release(v.Name, v.Number)}}
		},
		Bytes: func(v formattest.Version) []byte { return tarball(v.Name, v.Number) },
		List:  func(name string) formattest.Call { return formattest.Call{Path: escaped(name)} },
		Listed: func(body []byte) ([]string, error) {
			var doc struct {
				Versions map[string]any
			}
			err := json.Unmarshal(body, &doc)
			return slices.Collect(maps.Keys(doc.Versions)), err
		},
		File: func(v formattest.Version) formattest.Call {
			return formattest.Call{Path: tarballPath(v.Name, v.Number)}
		},
		Bad: []formattest.Call{
			{Path: "..%2f..%2fetc%2fpasswd"},
			{Path: "%2e%2e"},
			{Path: "a%00b"},
			{Path: "a%5cb"},
			{Path: "a%2fb"},
			{Path: "@s%2f..%2fx"},
			{Path: "@s%2f%2fx"},
			{Path: "%40%2fx"},
			{Path: "@s"},
			{Path: "@../x"},
			{Path: "left-pad/-/..%2fx.tgz"},
			{Path: "left-pad/-/left-pad-..%2f..%2fx.tgz"},
			{Path: "left-pad/-/left-pad-1.0.0%00.tgz"},
			{Path: "left-pad/-/%2e%2e/left-pad-1.0.0.tgz"},
			{Path: "left-pad/%2e%2e"},
			{Path: "node_modules"},
			{Path: "favicon.ico"},
			{Path: ".hidden"},
			{Path: "_private"},
			{Path: strings.Repeat("a", 215)},
			{Path: "caf%C3%A9"},
			{Path: "%ff"},
			{Path: ""},
			{Path: "-"},
			{Path: "-/"},
			{Path: "-/no-such"},
			{Path: "left-pad/-/"},
			{Path: "left-pad", Method: http.MethodPost},
			{Path: "a%252fb"},
			{Path: "-/package/a%2fb/dist-tags"},
			{Path: "-/package/left-pad/dist-tags/..%2fx", Method: http.MethodPut, Body: []byte(`"1.0.0"`)},
		},
	}
}

func coordinates(name string) artifact.Coordinates {
	c := artifact.Coordinates{Format: artifact.NPM, Name: name}
	if scope, n, ok := strings.Cut(name, "/"); ok {
		c.Namespace, c.Name = scope[1:], n
	}
	return c
}

// escaped is a name as npm sends it.
func escaped(name string) string { return strings.ReplaceAll(name, "/", "%2f") }

func tarballPath(name, version string) string {
	return fmt.Sprintf("%s/-/%s-%s.tgz", name, name[strings.LastIndexByte(name, '/')+1:], version)
}

// tarball is what npm pack would make of a package with nothing but a
// package.json and further files, given as name and content.
func tarball(name, version string, files ...string) []byte {
	if len(files) == 0 || files[0] != "package/package.json" {
		files = append([]string{"package/package.json", fmt.Sprintf(`{"name":%q,"version":%q}`, name, version)}, files...)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		_ = w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(files[i+1]))
	}
	_ = w.Close()
	_ = z.Close()
	return b.Bytes()
}

// object is a JSON object in the making.
type object = map[string]any

// request is what npm publish sends; tests bend it before they send it.
func request(name, version string, data []byte) object {
	sums := digest.Of(data)
	return object{
		"_id": name, "name": name, "description": "a test", "dist-tags": object{"latest": version},
		"versions": object{version: object{
			"name": name, "version": version, "description": "a test", "_id": name + "@" + version,
			"dist": object{"integrity": sums.Integrity(), "shasum": sums.Shasum(), "tarball": "http://elsewhere.test/" + tarballPath(name, version)},
		}},
		"access": nil,
		"_attachments": object{name + "-" + version + ".tgz": object{
			"content_type": "application/octet-stream", "data": base64.StdEncoding.EncodeToString(data), "length": len(data),
		}},
	}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func release(name, version string) []byte {
	return encode(request(name, version, tarball(name, version)))
}
