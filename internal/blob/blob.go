// Package blob is the port to where the bytes of assets live: a store of
// immutable contents, each named by its SHA-256.
//
// A name lives in a space, one per domain, so equal bytes are kept once inside
// a domain and never shared across domains (their existence would leak). The
// catalog alone knows what a blob is for; a blob no row refers to is removed by
// the sweep after a grace period. Adapters are fsblob and memblob; blobtest is
// the suite each of them passes.
//
// The rule that surprises: putting a content that is there already renews its
// Modified time, and Expire removes only what was not put again since. That is
// what keeps the sweep from deleting a blob between its Put and the commit of
// the row that refers to it.
package blob

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
	"time"

	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// ErrNotFound says that the store has no such blob; test with errors.Is. Its
// kind is fault.NotFound.
var ErrNotFound = fault.New(fault.NotFound, "no such blob")

// ErrAborted is what followers of a Writer get when it was aborted for no
// stated reason.
var ErrAborted = fault.New(fault.Unavailable, "the transfer was given up")

// Ref names one blob.
type Ref struct {
	Space  string // [a-z0-9-]{1,64}
	SHA256 string // 64 lower-case hex digits
}

// String is space/sha256, for logs.
func (r Ref) String() string { return r.Space + "/" + r.SHA256 }

// Validate refuses anything that is not exactly of the two forms, so that a
// reference can never name something outside the store.
func (r Ref) Validate() error {
	if err := ValidateSpace(r.Space); err != nil {
		return err
	}
	if len(r.SHA256) != 64 {
		return fault.New(fault.Invalid, "blob name is not a SHA-256 in hex")
	}
	for _, c := range []byte(r.SHA256) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fault.New(fault.Invalid, "blob name is not a SHA-256 in lower-case hex")
		}
	}
	return nil
}

// ValidateSpace refuses what is not [a-z0-9-]{1,64}.
func ValidateSpace(space string) error {
	const most = 64
	if space == "" || len(space) > most {
		return fault.New(fault.Invalid, "blob space must have 1 to 64 characters")
	}
	for _, c := range []byte(space) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fault.New(fault.Invalid, "blob space may hold only a-z, 0-9 and -")
		}
	}
	return nil
}

// Info describes a stored blob.
type Info struct {
	Ref      Ref
	Size     int64      // bytes
	Digests  digest.Set // all four from Put and Commit; the SHA-256 alone from Stat and All
	Modified time.Time  // when it was last put
}

// Reader reads one blob. ReadAt may be used concurrently. A reader stays valid
// when its blob is deleted.
type Reader interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64 // bytes
}

// Filer is a Reader backed by a file. Handing that file (or the Reader itself,
// which is then a syscall.Conn too) to http.ServeContent or io.Copy makes
// net/http use sendfile.
type Filer interface {
	File() *os.File
}

// Store keeps blobs. It is safe for concurrent use. Errors: ErrNotFound, kind
// Invalid for a malformed space or reference, TooLarge over the size limit,
// Unavailable when the disk is full, else Internal.
type Store interface {
	// Put stores what r gives until EOF: atomic, idempotent, durable on
	// return; nothing is visible after an error. An error of r is returned
	// wrapped and unclassified.
	Put(ctx context.Context, space string, r io.Reader) (Info, error)
	// Begin starts a spool that can be read while it is written. The caller
	// must end it with Commit or Abort.
	Begin(ctx context.Context, space string) (*Writer, error)
	// Open reads a blob; the caller closes it.
	Open(ctx context.Context, ref Ref) (Reader, error)
	// Stat tells size and time.
	Stat(ctx context.Context, ref Ref) (Info, error)
	// Delete removes a blob. Readers already open go on reading.
	Delete(ctx context.Context, ref Ref) error
	// Expire removes a blob only if it was not put since before, and tells
	// whether it did. This, not Delete, is what the sweep must use.
	Expire(ctx context.Context, ref Ref, before time.Time) (bool, error)
	// Quarantine moves a blob aside, so that none of the other methods sees it,
	// only if it was last put when seen says, and tells whether it did. A Put of
	// the same content then stores it anew.
	Quarantine(ctx context.Context, ref Ref, seen time.Time) (bool, error)
	// All lists every blob, in no particular order; what is put or deleted
	// meanwhile may or may not appear. It ends after yielding an error.
	All(ctx context.Context) iter.Seq2[Info, error]
}

// copyBuffers serve PutAll; large enough that a write call is a small part of
// the cost of its bytes.
var copyBuffers = sync.Pool{New: func() any {
	b := make([]byte, copyBufferSize)
	return &b
}}

const copyBufferSize = 128 << 10

// PutAll writes all of r to w and commits it, or aborts it: the Put of every
// adapter.
func PutAll(ctx context.Context, w *Writer, r io.Reader) (Info, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	if _, err := io.CopyBuffer(w, UntilDone(ctx, r), *buf); err != nil {
		w.Abort(err)
		return Info{}, fmt.Errorf("put blob: %w", err)
	}
	return w.Commit(ctx)
}

// UntilDone reads from r until ctx ends.
func UntilDone(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

// contextReader ends reading when its context does, and hides WriterTo so that
// the bytes pass in pieces.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives for one io.Copy
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
