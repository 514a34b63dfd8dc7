package nuget

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

var errOnePackage = fault.New(fault.Invalid, "a push has one package in a multipart/form-data body, as \"nuget push\" and \"dotnet nuget push\" send it")

// push takes PUT v2/package and v2/symbolpackage (package-publish-resource.md).
//
// Which package it is stands at the end of the archive, and permission is asked
// before anything is kept: for any package of the repository, or else for the
// one that the archive names at its beginning. What the archive turns out to be
// is held against the permission once more before it is published.
func push(w http.ResponseWriter, r *format.Request, publish func(context.Context, *registry.Repo, registry.Staged) error) error {
	if r.Method != http.MethodPut {
		return format.NotAllowed(r.Method, http.MethodPut)
	}
	ctx := r.Context()
	who := artifact.Coordinates{Format: artifact.NuGet}
	denied := r.Repo.MayPublish(ctx, who)
	if denied != nil && !fault.Is(denied, fault.Denied) {
		return denied
	}
	parts, err := partsOf(r)
	if err != nil {
		return err
	}
	part, err := parts.NextRawPart()
	if err != nil {
		return bodyError(err)
	}
	content := bufio.NewReaderSize(part, maxHint)
	if denied != nil {
		c, ok := hintOf(content)
		if !ok {
			return denied
		}
		if err := r.Repo.MayPublish(ctx, c); err != nil {
			return err
		}
		who = c
	}
	staged, err := r.Repo.Stage(ctx, who, "upload", registry.Announced(content, format.AtLeast(r.Request, maxFraming)))
	if err != nil {
		return err
	}
	switch _, err := parts.NextRawPart(); {
	case err == nil:
		return errOnePackage
	case !errors.Is(err, io.EOF):
		return bodyError(err)
	}
	if err := publish(ctx, r.Repo, staged); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// maxFraming is what a push has besides its package: boundaries and headers, which
// are a tenth of it.
const maxFraming = 16 << 10

func partsOf(r *format.Request) (*multipart.Reader, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return nil, errOnePackage
	}
	body, err := format.Body(r.Request)
	if err != nil {
		return nil, err
	}
	return multipart.NewReader(body, params["boundary"]), nil
}

// bodyError is format.BodyError where the shape of the body may be wrong too.
func bodyError(err error) error {
	err = format.BodyError(err)
	if fault.Is(err, fault.Invalid) {
		return fault.Wrap(fault.Invalid, err, "%s; this one cannot be read to its end", fault.Message(errOnePackage))
	}
	return err
}

// maxHint is how far into an archive its nuspec's name is looked for, in bytes.
// Tools that make packages write it as one of the first entries.
const maxHint = 64 << 10

// localHeader is how an entry of a zip begins (APPNOTE.TXT section 4.3.7).
const localHeader = "PK\x03\x04"

// hintOf reads the names of an archive's first entries as they come, without
// taking them away, and makes a package of the nuspec's.
func hintOf(content *bufio.Reader) (artifact.Coordinates, bool) {
	b, _ := content.Peek(maxHint) // what there is of it
	for len(b) >= 30 && string(b[:4]) == localHeader {
		name, extra := int(binary.LittleEndian.Uint16(b[26:])), int(binary.LittleEndian.Uint16(b[28:]))
		if len(b) < 30+name {
			break
		}
		file := string(b[30 : 30+name])
		if id, ok := strings.CutSuffix(strings.ToLower(file), ".nuspec"); ok {
			c, err := New().Normalize(artifact.Coordinates{Name: id})
			return c, err == nil
		}
		size := int(binary.LittleEndian.Uint32(b[18:]))
		next := 30 + name + extra + size
		if b[6]&8 != 0 || next <= 0 || next > len(b) { // its size comes after it
			next = strings.Index(string(b[30+name:]), localHeader)
			if next < 0 {
				break
			}
			next += 30 + name
		}
		b = b[next:]
	}
	return artifact.Coordinates{}, false
}

// open reads what a staged archive says of itself.
func open(ctx context.Context, repo *registry.Repo, staged registry.Staged) (m metadata, c artifact.Coordinates, number string, err error) {
	f, err := repo.OpenStaged(ctx, staged)
	if err != nil {
		return m, c, "", err
	}
	defer f.Close()
	return readPackage(f, staged.Size)
}

// symbolsType is the package type of symbols.
const symbolsType = "SymbolsPackage"

func publishPackage(ctx context.Context, repo *registry.Repo, staged registry.Staged) error {
	m, c, number, err := open(ctx, repo, staged)
	if err != nil {
		return err
	}
	if len(m.PackageTypes) > 0 && m.isType(symbolsType) {
		return fault.New(fault.Invalid, "this is a package of symbols: push the .snupkg beside its .nupkg, or to the address for symbols")
	}
	manifest, err := m.manifest()
	if err != nil {
		return err
	}
	staged.Name = packageFile(c, number)
	_, err = repo.Publish(ctx, c, registry.Publication{
		Version: number, DisplayName: string(m.ID), Manifest: manifest, Assets: []registry.Staged{staged}, Status: artifact.Published,
	})
	return err
}

// publishSymbols adds symbols to a version that is there.
func publishSymbols(ctx context.Context, repo *registry.Repo, staged registry.Staged) error {
	m, c, number, err := open(ctx, repo, staged)
	if err != nil {
		return err
	}
	if !m.isType(symbolsType) {
		return fault.New(fault.Invalid, "not a package of symbols: its nuspec has no package type %s", symbolsType)
	}
	staged.Name = symbolsFile(c, number)
	_, err = repo.Publish(ctx, c, registry.Publication{
		Version: number, DisplayName: string(m.ID), Assets: []registry.Staged{staged}, Status: artifact.Published,
		Merge: func(held []byte) ([]byte, error) {
			if held == nil { // Publish then looks for a version that is there, and says NotFound
				return nil, fault.New(fault.Conflict, "symbols make no version")
			}
			return held, nil
		},
	})
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.NotFound, err, "version %s of %s is not in this repository; push the package before its symbols", number, m.ID)
	}
	return err
}

// serveListed takes DELETE v2/package/{id}/{version}, which unlists, and POST,
// which lists again. Nothing is deleted: builds that name the version go on.
func serveListed(w http.ResponseWriter, r *format.Request, rest string) error {
	r.Operation = "unlist"
	target, status := artifact.Unlisted, http.StatusNoContent
	switch r.Method {
	case http.MethodDelete:
	case http.MethodPost:
		r.Operation = "relist"
		target, status = artifact.Published, http.StatusOK
	default:
		return format.NotAllowed(r.Method, "DELETE, POST")
	}
	first, second, _ := strings.Cut(rest, "/")
	c, err := packageAt(first)
	if err != nil {
		return err
	}
	number, err := versionAt(strings.TrimSuffix(second, "/"))
	if err != nil {
		return err
	}
	if err := r.Repo.SetStatus(r.Context(), c, target, number); err != nil {
		return err
	}
	w.WriteHeader(status)
	return nil
}
