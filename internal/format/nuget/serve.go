package nuget

import (
	"io"
	"net/http"
	"path"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// Addresses below the repository's root. Clients know the first; the index
// there tells them the others.
const (
	indexPath        = "v3/index.json"
	flatPath         = "v3/flatcontainer/"
	searchPath       = "v3/query"
	autocompletePath = "v3/autocomplete"
	publishPath      = "v2/package"
	symbolsPath      = "v2/symbolpackage"
)

const (
	jsonType = "application/json"
	fileType = "application/octet-stream"
)

const readMethods = "GET, HEAD"

var fileTypes = []string{fileType} //nolint:gochecknoglobals // shared by all answers, never written

// Serve implements format.Format.
func (Format) Serve(w http.ResponseWriter, r *format.Request) error {
	r.Operation = "other"
	if rest, ok := strings.CutPrefix(r.Path, flatPath); ok {
		return serveFlat(w, r, rest)
	}
	for i := range hives {
		if rest, ok := strings.CutPrefix(r.Path, hives[i].path); ok {
			return serveRegistration(w, r, &hives[i], rest)
		}
	}
	switch {
	case r.Path == indexPath:
		r.Operation = "index"
		return serveIndex(w, r)
	case r.Path == searchPath:
		r.Operation = "search"
		return serveSearch(w, r)
	case r.Path == autocompletePath:
		r.Operation = "autocomplete"
		return serveAutocomplete(w, r)
	}
	// Clients put a slash behind the address they push to.
	if rest, ok := strings.CutPrefix(r.Path, symbolsPath); ok && (rest == "" || rest == "/") {
		r.Operation = "publish-symbols"
		return push(w, r, publishSymbols)
	}
	if rest, ok := strings.CutPrefix(r.Path, publishPath); ok {
		if rest == "" || rest == "/" {
			r.Operation = "publish"
			return push(w, r, publishPackage)
		}
		if rest[0] == '/' {
			return serveListed(w, r, rest[1:])
		}
	}
	return errNoAddress
}

func isRead(r *format.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// packageAt reads an ID in an address, in whatever case.
func packageAt(segment string) (artifact.Coordinates, error) {
	if normalID(segment) {
		return artifact.Coordinates{Format: artifact.NuGet, Name: segment}, nil
	}
	name, err := format.Segment(segment)
	if err != nil {
		return artifact.Coordinates{}, err
	}
	return New().Normalize(artifact.Coordinates{Name: name})
}

// versionAt reads a version in an address, however it is written.
func versionAt(segment string) (string, error) {
	if strings.IndexByte(segment, '%') >= 0 {
		var err error
		if segment, err = format.Segment(segment); err != nil {
			return "", err
		}
	}
	number, ok := normalize(segment)
	if !ok {
		return "", errNoAddress
	}
	return number, nil
}

// serveFlat answers below the package content resource
// (package-base-address-resource.md).
func serveFlat(w http.ResponseWriter, r *format.Request, rest string) error {
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	first, rest, _ := strings.Cut(rest, "/")
	c, err := packageAt(first)
	if err != nil {
		return err
	}
	if rest == "index.json" {
		r.Operation = "versions"
		doc, err := r.Repo.Document(r.Context(), c, registry.Variant{Name: "versions"}, jsonType, renderVersions)
		if err != nil {
			return err
		}
		doc.ServeHTTP(w, r.Request)
		return nil
	}
	second, file, _ := strings.Cut(rest, "/")
	number, err := versionAt(second)
	if err != nil {
		return err
	}
	switch file {
	case "readme":
		return serveInside(w, r, c, number, "readme", "text/markdown; charset=utf-8", func(m *metadata) text { return m.ReadmeFile })
	case "license":
		return serveInside(w, r, c, number, "license", "text/plain; charset=utf-8", func(m *metadata) text { return m.LicenseFile })
	case "icon":
		return serveIcon(w, r, c, number)
	}
	return serveFile(w, r, c, number, file)
}

// serveFile answers with a package, its symbols or its nuspec. The usual
// spelling of the address costs no garbage.
func serveFile(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, number, file string) error {
	name, ext := file, ""
	if !isFile(file, c.Name, number, packageExt) {
		unescaped, err := format.Segment(file)
		if err != nil {
			return err
		}
		unescaped = strings.ToLower(unescaped)
		if ext = path.Ext(unescaped); ext != packageExt && ext != symbolsExt && ext != ".nuspec" {
			return errNoAddress
		}
		// The version may be written as the publisher did.
		spelled, ok := strings.CutPrefix(strings.TrimSuffix(unescaped, ext), c.Name)
		if n, valid := normalize(strings.TrimPrefix(spelled, ".")); !ok || spelled != "" && (!valid || n != number) || spelled == "" && ext != ".nuspec" {
			return errNoAddress
		}
		name = c.Name + "." + number + ext
	}
	if ext == ".nuspec" {
		r.Operation = "nuspec"
		doc, err := r.Repo.Derive(r.Context(), c, number, packageFile(c, number), "nuspec", "application/xml", copyNuspec)
		if err != nil {
			return err
		}
		doc.ServeHTTP(w, r.Request)
		return nil
	}
	if r.Operation = "package"; ext == symbolsExt {
		r.Operation = "symbols"
	}
	content, err := r.Repo.Asset(r.Context(), c, number, name)
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = fileTypes
	return content.ServeHTTP(w, r.Request)
}

// isFile tells whether file is ID.NUMBER.EXT, letter for letter.
func isFile(file, id, number, ext string) bool {
	return len(file) == len(id)+1+len(number)+len(ext) && file[:len(id)] == id && file[len(id)] == '.' &&
		file[len(id)+1:len(file)-len(ext)] == number && file[len(file)-len(ext):] == ext
}

func copyNuspec(content io.ReaderAt, size int64, w io.Writer) error {
	a, err := openArchive(content, size)
	if err != nil {
		return notThere(err)
	}
	b, err := readEntry(a.nuspec, maxNuspec)
	if err != nil {
		return notThere(err)
	}
	_, err = w.Write(b)
	return err
}

// notThere is the answer where something should be in a package that was let in
// without it: nothing is wrong with the request.
func notThere(err error) error {
	return fault.Wrap(fault.NotFound, err, "the package has no such file")
}

// maxInside bounds a file that is served from within a package, in bytes.
const maxInside = 2 << 20

// serveInside answers with a file in the package that its manifest names.
func serveInside(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, number, kind, contentType string, which func(*metadata) text) error {
	r.Operation = kind
	doc, err := r.Repo.Derive(r.Context(), c, number, packageFile(c, number), kind, contentType, func(content io.ReaderAt, size int64, w io.Writer) error {
		a, err := openArchive(content, size)
		if err != nil {
			return notThere(err)
		}
		m, err := a.metadata()
		if err != nil {
			return notThere(err)
		}
		f := a.file(which(&m))
		if f == nil {
			return fault.New(fault.NotFound, "the package has no %s", kind)
		}
		b, err := readEntry(f, maxInside)
		if err != nil {
			return notThere(err)
		}
		_, err = w.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	doc.ServeHTTP(w, r.Request)
	return nil
}

// serveIcon is serveInside for an image, which its file's name tells the type
// of: NuGet takes these two.
func serveIcon(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, number string) error {
	l, err := r.Repo.Listing(r.Context(), c)
	if err != nil {
		return err
	}
	contentType := "image/png"
	for i := range l.Versions {
		if l.Versions[i].Number != number {
			continue
		}
		if m, err := readMetadata(l.Versions[i].Manifest); err == nil {
			if ext := strings.ToLower(path.Ext(string(m.IconFile))); ext == ".jpg" || ext == ".jpeg" {
				contentType = "image/jpeg"
			}
		}
	}
	return serveInside(w, r, c, number, "icon", contentType, func(m *metadata) text { return m.IconFile })
}
