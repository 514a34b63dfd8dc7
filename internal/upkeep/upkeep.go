// Package upkeep does the work nobody waits for: durable jobs that operations
// have enqueued, and the tasks of every house, such as sweeping away bytes that
// nothing refers to.
//
// Periodic tasks are jobs too, which enqueue themselves again, so that of many
// replicas one does each. Only what concerns a replica's own disk runs in every
// process (Options.Local).
//
// The surprise: a task may be run twice, or broken off anywhere, and must be
// written for that. A job whose process dies is taken up by another when its
// lease runs out.
package upkeep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"packhouse/internal/audit"
	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/metric"
	"packhouse/internal/registry"
)

// Options are what a Runner works with. DB and Blobs are required.
type Options struct {
	DB       *catalog.DB
	Blobs    blob.Store
	Identity *identity.Service // nil: signing keys are not rotated
	Records  *audit.Trail      // nil: there are no access records
	Registry *registry.Service // nil: nothing goes by itself
	// Local are tasks of this process's own disk, run at the start and every hour.
	Local []Local
	// Sinks are where events go; without them they stay in the outbox.
	Sinks  *Sinks
	Region string // that the events say
	// Metrics are what alarms watch; without them none is evaluated.
	Metrics metric.Source

	Grace   time.Duration // how long bytes may wait for something to refer to them, default 24 h
	Letters time.Duration // how long dead letters are kept, default 14 days
	Trash   time.Duration // how long versions can be had back where a domain does not say, default 7 days
	Settle  time.Duration // how long the clock must have been steady before anything goes by itself, default 10 min
	Pause   time.Duration // between removals of a retention run, at least; default 20 ms
	Workers int           // jobs run at a time, default 3; the last one takes no long ones
	Poll    time.Duration // how often due jobs are looked for, default 2 s
	// Restore fetches the bytes of a content again that are not there, from where
	// they once came; nil: nobody can.
	Restore func(ctx context.Context, ref blob.Ref) error
	Now     func() time.Time // default time.Now; must agree with the clock of Blobs
	Logger  *slog.Logger     // default slog.Default()
	// Done, if set, hears of every run of a job, for metrics. kind is from a
	// small fixed set.
	Done func(kind string, took time.Duration, err error)
	// Event, if set, hears how each attempt to deliver an event ended, for
	// metrics: EventDelivered, EventFailed or EventDead.
	Event func(outcome string)
}

// Local is a task of one process.
type Local struct {
	Name string
	Run  func(context.Context) error
}

// Spools is the local task that removes what half uploads and fetches of dead
// processes have left in a folder store.
func Spools(s interface {
	SweepSpools(ctx context.Context, before time.Time) (int, error)
},
) Local {
	const grace = 2 * time.Hour // one in use is touched by every write
	return Local{"sweep spools", func(ctx context.Context) error {
		_, err := s.SweepSpools(ctx, time.Now().Add(-grace))
		return err
	}}
}

// Quarantine is the local task that removes damaged files that have been looked
// at, or not, for a month.
func Quarantine(s interface {
	SweepQuarantine(ctx context.Context, before time.Time) (int, error)
},
) Local {
	const keep = 30 * 24 * time.Hour
	return Local{"sweep quarantine", func(ctx context.Context) error {
		_, err := s.SweepQuarantine(ctx, time.Now().Add(-keep))
		return err
	}}
}

// Runner runs jobs. Make it with New; Run may be called once.
type Runner struct {
	opt   Options
	log   *slog.Logger
	kinds map[string]kind
	wake  chan struct{}
}

// kind is one kind of job: one row of the table.
type kind struct {
	name  string
	every time.Duration // between runs of a periodic one; 0: runs when enqueued
	lease time.Duration // the longest run; then another process may take the job
	run   func(*Runner, context.Context, catalog.Job) error
}

// long tells whether a job may take so long that others should not wait for it.
func (k kind) long() bool { return k.every == 0 || k.lease > 10*time.Minute }

// table lists every kind of job.
func table() []kind {
	return []kind{
		{catalog.JobPurgeRepository, 0, 5 * time.Minute, (*Runner).purgeRepository},
		{"sweep-blobs", time.Hour, 2 * time.Hour, (*Runner).sweepBlobs},
		{"forget-upload-parts", time.Hour, 10 * time.Minute, (*Runner).forgetParts},
		{"purge-dead-letters", time.Hour, 10 * time.Minute, (*Runner).purgeLetters},
		{"start-retention", time.Minute, time.Minute, (*Runner).startRetention},
		{catalog.JobRetention, 0, 3 * retentionSlice, (*Runner).runRetention},
		{"empty-trash", time.Hour, 10 * time.Minute, (*Runner).emptyTrash},
		{"tidy-access-records", 10 * time.Minute, 10 * time.Minute, (*Runner).tidyRecords},
		{catalog.JobCheckStorage, 0, 4 * time.Minute, (*Runner).checkStorage},
		{"roll-up-usage", 30 * time.Second, 10 * time.Minute, (*Runner).rollUpUsage},
		{"check-usage", 24 * time.Hour, time.Hour, (*Runner).checkUsage},
		{catalog.JobEvaluateAlarms, time.Minute, 5 * time.Minute, (*Runner).evaluateAlarms},
		{"tidy-monitoring", time.Hour, 10 * time.Minute, (*Runner).tidyMonitoring},
		{"rotate-keys", time.Hour, time.Minute, (*Runner).rotateKeys},
	}
}

// errMore is what a job returns that has done a good piece and is not through:
// it comes again at once, after whatever else is due.
var errMore = errors.New("there is more to do")

// New makes a Runner.
func New(o Options) *Runner {
	o.Grace = cmp.Or(o.Grace, 24*time.Hour)
	o.Letters = cmp.Or(o.Letters, 14*24*time.Hour)
	o.Trash = cmp.Or(o.Trash, 7*24*time.Hour)
	o.Settle = cmp.Or(o.Settle, 10*time.Minute)
	o.Pause = cmp.Or(o.Pause, 20*time.Millisecond)
	o.Workers = cmp.Or(o.Workers, 3)
	o.Poll = cmp.Or(o.Poll, 2*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Event == nil {
		o.Event = func(string) {}
	}
	if o.Done == nil {
		o.Done = func(string, time.Duration, error) {}
	}
	r := &Runner{opt: o, log: o.Logger, kinds: map[string]kind{}, wake: make(chan struct{}, 1)}
	for _, k := range table() {
		r.kinds[k.name] = k
	}
	return r
}

// Run works until ctx ends, then gives back what it holds, waits for it and
// returns nil.
func (r *Runner) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { r.locals(ctx) })
	if r.opt.Sinks != nil {
		running.Go(func() { newCourier(r.opt, r.log).run(ctx) })
	}
	var busy, long atomic.Int32
	poll := time.NewTicker(r.opt.Poll)
	defer poll.Stop()
	var scheduled time.Time
	for {
		if scheduled.IsZero() || time.Since(scheduled) > scheduleEvery {
			err := r.schedule(ctx)
			if err == nil {
				scheduled = time.Now()
			} else if ctx.Err() == nil { // the database may not be there yet
				r.log.ErrorContext(ctx, "upkeep could not be scheduled and will be tried again", slog.Any("error", err))
			}
		}
		// One that ends between the two looks is counted on the safe side.
		mostLong := max(r.opt.Workers-1, 1) - int(long.Load())
		for _, job := range r.lease(ctx, r.opt.Workers-int(busy.Load()), mostLong) {
			k, ofLong := r.kinds[job.Kind], int32(0)
			if k.long() {
				ofLong = 1
			}
			busy.Add(1)
			long.Add(ofLong)
			running.Go(func() {
				r.work(ctx, k, job)
				busy.Add(-1)
				long.Add(-ofLong)
				r.Wake()
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		case <-r.wake:
		}
	}
}

// Wake has due jobs looked for now.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // about to happen
	}
}

const (
	// scheduleEvery is the pause between two looks at the times of jobs.
	scheduleEvery = time.Minute
	// scheduleSlack is how far the clocks of replicas may be apart.
	scheduleSlack = time.Minute
)

// schedule enqueues the periodic jobs; one that waits already keeps its time,
// unless that is further away than any can be: then the clock was wrong when it
// was set.
func (r *Runner) schedule(ctx context.Context) error {
	return r.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		for _, k := range r.kinds {
			if err := tx.RecallJobs(k.name, max(k.every, catalog.MaxJobPause)+scheduleSlack, k.lease+scheduleSlack); err != nil {
				return err
			}
			if k.every == 0 {
				continue
			}
			waiting, err := tx.Jobs(k.name, "", 1)
			if err != nil {
				return err
			}
			if len(waiting) > 0 {
				continue
			}
			if err := tx.Enqueue(catalog.Job{Kind: k.name, RunAt: tx.Now().Add(k.every / 10)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// lease takes up to limit due jobs, of which mostLong may be long: periodic ones first, which come no oftener than
// they should, and of the kind that has waited longest. What comes again and again
// or is many, as runs and purges are, leaves room for the rest.
func (r *Runner) lease(ctx context.Context, limit, mostLong int) []catalog.Job {
	if limit <= 0 {
		return nil
	}
	var jobs []catalog.Job
	err := r.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		jobs = nil
		longs := mostLong
		due, err := tx.DueKinds()
		if err != nil {
			return err
		}
		due = slices.DeleteFunc(due, func(name string) bool { return r.kinds[name].run == nil }) // of another version
		slices.SortStableFunc(due, func(a, b string) int { return cmp.Compare(min(r.kinds[b].every, 1), min(r.kinds[a].every, 1)) })
		for _, name := range due {
			k, most := r.kinds[name], limit-len(jobs)
			if k.long() {
				most = min(most, longs)
			}
			if most <= 0 {
				continue
			}
			some, err := tx.LeaseJobs(most, k.lease, name)
			if err != nil {
				return err
			}
			if k.long() {
				longs -= len(some)
			}
			jobs = append(jobs, some...)
		}
		return nil
	})
	if err != nil {
		if ctx.Err() == nil {
			r.log.ErrorContext(ctx, "due jobs cannot be looked for", slog.Any("error", err))
		}
		return nil
	}
	return jobs
}

// work runs one job and says in the catalog how it ended.
func (r *Runner) work(ctx context.Context, k kind, job catalog.Job) {
	// A little less than the lease: what is running when another process takes
	// over must have stopped.
	run, cancel := context.WithTimeout(ctx, k.lease*9/10)
	defer cancel()
	began := time.Now()
	err := r.guarded(run, k, job)
	interrupted := err != nil && ctx.Err() != nil
	if !interrupted && !errors.Is(err, errMore) {
		r.opt.Done(k.name, time.Since(began), err)
	}
	// The outcome is written also when the server is stopping.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	recorded := r.opt.DB.Update(end, func(tx *catalog.Tx) error {
		switch {
		case interrupted || errors.Is(err, errMore):
			return tx.FailJob(job, "", 0)
		case err != nil:
			return tx.FailJob(job, err.Error(), -1)
		}
		if err := tx.CompleteJob(job); err != nil || k.every == 0 {
			return err
		}
		return tx.Enqueue(catalog.Job{Kind: k.name, RunAt: tx.Now().Add(k.every)})
	})
	switch {
	case err != nil && !interrupted && !errors.Is(err, errMore):
		r.log.ErrorContext(ctx, "job failed and will be tried again",
			slog.String("kind", k.name), slog.String("key", job.Key), slog.Int("attempt", job.Attempts), slog.Any("error", err))
	case recorded != nil && !fault.Is(recorded, fault.Conflict):
		r.log.ErrorContext(ctx, "the end of a job could not be recorded",
			slog.String("kind", k.name), slog.String("key", job.Key), slog.Any("error", recorded))
	}
}

// guarded turns a panic into a failure: one bad job must not end the others.
func (r *Runner) guarded(ctx context.Context, k kind, job catalog.Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return k.run(r, ctx, job)
}

// localEvery is the pause between the tasks of this process.
const localEvery = time.Hour

// locals runs the tasks of this process until ctx ends.
func (r *Runner) locals(ctx context.Context) {
	tick := time.NewTicker(localEvery)
	defer tick.Stop()
	for {
		for _, l := range r.opt.Local {
			if err := l.Run(ctx); err != nil && ctx.Err() == nil {
				r.log.ErrorContext(ctx, "upkeep failed and will be tried again", slog.String("task", l.Name), slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
