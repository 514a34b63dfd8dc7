package formattest

import (
	"encoding/binary"
	"io"
)

// PromisingZip is the end of a zip archive of a size, in bytes, which says that it
// has so many entries, and zeros before it: room must not be made for what cannot
// be (APPNOTE 4.3.14 to 4.3.16).
func PromisingZip(size int64, entries uint64) io.ReaderAt {
	end := make([]byte, 56+20+22)
	copy(end, "PK\x06\x06")
	binary.LittleEndian.PutUint64(end[4:], 44)
	binary.LittleEndian.PutUint64(end[24:], entries)
	binary.LittleEndian.PutUint64(end[32:], entries)
	copy(end[56:], "PK\x06\x07")
	binary.LittleEndian.PutUint64(end[64:], uint64(size)-uint64(len(end)))
	binary.LittleEndian.PutUint32(end[72:], 1)
	copy(end[76:], "PK\x05\x06")
	for at := 84; at < 96; at++ {
		end[at] = 0xff
	}
	return endsWith{size, end}
}

// endsWith is a file of a size, with nothing but its end in it.
type endsWith struct {
	size int64
	end  []byte
}

// ReadAt implements io.ReaderAt.
func (e endsWith) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	n := min(int64(len(p)), e.size-off)
	if n <= 0 {
		return 0, io.EOF
	}
	if from := e.size - int64(len(e.end)); off+n > from {
		copy(p[max(from-off, 0):n], e.end[max(off-from, 0):])
	}
	return int(n), nil
}
