package upkeep

import (
	"context"
	"fmt"
	"log/slog"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/usage"
)

// rollUpUsage samples what is stored and, when the clock has been steady for a
// while, makes hours of minutes and days of hours, and deletes points older than
// are kept.
func (r *Runner) rollUpUsage(ctx context.Context, _ catalog.Job) error {
	if err := usage.Fold(ctx, r.opt.DB); err != nil { // what processes that died have left
		return fmt.Errorf("fold usage: %w", err)
	}
	err := r.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		sampled, err := tx.SampleStorage()
		if err != nil || !sampled {
			return err
		}
		return tx.Enqueue(catalog.Job{Kind: catalog.JobEvaluateAlarms}) // the minute that has ended can be looked at
	})
	if err != nil {
		return fmt.Errorf("sample storage: %w", err)
	}
	switch steady, err := r.steady(ctx, r.opt.Now()); {
	case err != nil:
		return fmt.Errorf("roll up usage: %w", err)
	case !steady: // by a wrong clock all of it may be old
		return nil
	}
	var step, next catalog.UsageRollUp
	for more := true; more; step = next {
		err := r.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
			next, more, err = tx.RollUpUsage(step)
			return err
		})
		if err != nil {
			return fmt.Errorf("roll up usage: %w", err)
		}
	}
	return nil
}

// checkUsage compares the totals that are kept with what is there, and sets
// right what differs.
func (r *Runner) checkUsage(ctx context.Context, _ catalog.Job) error {
	var totals []catalog.UsageTotal
	err := r.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		totals, err = tx.UsageTotals("")
		return err
	})
	if err != nil {
		return fmt.Errorf("check usage: %w", err)
	}
	for _, t := range totals {
		off := false
		err := r.opt.DB.View(ctx, func(tx *catalog.Tx) error {
			by, err := usageOff(tx, t)
			off = by != catalog.UsageTotal{DomainID: t.DomainID, RepositoryID: t.RepositoryID}
			return err
		})
		if err != nil {
			return fmt.Errorf("check usage: %w", err)
		}
		if !off {
			continue
		}
		if err := r.correctUsage(ctx, t); err != nil { // with everybody else waiting, which should never be needed
			return fmt.Errorf("correct usage: %w", err)
		}
	}
	return nil
}

func (r *Runner) correctUsage(ctx context.Context, t catalog.UsageTotal) error {
	var by catalog.UsageTotal
	err := r.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
		if by, err = usageOff(tx, t); err != nil {
			return err
		}
		return tx.CorrectUsage(by)
	})
	if err == nil && (by.Bytes != 0 || by.Files != 0 || by.Versions != 0) {
		r.log.WarnContext(ctx, "the stored bytes that were kept count of were wrong and are set right",
			slog.String("domain", t.DomainID), slog.String("repository", t.RepositoryID),
			slog.Int64("bytes", by.Bytes), slog.Int64("files", by.Files), slog.Int64("versions", by.Versions))
	}
	return err
}

// usageOff is by how much a total must be moved. One that is gone is right.
func usageOff(tx *catalog.Tx, t catalog.UsageTotal) (by catalog.UsageTotal, err error) {
	by = catalog.UsageTotal{DomainID: t.DomainID, RepositoryID: t.RepositoryID}
	kept, err := tx.UsageTotal(t.DomainID, t.RepositoryID)
	if fault.Is(err, fault.NotFound) {
		return by, nil
	}
	if err != nil {
		return by, err
	}
	counted, err := tx.CountUsage(t.DomainID, t.RepositoryID)
	by.Bytes, by.Files, by.Versions = counted.Bytes-kept.Bytes, counted.Files-kept.Files, counted.Versions-kept.Versions
	return by, err
}
