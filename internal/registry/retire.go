package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/retention"
)

// StartRetention begins a run over a domain, or one of its repositories, which
// upkeep then does. Conflict when one is under way; or, unless it is forced, when
// a repository would be left with nothing; NotFound without any configuration.
func (s *Service) StartRetention(ctx context.Context, owner, domain, repository string, force bool) (run catalog.RetentionRun, err error) {
	if err := s.mayRun(ctx, owner, domain, repository, force); err != nil {
		return run, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(owner, domain)
		if err != nil {
			return err
		}
		run, err = startRun(tx, catalog.RetentionRun{
			DomainID: d.ID, Repository: repository, Origin: catalog.RunRequested, RunProgress: catalog.RunProgress{Force: force},
		})
		return err
	})
	return run, err
}

func startRun(tx *catalog.Tx, run catalog.RetentionRun) (catalog.RetentionRun, error) {
	run.AsOf = tx.Now()
	run, err := tx.InsertRetentionRun(run)
	if err != nil {
		return run, err
	}
	return run, tx.Enqueue(catalog.Job{Kind: catalog.JobRetention, Key: run.DomainID})
}

// mayRun refuses a run that has nothing to go by or would leave nothing.
func (s *Service) mayRun(ctx context.Context, owner, domain, repository string, force bool) error {
	return s.db.View(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(owner, domain)
		if err != nil {
			return err
		}
		v, err := s.survey(tx, d, repository)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(v.repos, func(r surveyed) bool { return !r.policies.None() }) {
			return fault.New(fault.NotFound, "no retention configuration applies, so nothing would be removed; put one with put-domain-retention-configuration or put-repository-retention-configuration")
		}
		for i := range v.repos {
			r := &v.repos[i]
			if force || r.forced() {
				continue
			}
			switch all, n, err := v.leavesNothing(r, tx.Now()); {
			case err != nil:
				return err
			case all:
				return allWouldGo(r.Name, n)
			}
		}
		return nil
	})
}

// StartDueRetention begins the run of a domain whose time has come, unless one is
// under way or there is nothing to go by, and sets the next time. usual is the
// schedule of domains that have none of their own.
func StartDueRetention(tx *catalog.Tx, domainID string, usual retention.Schedule) error {
	now := tx.Now()
	settings, found, err := tx.RetentionSettings(domainID)
	if err != nil || !found || settings.Due.After(now) {
		return err // another process was faster
	}
	schedule := usual
	if settings.Schedule != "" {
		if schedule, err = retention.ParseSchedule(settings.Schedule); err != nil {
			return err
		}
	}
	if settings.Due, err = schedule.Next(now); err != nil {
		return err
	}
	if err := tx.PutRetentionSettings(settings); err != nil {
		return err
	}
	configurations, err := tx.RetentionConfigurations(domainID)
	if err != nil || len(configurations) == 0 {
		return err
	}
	if _, active, err := tx.ActiveRetentionRun(domainID); err != nil || active {
		return err
	}
	_, err = startRun(tx, catalog.RetentionRun{DomainID: domainID, Origin: catalog.RunScheduled})
	return err
}

// Retirement is how a run goes on.
type Retirement struct {
	Grace  time.Duration // in the trash, of domains that do not say
	Pause  time.Duration // after each batch of removals, at least; other writers go on meanwhile
	Worker string        // tells who works on it from whoever did before
	Until  time.Time     // then what is left is left for later
}

const (
	// retireBatch is how many versions one transaction removes. On SQLite every
	// other writer waits for it.
	retireBatch = 16
	// maxRefused bounds the repositories that a run tells it has left alone.
	maxRefused = 1000
)

// errTaken ends the work on a run that somebody else works on, or has stopped.
var errTaken = errors.New("the run is not ours any more")

// Retire goes on with the run of a domain and tells whether it is through. It may
// be broken off anywhere and called again, also by another process: what is done
// is recorded in the transactions that do it.
//
// Each version is decided about twice: by what the catalog was when the run came
// to its package, and again in the transaction that takes it away. Only what goes
// by both goes; what somebody has downloaded since the run began stays.
func (s *Service) Retire(ctx context.Context, domainID string, how Retirement) (through bool, err error) {
	t := &retiring{service: s, how: how}
	switch taken, err := t.take(ctx, domainID); {
	case err != nil:
		return false, fmt.Errorf("take up the retention run: %w", err)
	case !taken:
		return true, nil
	}
	for {
		if err := ctx.Err(); err != nil {
			return false, context.Cause(ctx)
		}
		switch more, err := t.step(ctx); { // none takes long
		case errors.Is(err, errTaken):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("retention run %s: %w", t.run.ID, err)
		case !more:
			return true, nil
		}
		if t.over() {
			return false, nil
		}
	}
}

// maxFailures is how often in a row a run may fail before it is given up.
const maxFailures = 20

// RetentionFailed records in the run of a domain that Retire has failed, and why.
// One that keeps failing is ended.
func (s *Service) RetentionFailed(ctx context.Context, domainID string, cause error) error {
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		run, active, err := tx.ActiveRetentionRun(domainID)
		if err != nil || !active {
			return err
		}
		run.Failures++
		run.Error = fault.Message(cause)
		if run.Failures >= maxFailures {
			run.Status, run.Finished = catalog.RunFailed, tx.Now()
		}
		return tx.UpdateRetentionRun(run)
	})
}

// retiring is the work on a run.
type retiring struct {
	service *Service
	how     Retirement
	run     catalog.RetentionRun // as last read or written
}

// over tells whether the time for this is over.
func (t *retiring) over() bool { return !t.how.Until.IsZero() && !time.Now().Before(t.how.Until) }

// take makes the run of a domain ours, if there is one to go on with.
func (t *retiring) take(ctx context.Context, domainID string) (taken bool, err error) {
	err = t.service.db.Update(ctx, func(tx *catalog.Tx) error {
		taken = false
		run, active, err := tx.ActiveRetentionRun(domainID)
		if err != nil || !active {
			return err
		}
		d, err := tx.DomainByID(domainID)
		if err != nil {
			return err
		}
		if run.Status == catalog.RunQueued {
			run.Status = catalog.RunRunning
			if run.PackagesTotal, err = t.service.count(tx, d, run.Repository); err != nil {
				return err
			}
		}
		run.Worker, taken, t.run = t.how.Worker, true, run
		return tx.UpdateRetentionRun(run)
	})
	return taken, err
}

// count tells how many packages a run goes through.
func (s *Service) count(tx *catalog.Tx, d catalog.Domain, repository string) (total int64, err error) {
	v, err := s.survey(tx, d, repository)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, r := range v.repos {
		if r.policies.None() {
			continue
		}
		n, err := tx.CountPackages(r.ID)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// write changes the run in a transaction, with what else is to be done in it;
// errTaken when it is not ours any more. A run that is to stop is stopped.
func (t *retiring) write(ctx context.Context, change func(tx *catalog.Tx, run *catalog.RetentionRun) error) error {
	var run catalog.RetentionRun
	var stopped bool
	err := t.service.db.Update(ctx, func(tx *catalog.Tx) error {
		var err error
		stopped = false
		switch run, err = tx.RetentionRun(t.run.DomainID, t.run.ID); {
		case fault.Is(err, fault.NotFound): // it is gone with its domain
			return errTaken
		case err != nil:
			return err
		case run.Worker != t.how.Worker || !run.Finished.IsZero():
			return errTaken
		case run.Status == catalog.RunStopping:
			run.Status, run.Finished, stopped = catalog.RunStopped, tx.Now(), true
			return tx.UpdateRetentionRun(run)
		}
		run.Failures, run.Error = 0, ""
		if err := change(tx, &run); err != nil {
			return err
		}
		return tx.UpdateRetentionRun(run)
	})
	if err != nil {
		return err
	}
	if t.run = run; stopped {
		return errTaken
	}
	return nil
}

// found is what a step finds to do.
type found struct {
	repository surveyed
	some       bool      // there is a repository to be in
	check      *emptying // whether it may be entered; nil: it may
	packages   []judged  // the next ones; none when it is through with the repository
}

// step does one piece: it enters a repository, goes through some packages of it,
// or leaves it. more is false when the run is at its end.
func (t *retiring) step(ctx context.Context) (more bool, err error) {
	f, err := t.look(ctx)
	if err != nil {
		return false, err
	}
	run := &t.run
	switch {
	case !f.some:
		err = t.write(ctx, func(tx *catalog.Tx, run *catalog.RetentionRun) error {
			run.Status, run.Finished = catalog.RunSucceeded, tx.Now()
			return nil
		})
		return false, err
	case f.check != nil && !f.check.done:
		return true, t.write(ctx, func(_ *catalog.Tx, run *catalog.RetentionRun) error {
			run.CheckIn, run.CheckAfter, run.CheckGone = f.repository.Name, f.check.after, f.check.gone
			return nil
		})
	case f.check != nil && !f.check.stays && f.check.gone > 0:
		reason := fmt.Sprintf("all %d versions would be removed; force (--force) the configuration or the run if that is meant", f.check.gone)
		return true, t.write(ctx, func(_ *catalog.Tx, run *catalog.RetentionRun) error {
			if len(run.Refused) < maxRefused {
				run.Refused = append(run.Refused, catalog.RefusedRun{Repository: f.repository.Name, Reason: reason})
			}
			run.InRepository, run.After, run.Through = f.repository.Name, artifact.Coordinates{}, true
			return nil
		})
	case len(f.packages) == 0 || run.InRepository != f.repository.Name:
		return true, t.write(ctx, func(_ *catalog.Tx, run *catalog.RetentionRun) error {
			run.InRepository, run.After, run.Through = f.repository.Name, artifact.Coordinates{}, len(f.packages) == 0
			return nil
		})
	}
	var through, kept, spared int // packages, and their versions
	for _, p := range f.packages {
		switch n, all, err := t.clear(ctx, f.repository, p); {
		case err != nil:
			return false, err
		case all:
			through++
			spared += n
			for _, w := range p.verdicts {
				if !w.Remove {
					kept++
				}
			}
		}
		if t.over() {
			break
		}
	}
	if through == 0 {
		return true, nil
	}
	return true, t.write(ctx, func(_ *catalog.Tx, run *catalog.RetentionRun) error {
		run.After = f.packages[through-1].Coordinates
		run.Packages += int64(through)
		run.Kept += int64(kept)
		run.Spared += int64(spared)
		return nil
	})
}

// checkBatches is how many batches of packages one step looks at to find out
// whether a repository would be left with nothing.
const checkBatches = 64

// look finds what comes next, by the configurations as they are now: who takes
// one back stops what a run does by it.
func (t *retiring) look(ctx context.Context) (f found, err error) {
	run := t.run
	err = t.service.db.View(ctx, func(tx *catalog.Tx) error {
		f = found{}
		d, err := tx.DomainByID(run.DomainID)
		if err != nil {
			return err
		}
		v, err := t.service.survey(tx, d, run.Repository)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(v.repos, func(r surveyed) bool {
			behind := strings.Compare(r.Name, run.InRepository)
			return !r.policies.None() && (behind > 0 || behind == 0 && !run.Through)
		})
		if at < 0 {
			return nil
		}
		f.repository, f.some = v.repos[at], true
		after := run.After
		if run.InRepository != f.repository.Name {
			after = artifact.Coordinates{}
			if !run.Force && !f.repository.forced() {
				var before emptying
				if run.CheckIn == f.repository.Name {
					before.after, before.gone = run.CheckAfter, run.CheckGone
				}
				e, err := v.empties(&f.repository, run.AsOf, before, checkBatches)
				if f.check = &e; err != nil || !e.done || !e.stays && e.gone > 0 {
					return err
				}
			}
		}
		packages, err := tx.Packages(f.repository.ID, catalog.PackageFilter{}, after, surveyBatch)
		if err != nil {
			return err
		}
		f.packages, err = v.judge(&f.repository, packages, run.AsOf)
		return err
	})
	if fault.Is(err, fault.NotFound) { // what it is about is gone
		return found{}, nil
	}
	return f, err
}

// clear takes away what is to go of a package, and tells how much of that is to
// stay after all, and whether it is through.
func (t *retiring) clear(ctx context.Context, r surveyed, p judged) (spared int, all bool, err error) {
	var ids []string
	for _, w := range p.verdicts {
		if w.Remove {
			ids = append(ids, w.ID)
		}
	}
	left := len(ids)
	for some := range slices.Chunk(ids, retireBatch) {
		began := time.Now()
		var n int
		if err := t.write(ctx, func(tx *catalog.Tx, run *catalog.RetentionRun) (err error) {
			n, err = t.service.clearSome(tx, run, r, p.Coordinates, some, t.how.Grace)
			return err
		}); err != nil {
			return 0, false, err
		}
		spared += n
		if err := pause(ctx, max(t.how.Pause, time.Since(began))); err != nil {
			return 0, false, err
		}
		left -= len(some)
		if left > 0 && t.over() {
			return 0, false, nil
		}
	}
	return spared, true, nil
}

// pause gives others as long as the work before has taken.
func pause(ctx context.Context, d time.Duration) error {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// clearSome moves those of some versions of a package into the trash that, as the
// catalog is now, are still to go, and tells of how many that is not so.
func (s *Service) clearSome(tx *catalog.Tx, run *catalog.RetentionRun, was surveyed, c artifact.Coordinates, ids []string, grace time.Duration) (spared int, err error) {
	d, err := tx.DomainByID(run.DomainID)
	if err != nil {
		return 0, err
	}
	v, err := s.survey(tx, d, was.Name)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	r := &v.repos[0]
	if r.ID != was.ID { // another one of that name
		return 0, nil
	}
	p, err := tx.Package(r.ID, c)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	settings, _, err := tx.RetentionSettings(d.ID)
	if err != nil {
		return 0, err
	}
	if settings.TrashDays > 0 {
		grace = time.Duration(settings.TrashDays) * 24 * time.Hour
	}
	some, err := v.judge(r, []catalog.Package{p}, run.AsOf)
	if err != nil {
		return 0, err
	}
	n := &node{id: artifact.RepositoryID{Owner: d.Owner, Domain: d.Name, Name: r.Name}, repo: r.Repository}
	until := tx.Now().Add(grace)
	if begun := run.AsOf.Add(grace); until.Before(begun) { // the clock has gone back since, and will not stay there
		until = begun
	}
	for _, w := range some[0].verdicts {
		if !slices.Contains(ids, w.ID) {
			continue
		}
		if !w.Remove || !w.LastDownload.Before(run.AsOf) {
			spared++
			continue
		}
		removal := catalog.Removal{VersionID: w.ID, Repository: r.Name, Coordinates: c, Number: w.Number, Rule: w.Rule}
		if err := tx.BlobsOf([]string{w.ID}, func(b catalog.HeldBlob) error {
			if !b.Shared {
				removal.Freed += b.Size
			}
			return nil
		}); err != nil {
			return 0, err
		}
		if err := s.trash(tx, n, p, w.Number, w.Rule, until); err != nil {
			return 0, err
		}
		if err := tx.InsertRemoval(run.ID, removal); err != nil {
			return 0, err
		}
		run.Removed++
		run.Freed += removal.Freed
	}
	return spared, nil
}

// trash moves a version into the trash and says that it is deleted.
func (s *Service) trash(tx *catalog.Tx, n *node, p catalog.Package, number, rule string, until time.Time) error {
	row, err := tx.Version(p.ID, number)
	if err != nil {
		return err
	}
	assets, err := tx.Assets(row.ID, "", 0)
	if err != nil {
		return err
	}
	if err := tx.TrashVersion(p, row, rule, until); err != nil {
		return err
	}
	return tx.Emit(eventOf(n, p.Coordinates, row.Version, artifact.Event{Operation: "Deleted", AssetsRemoved: len(assets), StatusChanged: true}))
}

// Restore puts versions back that retention took away, all of them or none, as
// they were; of a number that was removed more than once the last. pin keeps them
// from the next run, which would take them again. NotFound when one is not in the
// trash, Conflict when its number has been taken by other content since.
func (s *Service) Restore(ctx context.Context, b Batch, pin *catalog.Hold) (out Outcome, err error) {
	if err := b.check(); err != nil {
		return Outcome{}, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		out = newOutcome()
		n, err := within(tx, b.Repository)
		if err != nil {
			return err
		}
		for _, number := range b.Versions {
			v, err := s.restore(ctx, tx, n, b.Coordinates, number)
			if err != nil {
				return err
			}
			out.done(v)
			if pin == nil {
				continue
			}
			h := *pin
			h.RepositoryID, h.Coordinates, h.Version, h.Kind = n.repo.ID, b.Coordinates, number, catalog.HoldPin
			if err := tx.PutHold(h); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Pin keeps versions of a repository whatever its configuration says; those that
// are missing fail alone. h has reason and author.
func (s *Service) Pin(ctx context.Context, b Batch, h catalog.Hold) (out Outcome, err error) {
	if err := b.check(); err != nil {
		return Outcome{}, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		out = newOutcome()
		n, p, err := held(tx, b.Repository, b.Coordinates)
		if err != nil {
			return err
		}
		rows, err := b.rows(tx, p, &out)
		if err != nil {
			return err
		}
		for _, row := range rows {
			h.RepositoryID, h.Coordinates, h.Version, h.Kind = n.repo.ID, b.Coordinates, row.Number, catalog.HoldPin
			if err := tx.PutHold(h); err != nil {
				return err
			}
			out.done(row.Version)
		}
		return nil
	})
	return out, err
}

// Unpin ends Pin, also of versions that are not there any more; those without a
// pin fail alone.
func (s *Service) Unpin(ctx context.Context, b Batch) (out Outcome, err error) {
	if err := b.check(); err != nil {
		return Outcome{}, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		out = newOutcome()
		n, err := within(tx, b.Repository)
		if err != nil {
			return err
		}
		for _, number := range b.Versions {
			found, err := tx.DeleteHold(catalog.Hold{RepositoryID: n.repo.ID, Coordinates: b.Coordinates, Version: number, Kind: catalog.HoldPin})
			if err != nil {
				return err
			}
			if !found {
				out.fail(number, VersionNotFound, "version %s is not pinned", number)
				continue
			}
			out.Done[number] = VersionState{}
		}
		return nil
	})
	return out, err
}

func (s *Service) restore(ctx context.Context, tx *catalog.Tx, n *node, c artifact.Coordinates, number string) (artifact.Version, error) {
	t, err := tx.TrashedVersion(n.repo.ID, c, number)
	if err != nil {
		return artifact.Version{}, err
	}
	p, _, err := tx.EnsurePackage(n.repo, c, t.DisplayName, artifact.DefaultRestrictions(t.Origin.Type != artifact.External))
	if err != nil {
		return artifact.Version{}, err
	}
	switch held, err := tx.Version(p.ID, number); {
	case err == nil && held.Status == artifact.Disposed && t.Status != artifact.Disposed: // of its revision perhaps, but without its files
		return held.Version, fault.About(fault.Conflict, "package-version", number,
			"version %s of %s has been published again and disposed; delete that record first, or leave the old one in the trash", number, c)
	case err == nil && held.Revision == t.Revision: // it has come back by itself
		return held.Version, tx.DropTrash(t.ID)
	case err == nil:
		return held.Version, fault.About(fault.Conflict, "package-version", number,
			"version %s of %s has been published again with other content; delete that one first, or leave the old one in the trash", number, c)
	case !fault.Is(err, fault.NotFound):
		return artifact.Version{}, err
	}
	rows, err := tx.TrashedAssets(t.ID)
	if err != nil {
		return artifact.Version{}, err
	}
	if err := admit(tx, n, 1, plainAssets(rows)); err != nil {
		return artifact.Version{}, err
	}
	if err := tx.RestoreVersion(p, t); err != nil {
		return artifact.Version{}, err
	}
	for _, a := range rows {
		if err := s.present(ctx, a); err != nil {
			return artifact.Version{}, err
		}
	}
	return t.Version, tx.Emit(eventOf(n, c, t.Version, artifact.Event{Operation: "Created", AssetsAdded: len(rows), Metadata: true, StatusChanged: true}))
}

// present refuses an asset whose bytes are not there.
func (s *Service) present(ctx context.Context, a catalog.Asset) error {
	if _, err := s.blobs.Stat(ctx, blob.Ref{Space: a.Space, SHA256: a.Digests.Hex(digest.SHA256)}); err != nil {
		return fault.Wrap(fault.Internal, err, "the bytes of %s are missing", a.Name)
	}
	return nil
}
