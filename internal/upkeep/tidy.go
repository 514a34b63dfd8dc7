package upkeep

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// purgeBatch bounds the versions one transaction deletes.
const purgeBatch = 500

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

// nearlyOver tells whether the time of a job is running out.
func nearlyOver(ctx context.Context) bool {
	const reserve = 30 * time.Second
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < reserve
}

// purgeLetters deletes messages that nobody has asked for again in time.
func (r *Runner) purgeLetters(ctx context.Context, _ catalog.Job) error {
	err := r.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		_, err := tx.PurgeDeadLetters(r.opt.Now().Add(-r.opt.Letters))
		return err
	})
	if err != nil {
		return fmt.Errorf("purge dead letters: %w", err)
	}
	return nil
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
