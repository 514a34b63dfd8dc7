package upkeep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/event/webhook"
	"packhouse/internal/fault"
)

const (
	defaultRetries = 185            // of a message after the first attempt
	defaultAge     = 24 * time.Hour // of a message that is still tried
	firstRetry     = time.Second
	lastRetry      = 10 * time.Minute // between attempts, at most
)

// authorize adds the parameters of a target and of its connection.
func (r ruleTarget) authorize(to *webhook.Target) {
	to.Header, to.Query, to.Body = http.Header{}, url.Values{}, map[string]string{}
	for name, value := range r.Settings.Header {
		to.Header.Set(name, value)
	}
	for name, value := range r.Settings.Query {
		to.Query.Set(name, value)
	}
	c := r.connection
	switch {
	case c.Settings.User != "":
		to.User = url.UserPassword(c.Settings.User, string(c.Secret.Password))
	case c.Settings.Header != "":
		to.Header.Set(c.Settings.Header, string(c.Secret.Password))
	}
	for _, p := range c.Settings.Params {
		value := cmp.Or(string(c.Secret.Params[p.In+"/"+p.Key]), p.Value)
		switch p.In {
		case catalog.ParamHeader:
			to.Header.Set(p.Key, value)
		case catalog.ParamQuery:
			to.Query.Set(p.Key, value)
		default:
			to.Body[p.Key] = value
		}
	}
}

// taken are messages of a target that this process holds.
type taken struct {
	route
	messages []catalog.EventDelivery
	expired  int64 // have become dead letters on the way
	dropped  int64 // were for a target that is gone
}

// dispatch takes due messages, of each target as many as it may have, and sends
// them on their way.
func (c *courier) dispatch(ctx context.Context, waiting []catalog.WaitingTarget) error {
	room := c.room(waiting)
	if len(room) == 0 {
		return nil
	}
	var list []taken
	tidied := 0
	err := c.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		list, tidied = nil, 0
		for _, w := range waiting {
			limit, ok := room[w.Target]
			if !ok {
				continue
			}
			t, err := c.take(tx, w.Target, limit, purgeBatch-tidied)
			if err != nil {
				return err
			}
			tidied += int(t.expired + t.dropped)
			list = append(list, t)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range list {
		if t.expired > 0 {
			c.log.WarnContext(ctx, "events have become dead letters", slog.String("target", t.target), slog.Int64("count", t.expired), slog.String("cause", "they have waited too long"))
		}
		for range t.expired {
			c.opt.Event(EventDead)
		}
		c.start(ctx, t)
	}
	if tidied >= purgeBatch { // it may not have been all
		c.hurry()
	}
	return nil
}

// allowance is how many messages a target may be sent now.
type allowance struct {
	most    int
	failing bool
	tokens  float64       // when the target has a rate: what it had
	idle    time.Duration // since then
}

// room tells which targets may be sent something now. It forgets those that
// have nothing waiting.
func (c *courier) room(waiting []catalog.WaitingTarget) map[string]allowance {
	now := c.opt.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	room := map[string]allowance{}
	known := map[string]bool{}
	left := atOnce - c.busy
	first := rand.IntN(len(waiting) + 1) //nolint:gosec // when there is not room for all, let it be others each time
	for i := range waiting {
		w := waiting[(first+i)%len(waiting)]
		known[w.Target] = true
		s := c.targets[w.Target]
		if s == nil {
			s = &targetState{counted: now.Add(-time.Second)}
			c.targets[w.Target] = s
		}
		most := perTarget
		if s.failures > 0 {
			most = 1
		}
		most = min(most-s.busy, left)
		if most <= 0 || w.Due.After(now) || s.pause.After(now) || s.next.After(now) {
			continue
		}
		left -= most
		room[w.Target] = allowance{most, s.failures > 0, s.tokens, now.Sub(s.counted)}
	}
	for target, s := range c.targets {
		// After a second all tokens of a target are back: it may be forgotten.
		if !known[target] && s.busy == 0 && !s.pause.After(now) && now.Sub(s.counted) >= time.Second {
			delete(c.targets, target)
		}
	}
	return room
}

// bucket is how many messages a target with a rate may be sent at once: what it
// had and what has come since, a tenth of a second's worth at most.
func bucket(rate int, tokens float64, idle time.Duration) float64 {
	return min(tokens+idle.Seconds()*float64(rate), max(1, float64(rate)/10))
}

// untilToken is how long it takes until a target with a rate may be sent another
// message. It is a little more, for the bucket to hold a whole one then.
func untilToken(rate int, tokens float64) time.Duration {
	if tokens >= 1 {
		return 0
	}
	return time.Duration((1-tokens)/float64(rate)*float64(time.Second)) + time.Microsecond
}

// untilNext is how long it takes until the first of the targets that only wait
// for their rate may be sent something; 0 when there is none.
func (c *courier) untilNext(waiting []catalog.WaitingTarget) (wait time.Duration) {
	now := c.opt.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range waiting {
		s := c.targets[w.Target]
		if s == nil || w.Due.After(now) || s.pause.After(now) || !s.next.After(now) {
			continue
		}
		if d := s.next.Sub(now); wait == 0 || d < wait {
			wait = d
		}
	}
	return wait
}

// take leases messages of a target. Of what has waited too long for a target
// that fails, or waits for one that is gone, it tidies up to so many away first:
// while there is more of that, nothing is leased.
func (c *courier) take(tx *catalog.Tx, target string, a allowance, tidy int) (t taken, err error) {
	t.route, err = c.find(tx, target)
	gone := fault.Is(err, fault.NotFound)
	switch {
	case err != nil && !gone:
		return taken{}, err
	case (gone || a.failing) && tidy <= 0: // next time
		return taken{}, nil
	case gone:
		t = taken{}
		t.dropped, err = tx.DropEventDeliveries(target, tidy)
		return t, err
	case a.failing:
		t.expired, err = tx.ExpireEventDeliveries(target, c.opt.Now().Add(-t.age), fmt.Sprintf("not delivered within %s", t.age), tidy)
		if err != nil || t.expired >= int64(tidy) {
			return t, err
		}
	}
	most := a.most
	if rate := t.rate; rate > 0 {
		most = min(most, int(bucket(rate, a.tokens, a.idle)))
	}
	if most > 0 {
		t.messages, err = tx.LeaseEventDeliveries(target, most, lease)
	}
	return t, err
}

// start sends messages on their way.
func (c *courier) start(ctx context.Context, t taken) {
	if t.open == nil { // it is gone
		return
	}
	now := c.opt.Now()
	target := t.target
	c.mu.Lock()
	s := c.targets[target]
	s.busy += len(t.messages)
	c.busy += len(t.messages)
	if rate := t.rate; rate > 0 {
		s.tokens, s.counted = bucket(rate, s.tokens, now.Sub(s.counted))-float64(len(t.messages)), now
		s.next = now.Add(untilToken(rate, s.tokens))
	}
	c.mu.Unlock()
	for _, m := range t.messages {
		c.running.Go(func() {
			err := c.guarded(ctx, t.route, m)
			c.settle(ctx, t.route, m, err)
			c.landed(target, err, ctx.Err() != nil)
			c.hurry()
		})
	}
}

// guarded delivers a message and turns a panic into a failure.
func (c *courier) guarded(ctx context.Context, r route, m catalog.EventDelivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	sink, err := r.open()
	if err != nil {
		return err
	}
	return sink.Deliver(ctx, event.Message{ID: m.ID, Body: []byte(m.Body)})
}

// settle writes down how an attempt has ended, also when the server is stopping.
func (c *courier) settle(ctx context.Context, r route, m catalog.EventDelivery, err error) {
	now := c.opt.Now()
	outcome := EventFailed
	var write func(tx *catalog.Tx) error
	switch cause := reason(err); {
	case err == nil:
		outcome = EventDelivered
		write = func(tx *catalog.Tx) error { return tx.CompleteEventDelivery(m) }
	case ctx.Err() != nil: // it was broken off: for whoever comes next
		outcome = ""
		write = func(tx *catalog.Tx) error { return tx.PutOffEventDelivery(m, m.Attempts-1, now, m.LastError) }
	case fault.Is(err, fault.Invalid) || m.Attempts > r.retries || now.Sub(m.Since) >= r.age:
		outcome = EventDead
		write = func(tx *catalog.Tx) error { return tx.BuryEventDelivery(m, m.Attempts, cause) }
		c.log.WarnContext(ctx, "an event has become a dead letter", slog.String("target", m.Target), slog.String("delivery", m.ID),
			slog.String("event", m.EventID), slog.Int("attempts", m.Attempts), slog.String("cause", cause))
	default:
		until := now.Add(max(backOff(m.Attempts, firstRetry, lastRetry), wanted(err)))
		write = func(tx *catalog.Tx) error { return tx.PutOffEventDelivery(m, m.Attempts, until, cause) }
		c.log.DebugContext(ctx, "an event could not be delivered and will be tried again", slog.String("target", m.Target),
			slog.String("delivery", m.ID), slog.Int("attempt", m.Attempts), slog.String("cause", cause))
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := c.opt.DB.Update(end, write); err != nil {
		if !fault.Is(err, fault.Conflict) { // else somebody has taken it meanwhile
			c.log.ErrorContext(ctx, "how a delivery ended could not be recorded: it is made again", slog.String("delivery", m.ID), slog.Any("error", err))
		}
		return
	}
	if outcome != "" {
		c.opt.Event(outcome)
	}
}

// reason is what people may know of a failure. The text of an error may hold
// the address with a secret in its query, its message does not.
func reason(err error) string {
	if err == nil {
		return ""
	}
	if _, ok := errors.AsType[*fault.Error](err); !ok {
		return "the message could not be sent"
	}
	return fault.Message(err)
}

// wanted is how long a target asks to be left alone.
func wanted(err error) time.Duration {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return min(e.RetryAfter, defaultAge)
	}
	return 0
}

// backOff is the pause after so many attempts: it doubles from first up to last,
// and half of it is chance.
func backOff(attempts int, first, last time.Duration) time.Duration {
	d := min(first<<min(max(attempts-1, 0), 20), last)
	return d/2 + rand.N(d/2+1) //nolint:gosec // so that not all come back at once
}

// landed counts a message as no longer under way, and leaves a target that
// fails alone for a while.
func (c *courier) landed(target string, err error, stopping bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.targets[target]
	s.busy--
	c.busy--
	switch {
	case stopping:
	case err == nil || fault.Is(err, fault.Invalid): // it answers, at least
		s.failures, s.pause = 0, time.Time{}
	default:
		s.failures++
		s.pause = c.opt.Now().Add(min(max(backOff(s.failures, firstRetry, maxPause), wanted(err)), defaultAge))
	}
}
