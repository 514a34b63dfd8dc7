package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// body guards a response's body: it fails when the body stalls, exceeds the
// limit or ends early, and tells the breaker how it went.
type body struct {
	io.ReadCloser
	remote *Remote
	ctx    context.Context //nolint:containedctx // of the one request this body belongs to
	cancel context.CancelCauseFunc
	pass   *pass
	idle   time.Duration
	timer  *time.Timer // runs while a Read does
	got    int64
	want   int64 // promised length, -1 if none
	most   int64 // limit, 0 if none
	err    error // sticky
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(b.idle, func() {
			b.cancel(fmt.Errorf("%w for %s", ErrStalled, b.idle))
		})
	} else {
		b.timer.Reset(b.idle)
	}
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	b.got += int64(n)
	if b.most > 0 && b.got > b.most {
		n -= int(b.got - b.most)
		err = fmt.Errorf("%w: over %d bytes", ErrTooLarge, b.most)
	}
	if errors.Is(err, io.EOF) && b.want >= 0 && b.got < b.want || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: %d of %d bytes", ErrTruncated, b.got, b.want)
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.err = err
		b.pass.ok()
	default:
		b.err = b.remote.fail(because(b.ctx, err))
		b.remote.record(b.pass, b.err)
	}
	return n, b.err
}

// Close gives the connection back if everything was read, else drops it.
func (b *body) Close() error {
	if b.timer != nil {
		b.timer.Stop()
	}
	err := b.ReadCloser.Close()
	b.cancel(context.Canceled)
	b.pass.ok()
	return err
}
