package app

import (
	"context"
	"log/slog"
	"time"
)

// chore is work the server does by itself from time to time.
type chore struct {
	name  string
	every time.Duration
	run   func(ctx context.Context) error
}

// housekeeping starts the chores; they end with ctx.
func (a *App) housekeeping(ctx context.Context) {
	for _, c := range a.chores() {
		a.background.Go(func() {
			tick := time.NewTicker(c.every)
			defer tick.Stop()
			for {
				if err := c.run(ctx); err != nil && ctx.Err() == nil {
					a.log.Error("chore failed", slog.String("chore", c.name), slog.Any("error", err))
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

func (a *App) chores() []chore {
	const day = 24 * time.Hour
	return []chore{
		{"rotate signing keys", time.Hour, func(ctx context.Context) error {
			_, err := a.identities.RotateKeysIfDue(ctx)
			return err
		}},
		{"sweep spools", time.Hour, func(ctx context.Context) error {
			_, err := a.disk.SweepSpools(ctx, a.now().Add(-day))
			return err
		}},
	}
}
