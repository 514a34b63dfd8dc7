package upkeep

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

const (
	purgeBatch  = 500    // rows that one transaction deletes, at most
	keepLetters = 10_000 // dead letters of one target
)

// purgeRepository deletes the packages of a repository that is gone, step by
// step. The key of the job is the repository's ID.
func (r *Runner) purgeRepository(ctx context.Context, job catalog.Job) error {
	for more := true; more; {
		err := r.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
			more, err = tx.PurgeRepository(job.Key, purgeBatch)
			return err
		})
		if fault.Is(err, fault.Conflict) {
			r.log.WarnContext(ctx, "a repository that exists is not purged", slog.String("repository", job.Key))
			return nil
		}
		if err != nil {
			return fmt.Errorf("purge repository: %w", err)
		}
		if more && nearlyOver(ctx) {
			return errMore
		}
	}
	return nil
}

// forgetParts lets go of parts of assets that nobody has put together in time;
// the sweep takes their bytes.
func (r *Runner) forgetParts(ctx context.Context, _ catalog.Job) error {
	before := r.opt.Now().Add(-r.opt.Grace)
	if _, err := r.inBatches(ctx, func(tx *catalog.Tx) (int64, error) { return tx.PurgeUploadParts(before, purgeBatch) }); err != nil {
		return fmt.Errorf("forget upload parts: %w", err)
	}
	return nil
}

// nearlyOver tells whether the time of a job is running out.
func nearlyOver(ctx context.Context) bool {
	const reserve = 30 * time.Second
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < reserve
}

// purgeLetters deletes messages that nobody has asked for again in time, and of
// targets with too many the oldest. Those that a wrong clock has put off for
// longer than any waits come in time.
func (r *Runner) purgeLetters(ctx context.Context, _ catalog.Job) error {
	never := r.opt.Now().Add(defaultAge + time.Hour)
	_, err := r.inBatches(ctx, func(tx *catalog.Tx) (int64, error) { return tx.RecallEventDeliveries(never, purgeBatch) })
	if err != nil {
		return fmt.Errorf("look for deliveries put off too long: %w", err)
	}
	before := r.opt.Now().Add(-r.opt.Letters)
	_, err = r.inBatches(ctx, func(tx *catalog.Tx) (int64, error) { return tx.PurgeDeadLetters(before, purgeBatch) })
	if err != nil {
		return fmt.Errorf("purge dead letters: %w", err)
	}
	return r.trimLetters(ctx, keepLetters)
}

// trimLetters deletes the oldest dead letters of each target that has more than
// it may keep.
func (r *Runner) trimLetters(ctx context.Context, keep int) error {
	var targets []string
	err := r.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		targets, err = tx.DeadTargets()
		return err
	})
	if err != nil {
		return fmt.Errorf("look for dead letters: %w", err)
	}
	for _, target := range targets {
		n, err := r.inBatches(ctx, func(tx *catalog.Tx) (int64, error) { return tx.TrimDeadLetters(target, keep, purgeBatch) })
		if n > 0 {
			r.log.WarnContext(ctx, "the oldest dead letters of a target that has too many are deleted",
				slog.String("target", target), slog.Int64("count", n), slog.Int("kept", keep))
		}
		if err != nil {
			return fmt.Errorf("trim dead letters: %w", err)
		}
	}
	return nil
}

// inBatches repeats step, which changes up to purgeBatch rows and tells how many
// it has, in transactions of its own until there is nothing left to change.
func (r *Runner) inBatches(ctx context.Context, step func(tx *catalog.Tx) (int64, error)) (total int64, err error) {
	for {
		var n int64
		err := r.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
			n, err = step(tx)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if n < purgeBatch {
			return total, nil
		}
		if nearlyOver(ctx) {
			return total, errMore
		}
	}
}

// rotateKeys has tokens signed with a new key when the old one is due.
func (r *Runner) rotateKeys(ctx context.Context, _ catalog.Job) error {
	if r.opt.Identity == nil {
		return nil
	}
	rotated, err := r.opt.Identity.RotateKeysIfDue(ctx)
	if rotated {
		r.log.InfoContext(ctx, "tokens are signed with a new key")
	}
	return err
}

// tidyRecords folds and deletes access records, a few blocks at a time.
func (r *Runner) tidyRecords(ctx context.Context, _ catalog.Job) error {
	if r.opt.Records == nil {
		return nil
	}
	for {
		more, err := r.opt.Records.Tidy(ctx)
		if err != nil {
			return fmt.Errorf("tidy the access records: %w", err)
		}
		if !more {
			return nil
		}
		if nearlyOver(ctx) {
			return errMore
		}
	}
}
