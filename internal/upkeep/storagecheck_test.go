package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/blob/fsblob"
	"packhouse/internal/blob/memblob"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
)

// damagedShop is a shop with a folder store in which one content of each kind
// is wrong. It gives the digests by name.
func damagedShop(t *testing.T, db *catalog.DB, domain string) (s *shop, dir string, sums map[string]string) {
	t.Helper()
	dir = t.TempDir()
	blobs, err := fsblob.Open(t.Context(), dir, fsblob.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := blobs.Close(); err != nil {
			t.Error(err)
		}
	})
	s, sums = newShopNamed(t, db, blobs, domain), map[string]string{}
	for _, name := range []string{"good", "flipped", "truncated", "deleted", "unrecorded", "sized"} {
		s.version(name, "1", "content "+name)
		sums[name] = digest.Of([]byte("content " + name)).Hex(digest.SHA256)
	}
	s.put("nobody knows of it")
	sums["unknown"] = digest.Of([]byte("nobody knows of it")).Hex(digest.SHA256)
	file := func(name string) string { return filepath.Join(dir, s.domain.ID, sums[name][:2], sums[name]) }
	content, err := os.ReadFile(file("flipped"))
	if err != nil {
		t.Fatal(err)
	}
	content[3] ^= 4
	if err := errors.Join(os.WriteFile(file("flipped"), content, 0o600), os.Truncate(file("truncated"), 5), os.Remove(file("deleted"))); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *catalog.Tx) error {
		return errors.Join(tx.DeleteBlob(s.domain.ID, sums["unrecorded"]), tx.SetBlobSize(s.domain.ID, sums["sized"], 4))
	})
	return s, dir, sums
}

// startCheck begins a check and gives its job as if it had been leased.
func startCheck(t *testing.T, db *catalog.DB, domainID string, repair bool, rate int64) catalog.Job {
	t.Helper()
	var c catalog.StorageCheck
	update(t, db, func(tx *catalog.Tx) (err error) { c, err = tx.InsertStorageCheck(domainID, repair, rate); return err })
	return catalog.Job{Key: c.ID}
}

func findings(t *testing.T, db *catalog.DB, id string) map[string]string {
	t.Helper()
	out := map[string]string{}
	update(t, db, func(tx *catalog.Tx) error {
		rows, err := tx.StorageFindings(id, catalog.StorageFinding{}, 0)
		for _, f := range rows {
			out[f.SHA256] = f.Kind + " " + f.Outcome
		}
		return err
	})
	return out
}

func named(sums, found map[string]string) map[string]string {
	out := map[string]string{}
	for name, sum := range sums {
		if f, ok := found[sum]; ok {
			out[name] = f
		}
	}
	return out
}

func TestCheckStorage_FindsWhatIsWrong(t *testing.T) {
	for _, scope := range []string{"domain", "everything"} {
		eachEngine(t, func(t *testing.T, db *catalog.DB) {
			s, dir, sums := damagedShop(t, db, scope)
			domainID := s.domain.ID
			if scope == "everything" {
				domainID = ""
			}
			r := newRunner(Options{DB: db, Blobs: s.blobs, Now: later})
			job := startCheck(t, db, domainID, false, 0)
			if err := r.checkStorage(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{
				"flipped": "DAMAGED QUARANTINED", "truncated": "SIZE QUARANTINED", "deleted": "MISSING REPORTED",
				"unrecorded": "UNRECORDED REPORTED", "sized": "SIZE REPORTED", "unknown": "UNKNOWN REPORTED",
			}
			if diff := cmp.Diff(want, named(sums, findings(t, db, job.Key))); diff != "" {
				t.Errorf("%s: %s", scope, diff)
			}
			aside, err := os.ReadDir(filepath.Join(dir, ".quarantine"))
			if err != nil || len(aside) != 2 {
				t.Errorf("%d files are moved aside: %v", len(aside), err)
			}
			update(t, db, func(tx *catalog.Tx) error {
				c, err := tx.StorageCheck(job.Key)
				if c.State != catalog.CheckDone || c.Done.IsZero() || scope == "domain" && (c.Contents != 5 || c.AllContents != 5) {
					t.Errorf("%s: %+v", scope, c)
				}
				return err
			})
			if scope == "everything" {
				return
			}
			// Again, with somebody who has the bytes still.
			r.opt.Restore = func(ctx context.Context, ref blob.Ref) error {
				for name, sum := range sums {
					if sum == ref.SHA256 && name != "truncated" {
						_, err := s.blobs.Put(ctx, ref.Space, strings.NewReader("content "+name))
						return err
					}
				}
				return errors.New("they do not give it")
			}
			job = startCheck(t, db, domainID, true, 0)
			if err := r.checkStorage(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			want = map[string]string{
				"flipped": "MISSING REPAIRED", "truncated": "MISSING REPORTED", "deleted": "MISSING REPAIRED",
				"unrecorded": "UNRECORDED REPAIRED", "sized": "SIZE REPAIRED", "unknown": "UNKNOWN REPORTED",
			}
			if diff := cmp.Diff(want, named(sums, findings(t, db, job.Key))); diff != "" {
				t.Error(diff)
			}
			job = startCheck(t, db, domainID, false, 0)
			if err := r.checkStorage(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			want = map[string]string{"truncated": "MISSING REPORTED", "unknown": "UNKNOWN REPORTED"}
			if diff := cmp.Diff(want, named(sums, findings(t, db, job.Key))); diff != "" {
				t.Error(diff)
			}
			update(t, db, func(tx *catalog.Tx) error {
				kept, err := tx.UsageTotal(s.domain.ID, "")
				counted, err2 := tx.CountUsage(s.domain.ID, "")
				if kept != counted {
					t.Errorf("kept %+v, counted %+v", kept, counted)
				}
				return errors.Join(err, err2)
			})
		})
	}
}

// moodyStore cannot read a file the first time it is opened.
type moodyStore struct {
	blob.Store
	opened map[blob.Ref]bool
}

func (m *moodyStore) Open(ctx context.Context, ref blob.Ref) (blob.Reader, error) {
	f, err := m.Store.Open(ctx, ref)
	if err != nil || m.opened[ref] {
		return f, err
	}
	m.opened[ref] = true
	return unreadable{f}, nil
}

type unreadable struct{ blob.Reader }

func (unreadable) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

// TestCheckStorage_ReadsAgain: what a file system behind a network fails to give
// once is not damaged.
func TestCheckStorage_ReadsAgain(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	s, _, sums := damagedShop(t, db, "corp")
	job := startCheck(t, db, s.domain.ID, false, 0)
	r := newRunner(Options{DB: db, Blobs: &moodyStore{s.blobs, map[blob.Ref]bool{}}, Now: later})
	if err := r.checkStorage(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	got := named(sums, findings(t, db, job.Key))
	if got["good"] != "" || got["flipped"] != "DAMAGED QUARANTINED" {
		t.Errorf("found %v", got)
	}
	if _, err := s.blobs.Stat(t.Context(), blob.Ref{Space: s.domain.ID, SHA256: sums["good"]}); err != nil {
		t.Error(err)
	}
}

// brokenStore ends with an error after some reads, as when the process dies.
type brokenStore struct {
	blob.Store
	left int
	kill func()
}

func (b *brokenStore) Open(ctx context.Context, ref blob.Ref) (blob.Reader, error) {
	if b.left--; b.left == 0 {
		b.kill()
		return nil, ctx.Err()
	}
	return b.Store.Open(ctx, ref)
}

// TestCheckStorage_GoesOnWhereItWasLeft breaks a check off at every content.
func TestCheckStorage_GoesOnWhereItWasLeft(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s, _, sums := damagedShop(t, db, "corp")
		job := startCheck(t, db, s.domain.ID, false, 0)
		for left := 1; ; left++ {
			ctx, cancel := context.WithCancel(t.Context())
			r := newRunner(Options{DB: db, Blobs: &brokenStore{s.blobs, left, cancel}, Now: later})
			err := r.checkStorage(ctx, job)
			cancel()
			if err == nil {
				break
			}
			if left > 20 {
				t.Fatal("the check comes to no end")
			}
		}
		got := named(sums, findings(t, db, job.Key))
		want := map[string]string{
			"flipped": "DAMAGED QUARANTINED", "truncated": "SIZE QUARANTINED", "deleted": "MISSING REPORTED",
			"unrecorded": "UNRECORDED REPORTED", "sized": "SIZE REPORTED", "unknown": "UNKNOWN REPORTED",
		}
		if got["flipped"] != want["flipped"] || got["truncated"] != want["truncated"] { // an attempt may see what the one before did
			t.Errorf("quarantined: %v", got)
		}
		for name := range want {
			if got[name] == "" {
				t.Errorf("%s was not found: %v", name, got)
			}
		}
		if got["good"] != "" {
			t.Errorf("good: %s", got["good"])
		}
	})
}

func TestCheckStorage_KeepsToItsRateAndStops(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	s := newShop(t, db, memblob.New(blob.Limits{}))
	for i := range 4 {
		s.version("big", fmt.Sprint(i), strings.Repeat(fmt.Sprint(i), 512<<10))
	}
	job := startCheck(t, db, s.domain.ID, false, 8<<20)
	began := time.Now()
	if err := newRunner(Options{DB: db, Blobs: s.blobs}).checkStorage(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond { // 2 MiB at 8 MiB/s
		t.Errorf("it took %v", took)
	}
	job = startCheck(t, db, s.domain.ID, false, 1<<20)
	update(t, db, func(tx *catalog.Tx) error {
		if _, err := tx.InsertStorageCheck(s.domain.ID, false, 0); err == nil {
			t.Error("a second check of a domain began")
		}
		c, err := tx.StorageCheck(job.Key)
		c.State = catalog.CheckStopped
		return errors.Join(err, tx.AdvanceStorageCheck(c))
	})
	if err := newRunner(Options{DB: db, Blobs: s.blobs}).checkStorage(t.Context(), job); err != nil {
		t.Errorf("of one that was stopped: %v", err)
	}
}

// TestSweep_RacesWithCopies deletes the only reference to a content while it is
// copied and swept. Whatever has been copied must have its bytes.
func TestSweep_RacesWithCopies(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		var second catalog.Repository
		update(t, db, func(tx *catalog.Tx) (err error) {
			second, err = tx.InsertRepository(catalog.Repository{DomainID: s.domain.ID, Name: "second", Administrator: owner})
			return err
		})
		sweeper := newRunner(Options{DB: db, Blobs: s.blobs, Grace: -time.Hour})
		kept, gone := 0, 0
		for i := range 40 {
			name, content := fmt.Sprint("p", i), fmt.Sprint("content ", i)
			row := s.version(name, "1", content)
			c := artifact.Coordinates{Format: artifact.NPM, Name: name}
			copied := false
			var group sync.WaitGroup
			group.Go(func() {
				err := db.Update(t.Context(), func(tx *catalog.Tx) error {
					copied = false
					p, err := tx.Package(s.repo.ID, c)
					if err != nil {
						return err
					}
					assets, err := tx.Assets(row.ID, "", 0)
					if err != nil || len(assets) == 0 {
						return err
					}
					to, _, err := tx.EnsurePackage(second, p.Coordinates, p.DisplayName, artifact.DefaultRestrictions(true))
					if err != nil {
						return err
					}
					v, err := tx.InsertVersion(to, row.Version)
					if err != nil {
						return err
					}
					copied = true
					return tx.InsertAsset(to, v.ID, assets[0].Asset)
				})
				if err != nil {
					t.Error(err)
				}
			})
			group.Go(func() {
				err := db.Update(t.Context(), func(tx *catalog.Tx) error {
					p, err := tx.Package(s.repo.ID, c)
					if err != nil {
						return err
					}
					return tx.DeleteVersion(p, row)
				})
				if err != nil {
					t.Error(err)
				}
				for range 3 {
					if _, err := sweeper.Sweep(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
			group.Wait()
			_, err := s.blobs.Stat(t.Context(), blob.Ref{Space: s.domain.ID, SHA256: digest.Of([]byte(content)).Hex(digest.SHA256)})
			switch {
			case copied && err != nil:
				t.Errorf("%s was copied and its bytes are gone: %v", name, err)
			case copied:
				kept++
			default:
				gone++
			}
		}
		t.Logf("copied %d, came too late %d", kept, gone)
	})
}

func TestCheckUsage_SetsTotalsRight(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		s.version("a", "1", "some bytes")
		var want []catalog.UsageTotal
		update(t, db, func(tx *catalog.Tx) (err error) {
			if want, err = tx.UsageTotals(""); err != nil {
				return err
			}
			return tx.CorrectUsage(catalog.UsageTotal{DomainID: s.domain.ID, RepositoryID: s.repo.ID, Bytes: 7, Versions: -1})
		})
		var logged strings.Builder
		r := newRunner(Options{DB: db, Blobs: s.blobs})
		r.log = slog.New(slog.NewTextHandler(&logged, nil))
		for range 2 {
			if err := r.checkUsage(t.Context(), catalog.Job{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.rollUpUsage(t.Context(), catalog.Job{}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(logged.String(), "were wrong"); n != 1 {
			t.Errorf("warned %d times: %s", n, logged.String())
		}
		update(t, db, func(tx *catalog.Tx) error {
			got, err := tx.UsageTotals("")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			return err
		})
	})
}

// TestCheckStorage_LooksForUnknownFilesTogether: there may be millions of files,
// and one look at the database for each does not end in the time of a job.
func TestCheckStorage_LooksForUnknownFilesTogether(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		s := newShop(t, db, memblob.New(blob.Limits{}))
		const count = 3*checkBatch + 1
		update(t, db, func(tx *catalog.Tx) error {
			for i := range count {
				a := s.put(fmt.Sprint("file ", i))
				if i%checkBatch == 7 {
					continue
				}
				if err := tx.StoreBlob(s.domain.ID, a.Digests.Hex(digest.SHA256), a.Size); err != nil {
					return err
				}
			}
			return nil
		})
		job := startCheck(t, db, s.domain.ID, false, 0)
		r := newRunner(Options{DB: db, Blobs: s.blobs, Now: later})
		if err := r.checkStorage(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if got := findings(t, db, job.Key); len(got) != 3 {
			t.Errorf("found %v", got)
		}
	})
}
