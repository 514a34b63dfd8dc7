package upkeep

import (
	"context"
	"fmt"
	"log/slog"

	"packhouse/internal/alarm"
	"packhouse/internal/catalog"
)

// evaluateAlarms looks whether alarms are to change. When some cannot be looked
// at, the next minute is soon enough: a job that fails would wait for longer.
func (r *Runner) evaluateAlarms(ctx context.Context, _ catalog.Job) error {
	if r.opt.Metrics == nil {
		return nil
	}
	err := alarm.Evaluate(ctx, r.opt.DB, r.opt.Metrics, r.opt.Region, r.opt.Now())
	if err != nil && ctx.Err() == nil {
		r.log.ErrorContext(ctx, "alarms could not be evaluated and will be in a minute", slog.Any("error", err))
		return nil
	}
	return err
}

// tidyMonitoring deletes the old history of alarms, and subscriptions that
// nobody has confirmed.
func (r *Runner) tidyMonitoring(ctx context.Context, _ catalog.Job) error {
	now := r.opt.Now()
	_, err := r.inBatches(ctx, func(tx *catalog.Tx) (int64, error) {
		return tx.TrimAlarmHistory(now.Add(-alarm.KeepHistory), purgeBatch)
	})
	if err != nil {
		return fmt.Errorf("trim the history of alarms: %w", err)
	}
	_, err = r.inBatches(ctx, func(tx *catalog.Tx) (int64, error) { return tx.ExpireSubscriptions(now, purgeBatch) })
	if err != nil {
		return fmt.Errorf("expire subscriptions: %w", err)
	}
	return nil
}
