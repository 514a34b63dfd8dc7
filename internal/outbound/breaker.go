package outbound

import (
	"fmt"
	"sync"
	"time"
)

// breaker spares a remote that is down, and its clients the wait. Closed it lets
// everything pass and counts failures in a row; open nothing, until a delay
// has passed; then one probe decides.
type breaker struct {
	now      func() time.Time
	after    int
	openFor  time.Duration
	mu       sync.Mutex
	failures int       // in a row
	until    time.Time // zero: closed; else no request before, and one probe after
	probing  bool
}

// openError says that the breaker is open.
type openError struct {
	failures int
	until    time.Time
	wait     time.Duration
}

func (e *openError) Error() string {
	return fmt.Sprintf("breaker is open until %s", e.until.UTC().Format(time.RFC3339))
}
func (e *openError) Is(target error) bool { return target == ErrOpen }

// enter asks to pass. What passes must be ended by exactly one of ok, failed
// and gone.
func (b *breaker) enter() (*pass, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return &pass{breaker: b}, nil
	}
	wait := b.until.Sub(b.now())
	if wait > 0 || b.probing {
		return nil, &openError{failures: b.failures, until: b.until, wait: max(wait, 0)}
	}
	b.probing = true
	return &pass{breaker: b, probe: true}, nil
}

// pass is one request that was let through.
type pass struct {
	breaker *breaker
	probe   bool
	ended   bool
}

// answered tells that a response began: enough for a probe, while otherwise its
// body still counts.
func (p *pass) answered() {
	if p.probe {
		p.ok()
	}
}

func (p *pass) ok() {
	p.end(func(b *breaker) { b.failures, b.until = 0, time.Time{} })
}

func (p *pass) failed() {
	p.end(func(b *breaker) {
		if b.failures++; b.failures >= b.after {
			b.until = b.now().Add(b.openFor)
		}
	})
}

// gone ends a pass that says nothing about the remote: the caller left.
func (p *pass) gone() { p.end(func(*breaker) {}) }

func (p *pass) end(record func(*breaker)) {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	if p.probe {
		b.probing = false
	} else if !b.until.IsZero() {
		return // began before the breaker opened; the probe decides
	}
	record(b)
}

// open tells whether requests are refused now.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero() && b.now().Before(b.until)
}
