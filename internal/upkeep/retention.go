package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/registry"
	"packhouse/internal/retention"
)

const (
	retentionSlice = 10 * time.Second // of a run, after which other jobs have their turn
	keepRuns       = 90 * 24 * time.Hour

	// clockKey is where the row of table meta says what the clock was.
	clockKey = "retention_clock"
	// clockGap is how much further the clock may be than when it was last looked
	// at, every minute. More is a jump, or nobody was there.
	clockGap = 10 * time.Minute
	// clockBack is how far it may go back.
	clockBack = time.Minute
)

// clock is what is known of the clock, the same for all replicas: a wrong one
// must not make everything old. Nothing goes by itself before it has been steady
// for a while.
type clock struct {
	Seen   int64 `json:"seen"`   // microseconds since 1970 UTC, when it was last looked at
	Steady int64 `json:"steady"` // since when it has not jumped
}

func readClock(tx *catalog.Tx) (c clock, err error) {
	text, ok, err := tx.Meta(clockKey)
	if err != nil || !ok {
		return c, err
	}
	if json.Unmarshal([]byte(text), &c) != nil {
		c = clock{} // as if nobody had looked
	}
	return c, nil
}

// jumped tells whether now cannot be told from a wrong clock.
func (c clock) jumped(now time.Time) bool {
	return c.wasAhead(now) || now.After(time.UnixMicro(c.Seen).Add(clockGap))
}

// wasAhead tells whether the clock has gone back.
func (c clock) wasAhead(now time.Time) bool {
	return now.Before(time.UnixMicro(c.Seen).Add(-clockBack))
}

// settled tells whether the clock has been steady for so long.
func (c clock) settled(now time.Time, long time.Duration) bool {
	return !c.jumped(now) && now.Sub(time.UnixMicro(c.Steady)) >= long
}

// look notes what the clock is.
func (c *clock) look(tx *catalog.Tx) error {
	now := tx.Now()
	if c.jumped(now) {
		c.Steady = now.UnixMicro()
	}
	c.Seen = now.UnixMicro()
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return tx.SetMeta(clockKey, string(text))
}

// startRetention begins the runs whose time has come, and sees to it that every
// run has a job.
func (r *Runner) startRetention(ctx context.Context, _ catalog.Job) error {
	usual, err := retention.ParseSchedule(retention.DefaultSchedule)
	if err != nil {
		return err
	}
	var settled bool
	var due []catalog.RetentionSettings
	err = r.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		c, err := readClock(tx)
		if err != nil {
			return err
		}
		settled, due = c.settled(tx.Now(), r.opt.Settle), nil
		if c.wasAhead(tx.Now()) {
			if err := planAnew(tx, usual); err != nil {
				return err
			}
		}
		if err := c.look(tx); err != nil {
			return err
		}
		if settled {
			if due, err = tx.DueRetention(tx.Now(), purgeBatch); err != nil {
				return err
			}
		}
		return tendRuns(tx)
	})
	if err != nil {
		return fmt.Errorf("look for retention runs: %w", err)
	}
	var errs []error
	for _, d := range due {
		errs = append(errs, r.opt.DB.Update(ctx, func(tx *catalog.Tx) error { return registry.StartDueRetention(tx, d.DomainID, usual) }))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("start retention runs: %w", err)
	}
	return nil
}

// planAnew brings forward the next runs of domains that a clock which was ahead
// has put off.
func planAnew(tx *catalog.Tx, usual retention.Schedule) error {
	planned, err := tx.DueRetention(time.UnixMicro(math.MaxInt64), 0)
	if err != nil {
		return err
	}
	for _, s := range planned {
		schedule := usual
		if s.Schedule != "" {
			if schedule, err = retention.ParseSchedule(s.Schedule); err != nil {
				return err
			}
		}
		next, err := schedule.Next(tx.Now())
		if err != nil {
			return err
		}
		if !s.Due.After(next) {
			continue
		}
		s.Due = next
		if err := tx.PutRetentionSettings(s); err != nil {
			return err
		}
	}
	return nil
}

// tendRuns enqueues the jobs of runs that have none.
func tendRuns(tx *catalog.Tx) error {
	runs, err := tx.ActiveRetentionRuns()
	if err != nil || len(runs) == 0 {
		return err
	}
	jobs, err := tx.Jobs(catalog.JobRetention, "", 0)
	if err != nil {
		return err
	}
	waiting := map[string]bool{}
	for _, j := range jobs {
		waiting[j.Key] = true
	}
	for _, run := range runs {
		if waiting[run.DomainID] {
			continue
		}
		if err := tx.Enqueue(catalog.Job{Kind: catalog.JobRetention, Key: run.DomainID}); err != nil {
			return err
		}
	}
	return nil
}

// runRetention goes on with the run of a domain, the key of the job.
func (r *Runner) runRetention(ctx context.Context, job catalog.Job) error {
	if r.opt.Registry == nil {
		return nil
	}
	through, err := r.opt.Registry.Retire(ctx, job.Key, registry.Retirement{
		Grace: r.opt.Trash, Pause: r.opt.Pause, Until: time.Now().Add(retentionSlice),
		Worker: fmt.Sprintf("%s/%d/%d", job.ID, job.Attempts, job.LeasedUntil.UnixMicro()),
	})
	switch {
	case err != nil && ctx.Err() == nil:
		return errors.Join(err, r.opt.Registry.RetentionFailed(ctx, job.Key, err))
	case err != nil:
		return err
	case !through:
		return errMore
	}
	return nil
}

// steady tells whether the clock can be relied on now.
func (r *Runner) steady(ctx context.Context, now time.Time) (bool, error) {
	var c clock
	err := r.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		c, err = readClock(tx)
		return err
	})
	return c.settled(now, r.opt.Settle), err
}

// emptyTrash removes what has been in the trash for its time, and records of old
// runs.
func (r *Runner) emptyTrash(ctx context.Context, _ catalog.Job) error {
	now := r.opt.Now()
	switch steady, err := r.steady(ctx, now); {
	case err != nil:
		return fmt.Errorf("empty the trash: %w", err)
	case !steady:
		return nil
	}
	n, err := r.inBatches(ctx, func(tx *catalog.Tx) (int64, error) { return tx.PurgeTrash(now, purgeBatch) })
	if n > 0 {
		r.log.InfoContext(ctx, "emptied the trash", slog.Int64("versions", n))
	}
	if err != nil {
		return fmt.Errorf("empty the trash: %w", err)
	}
	if _, err := r.inBatches(ctx, func(tx *catalog.Tx) (int64, error) { return tx.ForgetRetentionRuns(now.Add(-keepRuns), purgeBatch) }); err != nil {
		return fmt.Errorf("forget retention runs: %w", err)
	}
	return nil
}
