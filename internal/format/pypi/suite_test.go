package pypi_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/pypi"
	"packhouse/internal/upstream/upstreamtest"
)

const (
	simpleJSON = "application/vnd.pypi.simple.v1+json"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		names   [2]string
		numbers [3]string
	}{
		{[2]string{"hello", "left-pad"}, [3]string{"1.0.0", "1.1.0b2", "1.1.0"}},
		{[2]string{"a", "zope-interface"}, [3]string{"1!0.1", "1!0.1+local.7", "1!0.1.post2"}},
	} {
		t.Run(c.names[0], func(t *testing.T) { formattest.Run(t, driver(c.names, c.numbers)) })
	}
}

func driver(names [2]string, numbers [3]string) formattest.Driver {
	return formattest.Driver{
		Format:      pypi.New(),
		Names:       names,
		Numbers:     numbers,
		Coordinates: coordinates,
		Outside: func(t *testing.T, versions ...formattest.Version) *upstreamtest.Registry {
			t.Helper()
			var a txtar.Archive
			for _, v := range versions {
				a.Files = append(a.Files, txtar.File{Name: v.Name + "/" + v.Number + "/" + module(v.Name) + ".py", Data: []byte("# " + v.Name + " from outside")})
			}
			return upstreamtest.PyPI(t, &a)
		},
		OutsideList: func(name string) string { return "GET /" + name + "/" },
		OutsideFile: func(name string) string { return "GET /packages/" + name + "/*.whl" },
		OutsideBytes: func(r *upstreamtest.Registry, v formattest.Version) []byte {
			return r.Bytes("packages/" + v.Name + "/" + strings.ReplaceAll(wheelName(v.Name, v.Number), "!", "%21"))
		},
		Publish: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{upload(v.Name, v.Number, wheelName(v.Name, v.Number), wheelOf(v.Name, v.Number, ""))}
		},
		Republish: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{upload(v.Name, v.Number, wheelName(v.Name, v.Number), wheelOf(v.Name, v.Number, "other"))}
		},
		More: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{upload(v.Name, v.Number, sdistName(v.Name, v.Number), sdistOf(v.Name, v.Number))}
		},
		MoreFile: func(v formattest.Version) formattest.Call {
			return formattest.Call{Path: filePath(v.Name, v.Number, sdistName(v.Name, v.Number))}
		},
		Bytes: func(v formattest.Version) []byte { return wheelOf(v.Name, v.Number, "") },
		List: func(name string) formattest.Call {
			return formattest.Call{Path: "simple/" + name + "/", Header: http.Header{"Accept": {simpleJSON}}}
		},
		Listed: func(body []byte) ([]string, error) {
			var doc struct{ Versions []string }
			err := json.Unmarshal(body, &doc)
			return doc.Versions, err
		},
		File: func(v formattest.Version) formattest.Call {
			return formattest.Call{Path: filePath(v.Name, v.Number, wheelName(v.Name, v.Number))}
		},
		Bad: []formattest.Call{
			{Path: ""},
			{Path: "simple/..%2f..%2fetc%2fpasswd/"},
			{Path: "simple/%2e%2e/"},
			{Path: "simple/a%00b/"},
			{Path: "simple/a%5cb/"},
			{Path: "simple/a%2fb/"},
			{Path: "simple/-a/"},
			{Path: "simple/a_/"},
			{Path: "simple/caf%C3%A9/"},
			{Path: "simple/%ff/"},
			{Path: "simple//"},
			{Path: "simple/" + strings.Repeat("a", 256) + "/"},
			{Path: "simple/left-pad/1.0.0/"},
			{Path: "simple/left-pad/1.0.0"},
			{Path: "simple/left-pad/junk/left_pad-1.0.0.tar.gz"},
			{Path: "simple/left-pad/1.0.0/..%2fx.tar.gz"},
			{Path: "simple/left-pad/1.0.0/a/b.tar.gz"},
			{Path: "simple/left-pad/1.0.0/%00.whl"},
			{Path: "simple/left-pad/", Method: http.MethodPost},
			{Path: "pypi/left-pad"},
			{Path: "pypi/a%2fb%2fc%2fjson"},
			{Path: "pypi/..%2fjson"},
			{Path: "pypi/json"},
			{Path: "no-such"},
			{Path: "", Method: http.MethodPost, Body: []byte("junk")},
			{Path: "", Method: http.MethodPost, Body: []byte("junk"), Header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}},
			{Path: "simple/left-pad/1.0.0/left_pad-1.0.0.tar.gz", Method: http.MethodPut},
			{Path: "simple/left-pad/1.0.0/yanked", Method: http.MethodPut},
		},
	}
}

func coordinates(name string) artifact.Coordinates {
	return artifact.Coordinates{Format: artifact.PyPI, Name: name}
}

func module(name string) string { return strings.ReplaceAll(name, "-", "_") }

func wheelName(name, version string) string {
	return module(name) + "-" + version + "-py3-none-any.whl"
}

func sdistName(name, version string) string { return module(name) + "-" + version + ".tar.gz" }

func filePath(name, version, file string) string {
	return "simple/" + name + "/" + version + "/" + file
}

func metadataOf(name, version, more string) []byte {
	return []byte("Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n" + more)
}

const described = "Summary: says hello\nRequires-Python: >=3.8\nLicense: MIT\nRequires-Dist: left-pad[fast]>=1; extra == \"pad\"\n\n# Hello\n"

func wheelOf(name, version, content string) []byte {
	b, err := upstreamtest.PackWheel(module(name)+"-"+version, metadataOf(name, version, described),
		[]txtar.File{{Name: module(name) + ".py", Data: []byte("# " + content)}})
	if err != nil {
		panic(err)
	}
	return b
}

func sdistOf(name, version string) []byte {
	b, err := upstreamtest.PackSdist(module(name)+"-"+version, metadataOf(name, version, described), nil)
	if err != nil {
		panic(err)
	}
	return b
}

func zipSdistOf(name, version string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create(module(name) + "-" + version + "/PKG-INFO")
	if err == nil {
		_, err = f.Write(metadataOf(name, version, described))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// part is a field of an upload form; one with a file is the file.
type part struct {
	name, file string
	value      []byte
}

// fieldsOf are the fields that twine sends, as far as they count.
func fieldsOf(name, version, file string, data []byte) []part {
	kind := "sdist"
	if strings.HasSuffix(file, ".whl") {
		kind = "bdist_wheel"
	}
	sums := digest.Of(data)
	return []part{
		{":action", "", []byte("file_upload")},
		{"protocol_version", "", []byte("1")},
		{"metadata_version", "", []byte("2.1")},
		{"name", "", []byte(name)},
		{"version", "", []byte(version)},
		{"filetype", "", []byte(kind)},
		{"pyversion", "", []byte("py3")},
		{"summary", "", []byte("says hello")},
		{"md5_digest", "", []byte(sums.Hex(digest.MD5))},
		{"sha256_digest", "", []byte(sums.Hex(digest.SHA256))},
	}
}

func upload(name, version, file string, data []byte) formattest.Call {
	return call(append(fieldsOf(name, version, file, data), part{"content", file, data}))
}

func call(parts []part) formattest.Call {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.SetBoundary("------------------------boundary")
	for _, p := range parts {
		disposition := fmt.Sprintf("form-data; name=%q", p.name)
		if p.file != "" {
			disposition += fmt.Sprintf("; filename=%q", p.file)
		}
		out, err := w.CreatePart(map[string][]string{"Content-Disposition": {disposition}})
		if err == nil {
			_, err = out.Write(p.value)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return formattest.Call{Method: http.MethodPost, Body: b.Bytes(), Header: http.Header{"Content-Type": {w.FormDataContentType()}}}
}
