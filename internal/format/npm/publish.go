package npm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// document is what a client sends to change a package: one new version with
// its tarball, or the whole packument with other deprecations.
type document struct {
	Name        string                    `json:"name"`
	DistTags    map[string]string         `json:"dist-tags"`
	Versions    map[string]jsontext.Value `json:"versions"`
	Readme      jsontext.Value            `json:"readme"`
	Attachments map[string]struct {
		Length jsontext.Value `json:"length"`
		Data   *string        `json:"data"`
	} `json:"_attachments"`
}

// upload is the attachment of a publish request once its bytes are staged.
type upload struct {
	file   string
	staged registry.Staged
	claims []claim
	texts  [][]byte // of licences
}

// put takes PUT {package}: a publish when there is an attachment, else a
// deprecation. Permission to publish is asked before the body is read. Without
// it a document may still come, since deprecating is another permission, but
// the first byte of an attachment ends the request.
func put(w http.ResponseWriter, r *format.Request, c artifact.Coordinates) error {
	r.Operation = "publish"
	ctx := r.Context()
	denied := r.Repo.MayPublish(ctx, c)
	if denied != nil && (fault.Is(denied, fault.Unauthenticated) || r.Repo.MayRead(ctx) != nil) {
		return denied
	}
	body, err := format.Body(r.Request)
	if err != nil {
		return err
	}
	var up *upload
	rest, err := split(body, maxDocument, func(file string, data io.Reader) error {
		if denied != nil {
			return denied
		}
		if up != nil {
			return errAttachments
		}
		up = &upload{file: file}
		return up.stage(ctx, r.Repo, c, data, format.AtLeast(r.Request, maxDocument)/2) // in base64 it is 4/3 of it, and characters may be escaped
	})
	if err != nil {
		return err
	}
	doc, err := parseDocument(rest, c)
	if err != nil {
		return err
	}
	if up == nil && len(doc.Attachments) == 0 {
		r.Operation = "deprecate"
		return takeDeprecations(w, r, c, doc)
	}
	if denied != nil {
		return denied
	}
	p, err := publication(c, doc, up)
	if err != nil {
		return err
	}
	if _, err := r.Repo.Publish(ctx, c, p); err != nil {
		if fault.Is(err, fault.Conflict) {
			return fault.Wrap(fault.Conflict, err, "You cannot publish over the previously published versions: %s.", p.Version)
		}
		return err
	}
	return format.Respond(w, http.StatusCreated, jsonType, quotedID(c))
}

var errAttachments = fault.New(fault.Invalid, "a publish request has exactly one version and one attachment, its tarball")

// quotedID answers a change as CouchDB does.
func quotedID(c artifact.Coordinates) []byte {
	return append(quote([]byte(`{"ok":true,"id":`), fullName(c)), '}')
}

// parseDocument reads a document that must be about c. Unknown members are
// ignored, members given twice are not accepted.
func parseDocument(b []byte, c artifact.Coordinates) (*document, error) {
	var doc document
	if err := json.Unmarshal(b, &doc, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the document is not a packument")
	}
	if doc.Name != fullName(c) {
		return nil, fault.New(fault.Invalid, "the document is about %q, its address about %q", clip(doc.Name), fullName(c))
	}
	return &doc, nil
}

func clip(s string) string { return s[:min(len(s), maxName+2)] }

// stage stores what is at least so many bytes.
func (u *upload) stage(ctx context.Context, repo *registry.Repo, c artifact.Coordinates, data io.Reader, least int64) error {
	look := &inspection{src: data}
	staged, err := repo.Stage(ctx, c, assetName, registry.Announced(look, least))
	look.end()
	u.staged, u.claims, u.texts = staged, look.claims, look.texts
	return err
}

// publication checks a publish request as a whole and makes what is stored of it.
func publication(c artifact.Coordinates, doc *document, up *upload) (registry.Publication, error) {
	var none registry.Publication
	if up == nil || len(doc.Versions) != 1 || len(doc.Attachments) != 1 {
		return none, errAttachments
	}
	name := fullName(c)
	var version string
	var sent []byte
	for version, sent = range doc.Versions { //nolint:revive // there is one
	}
	if _, ok := parseStrict(version); !ok {
		return none, fault.New(fault.Invalid, "version %q is not a Semantic Version", clip(version))
	}
	f, ok := inspect(sent)
	if !ok {
		return none, fault.New(fault.Invalid, "version %s is not an object", version)
	}
	if got := string(unquoted(f.version.of(sent))); got != version {
		return none, fault.New(fault.Invalid, "the manifest of version %s says it is %q", version, clip(got))
	}
	if got := string(unquoted(f.name.of(sent))); got != name {
		return none, fault.New(fault.Invalid, "the manifest of %s says it is %q", name, clip(got))
	}
	if up.file != name+"-"+version+".tgz" && up.file != c.Name+"-"+version+".tgz" {
		return none, fault.New(fault.Invalid, "the attachment is named %q, not %q", clip(up.file), name+"-"+version+".tgz")
	}
	if err := checkBytes(doc, up, sent, f); err != nil {
		return none, err
	}
	for _, claim := range up.claims {
		if err := claim.check(name, version); err != nil {
			return none, err
		}
	}
	tags, err := tagsOf(doc, version)
	if err != nil {
		return none, err
	}
	return registry.Publication{
		Version:     version,
		DisplayName: name,
		Manifest:    storedManifest(sent, up.staged.Digests, doc.Readme, func() string { return recognize(up.texts) }),
		Assets:      []registry.Staged{up.staged},
		Tags:        tags,
		Status:      artifact.Published,
	}, nil
}

// checkBytes holds the staged bytes against every promise of the request.
func checkBytes(doc *document, up *upload, sent []byte, f facts) error {
	promised := doc.Attachments[up.file].Length
	if len(promised) > 0 && promised.Kind() != 'n' {
		n, err := strconv.ParseInt(string(promised), 10, 64)
		if err != nil || n != up.staged.Size {
			return fault.New(fault.Invalid, "the attachment has %d bytes, %s were promised", up.staged.Size, clip(string(promised)))
		}
	}
	integrity, err := digest.ParseSRI(string(unquoted(f.integrity.of(sent))))
	if err != nil && !errors.Is(err, digest.ErrUnsupported) {
		return fault.Wrap(fault.Invalid, err, "dist.integrity cannot be read")
	}
	shasum, err := digest.ExpectHex(digest.SHA1, string(bytes.ToLower(unquoted(f.shasum.of(sent)))))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "dist.shasum cannot be read")
	}
	if err := integrity.Verify(up.staged.Digests); err != nil {
		return fault.Wrap(fault.Invalid, err, "the attachment is not what dist.integrity promised")
	}
	if err := shasum.Verify(up.staged.Digests); err != nil {
		return fault.Wrap(fault.Invalid, err, "the attachment is not what dist.shasum promised")
	}
	return nil
}

// tagsOf are the dist-tags of a publish request, latest when it has none.
func tagsOf(doc *document, version string) ([]string, error) {
	if len(doc.DistTags) > maxTags {
		return nil, errManyTags
	}
	tags := make([]string, 0, 1)
	for tag, to := range doc.DistTags {
		if err := checkTag(tag); err != nil {
			return nil, err
		}
		if to != version {
			return nil, fault.New(fault.Invalid, "dist-tag %s names version %q, which is not the one being published", tag, clip(to))
		}
		tags = append(tags, tag)
	}
	if len(tags) == 0 {
		return []string{"latest"}, nil
	}
	slices.Sort(tags)
	return tags, nil
}

// takeDeprecations takes over the deprecation messages of a packument that came back;
// nothing else of it counts.
func takeDeprecations(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, doc *document) error {
	if len(doc.Versions) == 0 {
		return errAttachments
	}
	l, err := r.Repo.Listing(r.Context(), c)
	if fault.Is(err, fault.NotFound) {
		return errAttachments
	}
	if err != nil {
		return err
	}
	wanted := map[string][]byte{}
	for i := range l.Versions {
		v := &l.Versions[i]
		sent, ok := doc.Versions[v.Number]
		if !ok {
			continue
		}
		delete(doc.Versions, v.Number)
		message := deprecation(sent)
		if message != nil && message[0] != '"' {
			return fault.New(fault.Invalid, "deprecated of version %s is not a text", v.Number)
		}
		if !bytes.Equal(message, deprecation(v.Manifest)) {
			wanted[v.Number] = message
		}
	}
	for unknown := range doc.Versions {
		return fault.New(fault.Invalid, "version %q is not published and has no attachment", clip(unknown))
	}
	if len(wanted) == 0 {
		return format.Respond(w, http.StatusOK, jsonType, quotedID(c))
	}
	changed, err := r.Repo.Amend(r.Context(), c, func(v artifact.Version) ([]byte, error) {
		message, ok := wanted[v.Number]
		if !ok || v.Origin.Type == artifact.External { // the message of an outside version is its registry's to give
			return nil, nil
		}
		return deprecate(v.Manifest, message), nil
	})
	if err != nil {
		return err
	}
	if changed == 0 {
		return fault.New(fault.Invalid, "none of these versions was published to this repository; deprecate them where they were")
	}
	return format.Respond(w, http.StatusOK, jsonType, quotedID(c))
}

// claim is what a package.json inside a tarball says the package is.
type claim struct {
	name, version string
	err           error
}

func (c claim) check(name, version string) error {
	if c.err != nil {
		return c.err
	}
	if c.name != "" && c.name != name {
		return fault.New(fault.Invalid, "the package.json in the tarball is of %q, the manifest of %q", clip(c.name), name)
	}
	if c.version != "" && c.version != version && compare(cleanVersion(c.version), cleanVersion(version)) != 0 {
		return fault.New(fault.Invalid, "the package.json in the tarball is of version %q, the manifest of %q", clip(c.version), version)
	}
	return nil
}

// inspection looks into a tarball while it is staged, so that the bytes are
// read once. A client unpacks the tarball and believes its package.json,
// whatever the manifest said; the two must agree (manifest confusion). Bytes
// that are no archive, and what lies beyond the bounds of format.WalkTarGz,
// claim nothing.
type inspection struct {
	src    io.Reader
	begun  bool
	pipe   *io.PipeWriter
	done   chan struct{}
	claims []claim
	texts  [][]byte // licences in the top folder
}

func (i *inspection) Read(p []byte) (int, error) {
	n, err := i.src.Read(p)
	if !i.begun && n > 0 {
		i.begun = true
		if n >= 2 && p[0] == 0x1f && p[1] == 0x8b { // gzip, RFC 1952 section 2.3.1
			i.start()
		}
	}
	if i.pipe != nil && n > 0 {
		if _, err := i.pipe.Write(p[:n]); err != nil {
			i.pipe = nil // has seen enough
		}
	}
	return n, err
}

func (i *inspection) start() {
	reader, writer := io.Pipe()
	i.pipe, i.done = writer, make(chan struct{})
	go func() {
		defer close(i.done)
		defer reader.Close()
		defer func() {
			if p := recover(); p != nil {
				i.claims = append(i.claims, claim{err: fault.Wrap(fault.Invalid, fmt.Errorf("panic: %v", p), "the tarball cannot be read")})
			}
		}()
		_ = format.WalkTarGz(reader, func(name string, content io.Reader) (bool, error) {
			if !isManifest(name) {
				return true, i.keepLicense(name, content)
			}
			if len(i.claims) == maxClaims {
				i.claims = append(i.claims, claim{err: fault.New(fault.Invalid, "the tarball has more than %d package.json in its top folders", maxClaims)})
				return false, nil
			}
			i.claims = append(i.claims, readClaim(content))
			return true, nil
		})
	}()
}

// keepLicense takes note of a text that is a licence by its name. One that is
// larger than any licence, or one too many, counts as unknown.
func (i *inspection) keepLicense(name string, content io.Reader) error {
	if !isLicense(name) || len(i.texts) > maxLicenses {
		return nil
	}
	var text []byte
	if len(i.texts) < maxLicenses {
		read, err := io.ReadAll(io.LimitReader(content, format.MaxLicense+1))
		if err != nil {
			return err
		}
		if len(read) <= format.MaxLicense {
			text = read
		}
	}
	i.texts = append(i.texts, text)
	return nil
}

// recognize gives the licences that texts are as an SPDX expression, empty where
// one of them is something else: it may be the one that counts.
func recognize(texts [][]byte) string {
	var all []string
	for _, text := range texts {
		ids := format.RecognizeLicenses(text)
		if ids == nil {
			return ""
		}
		for _, id := range ids {
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	return strings.Join(all, " AND ")
}

// end waits for the look inside to be over.
func (i *inspection) end() {
	if i.done == nil {
		return
	}
	if i.pipe != nil {
		_ = i.pipe.Close()
	}
	<-i.done
}

const (
	maxPackageJSON = 4 << 20 // bytes of a package.json inside a tarball
	maxClaims      = 64      // of them in one tarball; one is usual
	maxLicenses    = 4       // texts kept of one tarball
)

func readClaim(content io.Reader) claim {
	b, err := io.ReadAll(io.LimitReader(content, maxPackageJSON+1))
	if err != nil {
		return claim{}
	}
	if len(b) > maxPackageJSON {
		return claim{err: fault.New(fault.Invalid, "the package.json in the tarball is larger than %d bytes", maxPackageJSON)}
	}
	var said struct {
		Name    any `json:"name"`
		Version any `json:"version"`
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if json.Unmarshal(b, &said, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) != nil {
		return claim{}
	}
	name, _ := said.Name.(string)
	version, _ := said.Version.(string)
	// What is longer is wrong already, and need not be kept whole to be told.
	return claim{name: strings.Clone(clip(name)), version: strings.Clone(version[:min(len(version), maxVersion+1)])}
}
