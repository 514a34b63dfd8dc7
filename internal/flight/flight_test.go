package flight

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestGroup_ManyCallersShareOneCall(t *testing.T) {
	var g Group[string, int]
	var runs atomic.Int32
	release := make(chan struct{})
	work := func(context.Context) (int, error) { <-release; return int(runs.Add(1)), nil }
	calls := make([]*call[int], 64)
	for i := range calls {
		calls[i] = g.Start(t.Context(), "k", work)
	}
	close(release)
	for _, c := range calls {
		<-c.done
		if c.val != 1 || c.err != nil {
			t.Fatalf("got %d, %v; want every caller to see run 1", c.val, c.err)
		}
	}
}

func TestGroup_LeavingCallerDoesNotStopTheCall(t *testing.T) {
	var g Group[string, string]
	release := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	left := make(chan error, 1)
	go func() {
		_, err := g.Do(ctx, "k", func(ctx context.Context) (string, error) {
			close(started)
			<-release
			return "done", ctx.Err()
		})
		left <- err
	}()
	<-started
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatalf("leaving caller got %v", err)
	}
	c := g.Start(t.Context(), "k", func(context.Context) (string, error) { return "second", nil })
	close(release)
	<-c.done
	if c.val != "done" || c.err != nil {
		t.Fatalf("the call gave %q, %v", c.val, c.err)
	}
}

func TestGroup_PatienceEnds(t *testing.T) {
	var g Group[string, int]
	release := make(chan struct{})
	_, ok, _ := g.DoFor(t.Context(), time.Millisecond, "k", func(context.Context) (int, error) { <-release; return 1, nil })
	if ok {
		t.Fatal("a call that cannot end was reported as ended")
	}
	close(release)
	g.Wait()
}

func TestGroup_PanicBecomesAnError(t *testing.T) {
	var g Group[string, int]
	_, err := g.Do(t.Context(), "k", func(context.Context) (int, error) { panic("boom") })
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatalf("got %v", err)
	}
}

func TestGroup_CloseEndsRunningAndLaterCalls(t *testing.T) {
	var g Group[string, int]
	started := make(chan struct{})
	c := g.Start(t.Context(), "k", func(ctx context.Context) (int, error) {
		close(started)
		<-ctx.Done()
		return 0, context.Cause(ctx)
	})
	<-started
	g.Close()
	if <-c.done; !errors.Is(c.err, ErrClosed) {
		t.Errorf("the running call ended with %v", c.err)
	}
	_, err := g.Do(t.Context(), "k", func(ctx context.Context) (int, error) { return 0, context.Cause(ctx) })
	if !errors.Is(err, ErrClosed) {
		t.Errorf("a call after Close ended with %v", err)
	}
}
