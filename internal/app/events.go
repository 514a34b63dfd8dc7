package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	eventlog "packhouse/internal/event/log"
	"packhouse/internal/event/webhook"
	"packhouse/internal/mail"
	"packhouse/internal/topic"
	"packhouse/internal/upkeep"
)

// eventLogs is the folder of the accounts' event logs in the data folder.
const eventLogs = "events"

// sinks are the ways that events leave by.
func (a *App) sinks() *upkeep.Sinks {
	var mu sync.Mutex
	logs := map[string]*eventlog.File{}
	a.closers = append(a.closers, func() (err error) {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range logs {
			if failed := l.Close(); err == nil {
				err = failed
			}
		}
		return err
	})
	return &upkeep.Sinks{
		Log: func(account string) event.Sink {
			mu.Lock()
			defer mu.Unlock()
			l, ok := logs[account]
			if !ok {
				l = eventlog.New(filepath.Join(a.cfg.Data, eventLogs, account+".jsonl"), eventlog.Options{MaxBytes: int64(a.cfg.EventLogSize)})
				logs[account] = l
			}
			return l
		},
		Webhook: a.webhook,
		Topic: func(s catalog.Subscription) event.Sink {
			return a.topics.Sink(s, topic.Ways{Webhook: a.webhook, Mail: a.mailer()})
		},
	}
}

func (a *App) webhook(t webhook.Target) (event.Sink, error) { return webhook.New(a.outbound, t, a.now) }

// mailer hands mail to the relay; nil without one.
func (a *App) mailer() func(context.Context, mail.Letter) error {
	if a.cfg.SMTPRelay == "" {
		return nil
	}
	relay := &mail.Relay{
		Address: a.cfg.SMTPRelay, User: a.cfg.SMTPUser, Password: string(a.cfg.SMTPPassword),
		From: a.cfg.SMTPFrom, Security: a.cfg.SMTPSecurity, Now: a.now,
	}
	return relay.Send
}

const backlogEvery = 10 * time.Second // metrics are read more often than events need counting

// backlog counts what waits to be delivered, at most once every backlogEvery.
type backlog struct {
	app *App

	mu   sync.Mutex
	at   time.Time
	last catalog.EventBacklog
}

func (b *backlog) value() catalog.EventBacklog {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.at) < backlogEvery {
		return b.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	err := b.app.db.View(ctx, func(tx *catalog.Tx) (err error) {
		b.last, err = tx.EventBacklog()
		return err
	})
	if err != nil {
		b.app.log.Error("count events", slog.Any("error", err))
	}
	b.at = time.Now()
	return b.last
}

func (b *backlog) waiting() float64 { return float64(b.value().Waiting) }

func (b *backlog) dead() float64 { return float64(b.value().Dead) }

// oldest is in seconds.
func (b *backlog) oldest() float64 {
	at := b.value().Oldest
	if at.IsZero() {
		return 0
	}
	return b.app.now().Sub(at).Seconds()
}

// observeEvents shows how delivery keeps up.
func (a *App) observeEvents() {
	b := &backlog{app: a}
	a.metrics.Gauge("events_waiting", "Events and deliveries that wait, in the whole house.", b.waiting)
	a.metrics.Gauge("events_dead_letters", "Dead letters, in the whole house.", b.dead)
	a.metrics.Gauge("events_oldest_seconds", "Age of the oldest event that waits; 0 when none does.", b.oldest)
}
