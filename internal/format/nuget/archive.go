package nuget

import (
	"archive/zip"
	"errors"
	"io"
	"path"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// archive is an opened package: a zip whose directory has been read.
type archive struct {
	*zip.Reader
	nuspec *zip.File
}

var (
	errNotPackage = fault.New(fault.Invalid, "the file is not a readable zip archive, which a NuGet package is")
	errDirectory  = fault.New(fault.Invalid, "the package has too many entries")
)

// openArchive reads the directory of a package and finds its one nuspec.
func openArchive(content io.ReaderAt, size int64) (*archive, error) {
	z, err := format.OpenZip(content, size)
	switch {
	case errors.Is(err, format.ErrArchiveBounds):
		return nil, errDirectory
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "%s", fault.Message(errNotPackage))
	}
	a := &archive{Reader: z}
	for _, f := range z.File {
		if unsafeName(f.Name) {
			return nil, fault.New(fault.Invalid, "the package has an entry %q, which leads out of the folder it is unpacked to", clip(f.Name))
		}
		if strings.ContainsAny(f.Name, `/\`) || !strings.EqualFold(path.Ext(f.Name), ".nuspec") {
			continue
		}
		if a.nuspec != nil {
			return nil, fault.New(fault.Invalid, "the package has more than one nuspec")
		}
		a.nuspec = f
	}
	if a.nuspec == nil {
		return nil, fault.New(fault.Invalid, "the package has no nuspec in its root folder")
	}
	return a, nil
}

// unsafeName tells whether an unpacker that trusts a name would write outside.
func unsafeName(name string) bool {
	name = strings.ReplaceAll(name, `\`, "/")
	if strings.HasPrefix(name, "/") || strings.IndexByte(name, 0) >= 0 || len(name) > 1 && name[1] == ':' {
		return true
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == ".." {
			return true
		}
	}
	return false
}

// metadata reads the nuspec.
func (a *archive) metadata() (metadata, error) {
	b, err := readEntry(a.nuspec, maxNuspec)
	if err != nil {
		return metadata{}, err
	}
	return parseNuspec(b)
}

// readEntry unpacks an entry of at most limit bytes.
func readEntry(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s cannot be unpacked", clip(f.Name))
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s cannot be unpacked", clip(f.Name))
	}
	if int64(len(b)) > limit {
		return nil, fault.New(fault.Invalid, "%s is larger than %d bytes", clip(f.Name), limit)
	}
	return b, nil
}

// file finds an entry by the path a nuspec gives; nil when there is none.
func (a *archive) file(name text) *zip.File {
	wanted := strings.TrimPrefix(strings.ReplaceAll(string(name), `\`, "/"), "./")
	if wanted == "" {
		return nil
	}
	for _, f := range a.File {
		if strings.EqualFold(strings.ReplaceAll(f.Name, `\`, "/"), wanted) {
			return f
		}
	}
	return nil
}

// check unpacks every entry and compares its checksum, so that a file damaged
// on its way is not let in. It ends at so many bytes, read or unpacked,
// whatever is more: what lies beyond is left to the clients. Entries may lie over
// each other and unpack to nothing.
func (a *archive) check(most int64) error {
	left := most
	for _, f := range a.File {
		if left <= 0 {
			return nil
		}
		r, err := f.Open()
		if errors.Is(err, zip.ErrAlgorithm) {
			continue // clients may know it
		}
		if err == nil {
			var n int64
			n, err = io.Copy(io.Discard, io.LimitReader(r, left))
			left -= max(n, int64(min(f.CompressedSize64, uint64(most))))
			r.Close()
		}
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "the package is damaged: %s cannot be unpacked", clip(f.Name))
		}
	}
	return nil
}

// readPackage reads what a package says of itself and checks it as a whole.
func readPackage(content io.ReaderAt, size int64) (m metadata, c artifact.Coordinates, number string, err error) {
	a, err := openArchive(content, size)
	if err != nil {
		return m, c, "", err
	}
	if m, err = a.metadata(); err != nil {
		return m, c, "", err
	}
	if err := a.check(format.MaxUnpacked); err != nil {
		return m, c, "", err
	}
	if m.LicenseFile != "" {
		if f := a.file(m.LicenseFile); f != nil {
			if b, err := readEntry(f, maxLicense); err == nil {
				m.LicenseFound = text(recognizeLicense(b))
			}
		}
	}
	if c, err = New().Normalize(artifact.Coordinates{Name: string(m.ID)}); err != nil {
		return m, c, "", err
	}
	number, _ = normalize(string(m.Version)) // parseNuspec has read it
	return m, c, number, artifact.CheckAssetName(symbolsFile(c, number))
}
