package blob

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// DefaultHoldBack is how many last bytes followers do not see before the
// content is known to be right.
const DefaultHoldBack = 32 << 10

// Followers are woken once for notifyStep bytes, or notifyDelay after some came:
// waking 64 of them for every packet that arrives would cost more than the bytes.
const (
	notifyStep  = 64 << 10
	notifyDelay = 5 * time.Millisecond
)

// Limits bound what a Writer takes and shows. The zero value has no size limit
// and holds back DefaultHoldBack.
type Limits struct {
	MaxBytes int64 // more than this is fault.TooLarge; 0 is no limit
	HoldBack int64 // last bytes followers wait for until Release or Commit; 0 is DefaultHoldBack
}

// Spool is where an adapter keeps the bytes of one Writer until they are
// committed. Write comes from one goroutine at a time; Reader may come at any
// time from others. Exactly one of Commit and Discard is called, last.
type Spool interface {
	io.Writer
	// Reader reads from the first byte with its own position; the Writer never
	// reads past what has been written. It must work before and after Commit.
	Reader() (io.ReadCloser, error)
	// Commit makes the bytes durable, then visible, and gives info back with
	// its Modified time. On error nothing is visible and the bytes are gone.
	Commit(ctx context.Context, info Info) (Info, error)
	// Discard drops the bytes.
	Discard()
}

// Writer takes one content of yet unknown name and lets any number of followers
// read it while it grows. Write, Release and Commit belong to one goroutine;
// everything else may be called from any.
//
// The last HoldBack bytes stay hidden from followers until Release or Commit,
// so that a client never completes a file whose digest turns out wrong: verify
// Digests, then Commit or Abort.
type Writer struct {
	space    string
	limits   Limits
	spool    Spool
	hasher   *digest.Hasher
	observer func(Info, error) // told once how it ended; nil or set before first use

	mu       sync.Mutex
	size     int64         // written
	shown    int64         // size when the followers were last woken
	released bool          // followers may read to the end
	ended    bool          // committed or aborted, or being so
	err      error         // why it was aborted
	news     chan struct{} // closed when anything above changed; nil when nobody waits
	soon     *time.Timer   // wakes what waits; nil when not running
}

// NewWriter puts a Writer on top of an adapter's spool.
func NewWriter(space string, spool Spool, limits Limits) *Writer {
	if limits.HoldBack <= 0 {
		limits.HoldBack = DefaultHoldBack
	}
	return &Writer{space: space, spool: spool, limits: limits, hasher: digest.NewHasher()}
}

// Write appends p. After an error the Writer can only be aborted.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	size, ended, released, err := w.size, w.ended, w.released, w.err
	w.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if ended || released {
		return 0, errors.New("write after the end of the content")
	}
	if w.limits.MaxBytes > 0 && size+int64(len(p)) > w.limits.MaxBytes {
		return 0, fault.New(fault.TooLarge, "content exceeds %d bytes", w.limits.MaxBytes)
	}
	n, err := w.spool.Write(p)
	w.grow(int64(n))
	// Hashed after it is shown: followers send these bytes meanwhile.
	_, _ = w.hasher.Write(p[:n])
	return n, err
}

func (w *Writer) grow(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.size += n
	first := w.shown <= w.limits.HoldBack && w.size > w.limits.HoldBack
	switch {
	case first || w.size-w.shown >= notifyStep:
		w.wake()
	case w.news != nil && w.soon == nil:
		w.soon = time.AfterFunc(notifyDelay, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.wake()
		})
	}
}

// wake tells the followers that something changed. Requires w.mu.
func (w *Writer) wake() {
	w.shown = w.size
	if w.soon != nil {
		w.soon.Stop()
		w.soon = nil
	}
	if w.news != nil {
		close(w.news)
		w.news = nil
	}
}

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// Digests are those of the bytes written so far.
func (w *Writer) Digests() digest.Set { return w.hasher.Sum() }

// Release shows followers the held back bytes and their EOF before Commit: the
// caller has verified Digests and nothing more will be written. It spares
// clients the wait for the disk. A Commit that fails afterwards does not reach
// the followers, whose bytes are right.
func (w *Writer) Release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.released = true
		w.wake()
	}
}

// Commit makes the content durable and visible, and lets followers reach EOF.
// On error nothing is visible and followers get that error. Committing twice,
// or after Abort, is an error.
func (w *Writer) Commit(ctx context.Context) (Info, error) {
	return w.CommitThen(ctx, func(Info) error { return nil })
}

// CommitThen is Commit with something to do between making the content durable
// and letting followers reach EOF: recording it, so that whoever has read all of
// it finds it recorded. When then fails, followers get its error and the stored
// content, which nothing refers to, is the sweep's.
func (w *Writer) CommitThen(ctx context.Context, then func(Info) error) (Info, error) {
	if err := ctx.Err(); err != nil {
		err = context.Cause(ctx)
		w.Abort(err)
		return Info{}, err
	}
	if err := w.end(nil); err != nil {
		return Info{}, err
	}
	digests := w.hasher.Sum()
	info := Info{Ref: Ref{Space: w.space, SHA256: digests.Hex(digest.SHA256)}, Size: w.size, Digests: digests}
	info, err := w.spool.Commit(ctx, info)
	if err == nil {
		err = then(info)
	}
	w.mu.Lock()
	if err != nil {
		w.err = err
	} else {
		w.released = true
	}
	w.wake()
	w.mu.Unlock()
	w.report(info, err)
	return info, err
}

// Abort gives the content up: nothing becomes visible, and followers that have
// not been released get cause (ErrAborted if nil) at once. After Commit or
// another Abort it does nothing, so it may be deferred.
func (w *Writer) Abort(cause error) {
	if cause == nil {
		cause = ErrAborted
	}
	if w.end(cause) != nil {
		return
	}
	w.spool.Discard()
	w.report(Info{}, cause)
}

// end claims the right to finish the writer.
func (w *Writer) end(cause error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		if w.err != nil {
			return w.err
		}
		return errors.New("content was committed already")
	}
	w.ended = true
	if cause != nil {
		w.err = cause
		w.wake()
	}
	return nil
}

func (w *Writer) report(info Info, err error) {
	if w.observer != nil {
		w.observer(info, err)
	}
}

// why is the reason why nobody can read the content; nil while somebody can.
func (w *Writer) why() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.released {
		return nil
	}
	return w.err
}

// NewReader starts a follower at the first byte. It may be called at any time,
// also after Commit; after Abort it answers why. When ctx ends, so does the
// follower. The caller closes it.
func (w *Writer) NewReader(ctx context.Context) (*Follower, error) {
	if err := w.why(); err != nil {
		return nil, err
	}
	r, err := w.spool.Reader()
	if err != nil {
		return nil, cmp.Or(w.why(), err) // it may have been given up meanwhile
	}
	f := &Follower{w: w, r: r, done: make(chan struct{})}
	f.stop = context.AfterFunc(ctx, func() { f.finish(context.Cause(ctx)) })
	return f, nil
}

// Follower reads a Writer's bytes as they arrive, blocking for more. EOF comes
// only after Release or Commit; otherwise the error given to Abort does. Read
// and WriteTo belong to one goroutine; Close may come from another and unblocks
// them.
type Follower struct {
	w    *Writer
	r    io.ReadCloser
	off  int64
	stop func() bool

	once sync.Once
	done chan struct{} // closed by finish
	err  error         // why; valid once done is closed
}

// Read gives what has arrived, at least one byte.
func (f *Follower) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.wait()
	if err != nil {
		return 0, err
	}
	got, err := f.r.Read(p[:min(n, int64(len(p)))])
	f.off += int64(got)
	if got > 0 {
		return got, nil
	}
	return 0, f.why(err)
}

// WriteTo sends everything to dst as it arrives, handing it plain limited
// files where the adapter has them, so that a connection uses sendfile.
func (f *Follower) WriteTo(dst io.Writer) (int64, error) {
	start := f.off
	for {
		n, err := f.wait()
		if err == io.EOF { //nolint:errorlint // wait returns it bare
			return f.off - start, nil
		}
		if err != nil {
			return f.off - start, err
		}
		sent, err := io.Copy(dst, io.LimitReader(f.r, n))
		f.off += sent
		if err != nil || sent == 0 {
			return f.off - start, f.why(err)
		}
	}
}

// why prefers the reason the follower was ended to that of the file closed under
// it, and keeps a spool that ends early from looking like the end of the content.
func (f *Follower) why(err error) error {
	select {
	case <-f.done:
		return f.err
	default:
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// wait blocks until at least one unread byte may be read and tells how many may.
func (f *Follower) wait() (int64, error) {
	for {
		select {
		case <-f.done:
			return 0, f.err
		default:
		}
		n, news, err := f.w.available(f.off)
		if news == nil {
			return n, err
		}
		select {
		case <-news:
		case <-f.done:
			return 0, f.err
		}
	}
}

// available tells how many bytes from off on may be read, or io.EOF, or why the
// content was given up; else the channel that is closed at the next change.
func (w *Writer) available(off int64) (int64, <-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.released && off < w.size:
		return w.size - off, nil, nil
	case w.released:
		return 0, nil, io.EOF
	case w.err != nil:
		return 0, nil, w.err
	case off < w.size-w.limits.HoldBack:
		return w.size - w.limits.HoldBack - off, nil, nil
	}
	if w.news == nil {
		w.news = make(chan struct{})
	}
	return 0, w.news, nil
}

// Close ends the follower and fails a Read that is blocked in it. The Writer
// goes on.
func (f *Follower) Close() error {
	f.stop()
	f.finish(errFollowerClosed)
	return nil
}

var errFollowerClosed = errors.New("read from a closed follower")

func (f *Follower) finish(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.done)
		_ = f.r.Close()
	})
}
