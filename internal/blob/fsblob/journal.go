package fsblob

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"packhouse/internal/blob"
)

// A new file needs two flushes of the file system's own journal (file and
// folder), 1 to 5 ms together on a plain disk. Overwriting bytes of a file that has
// its blocks already needs a flush of data alone, 0.1 to 0.5 ms. So the bytes of a
// small blob are first appended to a journal whose blocks exist, all waiting
// puts sharing one flush, and the file itself is left for the kernel to write
// when it likes. Two segments take turns: when one is full the other takes
// over, while a checkpoint waits for the renames of the first, flushes the file
// system once (syncfs) and makes the segment free again.
//
// After a crash of the machine Open puts the blobs of the journal back. After a
// crash of the process alone (same boot) the kernel still has everything and
// nothing is to be done. A put for which neither segment has room goes the slow
// way; so does everything once the journal failed.
const (
	journalSegment  = 8 << 20   // bytes of one segment
	journalBlobMost = 128 << 10 // larger blobs are not worth writing twice
	journalAfter    = 8         // that many small puts before the segments are made: most tests and trials never need them

	segmentHeader = 4096 // magic, generation, boot id
	recordHeader  = 56   // see record
	recordMagic   = 0x52424850
	segmentMagic  = "PHBLOBJ1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type journal struct {
	dir         string
	segmentSize int64
	log         *slog.Logger
	boot        string // names this run of the kernel; empty is never equal

	mu         sync.Mutex
	flushed    sync.Cond // some segment's flushing changed
	segments   []*segment
	active     *segment // nil: every put goes the slow way
	generation uint64
	small      int // puts seen before the segments were made
	closed     bool

	background sync.WaitGroup
}

type segment struct {
	file       *os.File
	generation uint64
	written    int64 // end of the records
	durable    int64 // up to where they are flushed
	flushing   bool
	free       bool
	pending    sync.WaitGroup // entries not yet renamed
}

// openJournal restores what is in the segments of dir, if any.
func openJournal(dir string, options Options, restore func(blob.Ref, []byte) error) (*journal, error) {
	j := &journal{dir: dir, segmentSize: options.segmentSize, log: options.Log, boot: options.boot}
	j.flushed.L = &j.mu
	restored := 0
	for i := range 2 {
		f, err := os.OpenFile(j.path(i), os.O_RDWR, fileMode)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, errors.Join(err, j.closeFiles())
		}
		j.segments = append(j.segments, &segment{file: f})
		n, err := j.recover(j.segments[i], restore)
		if err != nil {
			return nil, errors.Join(err, j.closeFiles())
		}
		restored += n
	}
	if len(j.segments) < 2 {
		return j, j.closeFiles()
	}
	if restored > 0 {
		j.log.Info("blobs restored from the journal", slog.Int("records", restored))
		if err := syncFileSystem(j.segments[0].file); err != nil {
			return nil, errors.Join(err, j.closeFiles())
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments {
		if s.written > 0 {
			continue
		}
		if err := j.reset(s); err != nil {
			return nil, errors.Join(err, j.closeFiles())
		}
	}
	for _, s := range j.segments {
		if !s.free {
			j.checkpoint(s) // records of this boot: in the kernel, not yet on the disk
		}
	}
	j.activate()
	return j, nil
}

func (j *journal) path(i int) string { return filepath.Join(j.dir, fmt.Sprintf(".journal-%d", i)) }

func (j *journal) closeFiles() error {
	var err error
	for _, s := range j.segments {
		err = errors.Join(err, s.file.Close())
	}
	j.segments, j.active = nil, nil
	return err
}

// recover hands the records of a segment to restore, unless they are of this
// boot: then it only notes that there are some, for a checkpoint.
func (j *journal) recover(s *segment, restore func(blob.Ref, []byte) error) (int, error) {
	b, err := io.ReadAll(io.LimitReader(s.file, j.segmentSize))
	if err != nil {
		return 0, err
	}
	generation, boot, ok := parseHeader(b)
	if !ok {
		return 0, nil // torn while it was made; nothing was acknowledged in it
	}
	j.generation = max(j.generation, generation)
	n := 0
	for rest := b[segmentHeader:]; ; n++ {
		ref, data, size := parseRecord(rest, generation)
		if size == 0 {
			return n, nil
		}
		if boot != "" && boot == j.boot {
			s.written = segmentHeader
			return 0, nil
		}
		if err := restore(ref, data); err != nil {
			return n, err
		}
		rest = rest[size:]
	}
}

func parseHeader(b []byte) (generation uint64, boot string, ok bool) {
	if len(b) < segmentHeader || string(b[:8]) != segmentMagic {
		return 0, "", false
	}
	size := int(b[20])
	if crc32.Checksum(b[8:21+size], castagnoli) != binary.LittleEndian.Uint32(b[segmentHeader-4:]) {
		return 0, "", false
	}
	return binary.LittleEndian.Uint64(b[8:]), string(b[21 : 21+size]), true
}

// reset empties a segment under a new generation. The header becomes durable
// with the first record after it; until then records of the generation before
// may be found, which name blobs that are safe.
func (j *journal) reset(s *segment) error {
	j.generation++
	header := make([]byte, segmentHeader)
	copy(header, segmentMagic)
	binary.LittleEndian.PutUint64(header[8:], j.generation)
	boot := j.boot[:min(len(j.boot), 255)]
	header[20] = byte(len(boot))
	copy(header[21:], boot)
	binary.LittleEndian.PutUint32(header[segmentHeader-4:], crc32.Checksum(header[8:21+len(boot)], castagnoli))
	if _, err := s.file.WriteAt(header, 0); err != nil {
		return err
	}
	s.generation, s.written, s.durable, s.free = j.generation, segmentHeader, 0, true
	return nil
}

// parseRecord reads the record at the start of b; size 0 if there is none of
// that generation. A record is:
//
//	0  magic u32      4  checksum u32 of all that follows
//	8  generation u64 16 length of data u32   20 length of space u32
//	24 SHA-256        56 space, data, zeros up to a multiple of 8
func parseRecord(b []byte, generation uint64) (ref blob.Ref, data []byte, size int64) {
	if len(b) < recordHeader || binary.LittleEndian.Uint32(b) != recordMagic || binary.LittleEndian.Uint64(b[8:]) != generation {
		return blob.Ref{}, nil, 0
	}
	dataSize, spaceSize := int64(binary.LittleEndian.Uint32(b[16:])), int64(binary.LittleEndian.Uint32(b[20:]))
	end := recordHeader + spaceSize + dataSize
	if end > int64(len(b)) || crc32.Checksum(b[8:end], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return blob.Ref{}, nil, 0
	}
	ref = blob.Ref{Space: string(b[recordHeader : recordHeader+spaceSize]), SHA256: hex.EncodeToString(b[24:recordHeader])}
	if ref.Validate() != nil {
		return blob.Ref{}, nil, 0
	}
	return ref, b[recordHeader+spaceSize : end], min(padded(end), int64(len(b)))
}

func padded(n int64) int64 { return (n + 7) &^ 7 }

// makeRecord encodes a record around the first size bytes of r.
func makeRecord(buf []byte, ref blob.Ref, r io.ReaderAt, size int64) ([]byte, error) {
	start := recordHeader + int64(len(ref.Space))
	end := start + size
	buf = append(buf[:0], make([]byte, padded(end))...)
	binary.LittleEndian.PutUint32(buf, recordMagic)
	binary.LittleEndian.PutUint32(buf[16:], uint32(size))
	binary.LittleEndian.PutUint32(buf[20:], uint32(len(ref.Space)))
	if _, err := hex.Decode(buf[24:recordHeader], []byte(ref.SHA256)); err != nil {
		return nil, err
	}
	copy(buf[recordHeader:], ref.Space)
	if n, err := r.ReadAt(buf[start:end], 0); int64(n) < size {
		return nil, err
	}
	return buf, nil
}

// seal enters the generation and the checksum.
func seal(record []byte, generation uint64, end int64) {
	binary.LittleEndian.PutUint64(record[8:], generation)
	binary.LittleEndian.PutUint32(record[4:], crc32.Checksum(record[8:end], castagnoli))
}

// entry is one record whose blob is not yet in its place.
type entry struct {
	journal *journal
	segment *segment
	end     int64
}

var records = sync.Pool{New: func() any { return new([]byte) }}

// append writes the blob into the journal. It answers nil when the blob must go
// the slow way; else the caller must flush the entry, and call done once the
// blob has its name or never will.
func (j *journal) append(ref blob.Ref, r io.ReaderAt, size int64) *entry {
	if size > journalBlobMost || !j.ready() {
		return nil
	}
	buf := records.Get().(*[]byte)
	defer records.Put(buf)
	record, err := makeRecord(*buf, ref, r, size)
	if err != nil {
		return nil
	}
	*buf = record
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.active != nil && j.active.written+int64(len(record)) > j.segmentSize {
		j.rotate()
	}
	s := j.active
	if s == nil {
		return nil
	}
	seal(record, s.generation, recordHeader+int64(len(ref.Space))+size)
	if _, err := s.file.WriteAt(record, s.written); err != nil {
		j.fail(err)
		return nil
	}
	s.written += int64(len(record))
	s.pending.Add(1)
	return &entry{journal: j, segment: s, end: s.written}
}

// ready tells whether there are segments, and has them made when there were
// enough small puts to be worth it.
func (j *journal) ready() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.active != nil {
		return true
	}
	if len(j.segments) > 0 {
		j.activate()
		return j.active != nil
	}
	if j.small++; j.small == journalAfter && !j.closed {
		j.background.Go(j.create)
	}
	return false
}

// activate lets the first free segment take the records. Requires j.mu, or that
// nobody else has the journal.
func (j *journal) activate() {
	j.active = nil
	for _, s := range j.segments {
		if s.free && !j.closed {
			s.free = false
			j.active = s
			return
		}
	}
}

// rotate takes the other segment if it is free. Requires j.mu.
func (j *journal) rotate() {
	full := j.active
	j.activate()
	if full != nil {
		j.checkpoint(full)
	}
}

// checkpoint makes a full segment free once its blobs are safe without it.
func (j *journal) checkpoint(s *segment) {
	j.background.Go(func() {
		s.pending.Wait()
		err := syncFileSystem(s.file)
		j.mu.Lock()
		defer j.mu.Unlock()
		if err == nil {
			err = j.reset(s)
		}
		if err != nil {
			j.fail(err)
		}
	})
}

// fail switches the journal off for this process. What is in it stays for the
// next Open. Requires j.mu.
func (j *journal) fail(err error) {
	j.log.Error("blob journal failed and is off", slog.Any("error", err))
	for _, s := range j.segments {
		s.free = false
	}
	j.active, j.closed = nil, true
}

// flush returns once the entry is on the disk. Whoever comes first flushes for
// all that are written; the rest wait for it or for the next.
func (e *entry) flush() error {
	j, s := e.journal, e.segment
	j.mu.Lock()
	defer j.mu.Unlock()
	for s.durable < e.end {
		if j.closed {
			return errors.New("the journal is off")
		}
		if s.flushing {
			j.flushed.Wait()
			continue
		}
		s.flushing = true
		upTo := s.written
		j.mu.Unlock()
		err := syncData(s.file)
		j.mu.Lock()
		s.flushing = false
		if err == nil {
			s.durable = upTo
		} else {
			j.fail(err)
		}
		j.flushed.Broadcast()
	}
	return nil
}

func (e *entry) done() { e.segment.pending.Done() }

// create makes the segments with all their blocks written, which is what makes
// their flushes cheap.
func (j *journal) create() {
	var made []*segment
	for i := range 2 {
		f, err := makeSegment(j.path(i), j.segmentSize)
		if err != nil {
			j.log.Warn("blob journal could not be made; puts are slower without", slog.Any("error", err))
			for _, s := range made {
				_ = s.file.Close()
			}
			return
		}
		made = append(made, &segment{file: f})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.segments = made
	for _, s := range made {
		if err := j.reset(s); err != nil {
			j.fail(err)
			return
		}
	}
	j.activate()
}

func makeSegment(path string, size int64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for off := int64(0); off < size && err == nil; off += int64(len(zeros)) {
		_, err = f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off)
	}
	if err = errors.Join(err, f.Sync(), syncFolder(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// close waits for what runs in the background, and empties the segments so that
// the next Open has nothing to do.
func (j *journal) close() error {
	j.background.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed || len(j.segments) == 0 {
		return j.closeFiles()
	}
	j.closed = true
	err := syncFileSystem(j.segments[0].file)
	for _, s := range j.segments {
		if err == nil {
			err = errors.Join(j.reset(s), syncData(s.file))
		}
	}
	return errors.Join(err, j.closeFiles())
}
