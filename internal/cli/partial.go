package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// partial is a download that is not complete: NAME.HASH.part beside the file it
// becomes, and NAME.HASH.part.json, which says what is in it. The name has a
// piece of the hash, so what is left of one content is never taken for another.
type partial struct {
	file     *os.File
	path     string
	sha256   string
	size     int64
	partSize int64

	mu   sync.Mutex
	has  []bool
	have int64 // bytes
}

// partialJournal is the file that says which parts are there.
type partialJournal struct {
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
	PartSize int64  `json:"partSize"`
	Parts    []int  `json:"parts"` // those that are there, by number
}

// openPartial opens or begins the download of f to path, for this process
// alone. What an earlier one left decides the size of parts.
func openPartial(path string, f incoming, partSize int64) (*partial, error) {
	const longest = 200 // bytes of a name, so that the suffixes fit into the 255 of a folder
	dir, name := filepath.Split(path)
	p := &partial{path: dir + name[:min(len(name), longest)] + "." + f.sha256[:12] + ".part", sha256: f.sha256, size: f.size, partSize: partSize}
	var err error
	if p.file, err = os.OpenFile(p.path, os.O_CREATE|os.O_RDWR, 0o666); err != nil { //nolint:gosec // a download is as readable as the umask says
		return nil, err
	}
	if err := lockFile(p.file); err != nil {
		return nil, errors.Join(fmt.Errorf("another download is writing %s: %w", p.path, err), p.file.Close())
	}
	if err := p.load(); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	return p, nil
}

// load finds out what is there already.
func (p *partial) load() error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	j := p.journal()
	if j.SHA256 != p.sha256 || j.Size != p.size || j.PartSize < minPart || j.PartSize > mostPart {
		return p.restart()
	}
	p.partSize = j.PartSize
	p.has = make([]bool, p.count())
	for _, i := range j.Parts {
		if i < 0 || i >= len(p.has) || p.has[i] {
			return p.restart()
		}
		from, to := p.span(i)
		if to > info.Size() {
			return p.restart()
		}
		p.has[i] = true
		p.have += to - from
	}
	return nil
}

// journal reads what an earlier run says of the file; what cannot be read says
// nothing.
func (p *partial) journal() (j partialJournal) {
	f, err := os.Open(p.path + ".json")
	if err != nil {
		return j
	}
	defer f.Close()
	if json.NewDecoder(io.LimitReader(f, 4<<20)).Decode(&j) != nil {
		return partialJournal{}
	}
	return j
}

// restart begins with nothing.
func (p *partial) restart() error {
	p.has, p.have = make([]bool, p.count()), 0
	if err := os.Remove(p.path + ".json"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return p.file.Truncate(0)
}

func (p *partial) count() int { return int((p.size + p.partSize - 1) / p.partSize) }

// span is where a part is.
func (p *partial) span(i int) (from, to int64) {
	from = int64(i) * p.partSize
	return from, min(from+p.partSize, p.size)
}

// done notes that a part is there; i counts for all when the file comes whole.
func (p *partial) done(i int, n int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.have += n
	if n == p.size {
		for k := range p.has {
			p.has[k] = true
		}
	} else {
		p.has[i] = true
	}
	return p.note()
}

// note writes the journal. It is not flushed: what a power cut makes of it is
// found by the hash of the whole.
func (p *partial) note() error {
	j := partialJournal{SHA256: p.sha256, Size: p.size, PartSize: p.partSize, Parts: []int{}}
	for i, has := range p.has {
		if has {
			j.Parts = append(j.Parts, i)
		}
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	next := p.path + ".json.new"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, p.path+".json")
}

// verify reads the file again and compares its hash.
func (p *partial) verify(ctx context.Context, f incoming) error {
	h := sha256.New()
	if _, err := io.Copy(h, untilDone{ctx, io.NewSectionReader(p.file, 0, p.size)}); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.sha256 {
		return wrongHash(f, got)
	}
	return nil
}

// untilDone ends reading with its context.
type untilDone struct {
	ctx context.Context //nolint:containedctx // lives for one io.Copy
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(b)
}

// finish puts the file where it belongs, durably.
func (p *partial) finish(path string) error {
	if err := p.file.Truncate(p.size); err != nil {
		return err
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(p.path, path); err != nil {
		return err
	}
	if err := os.Remove(p.path + ".json"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// discard takes away what is of no use to a later run.
func (p *partial) discard() error {
	err := os.Remove(p.path)
	if e := os.Remove(p.path + ".json"); e != nil && !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// Close lets another process have it.
func (p *partial) Close() error { return p.file.Close() }
