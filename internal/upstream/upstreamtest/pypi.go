package upstreamtest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// PyPI starts a public Python index that ends with the test. Its simple index is
// at the root and, the same, at simple/; files are at packages/NAME/FILE.
//
// Files of the archive:
//
//	NAME/VERSION/...           a file of that version's wheel and sdist
//	NAME/VERSION/METADATA      more of the core metadata: header lines, and after an
//	                           empty line the description
//	NAME/VERSION/release.json  what the index says of it: {"yanked": true or a reason,
//	                           "core-metadata": false or "true" (without digest; else it
//	                           has one), "provenance": object, "upload-time": text, "" for
//	                           none, "wheel": false, "sdist": false}
//	NAME/VERSION/dist/FILE     another file of the version, as it is: an egg, say
//	NAME/project.json          {"status", "reason", "html": true (no JSON is spoken),
//	                           "absolute": true (addresses are), "patch": a JSON merge
//	                           patch (RFC 7396) of the finished document}
//
// NAME is spelled as in file names; it is normalised in addresses. Versions are
// uploaded in the order of the archive, a day apart from 2020-01-01. An index
// page is HTML unless the client asks for JSON, with a strong ETag.
func PyPI(t testing.TB, a *txtar.Archive) *Registry {
	t.Helper()
	return running(t, "pypi", a)
}

type pypiFormat struct {
	mu       sync.Mutex
	projects map[string]*pypiProject // by normalised name
}

type pypiProject struct {
	name    string
	setting pypiSetting
	files   []pypiFile
	uploads int
}

type pypiSetting struct {
	Status   string
	Reason   string
	HTML     bool
	Absolute bool
	Patch    object
}

type pypiFile struct {
	name           string
	data           []byte
	metadata       []byte // of a wheel
	requiresPython string
	release        pypiRelease
	uploaded       string
}

type pypiRelease struct {
	Yanked       any             `json:"yanked"`
	CoreMetadata any             `json:"core-metadata"`
	Provenance   json.RawMessage `json:"provenance"`
	UploadTime   *string         `json:"upload-time"`
	Wheel        *bool           `json:"wheel"`
	Sdist        *bool           `json:"sdist"`
}

func newPyPI() *pypiFormat { return &pypiFormat{projects: map[string]*pypiProject{}} }

func pypiName(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' }), "-")
}

func (f *pypiFormat) add(a *txtar.Archive) error {
	type versionKey struct{ name, version string }
	var order []versionKey
	files := map[versionKey][]txtar.File{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range a.Files {
		name, rest, _ := strings.Cut(file.Name, "/")
		p := f.projects[pypiName(name)]
		if p == nil {
			p = &pypiProject{name: pypiName(name)}
			f.projects[p.name] = p
		}
		if rest == "project.json" {
			p.setting = pypiSetting{}
			if err := json.Unmarshal(file.Data, &p.setting); err != nil {
				return fmt.Errorf("%s: %w", file.Name, err)
			}
			continue
		}
		version, inside, ok := strings.Cut(rest, "/")
		if !ok {
			return fmt.Errorf("%s: want NAME/VERSION/FILE or NAME/project.json", file.Name)
		}
		k := versionKey{name, version}
		if _, seen := files[k]; !seen {
			order = append(order, k)
		}
		files[k] = append(files[k], txtar.File{Name: inside, Data: file.Data})
	}
	for _, k := range order {
		if err := f.projects[pypiName(k.name)].upload(k.name, k.version, files[k]); err != nil {
			return fmt.Errorf("%s %s: %w", k.name, k.version, err)
		}
	}
	return nil
}

func (p *pypiProject) upload(name, version string, files []txtar.File) error {
	var release pypiRelease
	extra, contents := "", []txtar.File(nil)
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, p.uploads).Format("2006-01-02T15:04:05.000000Z")
	p.uploads++
	var raw []pypiFile
	for _, file := range files {
		dist, isRaw := strings.CutPrefix(file.Name, "dist/")
		switch {
		case file.Name == "METADATA":
			extra = string(file.Data)
		case file.Name == "release.json":
			if err := json.Unmarshal(file.Data, &release); err != nil {
				return fmt.Errorf("release.json: %w", err)
			}
		case isRaw:
			raw = append(raw, pypiFile{name: dist, data: file.Data})
		default:
			contents = append(contents, file)
		}
	}
	if release.UploadTime != nil {
		at = *release.UploadTime
	}
	metadata := []byte("Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n" + extra)
	stem := strings.ReplaceAll(name, "-", "_") + "-" + version
	python := ""
	for line := range strings.Lines(extra) {
		if text, ok := strings.CutPrefix(line, "Requires-Python:"); ok {
			python = strings.TrimSpace(text)
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	if release.Wheel == nil || *release.Wheel {
		data, err := PackWheel(stem, metadata, contents)
		if err != nil {
			return err
		}
		raw = append(raw, pypiFile{name: stem + "-py3-none-any.whl", data: data, metadata: metadata})
	}
	if release.Sdist == nil || *release.Sdist {
		data, err := PackSdist(stem, metadata, contents)
		if err != nil {
			return err
		}
		raw = append(raw, pypiFile{name: stem + ".tar.gz", data: data})
	}
	for _, file := range raw {
		file.release, file.uploaded, file.requiresPython = release, at, python
		p.files = append(slices.DeleteFunc(p.files, func(old pypiFile) bool { return old.name == file.name }), file)
	}
	return nil
}

// PackWheel makes a wheel for any Python 3 of NAME-VERSION, the METADATA file
// and further files. The same input makes the same bytes.
func PackWheel(stem string, metadata []byte, files []txtar.File) ([]byte, error) {
	info := stem + ".dist-info/"
	files = append(slices.Clone(files),
		txtar.File{Name: info + "METADATA", Data: metadata},
		txtar.File{Name: info + "WHEEL", Data: []byte("Wheel-Version: 1.0\nGenerator: upstreamtest\nRoot-Is-Purelib: true\nTag: py3-none-any\n")})
	var record bytes.Buffer
	for _, file := range files {
		sum := sha256.Sum256(file.Data)
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", file.Name, base64.RawURLEncoding.EncodeToString(sum[:]), len(file.Data))
	}
	fmt.Fprintf(&record, "%sRECORD,,\n", info)
	files = append(files, txtar.File{Name: info + "RECORD", Data: record.Bytes()})
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for _, file := range files {
		w, err := zw.CreateHeader(&zip.FileHeader{Name: file.Name, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(file.Data); err != nil {
			return nil, err
		}
	}
	err := zw.Close()
	return buf.Bytes(), err
}

// PackSdist makes a source distribution the same way: without a build, it is
// good for looking at only.
func PackSdist(stem string, metadata []byte, files []txtar.File) ([]byte, error) {
	files = append([]txtar.File{{Name: "PKG-INFO", Data: metadata}}, files...)
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for _, file := range files {
		if err := tw.WriteHeader(&tar.Header{Name: stem + "/" + file.Name, Mode: 0o644, Size: int64(len(file.Data)), Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := tw.Write(file.Data); err != nil {
			return nil, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	err := zw.Close()
	return buf.Bytes(), err
}

func (f *pypiFormat) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := strings.TrimPrefix(q.URL.Path, "/")
	if rest, ok := strings.CutPrefix(p, "packages/"); ok {
		f.serveFile(w, q, rest)
		return
	}
	prefix := "../packages/"
	if rest, ok := strings.CutPrefix(p, "simple/"); ok {
		p, prefix = rest, "../../packages/"
	}
	name, slash := strings.CutSuffix(p, "/")
	project := f.projects[pypiName(name)]
	switch {
	case q.Method != http.MethodGet && q.Method != http.MethodHead:
		http.Error(w, "this index is read-only", http.StatusMethodNotAllowed)
	case project == nil || len(project.files) == 0:
		http.Error(w, "404 Not Found", http.StatusNotFound)
	case !slash || name != project.name:
		http.Redirect(w, q, strings.TrimSuffix(q.URL.Path, p)+project.name+"/", http.StatusMovedPermanently)
	default:
		if project.setting.Absolute {
			prefix = "http://" + q.Host + "/packages/"
		}
		project.serve(w, q, prefix+project.name+"/")
	}
}

func (f *pypiFormat) serveFile(w http.ResponseWriter, q *http.Request, rest string) {
	name, file, _ := strings.Cut(rest, "/")
	if p := f.projects[name]; p != nil {
		for _, one := range p.files {
			data := []byte(nil)
			switch file {
			case one.name:
				data = one.data
			case one.name + ".metadata":
				if one.release.CoreMetadata != false {
					data = one.metadata
				}
			case one.name + ".provenance":
				data = one.release.Provenance
			}
			if data != nil {
				w.Header().Set("Content-Type", "application/octet-stream")
				w.Header().Set("ETag", etag(data))
				http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(data))
				return
			}
		}
	}
	http.Error(w, "404 Not Found", http.StatusNotFound)
}

func (p *pypiProject) serve(w http.ResponseWriter, q *http.Request, prefix string) {
	contentType, body := "text/html", p.page(prefix)
	if !p.setting.HTML && strings.Contains(q.Header.Get("Accept"), "application/vnd.pypi.simple.v1+json") {
		contentType = "application/vnd.pypi.simple.v1+json"
		var err error
		if body, err = json.Marshal(mergePatch(p.document(prefix), p.setting.Patch)); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Vary", "Accept")
	tag := etag(body)
	w.Header().Set("ETag", tag)
	if q.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(body)
}

// metadataClaim is what the index says of a wheel's core metadata: nil, true or
// their digest.
func (f *pypiFile) metadataClaim() any {
	switch {
	case f.metadata == nil || f.release.CoreMetadata == false:
		return nil
	case f.release.CoreMetadata == "true":
		return true
	}
	sum := sha256.Sum256(f.metadata)
	return hex.EncodeToString(sum[:])
}

// document is the JSON form (PEP 691, 700, 714, 740, 792).
func (p *pypiProject) document(prefix string) object {
	files, versions := []any{}, []string{}
	for i := range p.files {
		f := &p.files[i]
		sum := sha256.Sum256(f.data)
		o := object{
			"filename": f.name, "url": prefix + f.name, "hashes": object{"sha256": hex.EncodeToString(sum[:])},
			"size": len(f.data), "yanked": false,
		}
		if f.requiresPython != "" {
			o["requires-python"] = f.requiresPython
		}
		if f.release.Yanked != nil {
			o["yanked"] = f.release.Yanked
		}
		if f.uploaded != "" {
			o["upload-time"] = f.uploaded
		}
		switch c := f.metadataClaim().(type) {
		case bool:
			o["core-metadata"] = c
		case string:
			o["core-metadata"] = object{"sha256": c}
			o["data-dist-info-metadata"] = object{"sha256": c}
		}
		if f.release.Provenance != nil {
			o["provenance"] = prefix + f.name + ".provenance"
		}
		files = append(files, o)
		if _, rest, ok := strings.Cut(strings.TrimSuffix(f.name, ".tar.gz"), "-"); ok {
			version, _, _ := strings.Cut(rest, "-")
			if !slices.Contains(versions, version) {
				versions = append(versions, version)
			}
		}
	}
	doc := object{"meta": object{"api-version": "1.4"}, "name": p.name, "files": files, "versions": versions}
	if p.setting.Status != "" {
		doc["project-status"] = object{"status": p.setting.Status, "reason": p.setting.Reason}
	}
	return doc
}

// page is the HTML form (PEP 503 and the same).
func (p *pypiProject) page(prefix string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html>\n<head><meta name=\"pypi:repository-version\" content=\"1.4\">\n")
	if p.setting.Status != "" {
		fmt.Fprintf(&b, "<meta name=\"pypi:project-status\" content=%q>\n<meta name=\"pypi:project-status-reason\" content=%q>\n", p.setting.Status, p.setting.Reason)
	}
	fmt.Fprintf(&b, "<title>Links for %s</title></head>\n<body>\n<h1>Links for %s</h1>\n", p.name, p.name)
	for i := range p.files {
		f := &p.files[i]
		sum := sha256.Sum256(f.data)
		fmt.Fprintf(&b, "<a href=\"%s%s#sha256=%x\"", prefix, f.name, sum)
		if f.requiresPython != "" {
			fmt.Fprintf(&b, " data-requires-python=\"%s\"", html.EscapeString(f.requiresPython))
		}
		switch c := f.metadataClaim().(type) {
		case bool:
			fmt.Fprint(&b, ` data-core-metadata="true"`)
		case string:
			fmt.Fprintf(&b, ` data-dist-info-metadata="sha256=%s" data-core-metadata="sha256=%s"`, c, c)
		}
		switch reason := f.release.Yanked.(type) {
		case string:
			fmt.Fprintf(&b, " data-yanked=\"%s\"", html.EscapeString(reason))
		case bool:
			if reason {
				fmt.Fprint(&b, ` data-yanked=""`)
			}
		}
		if f.release.Provenance != nil {
			fmt.Fprintf(&b, " data-provenance=\"%s%s.provenance\"", prefix, f.name)
		}
		fmt.Fprintf(&b, ">%s</a><br/>\n", f.name)
	}
	fmt.Fprint(&b, "</body>\n</html>\n")
	return b.Bytes()
}
