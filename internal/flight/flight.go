// Package flight makes one call serve any number of callers who want the same
// thing at the same time.
//
// The work belongs to nobody: a caller who leaves stops waiting, the call goes
// on for the others and for the cache it fills, under a deadline of its own.
package flight

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClosed is why a call ended that Close has cut off.
var ErrClosed = errors.New("the server is stopping")

// Group runs at most one call per key at a time. The zero value is ready; set
// Timeout before first use. It is safe for concurrent use.
type Group[K comparable, V any] struct {
	Timeout time.Duration // deadline of a call, 0 = two minutes

	mu     sync.Mutex
	calls  map[K]*call[V]
	closed bool
	wait   sync.WaitGroup
}

type call[V any] struct {
	done   chan struct{}
	cancel context.CancelCauseFunc
	val    V
	err    error
}

// Do waits for the result of the running call for key, starting do if there is
// none. It returns early with ctx's error when ctx ends; do does not notice.
func (g *Group[K, V]) Do(ctx context.Context, key K, do func(context.Context) (V, error)) (V, error) {
	c := g.Start(ctx, key, do)
	select {
	case <-c.done:
		return c.val, c.err
	case <-ctx.Done():
		var zero V
		return zero, context.Cause(ctx)
	}
}

// DoFor is Do that gives up waiting after patience; ok tells whether the call
// ended in time.
func (g *Group[K, V]) DoFor(ctx context.Context, patience time.Duration, key K, do func(context.Context) (V, error)) (val V, ok bool, err error) {
	c := g.Start(ctx, key, do)
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-c.done:
		return c.val, true, c.err
	case <-t.C:
	case <-ctx.Done():
	}
	return val, false, nil
}

// Start begins the call for key unless one is running, and does not wait. do
// keeps ctx's values (trace, request id) but not its cancellation.
func (g *Group[K, V]) Start(ctx context.Context, key K, do func(context.Context) (V, error)) *call[V] { //nolint:revive // the type is for Do and DoFor alone
	g.mu.Lock()
	defer g.mu.Unlock()
	if c, ok := g.calls[key]; ok {
		return c
	}
	if g.calls == nil {
		g.calls = make(map[K]*call[V])
	}
	timeout := g.Timeout
	if timeout == 0 {
		timeout = 2 * time.Minute
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	c := &call[V]{done: make(chan struct{}), cancel: cancel}
	g.calls[key] = c
	if g.closed {
		cancel(ErrClosed)
	}
	g.wait.Go(func() {
		ctx, stop := context.WithTimeout(ctx, timeout)
		defer stop()
		defer cancel(nil)
		defer func() {
			if p := recover(); p != nil {
				c.err = fmt.Errorf("panic: %v", p)
			}
			g.mu.Lock()
			delete(g.calls, key)
			g.mu.Unlock()
			close(c.done)
		}()
		c.val, c.err = do(ctx)
	})
	return c
}

// Wait blocks until every running call has ended.
func (g *Group[K, V]) Wait() { g.wait.Wait() }

// Close cuts running calls off, and those that begin from now on, with
// ErrClosed, and waits for them; for a shutdown, when nobody is left who wants
// their results.
func (g *Group[K, V]) Close() {
	g.mu.Lock()
	g.closed = true
	for _, c := range g.calls {
		c.cancel(ErrClosed)
	}
	g.mu.Unlock()
	g.wait.Wait()
}
