package pypi

import (
	"context"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/blake2b"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// Bounds of an upload form.
const (
	maxFields    = 16 << 20 // bytes of all fields but the file
	maxParts     = 10_000
	maxSignature = 1 << 20 // bytes of a signature, which is thrown away
)

// form is an upload request, read: the legacy API's file_upload.
type form struct {
	fields map[string]string // those that count, the first of each name
	file   string            // the name of content
	staged registry.Staged
	blake2 []byte // BLAKE2b-256 of content
}

// kept tells which fields of the form count. All others repeat what the file
// itself says, and the file is believed.
func kept(name string) bool {
	switch name {
	case ":action", "protocol_version", "name", "version", "filetype", "md5_digest", "sha256_digest", "blake2_256_digest":
		return true
	}
	return false
}

// publish takes an upload. Permission is asked before the file is read, as soon
// as the project is known: from its field, or from the file's name where the
// file comes first.
func publish(w http.ResponseWriter, r *format.Request) error {
	if err := r.Repo.MayRead(r.Context()); fault.Is(err, fault.Unauthenticated) {
		return err
	}
	f, err := readForm(r)
	if err != nil {
		return err
	}
	c, d, err := f.check()
	if err != nil {
		return err
	}
	if err := r.Repo.MayPublish(r.Context(), c); err != nil {
		return err
	}
	found, err := f.look(r.Context(), r.Repo, c, d)
	if err != nil {
		return err
	}
	number, err := numberFor(r.Context(), r.Repo, c, d)
	if err != nil {
		return err
	}
	said := file{
		Name: f.file, Size: f.staged.Size, Hashes: map[string]string{"sha256": f.staged.Digests.Hex(digest.SHA256)},
		RequiresPython: found.metadata.RequiresPython, UploadTime: uploadTime(time.Now()),
	}
	if d.kind == wheel {
		said.CoreMetadata = claim{There: true, SHA256: found.sum()}
	}
	_, err = r.Repo.Publish(r.Context(), c, registry.Publication{
		Version: number, DisplayName: f.fields["name"], Assets: []registry.Staged{f.staged},
		Merge: func(held []byte) ([]byte, error) { return adding(held, said, d, found.metadata.facts()) },
	})
	if err != nil {
		return err
	}
	return format.Respond(w, http.StatusOK, "text/plain; charset=utf-8", []byte("OK\n"))
}

// readForm reads the request to its end; the file goes to the store on the way.
func readForm(r *format.Request) (*form, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, fault.New(fault.Invalid, "an upload is a multipart/form-data request, as twine makes it")
	}
	body, err := format.Body(r.Request)
	if err != nil {
		return nil, err
	}
	parts := multipart.NewReader(classified{body}, params["boundary"])
	f := &form{fields: map[string]string{}}
	left := int64(maxFields)
	for range maxParts {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, format.BodyError(err)
		}
		switch name := part.FormName(); {
		case name == "content":
			err = f.stage(r, part)
		case name == "gpg_signature":
			_, err = readPart(part, maxSignature)
		default:
			var value []byte
			if value, err = readPart(part, left); err != nil {
				break
			}
			left -= int64(len(value))
			if _, twice := f.fields[name]; kept(name) && !twice {
				f.fields[name] = strings.TrimSpace(clean(value))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.TooLarge, "the form has more than %d parts", maxParts)
}

// classified says of a failing body whose fault it is.
type classified struct{ io.Reader }

func (c classified) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a reader returns it bare
		err = format.BodyError(err)
	}
	return n, err
}

func readPart(part io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(part, limit+1))
	if err != nil {
		return nil, format.BodyError(err)
	}
	if int64(len(b)) > limit {
		return nil, fault.New(fault.TooLarge, "the form's fields are larger than %d bytes", maxFields)
	}
	return b, nil
}

// stage stores the file.
func (f *form) stage(r *format.Request, part *multipart.Part) error {
	if f.file != "" {
		return fault.New(fault.Invalid, "an upload has exactly one file")
	}
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || params["filename"] == "" {
		return fault.New(fault.Invalid, "the file of an upload needs a name")
	}
	f.file = params["filename"]
	project := ""
	if name := f.fields["name"]; validName(name) {
		project = normal(name)
	}
	d, ok := parseFileName(f.file, project)
	if !ok {
		return badFile(f.file)
	}
	c := artifact.Coordinates{Format: artifact.PyPI, Name: normal(d.name)}
	sum, err := blake2b.New256(nil)
	if err != nil {
		return err
	}
	f.staged, err = r.Repo.Stage(r.Context(), c, f.file, registry.Announced(io.TeeReader(part, hashOnly{sum}), format.AtLeast(r.Request, maxFields+maxSignature+maxParts*maxFraming)))
	f.blake2 = sum.Sum(nil)
	return err
}

// maxFraming is the boundary and headers of one part of a form, which are a tenth
// of it.
const maxFraming = 4 << 10

// hashOnly hides what else a hash can do.
type hashOnly struct{ hash.Hash }

func badFile(name string) error {
	return fault.New(fault.Invalid, "%q is not the name of a file of this project: a wheel is NAME-VERSION-PYTHON-ABI-PLATFORM.whl, an sdist NAME-VERSION.tar.gz or .zip", clip(name))
}

// check holds the parts of the form against each other and against the bytes
// that came.
func (f *form) check() (c artifact.Coordinates, d distribution, err error) {
	if action := f.fields[":action"]; action != "file_upload" {
		return c, d, fault.New(fault.Invalid, ":action is %q; file_upload is the one that is served", clip(action))
	}
	if v := f.fields["protocol_version"]; v != "" && v != "1" {
		return c, d, fault.New(fault.Invalid, "protocol_version is %q; 1 is served", clip(v))
	}
	if f.file == "" {
		return c, d, fault.New(fault.Invalid, "the upload has no file; it belongs into the field content")
	}
	if c, err = coordinates(f.fields["name"]); err != nil {
		return c, d, err
	}
	v, ok := parseVersion(f.fields["version"])
	if !ok {
		return c, d, fault.Field("version", "%q is not a version by PEP 440", clip(f.fields["version"]))
	}
	d, ok = parseFileName(f.file, c.Name)
	if !ok || !d.taken() {
		return c, d, badFile(f.file)
	}
	if d.version.key() != v.key() {
		return c, d, fault.New(fault.Invalid, "the file %q is of version %s, the form of %s", clip(f.file), d.version, v)
	}
	if t := f.fields["filetype"]; t != "" && t != string(d.kind) {
		return c, d, fault.New(fault.Invalid, "filetype is %q, the file %q is of type %s", clip(t), clip(f.file), d.kind)
	}
	for name, got := range map[string]string{
		"md5_digest":        f.staged.Digests.Hex(digest.MD5),
		"sha256_digest":     f.staged.Digests.Hex(digest.SHA256),
		"blake2_256_digest": hex.EncodeToString(f.blake2),
	} {
		if want := f.fields[name]; want != "" && !strings.EqualFold(want, got) {
			return c, d, fault.Field(name, "the file that arrived has %s, %s was promised; upload it again", got, clip(want))
		}
	}
	return c, d, nil
}

// look reads what the file says of itself, which must be there and be what the
// form says.
func (f *form) look(ctx context.Context, repo *registry.Repo, c artifact.Coordinates, d distribution) (found contents, err error) {
	content, err := repo.OpenStaged(ctx, f.staged)
	if err != nil {
		return found, err
	}
	defer content.Close()
	found, err = readDistribution(d, content, f.staged.Size)
	if err != nil {
		return found, err
	}
	if found.metadata == nil {
		return found, fault.New(fault.Invalid, "%s has no %s that can be read and names a project and its version; build it again", clip(f.file), whereMetadata(d.kind))
	}
	return found, found.agree(c.Name, d)
}

func whereMetadata(k kind) string {
	if k == wheel {
		return "METADATA in its .dist-info folder"
	}
	return "PKG-INFO in its one top folder"
}

// numberFor is the number to publish a file under: that of the release if it is
// visible from here in another spelling, else the normal form of its own.
func numberFor(ctx context.Context, repo *registry.Repo, c artifact.Coordinates, d distribution) (string, error) {
	number := d.version.String()
	held, err := repo.Held(ctx, c)
	if err != nil {
		return "", err
	}
	l, err := repo.Listing(ctx, c)
	if err == nil { // without a look at the outside there is nothing to go by, and nothing stops a publication (section 7.5)
		held = append(held, l.Versions...)
	}
	key := d.version.key()
	for i := range held {
		if other := held[i].Number; other == number {
			return number, nil
		}
	}
	for i := range held {
		if other := held[i].Number; releaseKey(other) == key {
			return other, nil
		}
	}
	return number, nil
}

// adding makes the manifest of a version with one more file. A file that is
// there stays as it is described.
func adding(held []byte, said file, d distribution, m *metadata) ([]byte, error) {
	all, err := parseManifest(held)
	if err != nil {
		return nil, err
	}
	for _, h := range all.Files {
		if h.Name == said.Name {
			if h.Hashes["sha256"] == said.Hashes["sha256"] {
				return held, nil
			}
			return nil, alreadyThere(said.Name, "with other content; publish another version, or delete this one first")
		}
		if other, ok := parseFileName(h.Name, normal(d.name)); ok && other.key() == d.key() {
			return nil, alreadyThere(said.Name, "as "+h.Name)
		}
	}
	said.Yanked = all.Yanked
	all.put(said)
	all.describe(said.Name, m)
	return all.encode()
}

func alreadyThere(file, how string) error {
	return fault.About(fault.Conflict, "asset", file, "%s already exists %s", file, how)
}
