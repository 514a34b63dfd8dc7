package pypi

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

// apiVersion is that of the simple API spoken here: with project status.
const apiVersion = "1.4"

// unlisted is the reason shown for files of an Unlisted version: installers take
// a yanked file only for an exact number, as the status demands (section 8).
const unlisted = "this version is unlisted"

// entry is one file as it is shown, with the number of its version.
type entry struct {
	file
	number string
}

// address is where a file is, below simple/{project}/. It is relative, so that
// whatever host and credentials led to the index lead to the file.
func (e *entry) address() string {
	return url.PathEscape(e.number) + "/" + url.PathEscape(e.Name)
}

// fragment is the digest that installers check, as algorithm=hex.
func (e *entry) fragment() string {
	for _, a := range []digest.Algorithm{digest.SHA256, digest.SHA512, digest.SHA1, digest.MD5} {
		if sum := e.Hashes[a.String()]; sum != "" {
			return "#" + a.String() + "=" + sum
		}
	}
	return ""
}

// entries are the files of a version that can be had from here.
func entries(v *registry.Listed) ([]entry, error) {
	m, err := parseManifest(v.Manifest)
	if err != nil {
		return nil, err
	}
	stored := make(map[string]*artifact.Asset, len(v.Assets))
	for i := range v.Assets {
		stored[v.Assets[i].Name] = &v.Assets[i]
	}
	remote := make(map[string]bool, len(v.Remote))
	for i := range v.Remote {
		remote[v.Remote[i].Name] = true
	}
	all := make([]entry, 0, len(m.Files))
	add := func(f file) {
		if a := stored[f.Name]; a != nil {
			f.Size = a.Size
			f.Hashes = map[string]string{"sha256": a.Digests.Hex(digest.SHA256)}
		}
		f.finish(&m, v)
		all = append(all, entry{f, v.Number})
	}
	for _, f := range m.Files {
		if stored[f.Name] != nil || remote[f.Name] {
			add(f)
			delete(stored, f.Name)
		}
	}
	for i := range v.Assets { // held in reach, and not known to this copy of the version
		if a := &v.Assets[i]; stored[a.Name] != nil {
			add(file{Name: a.Name, Yanked: m.Yanked})
		}
	}
	return all, nil
}

// finish fills in what follows from the version.
func (f *file) finish(m *manifest, v *registry.Listed) {
	if f.RequiresPython == "" && m.Metadata != nil {
		f.RequiresPython = m.Metadata.RequiresPython
	}
	if isWheel(f.Name) {
		f.CoreMetadata.There = true // else they are taken out of the wheel
	}
	if f.UploadTime == "" && !v.Published.IsZero() {
		f.UploadTime = uploadTime(v.Published)
	}
	if v.Status == artifact.Unlisted && !f.Yanked.Yes {
		f.Yanked = yanked{Yes: true, Reason: unlisted}
	}
	if f.Provenance != "" {
		f.Provenance = url.PathEscape(v.Number) + "/" + url.PathEscape(f.Name) + provenanceSuffix
	}
}

// uploadTime is a time as PEP 700 wants it.
func uploadTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// statusOf is the status that the first remote tells of a project.
func statusOf(remotes []*upstream.Listing) Status {
	for _, l := range remotes {
		if p, ok := l.Doc.(*project); ok {
			return p.status
		}
	}
	return Status{}
}

const renderBuffer = 32 << 10 // bytes

// visible calls visit with each version to show and its files. A file is shown
// once, also where two repositories spell its version differently (1.0 and
// 1.0.0): as one of them holds it, before what a remote lists.
func visible(l *registry.Listing, visit func(v *registry.Listed, files []entry) error) error {
	owner := map[string]int{}
	own := func(at int, name string) {
		if _, taken := owner[name]; !taken {
			owner[name] = at
		}
	}
	for i := range l.Versions {
		for j := range l.Versions[i].Assets {
			own(i, l.Versions[i].Assets[j].Name)
		}
	}
	for i := range l.Versions {
		for j := range l.Versions[i].Remote {
			own(i, l.Versions[i].Remote[j].Name)
		}
	}
	for i := range l.Versions {
		v := &l.Versions[i]
		if !v.Status.Downloadable() {
			continue
		}
		files, err := entries(v)
		if err != nil {
			return err
		}
		files = slices.DeleteFunc(files, func(e entry) bool { return owner[e.Name] != i })
		if len(files) == 0 {
			continue
		}
		if err := visit(v, files); err != nil {
			return err
		}
	}
	return nil
}

// renderHTML makes the HTML form of a project (PEP 503 and what came after).
func renderHTML(_ context.Context, l *registry.Listing, w io.Writer) error {
	out := bufio.NewWriterSize(w, renderBuffer)
	name := html.EscapeString(l.Coordinates.Name)
	say(out, "<!DOCTYPE html>\n<html>\n  <head>\n    <meta name=\"pypi:repository-version\" content=\""+apiVersion+"\">\n")
	if s := statusOf(l.Remotes); s.Status != "" {
		say(out, "    <meta name=\"pypi:project-status\" content=\""+html.EscapeString(s.Status)+"\">\n")
		if s.Reason != "" {
			say(out, "    <meta name=\"pypi:project-status-reason\" content=\""+html.EscapeString(s.Reason)+"\">\n")
		}
	}
	say(out, "    <title>Links for "+name+"</title>\n  </head>\n  <body>\n    <h1>Links for "+name+"</h1>\n")
	err := visible(l, func(_ *registry.Listed, files []entry) error {
		for i := range files {
			files[i].anchor(out)
		}
		return nil
	})
	if err != nil {
		return err
	}
	say(out, "  </body>\n</html>\n")
	return flush(out, l.Coordinates)
}

// say writes to a buffer, which keeps its first error until it is flushed.
func say(out *bufio.Writer, text string) { _, _ = out.WriteString(text) }

func flush(out *bufio.Writer, c artifact.Coordinates) error {
	if err := out.Flush(); err != nil {
		return fmt.Errorf("index of %s: %w", c.Name, err)
	}
	return nil
}

func (e *entry) anchor(out *bufio.Writer) {
	attribute := func(name, value string) {
		say(out, " "+name+"=\""+html.EscapeString(value)+"\"")
	}
	say(out, "    <a")
	attribute("href", e.address()+e.fragment())
	if e.RequiresPython != "" {
		attribute("data-requires-python", e.RequiresPython)
	}
	if e.CoreMetadata.There {
		said := "true"
		if e.CoreMetadata.SHA256 != "" {
			said = "sha256=" + e.CoreMetadata.SHA256
		}
		attribute("data-core-metadata", said)
		attribute("data-dist-info-metadata", said)
	}
	if e.Yanked.Yes {
		attribute("data-yanked", e.Yanked.Reason)
	}
	if e.Provenance != "" {
		attribute("data-provenance", e.Provenance)
	}
	say(out, ">"+html.EscapeString(e.Name)+"</a><br/>\n")
}

// shown is one file of the JSON form (PEP 691, 700, 714, 740). It must not have
// dist-info-metadata, the older name of core-metadata: pip 22.3 to 23.1 takes a
// text there, as in HTML, and ends with a TypeError.
type shown struct {
	Name           string            `json:"filename"`
	URL            string            `json:"url"`
	Hashes         map[string]string `json:"hashes"`
	RequiresPython string            `json:"requires-python,omitempty"`
	CoreMetadata   claim             `json:"core-metadata,omitzero"`
	Yanked         yanked            `json:"yanked"`
	Size           int64             `json:"size,omitzero"`
	UploadTime     string            `json:"upload-time,omitempty"`
	Provenance     string            `json:"provenance,omitempty"`
}

// renderJSON makes the JSON form of a project.
func renderJSON(_ context.Context, l *registry.Listing, w io.Writer) error {
	out := bufio.NewWriterSize(w, renderBuffer)
	line := append([]byte(`{"meta":{"api-version":"`+apiVersion+`"},"name":`), quoted(l.Coordinates.Name)...)
	if s := statusOf(l.Remotes); s.Status != "" {
		said, err := json.Marshal(s, jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return err
		}
		line = append(append(line, `,"project-status":`...), said...)
	}
	_, _ = out.Write(append(line, `,"files":[`...))
	var versions []string
	first := true
	err := visible(l, func(v *registry.Listed, files []entry) error {
		versions = append(versions, v.Number)
		for i := range files {
			e := &files[i]
			said, err := json.Marshal(shown{
				Name: e.Name, URL: e.address(), Hashes: e.Hashes, RequiresPython: e.RequiresPython,
				CoreMetadata: e.CoreMetadata, Yanked: e.Yanked, Size: e.Size,
				UploadTime: e.UploadTime, Provenance: e.Provenance,
			}, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
			if err != nil {
				return err
			}
			if !first {
				say(out, ",")
			}
			first = false
			_, _ = out.Write(said)
		}
		return nil
	})
	if err != nil {
		return err
	}
	say(out, `],"versions":[`)
	for i, number := range versions {
		if i > 0 {
			say(out, ",")
		}
		_, _ = out.Write(quoted(number))
	}
	say(out, "]}")
	return flush(out, l.Coordinates)
}

func quoted(text string) []byte {
	b, err := jsontext.AppendQuote(nil, text)
	if err != nil && b == nil {
		return []byte(`""`)
	}
	return b
}
