package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/blob/memblob"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/registry"
	"packhouse/internal/retention"
)

// openRegistry makes the heart of a shop.
func (s *shop) openRegistry() *registry.Service {
	s.t.Helper()
	reg, err := registry.New(s.db, s.blobs, access.New(s.db), nil, registry.Options{RenderDir: s.t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(reg.Close)
	return reg
}

// stock stores versions 1 to n of packages, each published a minute after the
// one before, some of which share their content.
func (s *shop) stock(packages, n int) {
	s.t.Helper()
	for p := range packages {
		for i := range n {
			content := fmt.Sprintf("%d of %d", i, p)
			if i%5 == 0 {
				content = "the same everywhere"
			}
			a := s.put(content)
			update(s.t, s.db, func(tx *catalog.Tx) error {
				row, _, err := tx.EnsurePackage(s.repo, artifact.Coordinates{Format: artifact.NPM, Name: fmt.Sprintf("p%03d", p)}, "", artifact.DefaultRestrictions(true))
				if err != nil {
					return err
				}
				v, err := tx.InsertVersion(row, artifact.Version{
					Number: fmt.Sprint(i + 1), Status: artifact.Published, Origin: artifact.Origin{Type: artifact.Internal, Repository: "repo"},
					Published: tx.Now().Add(time.Duration(i-n) * time.Minute), Manifest: []byte("{}"), Revision: content,
				})
				if err != nil {
					return err
				}
				return tx.InsertAsset(row, v.ID, a)
			})
		}
	}
}

func (s *shop) configure(c retention.Configuration) {
	s.t.Helper()
	update(s.t, s.db, func(tx *catalog.Tx) error {
		return tx.PutRetentionConfiguration(catalog.RetentionConfiguration{DomainID: s.domain.ID, RepositoryID: s.repo.ID, Configuration: c})
	})
}

// state is what the catalog says.
type state struct {
	Live, Trash []string // package@number
	Removals    int
	Run         catalog.RetentionRun
}

func (s *shop) state() (st state) {
	s.t.Helper()
	err := s.db.View(s.t.Context(), func(tx *catalog.Tx) error {
		st = state{}
		packages, err := tx.Packages(s.repo.ID, catalog.PackageFilter{}, artifact.Coordinates{}, 0)
		if err != nil {
			return err
		}
		for _, p := range packages {
			versions, err := tx.Versions(p.ID)
			if err != nil {
				return err
			}
			for _, v := range versions {
				st.Live = append(st.Live, p.Coordinates.Name+"@"+v.Number)
				if assets, err := tx.Assets(v.ID, "", 0); err != nil || len(assets) != 1 {
					s.t.Errorf("%s@%s has the assets %v, %v", p.Coordinates.Name, v.Number, assets, err)
				}
			}
		}
		trash, err := tx.Trash(s.domain.ID, catalog.TrashFilter{}, "", 0)
		if err != nil {
			return err
		}
		for _, t := range trash {
			st.Trash = append(st.Trash, t.Coordinates.Name+"@"+t.Number)
		}
		runs, err := tx.RetentionRuns(s.domain.ID, "", 1)
		if err != nil || len(runs) == 0 {
			return err
		}
		st.Run = runs[0]
		removals, err := tx.Removals(st.Run.ID, "", 0)
		st.Removals = len(removals)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(st.Live)
	slices.Sort(st.Trash)
	for _, name := range st.Trash {
		if _, both := slices.BinarySearch(st.Live, name); both {
			s.t.Errorf("%s is in the trash and there", name)
		}
	}
	return st
}

// foretold is what the preview says would stay and go.
func (s *shop) foretold(reg *registry.Service) (keep, remove []string, bytes int64) {
	s.t.Helper()
	for q := (registry.PreviewQuery{Owner: owner, Domain: "corp", AsOf: time.Now(), Limit: 7}); ; {
		rows, next, more, err := reg.PreviewRetention(s.t.Context(), q)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range rows {
			if bytes += r.Bytes; r.Remove {
				remove = append(remove, r.Coordinates.Name+"@"+r.Number)
			} else {
				keep = append(keep, r.Coordinates.Name+"@"+r.Number)
			}
		}
		if !more {
			break
		}
		q.After = next
	}
	slices.Sort(keep)
	slices.Sort(remove)
	return keep, remove, bytes
}

func start(t *testing.T, reg *registry.Service, force bool) catalog.RetentionRun {
	t.Helper()
	run, err := reg.StartRetention(t.Context(), owner, "corp", "", force)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

const grace = 7 * day

func retire(ctx context.Context, t *testing.T, s *shop, reg *registry.Service, worker string) bool {
	t.Helper()
	through, err := reg.Retire(ctx, s.domain.ID, registry.Retirement{Grace: grace, Worker: worker})
	if err != nil && ctx.Err() == nil {
		t.Errorf("retire: %v", err)
	}
	return through
}

func TestRetention_RunDoesWhatThePreviewSays(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		s.stock(70, 6)
		s.configure(retention.Configuration{Versions: 2})
		reg := s.openRegistry()
		keep, remove, bytes := s.foretold(reg)
		run := start(t, reg, false)
		if !retire(t.Context(), t, s, reg, "me") {
			t.Fatal("not through")
		}
		got := s.state()
		if diff := cmp.Diff(keep, got.Live); diff != "" {
			t.Errorf("kept: %s", diff)
		}
		if diff := cmp.Diff(remove, got.Trash); diff != "" {
			t.Errorf("removed: %s", diff)
		}
		r := got.Run
		if r.ID != run.ID || r.Status != catalog.RunSucceeded || r.Removed != int64(len(remove)) || got.Removals != len(remove) ||
			r.Packages != 70 || r.PackagesTotal != 70 || r.Kept != int64(len(keep)) || r.Freed != bytes || r.Finished.IsZero() {
			t.Errorf("the run says %+v, and %d removals; the preview %d bytes", r, got.Removals, bytes)
		}
		swept, err := newRunner(Options{DB: db, Blobs: s.blobs, Now: later}).Sweep(t.Context())
		if err != nil || swept.Blobs > 0 {
			t.Errorf("the sweep took %+v out of the trash, %v", swept, err)
		}
		update(t, db, func(tx *catalog.Tx) error {
			events, err := tx.Undelivered(0, 1000)
			if len(events) != len(remove) || events[0].Event.Operation != "Deleted" || events[0].Event.Administrator != owner {
				t.Errorf("%d events", len(events))
			}
			return err
		})
		// What is purged can be swept.
		update(t, db, func(tx *catalog.Tx) error {
			_, err := tx.PurgeTrash(time.Now().Add(grace+time.Hour), 1000)
			return err
		})
		swept, err = newRunner(Options{DB: db, Blobs: s.blobs, Now: later}).Sweep(t.Context())
		if err != nil || swept.Bytes != bytes {
			t.Errorf("swept %+v, %v; the preview said %d bytes", swept, err, bytes)
		}
	})
}

// TestRetention_BrokenOffAnywhere breaks runs off after a random time, many
// times: nothing is lost or counted twice. The times grow, so that a slow machine
// comes to an end too.
func TestRetention_BrokenOffAnywhere(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		s.stock(40, 5)
		s.configure(retention.Configuration{Versions: 1})
		reg := s.openRegistry()
		keep, remove, bytes := s.foretold(reg)
		every := slices.Concat(keep, remove)
		slices.Sort(every)
		start(t, reg, false)
		breaks := 0
		for through := false; !through; breaks++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(80+4*breaks)+5)*time.Millisecond)
			through = retire(ctx, t, s, reg, fmt.Sprint("worker ", breaks))
			cancel()
			got := s.state()
			all := slices.Concat(got.Live, got.Trash)
			slices.Sort(all)
			if diff := cmp.Diff(every, all); diff != "" {
				t.Fatalf("after break %d: %s", breaks, diff)
			}
			if int(got.Run.Removed) != len(got.Trash) || got.Removals != len(got.Trash) {
				t.Fatalf("after break %d: %d removed, %d recorded, %d in the trash", breaks, got.Run.Removed, got.Removals, len(got.Trash))
			}
		}
		t.Logf("broken off %d times", breaks-1)
		got := s.state()
		if diff := cmp.Diff(remove, got.Trash); diff != "" {
			t.Error(diff)
		}
		if got.Run.Status != catalog.RunSucceeded || got.Run.Kept != int64(len(keep)) || got.Run.Freed != bytes {
			t.Errorf("%+v, the preview said %d bytes", got.Run, bytes)
		}
	})
}

func TestRetention_TwoReplicasAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		s.stock(40, 5)
		s.configure(retention.Configuration{Versions: 1})
		one, two := s.openRegistry(), s.openRegistry()
		_, remove, _ := s.foretold(one)

		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wg.Go(func() {
				reg := one
				if i%2 == 1 {
					reg = two
				}
				_, errs[i] = reg.StartRetention(t.Context(), owner, "corp", "", false)
			})
		}
		wg.Wait()
		started := 0
		for _, err := range errs {
			switch {
			case err == nil:
				started++
			case !fault.Is(err, fault.Conflict):
				t.Errorf("start: %v", err)
			}
		}
		if started != 1 {
			t.Errorf("%d runs were started at once", started)
		}
		// The lease gives the run to one; here both work on it, as when a process
		// wakes that was thought dead.
		for i, reg := range []*registry.Service{one, two} {
			wg.Go(func() { retire(t.Context(), t, s, reg, fmt.Sprint("worker ", i)) })
		}
		wg.Wait()
		if !retire(t.Context(), t, s, one, "the last") {
			t.Error("not through")
		}
		got := s.state()
		if diff := cmp.Diff(remove, got.Trash); diff != "" {
			t.Error(diff)
		}
		if got.Run.Removed != int64(len(remove)) || got.Removals != len(remove) || got.Run.Status != catalog.RunSucceeded {
			t.Errorf("%+v", got.Run)
		}
	})
}

func TestRetention_RunnersDoWhatIsStarted(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		s.stock(10, 3)
		s.configure(retention.Configuration{Versions: 1})
		reg := s.openRegistry()
		start(t, reg, false)
		done := make(chan error, 10)
		for range 2 {
			r := newRunner(Options{DB: db, Blobs: s.blobs, Registry: reg, Poll: time.Millisecond, Pause: time.Microsecond, Done: func(kind string, _ time.Duration, err error) {
				if kind == catalog.JobRetention {
					done <- err
				}
			}})
			run(t, r)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := s.state(); got.Run.Status != catalog.RunSucceeded || len(got.Trash) != 20 {
			t.Errorf("%+v", got)
		}
	})
}

// TestRetention_NothingIsLeft: a run that would empty a repository leaves it
// alone, unless that is meant.
func TestRetention_NothingIsLeft(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		s.stock(3, 3)
		all := retention.Configuration{Rules: []retention.Rule{{Remove: true}}}
		s.configure(all)
		reg := s.openRegistry()
		if _, err := reg.StartRetention(t.Context(), owner, "corp", "repo", false); !fault.Is(err, fault.Conflict) {
			t.Errorf("started: %v", err)
		}
		put := catalog.RetentionConfiguration{DomainID: s.domain.ID, RepositoryID: s.repo.ID, Configuration: all}
		if err := reg.CheckRetention(t.Context(), s.domain, put); !fault.Is(err, fault.Conflict) {
			t.Errorf("may be put: %v", err)
		}
		put.Forced = true
		if err := reg.CheckRetention(t.Context(), s.domain, put); err != nil {
			t.Errorf("may not be put with force: %v", err)
		}
		// By its schedule, nobody is asked.
		update(t, db, func(tx *catalog.Tx) error {
			return tx.PutRetentionSettings(catalog.RetentionSettings{DomainID: s.domain.ID, Due: tx.Now().Add(-time.Hour)})
		})
		usual, err := retention.ParseSchedule(retention.DefaultSchedule)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			update(t, db, func(tx *catalog.Tx) error { return registry.StartDueRetention(tx, s.domain.ID, usual) })
		}
		retire(t.Context(), t, s, reg, "me")
		got := s.state()
		if len(got.Live) != 9 || got.Run.Status != catalog.RunSucceeded || got.Run.Origin != catalog.RunScheduled || len(got.Run.Refused) != 1 || got.Run.Refused[0].Repository != "repo" {
			t.Errorf("%+v", got)
		}
		// The domain's are not about a repository with its own.
		domains := catalog.RetentionConfiguration{DomainID: s.domain.ID, Origin: artifact.External, Configuration: retention.Configuration{Days: 30}}
		if err := reg.CheckRetention(t.Context(), s.domain, domains); err != nil {
			t.Errorf("may not be put in the domain: %v", err)
		}
		start(t, reg, true)
		retire(t.Context(), t, s, reg, "me")
		if got := s.state(); len(got.Live) != 0 || len(got.Trash) != 9 {
			t.Errorf("forced: %+v", got)
		}
		// Force of the one configuration of a domain is not for the other.
		s.stock(3, 3)
		update(t, db, func(tx *catalog.Tx) error {
			_, err := tx.DeleteRetentionConfiguration(s.domain.ID, s.repo.ID, "")
			return errors.Join(err, tx.PutRetentionConfiguration(domains))
		})
		put = catalog.RetentionConfiguration{DomainID: s.domain.ID, Origin: artifact.Internal, Configuration: all}
		for forced, refused := range map[artifact.OriginType]bool{artifact.External: true, artifact.Internal: false} {
			put.Forced, domains.Forced = forced == put.Origin, forced == domains.Origin
			if err := reg.CheckRetention(t.Context(), s.domain, put, domains); fault.Is(err, fault.Conflict) != refused {
				t.Errorf("forced for %s: %v", forced, err)
			}
		}
	})
}

func TestRetention_Restore(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		s.stock(1, 4)
		s.configure(retention.Configuration{Versions: 1})
		reg := s.openRegistry()
		start(t, reg, false)
		retire(t.Context(), t, s, reg, "me")
		c := artifact.Coordinates{Format: artifact.NPM, Name: "p000"}
		b := registry.Batch{Repository: artifact.RepositoryID{Owner: owner, Domain: "corp", Name: "repo"}, Coordinates: c, Versions: []string{"1", "nothing"}}
		if _, err := reg.Restore(t.Context(), b, nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("restored what is not in the trash: %v", err)
		}
		if got := s.state(); len(got.Trash) != 3 {
			t.Errorf("half restored: %+v", got)
		}
		b.Versions = []string{"1", "2"}
		out, err := reg.Restore(t.Context(), b, &catalog.Hold{Reason: "needed", PlacedBy: "me"})
		if err != nil || len(out.Done) != 2 {
			t.Errorf("%+v, %v", out, err)
		}
		// Pinned, they stay at the next run.
		start(t, reg, false)
		retire(t.Context(), t, s, reg, "me")
		got := s.state()
		if diff := cmp.Diff([]string{"p000@1", "p000@2", "p000@4"}, got.Live); diff != "" {
			t.Error(diff)
		}
		// The number is taken by other content.
		update(t, db, func(tx *catalog.Tx) error {
			p, err := tx.Package(s.repo.ID, c)
			if err != nil {
				return err
			}
			_, err = tx.InsertVersion(p, artifact.Version{Number: "3", Status: artifact.Published, Revision: "other", Origin: artifact.Origin{Type: artifact.Internal}})
			return err
		})
		b.Versions = []string{"3"}
		if _, err := reg.Restore(t.Context(), b, nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("restored over another: %v", err)
		}
		// And by the same content, which has come back by itself.
		update(t, db, func(tx *catalog.Tx) error {
			p, err := tx.Package(s.repo.ID, c)
			if err != nil {
				return err
			}
			row, err := tx.Version(p.ID, "3")
			if err != nil {
				return err
			}
			trashed, err := tx.TrashedVersion(s.repo.ID, c, "3")
			if err != nil {
				return err
			}
			row.Revision = trashed.Revision
			row.Status = artifact.Disposed
			return tx.UpdateVersion(p, row)
		})
		if _, err := reg.Restore(t.Context(), b, nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("a record without files passed for what is in the trash: %v", err)
		}
		update(t, db, func(tx *catalog.Tx) error {
			p, err := tx.Package(s.repo.ID, c)
			if err != nil {
				return err
			}
			row, err := tx.Version(p.ID, "3")
			if err != nil {
				return err
			}
			row.Status = artifact.Published
			return tx.UpdateVersion(p, row)
		})
		if _, err := reg.Restore(t.Context(), b, nil); err != nil {
			t.Error(err)
		}
		update(t, db, func(tx *catalog.Tx) error {
			left, err := tx.Trash(s.domain.ID, catalog.TrashFilter{}, "", 0)
			if len(left) > 0 {
				t.Errorf("left in the trash: %v", left)
			}
			return err
		})
	})
}

// clockwork is a clock that a test sets.
type clockwork struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clockwork) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clockwork) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// TestRetention_ClockJumps: while the clock may be wrong nothing goes by itself.
func TestRetention_ClockJumps(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			clock := &clockwork{now: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)}
			db := openCatalog(t, engine, catalog.Options{Now: clock.Now})
			s := newShop(t, db, memblob.New(blob.Limits{}))
			s.stock(1, 3)
			s.configure(retention.Configuration{Days: 30, Versions: 1})
			reg := s.openRegistry()
			r := newRunner(Options{DB: db, Blobs: s.blobs, Registry: reg, Now: clock.Now, Pause: time.Microsecond})
			tick := func() {
				t.Helper()
				if err := errors.Join(r.startRetention(t.Context(), catalog.Job{}), r.emptyTrash(t.Context(), catalog.Job{})); err != nil {
					t.Error(err)
				}
				err := r.runRetention(t.Context(), catalog.Job{Key: s.domain.ID})
				if err != nil {
					t.Error(err)
				}
			}
			steadily := func(d time.Duration) {
				t.Helper()
				for range d / time.Minute {
					clock.pass(time.Minute)
					tick()
				}
			}
			usual, err := retention.ParseSchedule(retention.DefaultSchedule)
			if err != nil {
				t.Fatal(err)
			}
			update(t, db, func(tx *catalog.Tx) error {
				due, err := usual.Next(tx.Now())
				if err != nil {
					return err
				}
				return tx.PutRetentionSettings(catalog.RetentionSettings{DomainID: s.domain.ID, Due: due})
			})
			steadily(65 * time.Minute)
			if got := s.state(); got.Run.Status != catalog.RunSucceeded || len(got.Live) != 3 {
				t.Errorf("at three o'clock: %+v", got)
			}
			clock.pass(365 * day) // a year ahead, all is old
			steadily(9 * time.Minute)
			clock.pass(-365 * day) // and right again
			steadily(24 * time.Hour)
			if got := s.state(); len(got.Live) != 3 {
				t.Errorf("after a jump: %+v", got)
			}
			clock.pass(40 * day) // nobody was there for so long
			tick()
			if got := s.state(); len(got.Live) != 3 {
				t.Errorf("at once after a pause: %+v", got)
			}
			steadily(11 * time.Minute)
			if got := s.state(); len(got.Live) != 1 || len(got.Trash) != 2 {
				t.Errorf("after a pause: %+v", got)
			}
			clock.pass(8 * day)
			steadily(9 * time.Minute)
			if got := s.state(); len(got.Trash) != 2 {
				t.Errorf("the trash was emptied by a clock that may be wrong: %+v", got)
			}
			steadily(2 * time.Minute)
			if got := s.state(); len(got.Trash) != 0 {
				t.Errorf("the trash is not emptied: %+v", got)
			}
		})
	}
}

// TestRetention_NextRunAfterAWrongClock: a clock that was ahead for long enough to
// be believed does not put the next run off.
func TestRetention_NextRunAfterAWrongClock(t *testing.T) {
	clock := &clockwork{now: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)}
	db := openCatalog(t, "sqlite", catalog.Options{Now: clock.Now})
	s := newShop(t, db, memblob.New(blob.Limits{}))
	r := newRunner(Options{DB: db, Now: clock.Now})
	due := func() (at time.Time) {
		t.Helper()
		for range 15 {
			clock.pass(time.Minute)
			if err := r.startRetention(t.Context(), catalog.Job{}); err != nil {
				t.Fatal(err)
			}
		}
		update(t, db, func(tx *catalog.Tx) error {
			settings, _, err := tx.RetentionSettings(s.domain.ID)
			at = settings.Due
			return err
		})
		return at
	}
	update(t, db, func(tx *catalog.Tx) error {
		return tx.PutRetentionSettings(catalog.RetentionSettings{DomainID: s.domain.ID, Schedule: "30 4 * * *", Due: tx.Now()})
	})
	want := time.Date(2026, 3, 1, 4, 30, 0, 0, time.UTC)
	if got := due(); !got.Equal(want) {
		t.Errorf("the next run is at %v", got)
	}
	clock.pass(365 * day)
	if got := due(); !got.Equal(want.Add(365 * day)) {
		t.Errorf("a year ahead it is at %v", got)
	}
	clock.pass(-365 * day)
	if got := due(); !got.Equal(want) {
		t.Errorf("with the clock set right it is at %v", got)
	}
}

// TestRetention_ClockJumpsUnderARun: a run decides as of when it began, whatever
// the clock says later, and what it removes is kept in the trash for its time.
func TestRetention_ClockJumpsUnderARun(t *testing.T) {
	for _, jump := range []time.Duration{365 * day, -365 * day} {
		t.Run(jump.String(), func(t *testing.T) {
			for _, engine := range []string{"sqlite", "postgres"} {
				clock := &clockwork{now: time.Now()}
				db := openCatalog(t, engine, catalog.Options{Now: clock.Now})
				s := newShop(t, db, memblob.New(blob.Limits{}))
				s.stock(10, 40)
				s.configure(retention.Configuration{Days: 30, Versions: 20, Rules: []retention.Rule{{Package: "/npm//p003$", Versions: 5}, {Package: "/npm//p006$", Versions: 5}}})
				reg := s.openRegistry()
				keep, remove, _ := s.foretold(reg)
				start(t, reg, false)
				r := newRunner(Options{DB: db, Blobs: s.blobs, Registry: reg, Now: clock.Now})
				for i := 0; ; i++ {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(30+10*i)*time.Millisecond)
					through := retire(ctx, t, s, reg, fmt.Sprint("worker ", i))
					cancel()
					if through {
						break
					}
					if i%2 == 0 {
						clock.pass(jump)
					} else {
						clock.pass(-jump)
					}
				}
				clock.mu.Lock()
				clock.now = time.Now()
				clock.mu.Unlock()
				for range 30 { // steadily, at the right time again
					clock.pass(time.Minute)
					if err := errors.Join(r.startRetention(t.Context(), catalog.Job{}), r.emptyTrash(t.Context(), catalog.Job{})); err != nil {
						t.Error(err)
					}
				}
				got := s.state()
				if diff := cmp.Diff(keep, got.Live); diff != "" {
					t.Errorf("%s: kept: %s", engine, diff)
				}
				if diff := cmp.Diff(remove, got.Trash); diff != "" {
					t.Errorf("%s: trash: %s", engine, diff)
				}
			}
		})
	}
}

func TestRetention_RunsWithoutAJobGetOne(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	s := newShop(t, db, memblob.New(blob.Limits{}))
	update(t, db, func(tx *catalog.Tx) error {
		_, err := tx.InsertRetentionRun(catalog.RetentionRun{DomainID: s.domain.ID})
		return err
	})
	r := newRunner(Options{DB: db})
	for range 2 {
		if err := r.startRetention(t.Context(), catalog.Job{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := jobs(t, db); len(got) != 1 || got[0].Kind != catalog.JobRetention || got[0].Key != s.domain.ID {
		t.Errorf("jobs %+v", got)
	}
}

func TestRetention_FailuresAreToldAndEndIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		s.stock(1, 2)
		s.configure(retention.Configuration{Versions: 1})
		reg := s.openRegistry()
		start(t, reg, false)
		broken := fault.New(fault.Unavailable, "the disk is gone")
		for range 19 {
			if err := reg.RetentionFailed(t.Context(), s.domain.ID, broken); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.state().Run; got.Status != catalog.RunQueued || got.Error != "the disk is gone" {
			t.Errorf("%+v", got)
		}
		if err := reg.RetentionFailed(t.Context(), s.domain.ID, broken); err != nil {
			t.Fatal(err)
		}
		if got := s.state().Run; got.Status != catalog.RunFailed || got.Finished.IsZero() {
			t.Errorf("%+v", got)
		}
		start(t, reg, false)
	})
}
