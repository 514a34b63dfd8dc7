package audit

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
)

func TestList_FindsByEveryFilterBeforeAndAfterFolding(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		ann, bob := user("ann"), user("bob")
		publish := download(4, bob, "own", "1.0.0")
		publish.Event, publish.Method, publish.ReadOnly, publish.Repository = "PublishPackageVersion", "PUT", false, "lib"
		copied := download(5, ann, "lodash", "")
		copied.Event, copied.Versions = "CopyPackageVersions", []string{"4.17.20", "4.17.21"}
		abroad := download(6, user("eve"), "lodash", "4.17.20")
		abroad.Domain = "other"
		h.addAll(download(1, ann, "lodash", "4.17.20"), download(2, bob, "lodash", "4.17.21"), download(3, bob, "lodash", "4.17.20"), publish, copied, abroad)
		for _, form := range []string{"raw", "folded", "mixed"} {
			for name, c := range map[string]struct {
				query Query
				want  []string
			}{
				"version": {Query{Package: npm("lodash"), Version: "4.17.20"}, []string{
					"CopyPackageVersions lodash@ by ann", "ReadFromRepository lodash@4.17.20 by bob", "ReadFromRepository lodash@4.17.20 by ann",
				}},
				"package": {Query{Package: npm("own")}, []string{"PublishPackageVersion own@1.0.0 by bob"}},
				"principal": {Query{Principal: ann.Principal.ARN}, []string{
					"CopyPackageVersions lodash@ by ann", "ReadFromRepository lodash@4.17.20 by ann",
				}},
				"version by principal": {Query{Package: npm("lodash"), Version: "4.17.20", Principal: bob.Principal.ARN}, []string{"ReadFromRepository lodash@4.17.20 by bob"}},
				"event":                {Query{Event: "PublishPackageVersion"}, []string{"PublishPackageVersion own@1.0.0 by bob"}},
				"repository":           {Query{Repository: "lib"}, []string{"PublishPackageVersion own@1.0.0 by bob"}},
				"time":                 {Query{From: begin.Add(2 * time.Second), To: begin.Add(3 * time.Second)}, []string{"ReadFromRepository lodash@4.17.21 by bob"}},
				"nothing":              {Query{Package: npm("lodash"), Version: "9.9.9"}, nil},
			} {
				if diff := cmp.Diff(c.want, h.list(t, c.query)); diff != "" {
					t.Errorf("%s, %s: %s", form, name, diff)
				}
			}
			switch form {
			case "raw":
				h.foldAll(t)
			case "folded":
				h.addAll(download(1000, user("new"), "new", "1.0.0"))
			}
		}
	})
}

func TestList_PagesMeetEveryRecordOnceNewestFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		var want []string
		who := []string{"ann", "bob"}
		for i := range 400 {
			name := who[i%2]
			h.addAll(download(i*7, user(name), "p", fmt.Sprintf("1.0.%d", i)))
			want = append(want, fmt.Sprintf("ReadFromRepository p@1.0.%d by %s", i, name))
			if i%90 == 89 { // four folded blocks, and what is left raw
				h.foldAll(t)
			}
			if i%25 == 24 {
				if err := h.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		slices.Reverse(want)
		for _, limit := range []int{1, 7, 399, 400, 1000} {
			if diff := cmp.Diff(want, h.list(t, Query{Limit: limit})); diff != "" {
				t.Errorf("pages of %d: %s", limit, diff)
			}
		}
	})
}

func TestList_RareRecordIsFoundBehindManyBlocks(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		ann, bob := user("ann"), user("bob")
		h.addAll(download(0, ann, "p", "1.0.0"))
		for i := range 2 * maxRead { // bob reads p, ann something else, in every block
			h.addAll(download(1+i*3600, bob, "p", "1.0.0"), download(2+i*3600, ann, "q", "1.0.0"))
			h.foldAll(t)
		}
		got := h.list(t, Query{Package: npm("p"), Principal: ann.Principal.ARN})
		if diff := cmp.Diff([]string{"ReadFromRepository p@1.0.0 by ann"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestList_AccountReceivesItsCallersAndItsDomains(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		const other, third = "210987654321", "333333333333"
		guest := user("guest")
		guest.Principal.Account, guest.Principal.ARN = other, "arn:aws:iam::"+other+":user/guest"
		visit := download(1, guest, "lodash", "1.0.0") // of the account's domain
		call := Entry{Time: begin, Source: IAM, Event: "CreateUser", Subject: user("ann"), Status: 200, Method: "POST", Parameters: `{"userName":"new"}`}
		lodger := download(2, user("bob"), "own", "1.0.0")
		lodger.Administrator = other
		token := Entry{Time: begin, Source: STS, Event: "AssumeRoleWithWebIdentity", ReadOnly: true, Status: 200, Method: "POST", Parameters: "{}"}
		token.Subject = &identity.Subject{Principal: policy.Principal{Type: policy.Federated, ARN: "arn:aws:iam::" + third + ":oidc-provider/ci.test", UserID: "job"}}
		refused := token
		refused.ID, refused.Subject, refused.Administrator, refused.Status = ID{1}, nil, third, 400
		across := call
		across.ID, across.Source, across.Event, across.Administrator = ID{2}, STS, "AssumeRole", third
		h.addAll(visit, call, lodger, token, refused, across)
		for _, fold := range []bool{false, true} {
			if fold {
				h.foldAll(t)
			}
			for receiver, want := range map[string][]string{
				account:        {"ReadFromRepository own@1.0.0 by bob", "ReadFromRepository lodash@1.0.0 by guest", "AssumeRole @ by ann", "CreateUser @ by ann"},
				other:          {"ReadFromRepository own@1.0.0 by bob", "ReadFromRepository lodash@1.0.0 by guest"},
				third:          {"AssumeRole @ by ann", "AssumeRoleWithWebIdentity @ by ", "AssumeRoleWithWebIdentity @ by "},
				"000000000000": nil,
			} {
				if diff := cmp.Diff(want, h.list(t, Query{Account: receiver})); diff != "" {
					t.Errorf("%s: %s", receiver, diff)
				}
			}
		}
	})
}

func TestRecord_IsWhatWasAdded(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		s := user("ann")
		s.Session.Began = begin.Add(-time.Hour)
		e := download(1, s, "lodash", "4.17.20")
		e.Administrator, e.Parameters, e.Response = account, `{"a":1}`, `{"b":2}`
		e.Failed(fault.New(fault.Denied, "not you"))
		e.Status = 403
		h.addAll(e)
		h.foldAll(t)
		got, _, _, err := h.List(t.Context(), Query{Account: account, Domain: domain, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		want := []Record{{
			ID: e.ID, Time: e.Time, Kind: s.Principal.Type, ARN: s.Principal.ARN, Account: account, UserID: "AIDAann", UserName: "ann", KeyID: "AKIAann",
			Began: s.Session.Began, Client: "192.0.2.7", Agent: e.Agent, Source: CodeArtifact, Event: "ReadFromRepository", Method: "GET", ReadOnly: true,
			Repository: artifact.RepositoryID{Owner: account, Domain: domain, Name: "app"}, Administrator: account, Package: e.Package, Version: "4.17.20",
			Path: e.Path, Parameters: `{"a":1}`, Response: `{"b":2}`, Status: 403, Code: AccessDenied, Message: "not you",
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWitness_RecordSurvivesACrashBetweenChangeAndAnswer(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		publish := func(n int) (Entry, *Witness) {
			e := download(n, user("ann"), "own", fmt.Sprintf("1.0.%d", n))
			e.Event = "PublishPackageVersion"
			w := h.Witness(func() Entry { return e })
			err := h.options.DB.Update(w.Context(t.Context()), func(tx *catalog.Tx) error { return tx.SetMeta("change", fmt.Sprint(n)) })
			if err != nil {
				t.Fatal(err)
			}
			return e, w
		}
		answered, w := publish(1)
		answered.Time = time.Now() // as the pending one's
		if answered.Witnessed = w.Kept(); !answered.Witnessed {
			t.Fatal("the record is not kept")
		}
		h.addAll(answered)
		if err := h.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		lost, w := publish(2)
		lost.Witnessed = w.Kept()
		h.addAll(lost) // answered, and never written
		publish(3)     // not answered
		refused := h.Witness(func() Entry { e := download(4, user("ann"), "own", "1.0.4"); return e })
		if err := h.options.DB.Update(refused.Context(t.Context()), func(*catalog.Tx) error { return errors.New("no") }); err == nil || refused.Kept() {
			t.Error("a change that failed has a record")
		}
		h.crash()
		h.options.Now = func() time.Time { return time.Now().Add(time.Hour) } // what is pending is nobody's any more
		h.start(t)
		if _, err := h.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := h.list(t, Query{})
		slices.Sort(got)
		want := []string{"PublishPackageVersion own@1.0.1 by ann", "PublishPackageVersion own@1.0.2 by ann", "PublishPackageVersion own@1.0.3 by ann"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		var left []catalog.PendingAccess
		if err := h.options.DB.View(t.Context(), func(tx *catalog.Tx) (err error) {
			left, err = tx.PendingAccess(time.Now().Add(time.Hour), 0)
			return err
		}); err != nil || len(left) > 0 {
			t.Errorf("%d pending records are left, %v", len(left), err)
		}
	})
}

func TestWitness_SettledRecordIsNotPending(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		e := download(1, user("ann"), "own", "1.0.0")
		w := h.Witness(func() Entry { return e })
		change := func(tx *catalog.Tx) error { return tx.SetMeta("a", "b") }
		for range 2 { // one call, two transactions
			if err := h.options.DB.Update(w.Context(t.Context()), change); err != nil {
				t.Fatal(err)
			}
		}
		e.Witnessed = w.Kept()
		h.addAll(e)
		if err := h.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := h.options.DB.Update(w.Context(t.Context()), change); err != nil { // the call is over
			t.Fatal(err)
		}
		if err := h.options.DB.View(t.Context(), func(tx *catalog.Tx) error {
			left, err := tx.PendingAccess(time.Now().Add(time.Hour), 0)
			if len(left) > 0 {
				t.Errorf("pending: %v", left)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := h.list(t, Query{}); len(got) != 1 {
			t.Errorf("%v", got)
		}
	})
}

// TestList_BlocksThatOverlap: the oldest record found so far is not the last one
// found.
func TestList_BlocksThatOverlap(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		ann, bob := user("ann"), user("bob")
		for _, block := range [][]Entry{
			{download(10, ann, "p", "1.0.10"), download(20, ann, "p", "1.0.20"), download(600, bob, "p", "2.0.0")},
			{download(580, ann, "p", "1.0.580")},
			{download(250, ann, "p", "1.0.250"), download(300, bob, "p", "2.0.0")},
		} {
			h.addAll(block...)
			h.foldAll(t)
		}
		var want []string
		for _, n := range []int{580, 250, 20, 10} {
			want = append(want, fmt.Sprintf("ReadFromRepository p@1.0.%d by ann", n))
		}
		for limit := 1; limit <= 5; limit++ {
			if diff := cmp.Diff(want, h.list(t, Query{Principal: ann.Principal.ARN, Limit: limit})); diff != "" {
				t.Errorf("pages of %d: %s", limit, diff)
			}
		}
	})
}

func TestList_WritesNothingWhenNothingMayBeMissing(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		h.addAll(download(1, user("ann"), "a", "1.0.0"), download(2, user("ann"), "b", "1.0.0"))
		list := func(q Query) (next Cursor) {
			t.Helper()
			q.Account, q.Domain, q.Limit = account, domain, 1
			_, next, _, err := h.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			return next
		}
		next := list(Query{})
		h.addAll(download(3, user("ann"), "c", "1.0.0"))
		list(Query{After: next})
		list(Query{To: begin.Add(3 * time.Second)})
		if s := h.Stats(); s.Waiting != 1 {
			t.Errorf("for pages without it, the new record was written: %+v", s)
		}
		list(Query{To: begin.Add(4 * time.Second)})
		if s := h.Stats(); s.Waiting != 0 {
			t.Errorf("what is in memory was not looked at: %+v", s)
		}
	})
}

func TestTrail_FoldsManySmallBlocks(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		h.raw = foldBlocks - 1
		h.addAll(download(1, user("ann"), "a", "1.0.0"))
		for range 2 { // the second begins when the first one's work is done
			if err := h.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.records().View(t.Context(), func(tx *catalog.Tx) error {
			raw, err := tx.RawAccess("", time.Time{}, time.Time{}, 0)
			if len(raw) > 0 || h.raw > 0 {
				t.Errorf("%d blocks are left, %d counted", len(raw), h.raw)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTrail_WritesByItselfAndWhenClosed(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		h.addAll(download(1, user("ann"), "a", "1.0.0"))
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		h.options.Every = time.Millisecond
		h.start(t)
		h.addAll(download(2, user("ann"), "b", "1.0.0"))
		for h.Stats().Written == 0 {
			time.Sleep(time.Millisecond) // until the writer has run
		}
		if got := h.list(t, Query{}); len(got) != 2 {
			t.Errorf("%v", got)
		}
	})
}

func TestTrail_StuckDatabaseDropsAndCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		release, held := make(chan struct{}), make(chan struct{})
		done := make(chan error, 1)
		if h.options.Records == nil { // PostgreSQL's own connections: stop the goroutine instead
			close(h.stop)
			<-h.finished
			close(held)
			done <- nil
		} else {
			go func() {
				done <- h.options.Records.Update(t.Context(), func(*catalog.Tx) error { close(held); <-release; return nil })
			}()
		}
		<-held
		e := download(1, user("ann"), "a", "1.0.0")
		const many = (maxWaiting + 3) * blockRecords
		for range many {
			h.Add(&e)
		}
		s := h.Stats()
		if s.Dropped == 0 || s.Added+s.Dropped != many || s.Added > (maxWaiting+1)*blockRecords {
			t.Errorf("%+v", s)
		}
		close(release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if h.options.Records == nil {
			h.stop, h.finished = make(chan struct{}), make(chan struct{})
			go h.run(t.Context())
		}
		if err := h.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := h.Stats(); s.Written != s.Added || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTrail_FailingDatabaseDropsAndCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		close(h.stop) // its attempts are made here
		<-h.finished
		broken, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "broken.db"), catalog.Options{Logger: h.log, Records: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := broken.Close(); err != nil {
			t.Fatal(err)
		}
		good := h.opt.Records
		h.opt.Records = broken
		pending := func() (ids []string) {
			if err := h.options.DB.View(t.Context(), func(tx *catalog.Tx) error {
				rows, err := tx.PendingAccess(time.Now().Add(time.Hour), 0)
				for _, p := range rows {
					ids = append(ids, p.ID)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return ids
		}
		publish := func(n int) Entry {
			e := download(n, user("ann"), "own", "1.0.0")
			w := h.Witness(func() Entry { return e })
			if err := h.options.DB.Update(w.Context(t.Context()), func(tx *catalog.Tx) error { return tx.SetMeta("a", "b") }); err != nil {
				t.Fatal(err)
			}
			e.Witnessed = w.Kept()
			return e
		}
		h.addAll(publish(1))
		e := download(2, user("ann"), "a", "1.0.0")
		const many = (maxWaiting + 3) * blockRecords
		for i := range many {
			h.Add(&e)
			if i%(blockRecords/16) == 0 {
				if h.flush(t.Context()) == nil {
					t.Fatal("the database does not fail")
				}
			}
		}
		late := publish(3)
		h.addAll(late) // there is no room
		s := h.Stats()
		if s.Dropped == 0 || s.Added+s.Dropped != many+1 || s.Waiting != s.Added || s.Added > (maxWaiting+2)*blockRecords {
			t.Errorf("%+v", s)
		}
		h.opt.Records = good
		if err := h.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := h.Stats(); s.Written != s.Added || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		if diff := cmp.Diff([]string{late.ID.String()}, pending()); diff != "" { // the others are in a block
			t.Error(diff)
		}
		h.stop, h.finished = make(chan struct{}), make(chan struct{})
		go h.run(t.Context())
	})
}

func TestAdd_KeepsNoMoreThanIsStored(t *testing.T) {
	trail := &Trail{opt: Options{}, current: newBlock(), wake: make(chan struct{}, 1)}
	const limit = 64 // full blocks would be many times that without a bound
	e := download(1, nil, "a", "1.0.0")
	e.Path, e.Agent, e.Version = strings.Repeat("p", limit<<10), strings.Repeat("a", limit<<10), strings.Repeat("v", limit<<10)
	for i := range 3 { // as stored they are the same
		e.Path, e.Agent = e.Path+fmt.Sprint(i), e.Agent+fmt.Sprint(i)
		trail.Add(&e)
	}
	b := trail.current
	if len(b.places) != 1 || len(b.byCaller) != 1 {
		t.Fatalf("%d places, %d callers", len(b.places), len(b.byCaller))
	}
	for path := range b.byPath {
		if w := b.places[0].what; len(path) != maxPath || len(w.path) != maxPath || len(w.version) != maxName {
			t.Errorf("%d, %d and %d bytes are kept", len(path), len(w.path), len(w.version))
		}
	}
	for who := range b.byCaller {
		if len(who.agent) != maxAgent {
			t.Errorf("%d bytes of the agent are kept", len(who.agent))
		}
	}
}

func TestAdd_BlockIsFullByBytesToo(t *testing.T) {
	trail := &Trail{opt: Options{}, current: newBlock(), wake: make(chan struct{}, 1)}
	e := download(1, nil, "a", "1.0.0")
	e.Parameters = strings.Repeat("x", maxJSON)
	for range blockRecords {
		trail.Add(&e)
	}
	if len(trail.full) != maxWaiting || trail.Stats().Dropped == 0 {
		t.Fatalf("%d blocks, %+v", len(trail.full), trail.Stats())
	}
	for _, b := range trail.full {
		if b.size() > maxTables+2*maxJSON {
			t.Errorf("%d bytes", b.size())
		}
	}
}

func TestTidy_DeletesWhatIsOldAndWhatIsTooMuch(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		for i := range 6 {
			h.addAll(download(i*86400, user("ann"), "p", fmt.Sprintf("1.0.%d", i)))
			h.foldAll(t)
		}
		tidy := func(change func(*Options)) {
			change(&h.opt)
			for more := true; more; {
				var err error
				if more, err = h.Tidy(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		now := begin.Add(6 * 24 * time.Hour)
		tidy(func(o *Options) { o.Now, o.Keep = func() time.Time { return now }, 4*24*time.Hour+time.Hour })
		want := []string{"ReadFromRepository p@1.0.5 by ann", "ReadFromRepository p@1.0.4 by ann", "ReadFromRepository p@1.0.3 by ann", "ReadFromRepository p@1.0.2 by ann"}
		if diff := cmp.Diff(want, h.list(t, Query{})); diff != "" {
			t.Error(diff)
		}
		tidy(func(o *Options) { o.Keep, o.MaxBytes = 0, h.Stats().Bytes/2 })
		if diff := cmp.Diff(want[:2], h.list(t, Query{Package: npm("p")})); diff != "" {
			t.Error(diff)
		}
		tidy(func(o *Options) { o.MaxBytes = 1 })
		if err := h.records().View(t.Context(), func(tx *catalog.Tx) error {
			places, err := tx.AccessPlaces([]int64{domainKey(account, domain)}, time.Time{}, now, now, catalog.AccessPlace{}, 0)
			bytes, records, err2 := tx.AccessUsage()
			if len(places) > 0 || bytes > 0 || records > 0 {
				t.Errorf("%v, %d bytes, %d records are left", places, bytes, records)
			}
			return errors.Join(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func (h *house) records() *catalog.DB {
	if h.options.Records != nil {
		return h.options.Records
	}
	return h.options.DB
}

func TestWrite_BigBlockIsFoundWithoutFolding(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		e := download(1, user("ann"), "a", "1.0.0")
		for range bigBlock {
			h.Add(&e)
		}
		h.addAll(download(2, user("bob"), "rare", "1.0.0"))
		if err := h.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h.unfolded != 0 {
			t.Errorf("%d records wait to be folded", h.unfolded)
		}
		if diff := cmp.Diff([]string{"ReadFromRepository rare@1.0.0 by bob"}, h.list(t, Query{Package: npm("rare")})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFold_SplitsByTimeAndKeepsEverything(t *testing.T) {
	var m merger
	want := map[ID]bool{}
	for i := range 50 {
		b := newBlock()
		for j := range 20 {
			e := download(i*120+j, user(fmt.Sprint("u", j%3)), fmt.Sprint("p", j), "1.0.0")
			copy(e.ID[:], fmt.Sprintf("%08d%08d", i, j))
			b.add(&e)
			want[e.ID] = true
		}
		o, err := open(b.row().Data)
		if err != nil {
			t.Fatal(err)
		}
		m.take(o)
	}
	blocks, keys := m.blocks()
	if len(blocks) < 2 || len(keys) != len(blocks) {
		t.Fatalf("%d blocks, %d keys", len(blocks), len(keys))
	}
	for _, b := range blocks {
		if b.LastAt.Sub(b.FirstAt) > maxSpan {
			t.Errorf("a block spans %v", b.LastAt.Sub(b.FirstAt))
		}
		o, err := open(b.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range o.events {
			delete(want, e.id)
		}
	}
	if len(want) > 0 {
		t.Errorf("%d records are lost", len(want))
	}
}

func TestFold_MakesNothingThatCannotBeRead(t *testing.T) {
	const many = 300
	var m merger
	m.tables[0].rows, m.tables[2].rows = []string{""}, []string{""}
	m.tables[1].rows = slices.Repeat([]string{string(make([]byte, maxPacked/many+1))}, many)
	for i := range many {
		m.events = append(m.events, event{at: int64(i), what: int32(i)})
	}
	blocks, _ := m.blocks()
	records := 0
	for _, b := range blocks {
		o, err := open(b.Data)
		if err != nil {
			t.Fatal(err)
		}
		records += len(o.events)
	}
	if records != many {
		t.Errorf("%d records, want %d", records, many)
	}
}

func TestBlock_IsStoredInPartsWhenItIsTooBig(t *testing.T) {
	b := newBlock()
	e := download(1, user("ann"), "a", "1.0.0")
	for b.size() < 3*maxTables {
		e.Parameters = fmt.Sprintf("%0*d", maxJSON, b.n)
		b.add(&e)
	}
	records := 0
	for _, part := range b.parts() {
		o, err := open(part.Data)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, row := range o.whats {
			size += len(row)
		}
		if size > maxTables+maxTables/8 {
			t.Errorf("a part of %d bytes", size)
		}
		records += len(o.events)
	}
	if records != b.n {
		t.Errorf("%d records, want %d", records, b.n)
	}
}

func TestBlock_OneRecordIsOfBoundedSize(t *testing.T) {
	e := download(1, user("ann"), "a", "1.0.0")
	e.Parameters, e.Versions = "{}", slices.Repeat([]string{"1.0.0"}, 150_000)
	b := newBlock()
	b.add(&e)
	o, err := open(b.row().Data)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(readWhat(o.whats[0]).versions); got != MaxVersions {
		t.Errorf("%d versions", got)
	}
}

func TestBlock_IsReadAsWrittenWithAndWithoutCompression(t *testing.T) {
	b := newBlock()
	for i := range 40 {
		e := download(i, user("ann"), "a", fmt.Sprint("1.0.", i))
		e.Parameters = strings.Repeat(fmt.Sprint(i), maxJSON/2)
		b.add(&e)
		want, err := open(b.row().Data)
		got, err2 := open(b.quickRow().Data)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%d records: %v, want %v", i+1, got, want)
		}
	}
}

// TestBlock_SearchesALittle: whoever asks for one path in thousands of ways gets
// rows of his own, and does not hold up the others.
func TestBlock_SearchesALittle(t *testing.T) {
	b := newBlock()
	add := func(n int) {
		e := download(n, user("ann"), "a", fmt.Sprint("1.0.", n))
		e.Path = "a"
		b.add(&e)
	}
	for n := range 2 * maxSteps {
		add(n)
	}
	add(2*maxSteps - 1)
	add(maxSteps)
	if b.whats.n != 2*maxSteps {
		t.Errorf("%d rows, want %d", b.whats.n, 2*maxSteps)
	}
	if add(0); b.whats.n != 2*maxSteps+1 {
		t.Errorf("%d rows, want %d", b.whats.n, 2*maxSteps+1)
	}
}

func TestBlock_StaysSmall(t *testing.T) {
	b := newBlock()
	who := []*identity.Subject{user("ann"), user("bob")}
	for i := range 5000 { // two users install a hundred packages again and again
		e := download(i/50, who[i%2], fmt.Sprint("package-", i%100), "1.0.0")
		b.add(&e)
	}
	if perRecord := len(b.row().Data) / 5000; perRecord > 26 {
		t.Errorf("%d bytes a record", perRecord)
	}
}

func TestAdd_MakesNoGarbage(t *testing.T) {
	trail := &Trail{opt: Options{}, current: newBlock(), wake: make(chan struct{}, 1)}
	e := download(1, user("ann"), "a", "1.0.0")
	trail.Add(&e)
	if n := testing.AllocsPerRun(4000, func() { trail.Add(&e) }); n > 0 {
		t.Errorf("%v allocations a record", n)
	}
}

func TestID_ReadsWhatItWrites(t *testing.T) {
	id := ID{0xe5, 0x51, 0xdf, 0xdb, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	got, ok := ParseID(id.String())
	if !ok || got != id || id.String() != "e551dfdb-0102-0304-0506-0708090a0b0c" {
		t.Errorf("%s, %v, %v", id, got, ok)
	}
	for _, bad := range []string{"", "e551dfdb010203040506-0708090a0b0c----", "g551dfdb-0102-0304-0506-0708090a0b0c"} {
		if _, ok := ParseID(bad); ok {
			t.Errorf("%q is read", bad)
		}
	}
}

func FuzzOpen(f *testing.F) {
	b := newBlock()
	e := download(1, user("ann"), "a", "1.0.0")
	e.Versions = []string{"1", "2"}
	b.add(&e)
	e = Entry{Time: begin, Source: IAM, Event: "CreateUser", Client: netip.MustParseAddr("::1"), Parameters: "{}"}
	b.add(&e)
	data := b.row().Data
	f.Add(data)
	f.Add(data[:len(data)-5])
	f.Add([]byte{blockVersion, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := open(data)
		if err != nil {
			return
		}
		o.keys()
		l := lister{query: Query{Account: account, Limit: 10}, until: event{at: endOfTime}}
		l.take(o)
		var m merger
		m.take(o)
		blocks, _ := m.blocks()
		for _, b := range blocks {
			if _, err := open(b.Data); err != nil {
				t.Errorf("what was read cannot be written: %v", err)
			}
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	trail := &Trail{opt: Options{}, current: newBlock(), wake: make(chan struct{}, 1)}
	entries := make([]Entry, 256)
	who := user("ann")
	for i := range entries {
		entries[i] = download(i, who, fmt.Sprint("package-", i), "1.0.0")
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		trail.Add(&entries[i%len(entries)])
		if i++; trail.current.n == blockRecords {
			trail.current = trail.current.reset()
		}
	}
}

// BenchmarkWriteAndFold is what the writer does with a record, but for the
// database: eight blocks of it, in which a thousand packages are installed again
// and again.
func BenchmarkWriteAndFold(b *testing.B) {
	const many = foldRecords / blockRecords
	var blocks [many]*block
	who := user("ann")
	for i := range blocks {
		blocks[i] = newBlock()
		for j := range blockRecords {
			e := download(i, who, fmt.Sprint("package-", j%1000), "1.0.0")
			e.Time = begin.Add(time.Duration(i*blockRecords+j) * 40 * time.Microsecond)
			copy(e.ID[:], bytes.Repeat([]byte{byte(j), byte(j >> 8)}, 8))
			blocks[i].add(&e)
		}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		m := merger{events: make([]event, 0, foldRecords)}
		for _, some := range blocks {
			o, err := open(some.row().Data)
			if err != nil {
				b.Fatal(err)
			}
			m.take(o)
		}
		m.blocks()
		n += foldRecords
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
}
