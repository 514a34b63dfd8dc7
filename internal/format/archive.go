package format

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// Bounds of looking into an archive. What lies beyond them is not looked at:
// the archive is still served, it only yields no metadata.
const (
	MaxUnpacked = 256 << 20 // bytes unpacked
	MaxEntries  = 100_000
)

// ErrNotArchive says that bytes are not the archive they were taken for.
var ErrNotArchive = errors.New("not a readable archive")

// ErrArchiveBounds says that an archive was left unfinished at MaxUnpacked or
// MaxEntries.
var ErrArchiveBounds = errors.New("archive beyond the bounds of what is looked at")

// WalkTarGz shows every regular file of a gzip-compressed tar to visit until
// that returns false. It stops with ErrArchiveBounds at the bounds above, so a
// zip bomb costs a known amount, and with ErrNotArchive when the bytes are no
// such archive or a broken one; errors of visit come back as they are.
func WalkTarGz(r io.Reader, visit func(name string, content io.Reader) (more bool, err error)) error {
	return walkTarGz(r, MaxUnpacked, MaxEntries, visit)
}

func walkTarGz(r io.Reader, maxUnpacked int64, maxEntries int, visit func(name string, content io.Reader) (bool, error)) error {
	z, err := gzip.NewReader(bufio.NewReaderSize(r, 32<<10))
	if err != nil {
		return ErrNotArchive
	}
	defer z.Close()
	bounded := &io.LimitedReader{R: z, N: maxUnpacked}
	archive := tar.NewReader(bounded)
	for range maxEntries {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && bounded.N <= 0:
			return ErrArchiveBounds
		case err != nil:
			return ErrNotArchive
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeCont { // unpackers treat both as files
			continue
		}
		more, err := visit(h.Name, archive)
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
	return ErrArchiveBounds
}
