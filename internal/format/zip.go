package format

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// maxDirectory bounds what is read of a zip archive's directory, in bytes. The
// largest wheels and packages of public registries have some 2 MB; opened, each
// entry takes several times its size in memory.
const maxDirectory = 8 << 20

// OpenZip reads the directory of a zip archive, at a known cost whatever the
// archive says of itself: ErrArchiveBounds when it has more than MaxEntries
// entries or maxDirectory bytes of directory, ErrNotArchive when it is none.
// What the caller unpacks it has to bound.
func OpenZip(r io.ReaderAt, size int64) (*zip.Reader, error) {
	entries, err := zipEntries(r, size)
	if err != nil {
		return nil, err
	}
	if entries > MaxEntries {
		return nil, ErrArchiveBounds
	}
	bounded := &boundedAt{r: r, left: maxDirectory}
	z, err := zip.NewReader(bounded, size)
	switch {
	case bounded.left < 0:
		return nil, ErrArchiveBounds
	case err != nil:
		return nil, ErrNotArchive
	}
	bounded.done = true
	return z, nil
}

// boundedAt fails when more than left bytes are read before done.
type boundedAt struct {
	r    io.ReaderAt
	left int64
	done bool
}

// ReadAt implements io.ReaderAt.
func (b *boundedAt) ReadAt(p []byte, off int64) (int, error) {
	if !b.done {
		if b.left -= int64(len(p)); b.left < 0 {
			return 0, ErrArchiveBounds
		}
	}
	return b.r.ReadAt(p, off)
}

// The records at the end of a zip archive (APPNOTE 4.3.14 to 4.3.16).
const (
	endSize       = 22
	endMost       = endSize + 1<<16
	end64Size     = 56
	locator64Size = 20
)

// zipEntries is the number of entries that an archive promises: room is made
// for them before the first is read.
func zipEntries(r io.ReaderAt, size int64) (uint64, error) {
	tail := make([]byte, min(size, endMost))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	for at := len(tail) - endSize; at >= 0; at-- {
		end := tail[at:]
		if !bytes.HasPrefix(end, []byte("PK\x05\x06")) || endSize+int(binary.LittleEndian.Uint16(end[20:])) > len(end) {
			continue
		}
		entries := uint64(binary.LittleEndian.Uint16(end[10:]))
		if where := size - int64(len(end)) - locator64Size; where >= 0 {
			if big, ok := zip64Entries(r, where); ok {
				entries = max(entries, big)
			}
		}
		return entries, nil
	}
	return 0, ErrNotArchive
}

// zip64Entries follows the locator of a zip64 end record, if there is one.
func zip64Entries(r io.ReaderAt, where int64) (uint64, bool) {
	var locator [locator64Size]byte
	if _, err := r.ReadAt(locator[:], where); err != nil || !bytes.HasPrefix(locator[:], []byte("PK\x06\x07")) {
		return 0, false
	}
	offset := binary.LittleEndian.Uint64(locator[8:])
	if offset > uint64(where) {
		return 0, false
	}
	var end [end64Size]byte
	if _, err := r.ReadAt(end[:], int64(offset)); err != nil || !bytes.HasPrefix(end[:], []byte("PK\x06\x06")) {
		return 0, false
	}
	return binary.LittleEndian.Uint64(end[32:]), true
}
