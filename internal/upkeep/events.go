package upkeep

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/event/pattern"
	"packhouse/internal/event/webhook"
)

// Sinks open the ways that events leave the house by.
type Sinks struct {
	Log     func(account string) event.Sink
	Webhook func(webhook.Target) (event.Sink, error)
	Topic   func(catalog.Subscription) event.Sink // nil: messages to topics wait
}

// How an attempt to deliver an event ends, for Options.Event.
const (
	EventDelivered = "delivered"
	EventFailed    = "failed" // and is tried again
	EventDead      = "dead"   // a dead letter
)

const (
	matchBatch  = 100                   // events that one transaction takes out of the outbox
	gather      = 20 * time.Millisecond // how long to wait for more once there is something to do
	maxPause    = time.Minute           // how long a failing target is left alone, at most
	attemptTime = 10 * time.Second      // for a message to be delivered
	lease       = 6 * attemptTime       // nobody else takes a message meanwhile
	atOnce      = 64                    // messages on their way
	perTarget   = 4                     // of these, to one target; one when it fails
)

// courier takes events out of the outbox, matches them with the rules of those
// who receive them, and delivers what comes of it, and messages to topics.
//
// An event leaves the outbox in the transaction that writes down a delivery for
// each of its targets, and a delivery goes when its target has it: whatever
// breaks, another courier goes on from there, in this process or another.
//
// Targets do not wait for one another: each has few messages under way, and one
// that fails is left alone for a while with all that waits for it.
type courier struct {
	opt   Options
	log   *slog.Logger
	rules catalog.Memo[string, *ruleset] // by account
	wake  chan struct{}

	mu      sync.Mutex
	busy    int
	targets map[string]*targetState
	running sync.WaitGroup
}

// targetState is what this process knows of how a target does.
type targetState struct {
	busy     int
	failures int       // in a row
	pause    time.Time // left alone until then
	tokens   float64   // messages it may be sent at once; for targets with a rate
	counted  time.Time // when tokens were
	next     time.Time // when there is a token again
}

func newCourier(opt Options, log *slog.Logger) *courier {
	return &courier{opt: opt, log: log, wake: make(chan struct{}, 1), targets: map[string]*targetState{}}
}

// ruleset are the rules of an account that are switched on and have targets.
type ruleset struct {
	empty bool
	set   *pattern.Set[subscription]
}

type subscription struct {
	rule    event.Rule
	pattern *pattern.Pattern
	targets []catalog.EventTarget
}

// run works until ctx ends and what is under way has been given back.
func (c *courier) run(ctx context.Context) {
	defer c.running.Wait()
	cancel := c.opt.DB.Subscribe(func([]catalog.Change) { c.hurry() })
	defer cancel()
	tick := time.NewTicker(min(c.opt.Poll, time.Second))
	defer tick.Stop()
	for {
		more, wait, err := c.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.log.ErrorContext(ctx, "events could not be looked for and will be again", slog.Any("error", err))
		case more:
			continue
		}
		var token <-chan time.Time
		if wait > 0 {
			token = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			continue
		case <-token:
			continue
		case <-c.wake:
		}
		select { // where one event comes from, more do
		case <-ctx.Done():
			return
		case <-time.After(gather):
		}
	}
}

// hurry has the next turn taken soon.
func (c *courier) hurry() {
	select {
	case c.wake <- struct{}{}:
	default: // about to happen
	}
}

// turn matches a batch of events and starts the deliveries there is room for.
// more tells that there is more to match, wait how long it takes until a target
// that has a rate may be sent more; 0 when none waits for that.
func (c *courier) turn(ctx context.Context) (more bool, wait time.Duration, err error) {
	var events []catalog.OutboxEvent
	var waiting []catalog.WaitingTarget
	look := func(tx *catalog.Tx) (err error) {
		if events, err = tx.Undelivered(0, matchBatch); err != nil {
			return err
		}
		waiting, err = tx.WaitingTargets()
		return err
	}
	if err := c.opt.DB.View(ctx, look); err != nil {
		return false, 0, err
	}
	if len(events) > 0 {
		if err := c.match(ctx, events); err != nil {
			return false, 0, fmt.Errorf("match events: %w", err)
		}
		more = len(events) == matchBatch
		if err := c.opt.DB.View(ctx, look); err != nil {
			return false, 0, err
		}
	}
	if err := c.dispatch(ctx, waiting); err != nil {
		return false, 0, fmt.Errorf("take deliveries: %w", err)
	}
	return more, c.untilNext(waiting), nil
}

// match makes deliveries of events.
func (c *courier) match(ctx context.Context, events []catalog.OutboxEvent) error {
	due := make([][]catalog.EventDelivery, len(events))
	for i, e := range events {
		for _, account := range event.Receivers(e.Event) {
			some, err := c.deliveries(ctx, e, account)
			if err != nil {
				return err
			}
			due[i] = append(due[i], some...)
		}
	}
	return c.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		for i, e := range events {
			mine, err := tx.TakeEvent(e.Seq)
			if err != nil {
				return err
			}
			for _, d := range due[i] {
				if !mine {
					break
				}
				if err := tx.InsertEventDelivery(d); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// deliveries are those of one event for one of the accounts that receive it.
func (c *courier) deliveries(ctx context.Context, e catalog.OutboxEvent, account string) ([]catalog.EventDelivery, error) {
	rules, err := c.rules.Get(ctx, c.opt.DB, account, func(tx *catalog.Tx) (*ruleset, error) { return c.load(tx, account) })
	if err != nil || rules.empty {
		return nil, err
	}
	envelope := event.New(e.Event, event.Occurrence{ID: e.ID, At: e.At, Sequence: e.Sequence, Region: c.opt.Region, Account: account})
	body, err := envelope.JSON()
	if err != nil {
		return nil, err
	}
	v, err := pattern.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("read event %s: %w", envelope.ID, err)
	}
	var list []catalog.EventDelivery
	for _, s := range rules.set.Match(v) {
		for _, t := range s.targets {
			text, err := transformOf(t).Apply(body, s.rule)
			if err != nil { // it was checked when it was put
				c.log.ErrorContext(ctx, "a target gets the whole event: what it asks for cannot be made", slog.String("target", t.Target()), slog.Any("error", err))
				text = body
			}
			list = append(list, catalog.EventDelivery{
				Account: account, Target: t.Target(), TargetARN: t.ARN, EventID: envelope.ID, Body: string(text), Since: e.At,
			})
		}
	}
	return list, nil
}

func transformOf(t catalog.EventTarget) event.Transform {
	s := t.Settings
	return event.Transform{Input: s.Input, Path: s.InputPath, Paths: s.Paths, Template: s.Template}
}

// load compiles the rules of an account.
func (c *courier) load(tx *catalog.Tx, account string) (*ruleset, error) {
	rules, err := tx.EventRules(account, "", "", 0)
	if err != nil || len(rules) == 0 {
		return &ruleset{empty: true}, err
	}
	targets, err := tx.EventTargets(account, "", "", 0)
	if err != nil {
		return nil, err
	}
	of := map[string][]catalog.EventTarget{}
	for _, t := range targets {
		of[t.Rule] = append(of[t.Rule], t)
	}
	var list []subscription
	for _, r := range rules {
		if !r.Enabled || len(of[r.Name]) == 0 {
			continue
		}
		p, err := pattern.Parse(r.Pattern)
		if err != nil { // it was checked when it was put
			c.log.Error("a rule matches nothing: its pattern cannot be read", slog.String("account", account), slog.String("rule", r.Name), slog.Any("error", err))
			continue
		}
		list = append(list, subscription{event.Rule{ARN: event.RuleARN(c.opt.Region, account, r.Name), Name: r.Name}, p, of[r.Name]})
	}
	return &ruleset{len(list) == 0, pattern.NewSet(list, func(s subscription) *pattern.Pattern { return s.pattern })}, nil
}
