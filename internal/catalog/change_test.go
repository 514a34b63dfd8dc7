package catalog

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
)

func TestSubscribe_BeforeUpdateReturnsAndOnlyWhenCommitted(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one")
		var mu sync.Mutex
		var got []Change
		cancel := db.Subscribe(func(changes []Change) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, changes...)
		})
		take := func() []Change {
			mu.Lock()
			defer mu.Unlock()
			defer func() { got = nil }()
			return got
		}
		p := ensure(t, db, repos[0], npmName("left"))[0]
		left := Change{DomainID: d.ID, Coordinates: npmName("left")}
		if diff := cmp.Diff([]Change{left}, take()); diff != "" {
			t.Error(diff)
		}
		before := db.Generation()
		update(t, db, func(tx *Tx) error {
			v, err := tx.InsertVersion(p, artifact.Version{Number: "1.0.0"})
			if err != nil {
				return err
			}
			if err := tx.SetDistTag(p, "latest", "1.0.0"); err != nil {
				return err
			}
			return tx.UpdateVersion(p, v)
		})
		if diff := cmp.Diff([]Change{left}, take()); diff != "" {
			t.Errorf("one package, one change: %s", diff)
		}
		if db.Generation() != before {
			t.Error("a package changed the generation")
		}
		boom := errors.New("boom")
		err := db.Update(t.Context(), func(tx *Tx) error {
			return errors.Join(tx.SetDescription(repos[0].ID, "x"), boom)
		})
		if changes := take(); len(changes) != 0 || !errors.Is(err, boom) || db.Generation() != before {
			t.Errorf("announced %v of a failed update", changes)
		}
		view(t, db, func(tx *Tx) error { _, err := tx.Repository(d.ID, "one"); return err })
		update(t, db, func(tx *Tx) error { return tx.SetMeta("quiet", "x") })
		if changes := take(); len(changes) != 0 {
			t.Errorf("announced %v without a change", changes)
		}
		update(t, db, func(tx *Tx) error { return tx.SetDescription(repos[0].ID, "x") })
		if diff := cmp.Diff([]Change{{Config: true}}, take()); diff != "" || db.Generation() == before {
			t.Error(diff, "generation", before, db.Generation())
		}
		cancel()
		update(t, db, func(tx *Tx) error { return tx.SetDescription(repos[0].ID, "y") })
		if changes := take(); len(changes) != 0 {
			t.Errorf("announced %v after cancel", changes)
		}
	})
}

func TestFeed_TellsOtherReplicas(t *testing.T) {
	dsn := newDSN(t, "postgres")
	here, there := openTest(t, dsn, Options{Poll: time.Millisecond}), openTest(t, dsn, Options{Poll: time.Millisecond})
	heard := make(chan []Change, 100)
	there.Subscribe(func(changes []Change) { heard <- changes })
	own := make(chan []Change, 100)
	here.Subscribe(func(changes []Change) { own <- changes })
	before := there.Generation()
	d, repos := house(t, here, "one")
	if diff := cmp.Diff([]Change{{Config: true}}, <-heard); diff != "" {
		t.Error(diff)
	}
	if there.Generation() == before {
		t.Error("the other replica's generation stands still")
	}
	ensure(t, here, repos[0], npmName("left"))
	want := Change{DomainID: d.ID, Coordinates: npmName("left")}
	if diff := cmp.Diff([]Change{want}, <-heard); diff != "" {
		t.Error(diff)
	}
	// What comes back through the table is not announced twice: the next that
	// is heard here is what the other replica does.
	ensure(t, there, repos[0], npmName("right"))
	var all []Change
	for len(all) == 0 || all[len(all)-1].Coordinates != npmName("right") {
		all = append(all, <-own...)
	}
	if diff := cmp.Diff([]Change{{Config: true}, want, {DomainID: d.ID, Coordinates: npmName("right")}}, all); diff != "" {
		t.Error(diff)
	}
}

func TestFeed_FindsRowsThatCommitLate(t *testing.T) {
	db := openTest(t, newDSN(t, "postgres"), Options{Poll: time.Hour}) // the test reads by itself
	e, ok := db.engine.(*postgresEngine)
	if !ok {
		t.Fatalf("engine %T", db.engine)
	}
	f := &feed{e: e, missing: map[int64]time.Time{}}
	read := func() (names []string) {
		t.Helper()
		changes, err := f.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if c.Lost {
				names = append(names, "lost")
			} else {
				names = append(names, c.Coordinates.Name)
			}
		}
		slices.Sort(names)
		return names
	}
	begin := func(name string) (commit func() error) {
		t.Helper()
		sqlTx, err := e.pool.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		tx := &Tx{ctx: t.Context(), q: sqlTx, dialect: db.dialect, now: db.now}
		tx.Changed(Change{DomainID: "d", Coordinates: npmName(name)})
		if err := tx.settle("elsewhere"); err != nil {
			t.Fatal(err)
		}
		return sqlTx.Commit
	}
	a, b, c := begin("a"), begin("b"), begin("c")
	for _, step := range []struct {
		commit func() error
		want   []string
	}{{b, []string{"b"}}, {c, []string{"c"}}, {a, []string{"a"}}} {
		if err := step.commit(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, read()); diff != "" {
			t.Error(diff)
		}
	}
	if got := read(); len(got) != 0 || len(f.missing) != 0 {
		t.Errorf("read %v again, missing %v", got, f.missing)
	}
	// Rows trimmed before they were read are noticed.
	for _, name := range []string{"d", "e", "f"} {
		if err := begin(name)(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.pool.ExecContext(t.Context(), "DELETE FROM change WHERE scope NOT LIKE '%\"f\"%'"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f", "lost"}, read()); diff != "" {
		t.Error(diff)
	}
	if err := f.trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string(nil), read()); diff != "" {
		t.Error(diff)
	}
}
