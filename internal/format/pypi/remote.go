package pypi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// remote is another index, seen as its client. base is its simple index.
type remote struct{ base string }

// maxProject bounds a remote's document about a project, in bytes after
// decoding. The largest public ones are near 30 MB.
const maxProject = 64 << 20

// maxFiles bounds the files of a document: an entry takes up far more room than
// the few bytes it can be written in. The largest public projects have some
// 30,000.
const maxFiles = 200_000

// acceptRemote asks for JSON, which has sizes and times, and takes HTML.
const acceptRemote = jsonType + ", " + htmlType + ";q=0.2, text/html;q=0.1"

// The forms of a document, as the first word of what is kept of it.
const (
	formJSON = "json"
	formHTML = "html"
)

// List implements upstream.Remote. The document that is kept begins with a line
// that says its form and where it came from, after redirects: addresses in it
// may be relative to that.
func (r remote) List(ctx context.Context, get upstream.Get, c artifact.Coordinates, prev upstream.Validator) (upstream.Document, error) {
	header := http.Header{"Accept": {acceptRemote}, "Accept-Encoding": {"gzip"}}
	if prev.ETag != "" {
		header.Set("If-None-Match", prev.ETag)
	}
	if prev.LastModified != "" {
		header.Set("If-Modified-Since", prev.LastModified)
	}
	address := r.base + c.Name + "/"
	resp, err := get(ctx, address, header)
	if err != nil {
		return upstream.Document{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		return upstream.Document{}, upstream.ErrNotModified
	}
	if resp.StatusCode != http.StatusOK {
		return upstream.Document{}, fault.New(fault.Upstream, "the remote answered %d where the files of %s belong", resp.StatusCode, c.Name)
	}
	form, err := formOf(resp.Header.Get("Content-Type"))
	if err != nil {
		return upstream.Document{}, err
	}
	if resp.Request != nil && resp.Request.URL != nil {
		at := *resp.Request.URL
		at.User, at.Fragment = nil, ""
		address = at.String()
	}
	body, err := readDocument(resp, form+" "+address+"\n")
	if err != nil {
		return upstream.Document{}, fmt.Errorf("project %s: %w", c.Name, err)
	}
	return upstream.Document{
		Body:      body,
		Validator: upstream.Validator{ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")},
	}, nil
}

// formOf reads a content type. What claims to be anything else is not a
// document of an index.
func formOf(contentType string) (string, error) {
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case jsonType, "application/json":
		return formJSON, nil
	case htmlType, "text/html", "application/xhtml+xml":
		return formHTML, nil
	}
	return "", fault.New(fault.Upstream, "the remote answered with %q where an index belongs", clip(contentType))
}

// readDocument reads a body behind prefix.
func readDocument(resp *http.Response, prefix string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(prefix)
	content := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(resp.Body)
		if err != nil {
			return nil, fault.Wrap(fault.Upstream, err, "the remote's answer is not the gzip it claims to be")
		}
		content = unzip
	} else if resp.ContentLength > 0 && resp.ContentLength <= maxProject {
		b.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(content, maxProject+1))
	switch {
	case err != nil && fault.Of(err) == fault.Internal:
		return nil, fault.Wrap(fault.Upstream, err, "the remote broke off its answer")
	case err != nil:
		return nil, err
	case n > maxProject:
		return nil, fault.New(fault.Upstream, "the remote's answer is larger than %d bytes", maxProject)
	}
	return b.Bytes(), nil
}

// project is the Doc of a remote's listing.
type project struct {
	status Status
	files  map[string]*found // by name
}

// Status is the state of a project (PEP 792), empty when none is told.
type Status struct {
	Status string `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// statuses are those that PEP 792 knows.
var statuses = []string{"active", "archived", "quarantined", "deprecated"}

// sound drops what PEP 792 does not know.
func (s Status) sound() Status {
	if !slices.Contains(statuses, s.Status) {
		return Status{}
	}
	return s
}

// found is one file of a remote.
type found struct {
	file
	url *url.URL
}

// page is a document of either form, read.
type page struct {
	base   *url.URL
	status Status
	files  []*found // in the document's order, maxFiles at most
	more   bool     // there were more
}

// Parse implements upstream.Remote.
func (r remote) Parse(c artifact.Coordinates, doc []byte) (*upstream.Listing, error) {
	head, body, ok := bytes.Cut(doc, []byte("\n"))
	form, address, _ := strings.Cut(string(head), " ")
	base, err := url.Parse(address)
	if !ok || err != nil {
		return nil, fault.New(fault.Upstream, "the kept document about %s has no address", c.Name)
	}
	p := &page{base: base}
	switch form {
	case formJSON:
		err = p.readJSON(c, body)
	case formHTML:
		err = p.readHTML(c, body)
	default:
		err = fault.New(fault.Upstream, "the kept document about %s is of no known form", c.Name)
	}
	if p.more {
		err = fault.New(fault.Upstream, "the remote's document about %s lists more than %d files", c.Name, maxFiles)
	}
	if err != nil {
		return nil, err
	}
	return p.listing(c)
}

// document is the JSON form (PEP 691).
type document struct {
	Meta struct {
		Version string `json:"api-version"`
	} `json:"meta"`
	Name   string         `json:"name"`
	Status jsontext.Value `json:"project-status"`
	Files  files          `json:"files"`
}

// files are handed to a page as they are read.
type files struct{ to *page }

var errNoFiles = errors.New("files are not a list")

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (l *files) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	begin, err := dec.ReadToken()
	switch {
	case err != nil || begin.Kind() == 'n':
		return err
	case begin.Kind() != '[':
		return errNoFiles
	}
	for dec.PeekKind() != ']' {
		if l.to.more {
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		var f listedFile
		if err := json.UnmarshalDecode(dec, &f); err != nil {
			return err
		}
		f.addTo(l.to)
	}
	_, err = dec.ReadToken()
	return err
}

type listedFile struct {
	URL string `json:"url"`
	file
	DistInfo claim          `json:"dist-info-metadata"` // the older name of core-metadata
	Requires jsontext.Value `json:"requires-python"`    // may be null, as may the following
	Time     jsontext.Value `json:"upload-time"`
	Where    jsontext.Value `json:"provenance"`
	Bytes    jsontext.Value `json:"size"`
}

func (f *listedFile) addTo(p *page) {
	f.RequiresPython, f.UploadTime, f.Provenance = textOf(f.Requires), textOf(f.Time), textOf(f.Where)
	if f.Bytes.Kind() == '0' {
		_ = json.Unmarshal(f.Bytes, &f.Size)
	}
	if f.CoreMetadata == (claim{}) {
		f.CoreMetadata = f.DistInfo
	}
	p.add(f.file, f.URL)
}

func (p *page) readJSON(c artifact.Coordinates, body []byte) error {
	d := document{Files: files{to: p}}
	if err := json.Unmarshal(body, &d, jsontext.AllowInvalidUTF8(true)); err != nil {
		return fault.Wrap(fault.Upstream, err, "the remote's document about %s is not that of an index", c.Name)
	}
	if major, _, _ := strings.Cut(d.Meta.Version, "."); major != "1" {
		return fault.New(fault.Upstream, "the remote's document about %s has version %q; 1 is understood", c.Name, clip(d.Meta.Version))
	}
	if !validName(d.Name) || normal(d.Name) != c.Name {
		return fault.New(fault.Upstream, "the remote's document about %s is about %q", c.Name, clip(d.Name))
	}
	if d.Status.Kind() == '{' {
		_ = json.Unmarshal(d.Status, &p.status, jsontext.AllowInvalidUTF8(true)) // of another shape: none
	}
	return nil
}

func textOf(v jsontext.Value) string {
	text := ""
	if v.Kind() == '"' {
		_ = json.Unmarshal(v, &text, jsontext.AllowInvalidUTF8(true))
	}
	return text
}

// add takes a file with its address, unless that cannot be one.
func (p *page) add(f file, address string) {
	at, err := p.base.Parse(address)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return
	}
	if p.more = len(p.files) >= maxFiles; p.more {
		return
	}
	algorithm, sum, ok := strings.Cut(at.Fragment, "=")
	at.Fragment, at.RawFragment, at.User = "", "", nil
	if ok && f.Hashes[algorithm] == "" {
		if f.Hashes == nil {
			f.Hashes = map[string]string{}
		}
		f.Hashes[algorithm] = sum
	}
	f.Hashes = knownHashes(f.Hashes)
	if f.Provenance != "" {
		where, err := p.base.Parse(f.Provenance)
		if f.Provenance = ""; err == nil && (where.Scheme == "http" || where.Scheme == "https") {
			f.Provenance = where.String()
		}
	}
	if f.Size < 0 {
		f.Size = 0
	}
	if at, err := time.Parse(time.RFC3339Nano, f.UploadTime); err != nil || at.Year() < 1990 {
		f.UploadTime = ""
	}
	p.files = append(p.files, &found{f, at})
}

// listing groups files into versions.
func (p *page) listing(c artifact.Coordinates) (*upstream.Listing, error) {
	type group struct {
		number string
		files  []*found
	}
	doc := &project{status: p.status.sound(), files: make(map[string]*found, len(p.files))}
	groups, order := map[string]*group{}, []*group(nil)
	for _, f := range p.files {
		d, ok := parseFileName(f.Name, c.Name)
		if !ok || doc.files[f.Name] != nil {
			continue // no distribution of this project, or said twice
		}
		if d.kind != wheel {
			f.CoreMetadata = claim{}
		}
		doc.files[f.Name] = f
		key, number := d.version.key(), d.version.String()
		g := groups[key]
		if g == nil {
			g = &group{number: number}
			groups[key], order = g, append(order, g)
		}
		// Of several spellings of a release the shortest is its number, whatever
		// order they come in.
		if len(number) < len(g.number) {
			g.number = number
		}
		g.files = append(g.files, f)
	}
	l := &upstream.Listing{Doc: doc, Versions: make([]upstream.ListedVersion, 0, len(order))}
	for _, g := range order {
		v, err := listed(g.number, g.files)
		if err != nil {
			return nil, err
		}
		if v.Published.After(l.Modified) {
			l.Modified = v.Published
		}
		l.Versions = append(l.Versions, v)
	}
	return l, nil
}

// listed makes one version of its files.
func listed(number string, files []*found) (upstream.ListedVersion, error) {
	v := upstream.ListedVersion{Number: number, Assets: make([]upstream.ListedAsset, len(files))}
	m := manifest{Files: make([]file, len(files))}
	for i, f := range files {
		m.Files[i], v.Assets[i] = f.file, f.asset()
		if at, err := time.Parse(time.RFC3339Nano, f.UploadTime); err == nil && (v.Published.IsZero() || at.Before(v.Published)) {
			v.Published = at.UTC().Truncate(time.Microsecond)
		}
	}
	slices.SortFunc(m.Files, func(a, b file) int { return strings.Compare(a.Name, b.Name) })
	var err error
	v.Manifest, err = m.encode()
	return v, err
}

// asset is where and what a file is.
func (f *found) asset() upstream.ListedAsset {
	return upstream.ListedAsset{Name: f.Name, URL: f.url.String(), Size: f.Size, Integrity: integrity(f.Hashes)}
}

// integrity is known hashes as Subresource Integrity metadata.
func integrity(hashes map[string]string) string {
	s, err := digest.FromHex(hashes["md5"], hashes["sha1"], hashes["sha256"], hashes["sha512"])
	if err != nil || s.Known() == 0 {
		return ""
	}
	return digest.Expect(s).String()
}

// Locate implements upstream.Remote. Besides the files of a version it knows
// the core metadata of wheels that the remote keeps apart (FILE.metadata), and
// provenances (FILE.provenance).
func (remote) Locate(c artifact.Coordinates, version, asset string, l *upstream.Listing) (upstream.ListedAsset, error) {
	missing := fault.About(fault.NotFound, "asset", asset, "version %s of %s has no file %s", version, c.Name, asset)
	doc, ok := l.Doc.(*project)
	if !ok {
		return upstream.ListedAsset{}, missing
	}
	if f := doc.files[asset]; f != nil {
		return f.asset(), nil
	}
	if name, ok := strings.CutSuffix(asset, metadataSuffix); ok {
		if f := doc.files[name]; f != nil && f.CoreMetadata.There {
			beside := *f.url
			beside.Path += metadataSuffix
			if beside.RawPath != "" {
				beside.RawPath += metadataSuffix
			}
			a := upstream.ListedAsset{Name: asset, URL: beside.String()}
			if f.CoreMetadata.SHA256 != "" {
				a.Integrity = integrity(map[string]string{"sha256": f.CoreMetadata.SHA256})
			}
			return a, nil
		}
	}
	if name, ok := strings.CutSuffix(asset, provenanceSuffix); ok {
		if f := doc.files[name]; f != nil && f.Provenance != "" {
			return upstream.ListedAsset{Name: asset, URL: f.Provenance}, nil
		}
	}
	return upstream.ListedAsset{}, missing
}

// fileNameOf is the last part of an address, unescaped.
func fileNameOf(u *url.URL) string { return path.Base(u.Path) }
