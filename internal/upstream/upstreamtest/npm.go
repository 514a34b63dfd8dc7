package upstreamtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// NPM starts a public npm registry that ends with the test.
//
// Files of the archive:
//
//	NAME/VERSION/...      a file of that version's tarball (NAME may be scoped);
//	                      package.json is made, or completed, with name and version
//	NAME/packument.json   a JSON merge patch (RFC 7396) of the finished document:
//	                      dist-tags, deprecation, attestations, a lying digest, ...
//	-/...                 served as it is: attestations, search, ...; the bulk
//	                      advisories file is cut down to the names asked for
//
// Versions are published in the order of the archive, a day apart from
// 2020-01-01, and the last one is tagged latest. Documents come full and
// abbreviated, with strong ETags, gzip when asked, and signatures that
// /-/npm/v1/keys verifies.
func NPM(t testing.TB, a *txtar.Archive) *Registry {
	t.Helper()
	return running(t, "npm", a)
}

type npmFormat struct {
	key     *ecdsa.PrivateKey
	keyID   string
	keysDoc []byte

	mu       sync.Mutex
	packages map[string]*npmPackage
	raw      map[string][]byte // by path below the root
}

type npmPackage struct {
	name      string
	order     []string // versions as published
	manifests map[string]map[string]any
	tarballs  map[string][]byte // by version
	readme    string
	patch     map[string]any
}

type object = map[string]any

func newNPM() (*npmFormat, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(spki)
	f := &npmFormat{key: key, packages: map[string]*npmPackage{}, raw: map[string][]byte{}}
	f.keyID = "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
	f.keysDoc, err = json.Marshal(object{"keys": []object{{
		"expires": nil, "keyid": f.keyID, "keytype": "ecdsa-sha2-nistp256", "scheme": "ecdsa-sha2-nistp256",
		"key": base64.StdEncoding.EncodeToString(spki),
	}}})
	return f, err
}

func (f *npmFormat) add(a *txtar.Archive) error {
	type versionKey struct{ name, version string }
	var order []versionKey
	files := map[versionKey][]txtar.File{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range a.Files {
		if strings.HasPrefix(file.Name, "-/") {
			f.raw[file.Name] = file.Data
			continue
		}
		name, rest, ok := cutName(file.Name)
		if !ok {
			return fmt.Errorf("%s: want NAME/VERSION/FILE or NAME/packument.json", file.Name)
		}
		if rest == "packument.json" {
			patch := object{}
			if err := json.Unmarshal(file.Data, &patch); err != nil {
				return fmt.Errorf("%s: %w", file.Name, err)
			}
			f.pkg(name).patch = patch
			continue
		}
		version, inside, ok := strings.Cut(rest, "/")
		if !ok {
			return fmt.Errorf("%s: want NAME/VERSION/FILE or NAME/packument.json", file.Name)
		}
		k := versionKey{name, version}
		if _, seen := files[k]; !seen {
			order = append(order, k)
		}
		files[k] = append(files[k], txtar.File{Name: inside, Data: file.Data})
	}
	for _, k := range order {
		if err := f.publish(k.name, k.version, files[k]); err != nil {
			return fmt.Errorf("%s@%s: %w", k.name, k.version, err)
		}
	}
	return nil
}

func (f *npmFormat) pkg(name string) *npmPackage {
	p := f.packages[name]
	if p == nil {
		p = &npmPackage{name: name, manifests: map[string]map[string]any{}, tarballs: map[string][]byte{}}
		f.packages[name] = p
	}
	return p
}

func (f *npmFormat) publish(name, version string, files []txtar.File) error {
	manifest := object{}
	readme := ""
	at := -1
	for i, file := range files {
		switch file.Name {
		case "package.json":
			at = i
			if err := json.Unmarshal(file.Data, &manifest); err != nil {
				return fmt.Errorf("package.json: %w", err)
			}
		case "README.md":
			readme = string(file.Data)
		}
	}
	if manifest["name"] != name || manifest["version"] != version {
		manifest["name"], manifest["version"] = name, version
		data, err := json.MarshalIndent(manifest, "", "  ")
		if err != nil {
			return err
		}
		file := txtar.File{Name: "package.json", Data: data}
		if at >= 0 {
			files[at] = file
		} else {
			files = append([]txtar.File{file}, files...)
		}
	}
	tgz, unpacked, err := pack(files)
	if err != nil {
		return err
	}
	sum512, sum1 := sha512.Sum512(tgz), sha1.Sum(tgz)
	integrity := "sha512-" + base64.StdEncoding.EncodeToString(sum512[:])
	signed := sha256.Sum256([]byte(name + "@" + version + ":" + integrity))
	sig, err := f.key.Sign(rand.Reader, signed[:], crypto.SHA256)
	if err != nil {
		return err
	}
	person := object{"name": "maintainer", "email": "maintainer@registry.test"}
	maps.Copy(manifest, object{
		"_id": name + "@" + version, "_npmUser": person, "maintainers": []object{person},
		"_nodeVersion": "20.18.0", "_npmVersion": "10.8.2", "_hasShrinkwrap": false,
		"dist": object{
			"integrity": integrity, "shasum": hex.EncodeToString(sum1[:]),
			"fileCount": len(files), "unpackedSize": unpacked,
			"signatures": []object{{"keyid": f.keyID, "sig": base64.StdEncoding.EncodeToString(sig)}},
		},
	})
	p := f.pkg(name)
	if !slices.Contains(p.order, version) {
		p.order = append(p.order, version)
	}
	p.manifests[version], p.tarballs[version], p.readme = manifest, tgz, readme
	return nil
}

// pack makes an npm tarball: everything below "package/".
func pack(files []txtar.File) (tgz []byte, unpacked int, err error) {
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for _, file := range files {
		unpacked += len(file.Data)
		h := &tar.Header{
			Name: "package/" + file.Name, Mode: 0o644, Size: int64(len(file.Data)),
			ModTime: time.Date(1985, 10, 26, 8, 15, 0, 0, time.UTC), Format: tar.FormatUSTAR,
		}
		if err := tw.WriteHeader(h); err != nil {
			return nil, 0, err
		}
		if _, err := tw.Write(file.Data); err != nil {
			return nil, 0, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, 0, err
	}
	if err := zw.Close(); err != nil {
		return nil, 0, err
	}
	return buf.Bytes(), unpacked, nil
}

func (f *npmFormat) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := strings.TrimPrefix(q.URL.Path, "/")
	if strings.HasPrefix(p, "-/") {
		f.special(w, q, p)
		return
	}
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		npmError(w, http.StatusMethodNotAllowed, "this registry is read-only")
		return
	}
	name, rest, _ := cutName(p)
	pkg := f.packages[name]
	if pkg == nil || len(pkg.order) == 0 {
		npmError(w, http.StatusNotFound, "Not found")
		return
	}
	if file, ok := strings.CutPrefix(rest, "-/"); ok {
		pkg.serveTarball(w, q, file)
		return
	}
	doc := pkg.document("http://" + q.Host + "/")
	if rest != "" {
		pkg.serveManifest(w, q, doc, rest)
		return
	}
	contentType := "application/json"
	if strings.Contains(q.Header.Get("Accept"), "application/vnd.npm.install-v1+json") {
		contentType, doc = "application/vnd.npm.install-v1+json", abbreviate(doc)
	}
	serveJSON(w, q, contentType, doc)
}

// special answers below "-/".
func (f *npmFormat) special(w http.ResponseWriter, q *http.Request, p string) {
	switch data, ok := f.raw[p]; {
	case p == "-/npm/v1/security/advisories/bulk" && q.Method == http.MethodPost:
		f.advisories(w, q, data)
	case ok:
		w.Header().Set("Content-Type", "application/json")
		w.Write(data)
	case p == "-/npm/v1/keys":
		w.Header().Set("Content-Type", "application/json")
		w.Write(f.keysDoc)
	case p == "-/ping":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{}")
	default:
		npmError(w, http.StatusNotFound, "Not found")
	}
}

// advisories answers the bulk request with what data says about the packages
// asked for.
func (f *npmFormat) advisories(w http.ResponseWriter, q *http.Request, data []byte) {
	body := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(q.Body)
		if err != nil {
			npmError(w, http.StatusBadRequest, err.Error())
			return
		}
		body = zr
	}
	var asked map[string][]string
	if err := json.NewDecoder(body).Decode(&asked); err != nil {
		npmError(w, http.StatusBadRequest, err.Error())
		return
	}
	known := object{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &known); err != nil {
			npmError(w, http.StatusInternalServerError, err.Error())
			return
		}
	}
	maps.DeleteFunc(known, func(name string, _ any) bool { return asked[name] == nil })
	serveJSON(w, q, "application/json", known)
}

func (p *npmPackage) serveTarball(w http.ResponseWriter, q *http.Request, file string) {
	short := path.Base(p.name)
	for version, data := range p.tarballs {
		if file == short+"-"+version+".tgz" {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("ETag", etag(data))
			http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(data))
			return
		}
	}
	npmError(w, http.StatusNotFound, "Not found")
}

func (p *npmPackage) serveManifest(w http.ResponseWriter, q *http.Request, doc object, version string) {
	if tags, ok := doc["dist-tags"].(object); ok {
		if tagged, ok := tags[version].(string); ok {
			version = tagged
		}
	}
	versions, _ := doc["versions"].(versionMap)
	manifest, ok := versions.of[version]
	if !ok {
		npmError(w, http.StatusNotFound, "version not found: "+version)
		return
	}
	serveJSON(w, q, "application/json", manifest)
}

// document is the full packument, patched.
func (p *npmPackage) document(base string) object {
	first := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	times := object{"created": stamp(first)}
	versions := object{}
	latest := p.order[len(p.order)-1]
	for i, v := range p.order {
		times[v] = stamp(first.AddDate(0, 0, i))
		times["modified"] = times[v]
		m := maps.Clone(p.manifests[v])
		dist := maps.Clone(m["dist"].(object))
		dist["tarball"] = base + p.name + "/-/" + path.Base(p.name) + "-" + v + ".tgz"
		m["dist"] = dist
		versions[v] = m
	}
	doc := object{
		"_id": p.name, "_rev": fmt.Sprintf("%d-%032x", len(p.order), len(p.order)), "name": p.name,
		"dist-tags": object{"latest": latest}, "time": times, "versions": versions,
		"maintainers": p.manifests[latest]["maintainers"], "readme": p.readme, "readmeFilename": "README.md",
	}
	for _, k := range []string{"description", "license", "homepage", "repository", "keywords", "author", "bugs"} {
		if v, ok := p.manifests[latest][k]; ok {
			doc[k] = v
		}
	}
	doc = mergePatch(doc, p.patch).(object)
	if versions, ok := doc["versions"].(object); ok {
		doc["versions"] = versionMap{p.order, versions}
	}
	return doc
}

// abbreviate keeps what an install needs (npm/registry docs/responses/package-metadata.md).
func abbreviate(doc object) object {
	out := object{"name": doc["name"], "dist-tags": doc["dist-tags"]}
	if times, ok := doc["time"].(object); ok {
		out["modified"] = times["modified"]
	}
	full, _ := doc["versions"].(versionMap)
	versions := versionMap{full.order, object{}}
	for v, m := range full.of {
		m, ok := m.(object)
		if !ok {
			continue
		}
		short := object{}
		for _, k := range []string{
			"name", "version", "deprecated", "dependencies", "optionalDependencies", "devDependencies",
			"bundleDependencies", "peerDependencies", "peerDependenciesMeta", "bin", "directories", "dist",
			"engines", "cpu", "os", "libc", "funding", "_hasShrinkwrap",
		} {
			if value, ok := m[k]; ok {
				short[k] = value
			}
		}
		if scripts, ok := m["scripts"].(object); ok {
			for _, k := range []string{"preinstall", "install", "postinstall"} {
				if scripts[k] != nil {
					short["hasInstallScript"] = true
				}
			}
		}
		versions.of[v] = short
	}
	out["versions"] = versions
	return out
}

// versionMap is a JSON object whose members come in the order of publication.
type versionMap struct {
	order []string
	of    object
}

// MarshalJSON writes the versions of order first, then those a patch added.
func (m versionMap) MarshalJSON() ([]byte, error) {
	order := slices.Clone(m.order)
	for _, v := range slices.Sorted(maps.Keys(m.of)) {
		if !slices.Contains(order, v) {
			order = append(order, v)
		}
	}
	buf := []byte{'{'}
	for _, v := range order {
		manifest, ok := m.of[v]
		if !ok {
			continue
		}
		if len(buf) > 1 {
			buf = append(buf, ',')
		}
		key, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(manifest)
		if err != nil {
			return nil, err
		}
		buf = append(append(append(buf, key...), ':'), value...)
	}
	return append(buf, '}'), nil
}

// mergePatch is RFC 7396 section 2.
func mergePatch(target, patch any) any {
	p, ok := patch.(object)
	if !ok {
		return patch
	}
	old, _ := target.(object)
	out := maps.Clone(old)
	if out == nil {
		out = object{}
	}
	for k, v := range p {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = mergePatch(out[k], v)
		}
	}
	return out
}

func serveJSON(w http.ResponseWriter, q *http.Request, contentType string, doc any) {
	body, err := json.Marshal(doc)
	if err != nil {
		npmError(w, http.StatusInternalServerError, err.Error())
		return
	}
	tag := etag(body)
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Vary", "Accept, Accept-Encoding")
	h.Set("Cache-Control", "public, max-age=300")
	zip := strings.Contains(q.Header.Get("Accept-Encoding"), "gzip")
	if zip {
		tag = "W/" + tag
	}
	h.Set("ETag", tag)
	if strings.TrimPrefix(q.Header.Get("If-None-Match"), "W/") == strings.TrimPrefix(tag, "W/") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if !zip {
		w.Write(body)
		return
	}
	h.Set("Content-Encoding", "gzip")
	zw := gzip.NewWriter(w)
	zw.Write(body) //nolint:errcheck // the client will see for itself
	zw.Close()
}

func npmError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(object{"error": message}) //nolint:errcheck // the client will see for itself
}

func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// cutName splits "NAME/rest" where NAME may be "@scope/name".
func cutName(p string) (name, rest string, ok bool) {
	name, rest, ok = strings.Cut(p, "/")
	if strings.HasPrefix(name, "@") {
		var second string
		second, rest, ok = strings.Cut(rest, "/")
		name += "/" + second
	}
	return name, rest, ok
}
