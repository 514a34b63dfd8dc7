// Package log is the event sink that writes a file: one line of JSON per event,
// on the disk when Deliver returns.
//
// A file that has reached its size is renamed to end in .1, the one before that
// to .2 and so on; the oldest is removed. Whoever follows the file should follow
// its name. The surprise: a body that is not JSON, or has line breaks in it, is
// written in another spelling, so that a line is always one event.
package log

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/event"
	"packhouse/internal/fault"
)

// Options bound what is kept.
type Options struct {
	MaxBytes int64 // of a file before the next is begun; default 64 MiB
	Keep     int   // older files; default 4
}

// File is a log. It is for one process alone.
type File struct {
	path string
	opt  Options

	mu   sync.Mutex
	file *os.File // nil until something is written, and after a failure
	size int64
}

// New makes a log at a path, whose folder is made when something is written.
func New(path string, opt Options) *File {
	opt.MaxBytes = cmp.Or(opt.MaxBytes, 64<<20)
	opt.Keep = cmp.Or(opt.Keep, 4)
	return &File{path: path, opt: opt}
}

// Deliver implements event.Sink.
func (l *File) Deliver(ctx context.Context, m event.Message) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	line, err := lineOf(m.Body)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the message cannot be written as a line")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(line); err != nil {
		return fault.Wrap(fault.Unavailable, errors.Join(err, l.close()), "the event log cannot be written")
	}
	return nil
}

// lineOf is a body as a line.
func lineOf(body []byte) ([]byte, error) {
	line := jsontext.Value(body).Clone()
	if !line.IsValid() {
		quoted, err := jsontext.AppendQuote(nil, jsonText(body))
		return append(quoted, '\n'), err
	}
	for _, c := range line {
		if c == '\n' || c == '\r' {
			if err := line.Compact(); err != nil {
				return nil, err
			}
			break
		}
	}
	return append(line, '\n'), nil
}

// jsonText mends what is no UTF-8.
func jsonText(body []byte) string { return string([]rune(string(body))) }

func (l *File) write(line []byte) error {
	if err := l.open(int64(len(line))); err != nil {
		return err
	}
	n, err := l.file.Write(line)
	if err != nil { // half a line would spoil the next one
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size += int64(n)
	return l.file.Sync()
}

// open sees to it that there is a file with room for more bytes.
func (l *File) open(more int64) error {
	if l.file == nil {
		if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		l.file = f
		if err := l.mend(); err != nil {
			return err
		}
	}
	if l.size == 0 || l.size+more <= l.opt.MaxBytes {
		return nil
	}
	if err := l.close(); err != nil {
		return err
	}
	if err := l.rotate(); err != nil {
		return err
	}
	return l.open(more)
}

// mend cuts off what a crash has left of a line.
func (l *File) mend() error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	l.size = end
	buf := make([]byte, 4096)
	for at := end; at > 0; {
		n := min(at, int64(len(buf)))
		at -= n
		if _, err := l.file.ReadAt(buf[:n], at); err != nil {
			return err
		}
		for i := n - 1; i >= 0; i-- {
			if buf[i] == '\n' {
				l.size = at + i + 1
				if l.size == end {
					return nil
				}
				return l.file.Truncate(l.size)
			}
		}
	}
	l.size = 0
	if end == 0 {
		return nil
	}
	return l.file.Truncate(0)
}

func (l *File) rotate() error {
	for i := l.opt.Keep; i > 1; i-- {
		if err := os.Rename(l.older(i-1), l.older(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(l.path, l.older(1))
}

func (l *File) older(i int) string { return fmt.Sprintf("%s.%d", l.path, i) }

func (l *File) close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Close gives the file back. Nothing must be delivered afterwards.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.close()
}
