package upkeep

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/blob/fsblob"
	"packhouse/internal/blob/memblob"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/registry"
)

const (
	owner = "123456789012"
	day   = 24 * time.Hour
)

// later is a clock that is ahead, so that what is stored now is old.
func later() time.Time { return time.Now().Add(2 * day) }

func openCatalog(t *testing.T, engine string, o catalog.Options) *catalog.DB {
	t.Helper()
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "catalog.db")
	if engine == "postgres" {
		dsn = pgtest.NewDatabase(t)
	}
	o.Logger = slog.New(slog.DiscardHandler)
	db, err := catalog.Open(t.Context(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func eachEngine(t *testing.T, test func(t *testing.T, db *catalog.DB)) {
	t.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) { test(t, openCatalog(t, engine, catalog.Options{})) })
	}
}

func newRunner(o Options) *Runner {
	o.Logger = slog.New(slog.DiscardHandler)
	if o.Blobs == nil {
		o.Blobs = memblob.New(blob.Limits{})
	}
	return New(o)
}

func update(t testing.TB, db *catalog.DB, fn func(*catalog.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// shop is a domain with one repository and a store.
type shop struct {
	t      *testing.T
	db     *catalog.DB
	blobs  blob.Store
	domain catalog.Domain
	repo   catalog.Repository
}

func newShop(t *testing.T, db *catalog.DB, blobs blob.Store) *shop {
	t.Helper()
	return newShopNamed(t, db, blobs, "corp")
}

func newShopNamed(t *testing.T, db *catalog.DB, blobs blob.Store, domain string) *shop {
	t.Helper()
	s := &shop{t: t, db: db, blobs: blobs}
	update(t, db, func(tx *catalog.Tx) (err error) {
		if s.domain, err = tx.InsertDomain(catalog.Domain{Owner: owner, Name: domain}); err != nil {
			return err
		}
		s.repo, err = tx.InsertRepository(catalog.Repository{DomainID: s.domain.ID, Name: "repo", Administrator: owner})
		return err
	})
	return s
}

func (s *shop) put(content string) artifact.Asset {
	s.t.Helper()
	info, err := s.blobs.Put(s.t.Context(), s.domain.ID, strings.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	return artifact.Asset{Name: "file", Size: info.Size, Digests: info.Digests}
}

// version stores a version with one asset.
func (s *shop) version(name, number, content string) catalog.Version {
	s.t.Helper()
	a := s.put(content)
	var row catalog.Version
	update(s.t, s.db, func(tx *catalog.Tx) error {
		p, _, err := tx.EnsurePackage(s.repo, artifact.Coordinates{Format: artifact.NPM, Name: name}, name, artifact.DefaultRestrictions(true))
		if err != nil {
			return err
		}
		if row, err = tx.InsertVersion(p, artifact.Version{Number: number, Status: artifact.Published}); err != nil {
			return err
		}
		return tx.InsertAsset(p, row.ID, a)
	})
	return row
}

// contents lists what the store holds, by digest of known contents.
func (s *shop) contents(of ...string) (held []string) {
	s.t.Helper()
	for info, err := range s.blobs.All(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		i := slices.IndexFunc(of, func(c string) bool { return digest.Of([]byte(c)).Hex(digest.SHA256) == info.Ref.SHA256 })
		if i < 0 {
			s.t.Errorf("unexpected blob %s", info.Ref)
			continue
		}
		held = append(held, of[i])
	}
	slices.Sort(held)
	return held
}

func TestSweep_TakesWhatNothingRefersTo(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		s.version("kept", "1", "kept")
		s.version("shared", "1", "both")
		gone := s.version("shared", "2", "both")
		deleted := s.version("deleted", "1", "deleted")
		s.put("uploaded and never published")
		update(t, db, func(tx *catalog.Tx) error {
			for _, v := range []catalog.Version{gone, deleted} {
				name := "shared"
				if v.ID == deleted.ID {
					name = "deleted"
				}
				p, err := tx.Package(s.repo.ID, artifact.Coordinates{Format: artifact.NPM, Name: name})
				if err != nil {
					return err
				}
				if err := tx.DeleteVersion(p, v); err != nil {
					return err
				}
			}
			return nil
		})
		every := []string{"kept", "both", "deleted", "uploaded and never published"}

		r := newRunner(Options{DB: db, Blobs: s.blobs})
		total, err := r.Sweep(t.Context())
		if err != nil || total.Blobs != 0 {
			t.Errorf("within the grace: swept %v, %v", total, err)
		}
		r = newRunner(Options{DB: db, Blobs: s.blobs, Now: later})
		total, err = r.Sweep(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := Swept{Blobs: 2, Bytes: int64(len("deleted") + len("uploaded and never published"))}
		if diff := cmp.Diff(want, total); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"both", "kept"}, s.contents(every...)); diff != "" {
			t.Error(diff)
		}
		var usage catalog.DomainUsage
		update(t, db, func(tx *catalog.Tx) (err error) {
			usage, err = tx.DomainUsage(s.domain.ID)
			return err
		})
		if usage.Bytes != int64(len("kept")+len("both")) {
			t.Errorf("the domain is said to hold %d bytes", usage.Bytes)
		}
	})
}

// TestSweep_GraceBeginsWhenTheLastReferenceGoes: a backup of the database that is
// younger than the grace finds all of its bytes.
func TestSweep_GraceBeginsWhenTheLastReferenceGoes(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			clock := &clockwork{now: time.Now()}
			db := openCatalog(t, engine, catalog.Options{Now: clock.Now})
			s := newShop(t, db, memblob.New(blob.Limits{}))
			r := newRunner(Options{DB: db, Blobs: s.blobs, Now: clock.Now})
			deleted, trashed := s.version("left", "1", "deleted"), s.version("left", "2", "trashed")
			sweep := func(want ...string) {
				t.Helper()
				if _, err := r.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, s.contents("deleted", "trashed")); diff != "" {
					t.Error(diff)
				}
			}
			clock.pass(30 * day)
			update(t, db, func(tx *catalog.Tx) error {
				p, err := tx.Package(s.repo.ID, artifact.Coordinates{Format: artifact.NPM, Name: "left"})
				if err != nil {
					return err
				}
				return errors.Join(tx.DeleteVersion(p, deleted), tx.TrashVersion(p, trashed, "", tx.Now().Add(7*day)))
			})
			clock.pass(23 * time.Hour)
			sweep("deleted", "trashed")
			clock.pass(2 * time.Hour)
			sweep("trashed")
			clock.pass(7 * day)
			update(t, db, func(tx *catalog.Tx) error { _, err := tx.PurgeTrash(tx.Now(), 10); return err })
			sweep("trashed")
			clock.pass(25 * time.Hour)
			sweep()
		})
	}
}

func TestSweep_RowsWithoutBytesGoToo(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	s := newShop(t, db, memblob.New(blob.Limits{}))
	sha := digest.Of([]byte("x")).Hex(digest.SHA256)
	update(t, db, func(tx *catalog.Tx) error { return tx.StoreBlob(s.domain.ID, sha, 1) })
	if _, err := newRunner(Options{DB: db, Blobs: s.blobs, Now: later}).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *catalog.Tx) error {
		if known, err := tx.HasBlob(s.domain.ID, sha); known {
			t.Errorf("the row is there still (%v)", err)
		}
		return nil
	})
}

func TestSweep_KeepsTheCurrentRemoteDocument(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		blobs := memblob.New(blob.Limits{})
		for _, doc := range []string{"old", "new"} {
			info, err := blobs.Put(t.Context(), catalog.RemoteSpace, strings.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			update(t, db, func(tx *catalog.Tx) error {
				return tx.PutRemoteDocument(catalog.RemoteDocument{
					Connection: "public", Coordinates: artifact.Coordinates{Format: artifact.NPM, Name: "x"}, BlobSHA256: info.Ref.SHA256, Size: info.Size,
				})
			})
		}
		if _, err := newRunner(Options{DB: db, Blobs: blobs, Now: later}).Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := &shop{t: t, blobs: blobs}
		if diff := cmp.Diff([]string{"new"}, s.contents("old", "new")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestForgetParts_WhenNobodyHasPutThemTogether(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		blobs := memblob.New(blob.Limits{})
		info, err := blobs.Put(t.Context(), "parts-x", strings.NewReader("a part"))
		if err != nil {
			t.Fatal(err)
		}
		update(t, db, func(tx *catalog.Tx) error {
			return tx.PutUploadPart("upload", catalog.UploadPart{SHA256: info.Ref.SHA256, Size: info.Size})
		})
		for _, c := range []struct {
			name  string
			clock func() time.Time
			left  int
		}{{"within the grace", time.Now, 1}, {"later", later, 0}} {
			r := newRunner(Options{DB: db, Blobs: blobs, Now: c.clock})
			if err := r.forgetParts(t.Context(), catalog.Job{}); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			update(t, db, func(tx *catalog.Tx) error {
				parts, err := tx.UploadParts("upload")
				if _, gone := blobs.Stat(t.Context(), info.Ref); len(parts) != c.left || (gone == nil) != (c.left == 1) {
					t.Errorf("%s: %v, bytes: %v", c.name, parts, gone)
				}
				return err
			})
		}
	})
}

// failingStore cannot remove anything.
type failingStore struct{ blob.Store }

func (failingStore) Expire(context.Context, blob.Ref, time.Time) (bool, error) {
	return false, fault.New(fault.Unavailable, "the disk is gone")
}

func TestSweep_KeepsTheRowWhenBytesCannotGo(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	s := newShop(t, db, memblob.New(blob.Limits{}))
	a := s.put("x")
	sha := a.Digests.Hex(digest.SHA256)
	update(t, db, func(tx *catalog.Tx) error { return tx.StoreBlob(s.domain.ID, sha, 1) })
	_, err := newRunner(Options{DB: db, Blobs: failingStore{s.blobs}, Now: later}).Sweep(t.Context())
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("got error %v", err)
	}
	update(t, db, func(tx *catalog.Tx) error {
		if known, err := tx.HasBlob(s.domain.ID, sha); !known {
			t.Errorf("the row went without the bytes (%v)", err)
		}
		return nil
	})
}

// TestSweep_RacesWithPublish publishes contents that are old, unreferenced and
// being swept at the same time. Whatever was published must have its bytes.
func TestSweep_RacesWithPublish(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		ids := identity.New(db, identity.Options{})
		if _, err := ids.Bootstrap(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
		blobs, err := fsblob.Open(t.Context(), t.TempDir(), fsblob.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer blobs.Close()
		s := newShop(t, db, blobs)
		reg, err := registry.New(db, blobs, access.New(db), nil, registry.Options{RenderDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer reg.Close()
		admin, err := ids.UserCaller(t.Context(), owner, "admin", identity.Facts{})
		if err != nil {
			t.Fatal(err)
		}
		// With a grace below zero every unreferenced content is old enough at
		// once: between Stage and Publish nothing but the two transactions is
		// left to keep the bytes.
		sweeper := newRunner(Options{DB: db, Blobs: blobs, Grace: -time.Hour})
		stop := make(chan struct{})
		var sweeping sync.WaitGroup
		sweeping.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := sweeper.Sweep(t.Context()); err != nil {
						t.Errorf("sweep: %v", err)
						return
					}
				}
			}
		})
		const workers, each = 4, 25
		var published sync.Map // name -> content
		var lost, kept int
		var mu sync.Mutex
		var publishing sync.WaitGroup
		for w := range workers {
			publishing.Go(func() {
				repo, err := reg.Open(t.Context(), admin, artifact.RepositoryID{Owner: owner, Domain: "corp", Name: "repo"})
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				for i := range each {
					name, content := fmt.Sprintf("p%d-%d", w, i), fmt.Sprintf("content %d", i%5)
					c := artifact.Coordinates{Format: artifact.NPM, Name: name}
					staged, err := repo.Stage(t.Context(), c, "file", strings.NewReader(content))
					if err != nil {
						t.Errorf("stage: %v", err)
						return
					}
					_, err = repo.Publish(t.Context(), c, registry.Publication{Version: "1", Manifest: []byte("{}"), Assets: []registry.Staged{staged}})
					mu.Lock()
					switch {
					case err == nil:
						kept++
						published.Store(name, content)
					case fault.Is(err, fault.Unavailable): // the uploaded bytes were cleaned up: try again
						lost++
					default:
						t.Errorf("publish: %v", err)
					}
					mu.Unlock()
					if i%3 == 0 && err == nil { // and some go again
						_ = repo.Unpublish(t.Context(), c, nil)
						published.Delete(name)
					}
				}
			})
		}
		publishing.Wait()
		close(stop)
		sweeping.Wait()
		t.Logf("%d published, %d refused because their bytes went first", kept, lost)
		published.Range(func(name, content any) bool {
			got, err := blobs.Stat(t.Context(), blob.Ref{Space: s.domain.ID, SHA256: digest.Of([]byte(content.(string))).Hex(digest.SHA256)})
			if err != nil {
				t.Errorf("%s was published and its bytes are gone: %v %v", name, got, err)
			}
			return true
		})
	})
}

// run starts a runner that ends with the test, and gives the function that ends
// it before.
func run(t *testing.T, r *Runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// withKind makes a runner know one kind of job alone.
func withKind(r *Runner, k kind) *Runner {
	r.kinds = map[string]kind{k.name: k}
	return r
}

func enqueue(t *testing.T, db *catalog.DB, j catalog.Job) {
	t.Helper()
	update(t, db, func(tx *catalog.Tx) error { return tx.Enqueue(j) })
}

func jobs(t *testing.T, db *catalog.DB) (all []catalog.Job) {
	t.Helper()
	update(t, db, func(tx *catalog.Tx) (err error) {
		all, err = tx.Jobs("", "", 0)
		return err
	})
	return all
}

// TestRun_LongJobsLeaveRoom: jobs that come again at once, and many of them, do not
// keep alarms from being evaluated.
func TestRun_LongJobsLeaveRoom(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			clock := &clockwork{now: time.Now()}
			db := openCatalog(t, engine, catalog.Options{Now: clock.Now})
			r := newRunner(Options{DB: db, Now: clock.Now})
			enqueue(t, db, catalog.Job{Kind: catalog.JobRetention, Key: "one"})
			enqueue(t, db, catalog.Job{Kind: catalog.JobRetention, Key: "two"})
			for i := range 9 {
				enqueue(t, db, catalog.Job{Kind: catalog.JobPurgeRepository, Key: strconv.Itoa(i)})
			}
			enqueue(t, db, catalog.Job{Kind: catalog.JobEvaluateAlarms, RunAt: clock.Now().Add(time.Second)})
			for range 2 {
				for _, j := range r.lease(t.Context(), 1, 1) { // the other workers have long ones
					if j.Kind == catalog.JobEvaluateAlarms {
						return
					}
					clock.pass(10 * time.Second)
					update(t, db, func(tx *catalog.Tx) error { return tx.FailJob(j, "", 0) }) // it has done a piece
				}
			}
			t.Error("the others alone are run")
		})
	}
}

// TestRun_TheLastWorkerTakesNoLongJobs: two of them at most, by default, so that a
// sweep beside a run does not keep alarms from being evaluated for hours.
func TestRun_TheLastWorkerTakesNoLongJobs(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	hold, alarms, longs := make(chan struct{}), make(chan struct{}), make(chan struct{}, 9)
	r := newRunner(Options{DB: db, Poll: time.Millisecond})
	r.kinds = map[string]kind{
		"long": {"long", 0, time.Minute, func(*Runner, context.Context, catalog.Job) error {
			longs <- struct{}{}
			<-hold
			return nil
		}},
		catalog.JobEvaluateAlarms: {catalog.JobEvaluateAlarms, time.Hour, time.Minute, func(*Runner, context.Context, catalog.Job) error {
			close(alarms)
			return nil
		}},
	}
	for i := range 5 {
		enqueue(t, db, catalog.Job{Kind: "long", Key: strconv.Itoa(i)})
	}
	stop := run(t, r)
	for range 2 {
		<-longs
	}
	enqueue(t, db, catalog.Job{Kind: catalog.JobEvaluateAlarms}) // due now, and no sooner than the long ones
	select {
	case <-alarms:
	case <-time.After(time.Minute):
		t.Error("no worker is left for what is short")
	}
	if len(longs) > 0 {
		t.Error("a third long job was begun")
	}
	close(hold)
	stop()
}

func TestRun_EachJobOnceOverManyRunners(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		const count = 30
		ran := make(chan string, 2*count)
		k := kind{name: "test", lease: time.Minute, run: func(_ *Runner, _ context.Context, j catalog.Job) error {
			ran <- j.Key + string(j.Payload)
			return nil
		}}
		for i := range count {
			enqueue(t, db, catalog.Job{Kind: "test", Key: fmt.Sprintf("%02d", i), Payload: json.RawMessage("1")})
		}
		var stops []func()
		for range 3 {
			stops = append(stops, run(t, withKind(newRunner(Options{DB: db, Workers: 4, Poll: time.Millisecond}), k)))
		}
		got := map[string]int{}
		for range count {
			got[<-ran]++
		}
		for _, stop := range stops {
			stop()
		}
		if len(got) != count || len(ran) > 0 {
			t.Errorf("%d of %d jobs ran, and %d twice", len(got), count, len(ran))
		}
		if left := jobs(t, db); len(left) > 0 {
			t.Errorf("jobs are left: %v", left)
		}
	})
}

func TestRun_FailedJobComesAgainLater(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("no luck") },
		"panic": func() error { panic("no luck") },
	} {
		t.Run(name, func(t *testing.T) {
			db := openCatalog(t, "sqlite", catalog.Options{})
			enqueue(t, db, catalog.Job{Kind: "test", Key: "k"})
			done := make(chan error, 1)
			r := newRunner(Options{DB: db, Poll: time.Millisecond, Done: func(_ string, _ time.Duration, err error) { done <- err }})
			stop := run(t, withKind(r, kind{name: "test", lease: time.Minute, run: func(*Runner, context.Context, catalog.Job) error { return fail() }}))
			if err := <-done; err == nil || !strings.Contains(err.Error(), "no luck") {
				t.Errorf("got %v", err)
			}
			stop()
			left := jobs(t, db)
			if len(left) != 1 || !strings.Contains(left[0].LastError, "no luck") || !left[0].LeasedUntil.IsZero() || left[0].Attempts != 1 {
				t.Fatalf("left is %+v", left)
			}
			if pause := time.Until(left[0].RunAt); pause < time.Second || pause > time.Minute {
				t.Errorf("it comes again in %v", pause)
			}
		})
	}
}

func TestRun_StopGivesTheJobBack(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	enqueue(t, db, catalog.Job{Kind: "test", Key: "k"})
	begun := make(chan struct{}, 1)
	k := kind{name: "test", lease: time.Minute, run: func(_ *Runner, ctx context.Context, _ catalog.Job) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	stop := run(t, withKind(newRunner(Options{DB: db, Poll: time.Millisecond}), k))
	<-begun
	stop()
	left := jobs(t, db)
	if len(left) != 1 || left[0].LastError != "" || !left[0].LeasedUntil.IsZero() || time.Until(left[0].RunAt) > time.Second {
		t.Fatalf("left is %+v", left)
	}
	run(t, withKind(newRunner(Options{DB: db, Poll: time.Millisecond}), k)) // takes it up at once
	<-begun
}

func TestRun_PeriodicJobComesAgain(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	ran := make(chan struct{}, 100)
	k := kind{name: "test", every: time.Millisecond, lease: time.Minute, run: func(*Runner, context.Context, catalog.Job) error {
		ran <- struct{}{}
		return nil
	}}
	stop := run(t, withKind(newRunner(Options{DB: db, Poll: time.Millisecond}), k))
	for range 3 {
		<-ran
	}
	stop()
	if left := jobs(t, db); len(left) != 1 || left[0].LastError != "" {
		t.Errorf("left is %+v", left)
	}
}

func TestRun_MoreToDoIsNoFailure(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	enqueue(t, db, catalog.Job{Kind: "test", Key: "k"})
	done := make(chan error, 1)
	left := 3
	k := kind{name: "test", lease: time.Minute, run: func(*Runner, context.Context, catalog.Job) error {
		if left--; left > 0 {
			return errMore
		}
		return nil
	}}
	stop := run(t, withKind(newRunner(Options{DB: db, Poll: time.Millisecond, Done: func(_ string, _ time.Duration, err error) { done <- err }}), k))
	if err := <-done; err != nil {
		t.Error(err)
	}
	stop()
	if left := jobs(t, db); len(left) > 0 {
		t.Errorf("left is %+v", left)
	}
}

func TestRun_SchedulesTheTableOnce(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	for range 2 {
		if err := newRunner(Options{DB: db}).schedule(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, j := range jobs(t, db) {
		got = append(got, j.Kind)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{
		"check-usage", "empty-trash", "evaluate-alarms", "forget-upload-parts", "purge-dead-letters", "roll-up-usage",
		"rotate-keys", "start-retention", "sweep-blobs", "tidy-access-records", "tidy-monitoring",
	}, got); diff != "" {
		t.Error(diff)
	}
}

// TestRun_JobsOfAWrongClock: what was put off, or taken, by a clock that was ahead
// does not wait until that time comes.
func TestRun_JobsOfAWrongClock(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			clock := &clockwork{now: time.Now()}
			db := openCatalog(t, engine, catalog.Options{Now: clock.Now})
			r := newRunner(Options{DB: db, Now: clock.Now})
			clock.pass(365 * day)
			if err := r.schedule(t.Context()); err != nil {
				t.Fatal(err)
			}
			enqueue(t, db, catalog.Job{Kind: catalog.JobRetention, Key: "domain"})
			update(t, db, func(tx *catalog.Tx) error {
				_, err := tx.LeaseJobs(1, time.Minute, catalog.JobRetention) // by a process that dies
				return err
			})
			clock.pass(-365 * day)
			if err := r.schedule(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, j := range jobs(t, db) {
				if j.RunAt.After(clock.Now()) || j.LeasedUntil.After(clock.Now()) {
					t.Errorf("%s waits until %v, held until %v", j.Kind, j.RunAt, j.LeasedUntil)
				}
			}
			clock.pass(time.Second)
			before := jobs(t, db)
			if err := r.schedule(t.Context()); err != nil { // what waits as it should is left alone
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, jobs(t, db)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRun_Locals(t *testing.T) {
	dir := t.TempDir()
	blobs, err := fsblob.Open(t.Context(), dir, fsblob.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	left := filepath.Join(dir, ".spool", "left-behind")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-3 * time.Hour)
	if err := os.Chtimes(left, old, old); err != nil {
		t.Fatal(err)
	}
	ran := make(chan struct{})
	run(t, newRunner(Options{DB: openCatalog(t, "sqlite", catalog.Options{}), Blobs: blobs, Local: []Local{
		Spools(blobs),
		{"tell", func(context.Context) error { close(ran); return errors.New("which is no reason to stop") }},
	}}))
	<-ran
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the spool is there still: %v", err)
	}
}

func TestPurgeRepository(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		for i := range 70 {
			s.version(fmt.Sprint("p", i), "1", "x")
		}
		done := make(chan error, 100)
		r := newRunner(Options{DB: db, Blobs: s.blobs, Poll: time.Millisecond, Done: func(kind string, _ time.Duration, err error) {
			if kind == catalog.JobPurgeRepository {
				done <- err
			}
		}})
		run(t, r)
		enqueue(t, db, catalog.Job{Kind: catalog.JobPurgeRepository, Key: s.repo.ID}) // it exists: nothing happens
		if err := <-done; err != nil {
			t.Error(err)
		}
		update(t, db, func(tx *catalog.Tx) error {
			rows, err := tx.Packages(s.repo.ID, catalog.PackageFilter{}, artifact.Coordinates{}, 0)
			if err == nil && len(rows) != 70 {
				t.Errorf("%d packages are left of a repository that exists", len(rows))
			}
			return err
		})
		update(t, db, func(tx *catalog.Tx) error { return tx.DeleteRepository(s.repo) })
		if err := <-done; err != nil {
			t.Error(err)
		}
		update(t, db, func(tx *catalog.Tx) error {
			rows, err := tx.Packages(s.repo.ID, catalog.PackageFilter{}, artifact.Coordinates{}, 0)
			if err == nil && len(rows) > 0 {
				t.Errorf("%d packages are left", len(rows))
			}
			return err
		})
	})
}

func TestRotateKeys(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	r := newRunner(Options{DB: db, Identity: identity.New(db, identity.Options{})})
	for range 2 { // the second finds a key that is young
		if err := r.rotateKeys(t.Context(), catalog.Job{}); err != nil {
			t.Fatal(err)
		}
	}
	update(t, db, func(tx *catalog.Tx) error {
		keys, err := tx.SigningKeys()
		if len(keys) != 1 || bytes.Equal(keys[0].Secret, nil) {
			t.Errorf("there are %d keys", len(keys))
		}
		return err
	})
}
