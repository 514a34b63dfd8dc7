package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/event"
	"packhouse/internal/event/webhook"
	"packhouse/internal/fault"
	"packhouse/internal/outbound"
)

const administrator = "210987654321"

// post is a receiver of webhooks on loopback.
type post struct {
	*httptest.Server
	answer atomic.Pointer[func(w http.ResponseWriter, r *http.Request)]

	mu   sync.Mutex
	got  []string // bodies
	ids  []string
	news chan struct{}
}

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{news: make(chan struct{}, 10000)}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *post) answers(fn func(w http.ResponseWriter, r *http.Request)) { p.answer.Store(&fn) }

func (p *post) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if fn := p.answer.Load(); fn != nil {
		(*fn)(w, r)
	}
	p.mu.Lock()
	p.got, p.ids = append(p.got, string(body)), append(p.ids, r.Header.Get(webhook.HeaderID))
	p.mu.Unlock()
	p.news <- struct{}{}
}

// await waits until n requests have come, from now on.
func (p *post) await(t *testing.T, n int) {
	t.Helper()
	late := time.After(2 * time.Minute)
	for range n {
		select {
		case <-p.news:
		case <-late:
			p.mu.Lock()
			defer p.mu.Unlock()
			t.Fatalf("%d requests have come", len(p.got))
		}
	}
}

func (p *post) bodies() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// office is a catalog with rules, and what delivers its events.
type office struct {
	t    *testing.T
	db   *catalog.DB
	opt  Options
	mu   sync.Mutex
	seen []string // outcomes
	logs []string // bodies
}

func newOffice(t *testing.T, db *catalog.DB) *office {
	t.Helper()
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	o := &office{t: t, db: db}
	o.opt = Options{
		DB: db, Region: "us-east-1", Poll: 20 * time.Millisecond, Event: o.outcome,
		Sinks: &Sinks{
			Log:     func(string) event.Sink { return logSink{o} },
			Webhook: func(to webhook.Target) (event.Sink, error) { return webhook.New(client, to, nil) },
		},
	}
	return o
}

type logSink struct{ o *office }

func (s logSink) Deliver(_ context.Context, m event.Message) error {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.o.logs = append(s.o.logs, string(m.Body))
	return nil
}

func (o *office) outcome(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, what)
}

func (o *office) outcomes() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen)
}

// work starts a process that delivers, and gives what ends it.
func (o *office) work() (stop func()) { return run(o.t, newRunner(o.opt)) }

func (o *office) rule(account, name, pattern string, targets ...catalog.EventTarget) {
	o.t.Helper()
	update(o.t, o.db, func(tx *catalog.Tx) error {
		if err := tx.SetEventSigning(account, "secret of "+catalog.Secret(account)); err != nil {
			return err
		}
		if err := tx.PutEventRule(catalog.EventRule{Account: account, Name: name, Pattern: pattern, Enabled: true}); err != nil {
			return err
		}
		for i, target := range targets {
			target.Account, target.Rule, target.ID = account, name, fmt.Sprint(i+1)
			if err := tx.PutEventTarget(target); err != nil {
				return err
			}
		}
		return nil
	})
}

func to(url string) catalog.EventTarget { return catalog.EventTarget{ARN: event.WebhookPrefix + url} }

// tries is a target with a retry policy.
func tries(url string, attempts, age int) catalog.EventTarget {
	target := to(url)
	target.Settings.Attempts, target.Settings.MaxAge = &attempts, &age
	return target
}

func (o *office) emit(names ...string) {
	o.t.Helper()
	update(o.t, o.db, func(tx *catalog.Tx) error {
		for _, name := range names {
			err := tx.Emit(artifact.Event{
				Owner: owner, Administrator: administrator, Domain: "corp", Repository: "repo",
				Coordinates: artifact.Coordinates{Format: artifact.NPM, Name: name}, Version: "1", Status: artifact.Published, Operation: "Created",
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// waiting is what has not been delivered.
func (o *office) waiting() (b catalog.EventBacklog) {
	o.t.Helper()
	err := o.db.View(o.t.Context(), func(tx *catalog.Tx) (err error) {
		b, err = tx.EventBacklog()
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return b
}

// settled waits until nothing waits but so many dead letters.
func (o *office) settled(dead int64) {
	o.t.Helper()
	eventually(o.t, fmt.Sprintf("nothing waits but %d dead letters", dead), func() bool {
		b := o.waiting()
		return b.Waiting == 0 && b.Dead == dead
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.After(2 * time.Minute); !is(); {
		select {
		case <-late:
			t.Fatalf("it has not come about: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// told waits until so many outcomes were reported: that follows the write that
// ends a delivery.
func (o *office) told(want ...string) {
	o.t.Helper()
	eventually(o.t, fmt.Sprintf("the outcomes %v", want), func() bool { return len(o.outcomes()) >= len(want) })
	if diff := cmp.Diff(want, o.outcomes()); diff != "" {
		o.t.Error(diff)
	}
}

// names are the package names of bodies.
func names(t *testing.T, bodies []string) (list []string) {
	t.Helper()
	for _, body := range bodies {
		var e event.Envelope
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		list = append(list, e.Account+" "+e.Detail.PackageName)
	}
	slices.Sort(list)
	return list
}

const anything = `{"source": ["aws.codeartifact"]}`

func TestEvents_ReachBothAccountsByTheirRules(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		o, p := newOffice(t, db), newPost(t)
		o.rule(owner, "all", anything, to(p.URL))
		o.rule(administrator, "some", `{"detail": {"packageName": [{"prefix": "b"}]}}`, to(p.URL))
		o.rule(administrator, "off", anything, to(p.URL))
		update(t, db, func(tx *catalog.Tx) error { return tx.EnableEventRule(administrator, "off", false) })
		o.rule("999999999999", "strange", anything, to(p.URL))
		o.work()
		o.emit("a", "b")
		p.await(t, 3)
		o.settled(0)
		if diff := cmp.Diff([]string{owner + " a", owner + " b", administrator + " b"}, names(t, p.bodies())); diff != "" {
			t.Error(diff)
		}
		o.told(EventDelivered, EventDelivered, EventDelivered)
	})
}

func TestEvents_NobodyWantsAreGone(t *testing.T) {
	o := newOffice(t, openCatalog(t, "sqlite", catalog.Options{}))
	o.work()
	o.emit(slices.Repeat([]string{"a"}, 2*matchBatch+1)...)
	o.settled(0)
}

func TestEvents_EachTargetGetsWhatItAsksFor(t *testing.T) {
	o, p := newOffice(t, openCatalog(t, "sqlite", catalog.Options{})), newPost(t)
	input, path, template, log := to(p.URL), to(p.URL), to(p.URL), catalog.EventTarget{ARN: event.LogARN}
	input.Settings.Input = `"fixed"`
	path.Settings.InputPath = "$.detail.packageName"
	template.Settings.Paths, template.Settings.Template = map[string]string{"p": "$.detail.packageName"}, `{"text": "<p> of <aws.events.rule-name>"}`
	o.rule(owner, "all", anything, input, path, template, log)
	o.work()
	o.emit("a")
	p.await(t, 3)
	o.settled(0)
	got := p.bodies()
	slices.Sort(got)
	if diff := cmp.Diff([]string{`"a"`, `"fixed"`, `{"text": "a of all"}`}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{owner + " a"}, names(t, o.logs)); diff != "" {
		t.Error(diff)
	}
}

func TestEvents_DestinationWithItsConnection(t *testing.T) {
	o, p := newOffice(t, openCatalog(t, "sqlite", catalog.Options{})), newPost(t)
	requests := make(chan *http.Request, 1)
	p.answers(func(_ http.ResponseWriter, r *http.Request) { requests <- r })
	update(t, o.db, func(tx *catalog.Tx) error {
		err := tx.InsertEventConnection(catalog.EventConnection{
			Account: owner, Name: "c", ID: "cid", Kind: "API_KEY",
			Settings: catalog.ConnectionSettings{Header: "X-Key", Params: []catalog.ConnectionParameter{
				{In: catalog.ParamHeader, Key: "X-More", Secret: true}, {In: catalog.ParamQuery, Key: "q", Value: "1"}, {In: catalog.ParamBody, Key: "b", Value: "2"},
			}},
			Secret: catalog.ConnectionSecret{Password: "s3cret", Params: map[string]catalog.Secret{"header/X-More": "more"}},
		})
		if err != nil {
			return err
		}
		return tx.InsertEventDestination(catalog.EventDestination{Account: owner, Name: "d", ID: "did", Connection: "cid", Endpoint: p.URL + "/*/x", Method: "PUT", Rate: 300})
	})
	target := catalog.EventTarget{ARN: event.DestinationARN("us-east-1", owner, event.Name{Name: "d", ID: "did"})}
	target.Settings.PathValues, target.Settings.Input = []string{"a b"}, `{"a":1}`
	o.rule(owner, "all", anything, target)
	o.work()
	o.emit("a")
	r := <-requests
	p.await(t, 1)
	got := []string{r.Method, r.URL.String(), r.Header.Get("X-Key"), r.Header.Get("X-More"), p.bodies()[0]}
	if diff := cmp.Diff([]string{"PUT", "/a%20b/x?q=1", "s3cret", "more", `{"a":1,"b":"2"}`}, got); diff != "" {
		t.Error(diff)
	}
}

// sinkFunc is a sink that calls itself.
type sinkFunc func(ctx context.Context, m event.Message) error

func (f sinkFunc) Deliver(ctx context.Context, m event.Message) error { return f(ctx, m) }

func TestEvents_SlowDestinationGetsItsWholeRate(t *testing.T) {
	for _, rate := range []int{1, 5, 10} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const messages = 6
				o := newOffice(t, openCatalog(t, "sqlite", catalog.Options{}))
				o.opt.Poll = time.Second
				sent := make(chan time.Time, messages)
				o.opt.Sinks.Webhook = func(webhook.Target) (event.Sink, error) {
					return sinkFunc(func(context.Context, event.Message) error { sent <- time.Now(); return nil }), nil
				}
				update(t, o.db, func(tx *catalog.Tx) error {
					if err := tx.InsertEventConnection(catalog.EventConnection{Account: owner, Name: "c", ID: "cid", Kind: "API_KEY"}); err != nil {
						return err
					}
					return tx.InsertEventDestination(catalog.EventDestination{Account: owner, Name: "d", ID: "did", Connection: "cid", Endpoint: "https://x.test/", Method: "POST", Rate: rate})
				})
				o.rule(owner, "all", anything, catalog.EventTarget{ARN: event.DestinationARN("us-east-1", owner, event.Name{Name: "d", ID: "did"})})
				o.emit(slices.Repeat([]string{"a"}, messages)...)
				stop := o.work()
				first := <-sent
				var last time.Time
				for range messages - 1 {
					last = <-sent
				}
				stop()
				want := (messages - 1) * time.Second / time.Duration(rate)
				if took := last.Sub(first); took < want || took > want*5/4 {
					t.Errorf("%d messages took %v after the first, want %v", messages-1, took, want)
				}
			})
		})
	}
}

func TestRoom_RemembersTheRateOfATargetWithNothingWaiting(t *testing.T) {
	clock := time.Now()
	c := newCourier(Options{Now: func() time.Time { return clock }}, slog.New(slog.DiscardHandler))
	waiting := []catalog.WaitingTarget{{Target: "a/r/1", Due: clock}}
	c.room(waiting)
	s := c.targets["a/r/1"]
	s.tokens, s.counted, s.next = 0, clock, clock.Add(time.Second)
	clock = clock.Add(time.Second / 2)
	c.room(nil)
	if got := c.room(waiting); len(got) != 0 {
		t.Errorf("there is room for %+v", got)
	}
	if got := c.untilNext(waiting); got != time.Second/2 {
		t.Errorf("it is looked at again after %v", got)
	}
	clock = clock.Add(time.Second)
	c.room(nil)
	if diff := cmp.Diff(0, len(c.targets)); diff != "" {
		t.Error(diff)
	}
}

// TestBucket_HasATokenWhenItIsTime takes a message whenever the next is due.
func TestBucket_HasATokenWhenItIsTime(t *testing.T) {
	for rate := 1; rate <= 300; rate++ {
		tokens := 0.0
		for range 50 {
			if tokens = bucket(rate, tokens, untilToken(rate, tokens)); tokens < 1 {
				t.Fatalf("at %d/s there are %v tokens", rate, tokens)
			}
			tokens--
		}
	}
}

// TestEvents_OfARemovedTargetGoInBatches has more wait than one transaction
// removes.
func TestEvents_OfARemovedTargetGoInBatches(t *testing.T) {
	o := newOffice(t, openCatalog(t, "sqlite", catalog.Options{}))
	update(t, o.db, func(tx *catalog.Tx) error {
		for i := range purgeBatch + 20 {
			d := catalog.EventDelivery{Account: owner, Target: fmt.Sprintf("%s/gone/%d", owner, i%2), Since: time.Now()}
			if err := tx.InsertEventDelivery(d); err != nil {
				return err
			}
		}
		return nil
	})
	c := newCourier(New(o.opt).opt, slog.New(slog.DiscardHandler))
	for _, want := range []int64{20, 0} {
		if _, _, err := c.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := o.waiting().Waiting; got != want {
			t.Errorf("%d deliveries wait, want %d", got, want)
		}
		if again := len(c.wake) > 0; again != (want > 0) {
			t.Errorf("with %d waiting another turn is taken: %v", want, again)
		}
		select {
		case <-c.wake:
		default:
		}
	}
}

// TestEvents_CrashLosesNothing breaks off at each place between fact and
// delivery: everything arrives in the end.
func TestEvents_CrashLosesNothing(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			dsn := "sqlite:" + filepath.Join(t.TempDir(), "catalog.db")
			if engine == "postgres" {
				dsn = pgtest.NewDatabase(t)
			}
			var ahead atomic.Int64
			open := func() *office {
				db, err := catalog.Open(t.Context(), dsn, catalog.Options{
					Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
				})
				if err != nil {
					t.Fatal(err)
				}
				o := newOffice(t, db)
				o.opt.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
				return o
			}
			closed := func(o *office) {
				if err := o.db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			p := newPost(t)

			// after the fact
			o := open()
			o.rule(owner, "all", anything, to(p.URL))
			o.emit("a", "b")
			closed(o)

			// after the match
			o = open()
			c := newCourier(New(o.opt).opt, slog.New(slog.DiscardHandler))
			var events []catalog.OutboxEvent
			update(t, o.db, func(tx *catalog.Tx) (err error) { events, err = tx.Undelivered(0, 10); return err })
			if err := c.match(t.Context(), events[:1]); err != nil {
				t.Fatal(err)
			}
			closed(o)

			// with the message taken, delivered or not
			o = open()
			var target string
			update(t, o.db, func(tx *catalog.Tx) error {
				list, err := tx.WaitingTargets()
				if err != nil || len(list) != 1 {
					return errors.Join(err, fmt.Errorf("%d targets wait", len(list)))
				}
				target = list[0].Target
				taken, err := tx.LeaseEventDeliveries(target, 1, lease)
				if len(taken) != 1 {
					t.Errorf("%d messages were taken", len(taken))
				}
				return err
			})
			closed(o)

			o = open()
			stop := o.work()
			p.await(t, 1) // the one nobody holds
			eventually(t, "one message waits, the one that is held", func() bool { return o.waiting().Waiting == 1 })
			ahead.Store(int64(2 * lease))
			p.await(t, 1)
			o.settled(0)
			stop()
			closed(o)
			if diff := cmp.Diff([]string{owner + " a", owner + " b"}, names(t, p.bodies())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEvents_StopGivesBackWhatIsUnderWay(t *testing.T) {
	o, p := newOffice(t, openCatalog(t, "sqlite", catalog.Options{})), newPost(t)
	began := make(chan struct{}, 10)
	p.answers(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
	})
	o.rule(owner, "all", anything, to(p.URL))
	stop := o.work()
	o.emit("a")
	<-began
	stop()
	update(t, o.db, func(tx *catalog.Tx) error {
		list, err := tx.LeaseEventDeliveries(owner+"/all/1", 5, time.Minute)
		if len(list) != 1 || list[0].Attempts != 1 {
			t.Errorf("to be taken: %+v", list)
		}
		return err
	})
}

// TestEvents_ManyReplicas has several processes work at one database: nothing is
// delivered twice, as nothing fails.
func TestEvents_ManyReplicas(t *testing.T) {
	dsn := pgtest.NewDatabase(t)
	p := newPost(t)
	var first *office
	for i := range 3 {
		db, err := catalog.Open(t.Context(), dsn, catalog.Options{Logger: slog.New(slog.DiscardHandler), Connections: 6})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		o := newOffice(t, db)
		if i == 0 {
			first = o
			o.rule(owner, "all", anything, to(p.URL), to(p.URL+"/2"))
		}
		o.work()
	}
	const n = 60
	var want []string
	for i := range n {
		name := fmt.Sprintf("p%02d", i)
		want = append(want, owner+" "+name, owner+" "+name)
		first.emit(name)
	}
	p.await(t, 2*n)
	first.settled(0)
	if diff := cmp.Diff(want, names(t, p.bodies())); diff != "" {
		t.Error(diff)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.ids)
	if got := len(slices.Compact(p.ids)); got != 2*n {
		t.Errorf("%d different message ids, want %d", got, 2*n)
	}
}

func TestEvents_OneBadTargetHoldsNobodyUp(t *testing.T) {
	o, good, slow := newOffice(t, openCatalog(t, "sqlite", catalog.Options{})), newPost(t), newPost(t)
	released := make(chan struct{})
	slow.answers(func(http.ResponseWriter, *http.Request) { <-released })
	dead := newPost(t)
	dead.Close()
	o.rule(owner, "slow", anything, to(slow.URL))
	o.rule(owner, "dead", anything, to(dead.URL))
	o.rule(owner, "good", anything, to(good.URL))
	o.work()
	for i := range 50 {
		o.emit(fmt.Sprint(i))
	}
	good.await(t, 50)
	close(released)
	slow.await(t, 50)
}

// TestEvents_TriedAgainUntilGivenUp moves the clock on in each attempt, by less
// than its lease, and after it, by more than the wait for the next.
func TestEvents_TriedAgainUntilGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		target   func(url string) catalog.EventTarget
		requests int
		cause    string
	}{
		"attempts":  {500, func(url string) catalog.EventTarget { return tries(url, 2, 86400) }, 3, "remote webhook answered 500"},
		"no retry":  {500, func(url string) catalog.EventTarget { return tries(url, 0, 86400) }, 1, "remote webhook answered 500"},
		"age":       {503, func(url string) catalog.EventTarget { return tries(url, 185, 70) }, 2, "remote webhook answered 503"},
		"final":     {400, func(url string) catalog.EventTarget { return tries(url, 185, 86400) }, 1, "remote webhook answered 400"},
		"forbidden": {0, func(string) catalog.EventTarget { return tries("http://127.0.0.2:9/", 185, 86400) }, 0, "remote webhook leads to an address that is not public"},
	} {
		t.Run(name, func(t *testing.T) {
			var ahead atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			o, p := newOffice(t, openCatalog(t, "sqlite", catalog.Options{Now: now})), newPost(t)
			o.opt.Now = now
			o.opt.Event = func(what string) {
				ahead.Add(int64(10 * time.Second))
				o.outcome(what)
			}
			p.answers(func(w http.ResponseWriter, _ *http.Request) {
				defer ahead.Add(int64(50 * time.Second))
				w.WriteHeader(c.status)
			})
			o.rule(owner, "all", anything, c.target(p.URL))
			stop := o.work()
			o.emit("a")
			o.settled(1)
			stop()
			if got := len(p.bodies()); got != c.requests {
				t.Errorf("%d requests, want %d", got, c.requests)
			}
			var letters []catalog.EventDelivery
			update(t, o.db, func(tx *catalog.Tx) (err error) {
				letters, err = tx.DeadLetters(owner, catalog.RuleTargets(owner, "all"), "", 0)
				return err
			})
			if len(letters) != 1 || letters[0].LastError != c.cause || letters[0].Attempts != max(c.requests, 1) {
				t.Errorf("dead letters %+v", letters)
			}
			if got := o.outcomes(); got[len(got)-1] != EventDead || len(got) != max(c.requests, 1) {
				t.Errorf("outcomes %v", got)
			}
		})
	}
}

func TestEvents_WhatWaitsForADeadTargetExpires(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	o, p := newOffice(t, openCatalog(t, "sqlite", catalog.Options{Now: now})), newPost(t)
	o.opt.Now = now
	p.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	o.rule(owner, "all", anything, tries(p.URL, 185, 3600))
	o.work()
	o.emit(slices.Repeat([]string{"a"}, 100)...)
	p.await(t, 1)
	eventually(t, "the target is left alone", func() bool {
		n := len(o.outcomes())
		return n >= 1 && n == len(p.bodies()) && o.waiting().Waiting == 100
	})
	ahead.Store(int64(2 * time.Hour))
	o.settled(100)
	if n := len(p.bodies()); n > 20 {
		t.Errorf("%d requests were made of a target that fails", n)
	}
	eventually(t, "all are counted", func() bool {
		return len(slices.DeleteFunc(o.outcomes(), func(s string) bool { return s != EventDead })) == 100
	})
}

func TestEvents_ReplayedDeadLetterArrives(t *testing.T) {
	o, p := newOffice(t, openCatalog(t, "sqlite", catalog.Options{})), newPost(t)
	p.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	o.rule(owner, "all", anything, to(p.URL))
	o.work()
	o.emit("a")
	o.settled(1)
	p.answers(func(http.ResponseWriter, *http.Request) {})
	update(t, o.db, func(tx *catalog.Tx) error {
		letters, err := tx.DeadLetters(owner, "", "", 0)
		if err != nil {
			return err
		}
		return tx.ReviveEventDelivery(letters[0])
	})
	o.settled(0)
	if diff := cmp.Diff([]string{owner + " a", owner + " a"}, names(t, p.bodies())); diff != "" {
		t.Error(diff)
	}
	if p.ids[0] != p.ids[1] {
		t.Error("the message has another id")
	}
}

func TestEvents_RemovedTargetGetsNothing(t *testing.T) {
	o, p := newOffice(t, openCatalog(t, "sqlite", catalog.Options{})), newPost(t)
	p.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	o.rule(owner, "all", anything, to(p.URL))
	o.work()
	o.emit("a", "b", "c")
	p.await(t, 1)
	update(t, o.db, func(tx *catalog.Tx) error {
		_, err := tx.DeleteEventTarget(owner, "all", "1")
		return err
	})
	o.settled(0)
}

func TestEvents_AnswerThatAsksForPatience(t *testing.T) {
	o, p := newOffice(t, openCatalog(t, "sqlite", catalog.Options{})), newPost(t)
	p.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	o.rule(owner, "all", anything, to(p.URL))
	stop := o.work()
	o.emit("a")
	p.await(t, 1)
	eventually(t, "the outcome is written", func() bool { return len(o.outcomes()) == 1 })
	stop()
	update(t, o.db, func(tx *catalog.Tx) error {
		list, err := tx.WaitingTargets()
		if len(list) != 1 || time.Until(list[0].Due) < 50*time.Minute {
			t.Errorf("waiting: %+v", list)
		}
		return err
	})
}

func TestBucket_HoldsATargetToItsRate(t *testing.T) {
	tokens, sent := 0.0, 0
	for range 100 { // ten seconds in steps of 100 ms
		tokens = bucket(50, tokens, 100*time.Millisecond)
		n := int(tokens)
		sent += n
		tokens -= float64(n)
	}
	if sent != 500 {
		t.Errorf("%d messages in 10 s at 50/s", sent)
	}
	if got := bucket(50, 0, time.Hour); got != 5 {
		t.Errorf("after a long rest %v at once", got)
	}
	if got := bucket(1, 0, time.Hour); got != 1 {
		t.Errorf("of a slow target %v at once", got)
	}
}

func TestBackOff(t *testing.T) {
	for attempts, want := range map[int]time.Duration{0: time.Second, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 11: 10 * time.Minute, 185: 10 * time.Minute} {
		for range 20 {
			if got := backOff(attempts, firstRetry, lastRetry); got < want/2 || got > want {
				t.Errorf("after %d attempts %v, want %v at most", attempts, got, want)
			}
		}
	}
}

func TestReason_ShowsNoAddress(t *testing.T) {
	secret := errors.New(`Post "https://x.test/?token=s3cret": EOF`)
	for _, err := range []error{secret, fmt.Errorf("x: %w", secret), fault.Wrap(fault.Upstream, secret, "remote webhook cannot be reached")} {
		if got := reason(err); got == "" || strings.Contains(got, "s3cret") {
			t.Errorf("%q", got)
		}
	}
}

func TestPurgeLetters(t *testing.T) {
	clock := time.Now()
	db := openCatalog(t, "sqlite", catalog.Options{Now: func() time.Time { return clock }})
	update(t, db, func(tx *catalog.Tx) error {
		if err := tx.InsertEventDelivery(catalog.EventDelivery{Account: owner, Target: owner + "/r/1", Since: clock.Add(-2 * day)}); err != nil {
			return err
		}
		_, err := tx.ExpireEventDeliveries(owner+"/r/1", clock.Add(-day), "old", 0)
		return err
	})
	left := func() (n int) {
		update(t, db, func(tx *catalog.Tx) error {
			letters, err := tx.DeadLetters(owner, "", "", 0)
			n = len(letters)
			return err
		})
		return n
	}
	r := newRunner(Options{DB: db, Now: func() time.Time { return clock }})
	for _, want := range []int{1, 0} {
		if err := r.purgeLetters(t.Context(), catalog.Job{}); err != nil {
			t.Fatal(err)
		}
		if got := left(); got != want {
			t.Errorf("%d dead letters, want %d", got, want)
		}
		clock = clock.Add(15 * day)
	}
}

// TestPurgeLetters_AfterAWrongClock: what happened while the clock was a year ahead
// is delivered when it has been set right, what waits for its target is left alone.
func TestPurgeLetters_AfterAWrongClock(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			clock := time.Now()
			db := openCatalog(t, engine, catalog.Options{Now: func() time.Time { return clock }})
			insert := func(target string) {
				update(t, db, func(tx *catalog.Tx) error {
					return tx.InsertEventDelivery(catalog.EventDelivery{Account: owner, Target: target, Since: tx.Now()})
				})
			}
			due := func() (list []string) {
				update(t, db, func(tx *catalog.Tx) error {
					waiting, err := tx.WaitingTargets()
					for _, w := range waiting {
						if !w.Due.After(clock) {
							list = append(list, w.Target)
						}
					}
					return err
				})
				return list
			}
			clock = clock.Add(defaultAge) // what a target may ask for
			insert("asked to wait")
			clock = clock.Add(365 * day)
			insert("put off")
			clock = clock.Add(-365*day - defaultAge)
			insert("fresh")
			if diff := cmp.Diff([]string{"fresh"}, due()); diff != "" {
				t.Error(diff)
			}
			r := newRunner(Options{DB: db, Now: func() time.Time { return clock }})
			if err := r.purgeLetters(t.Context(), catalog.Job{}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"fresh", "put off"}, due()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTrimLetters_KeepsTheNewestOfEachTarget(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	update(t, db, func(tx *catalog.Tx) error {
		for _, target := range []string{owner + "/r/1", owner + "/r/2"} {
			for range purgeBatch + 20 {
				if err := tx.InsertEventDelivery(catalog.EventDelivery{Account: owner, Target: target, Since: tx.Now().Add(-day)}); err != nil {
					return err
				}
			}
			if _, err := tx.ExpireEventDeliveries(target, tx.Now(), "old", 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err := newRunner(Options{DB: db}).trimLetters(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	update(t, db, func(tx *catalog.Tx) error {
		letters, err := tx.DeadLetters(owner, "", "", 0)
		for _, d := range letters {
			got[d.Target]++
		}
		return err
	})
	if diff := cmp.Diff(map[string]int{owner + "/r/1": 3, owner + "/r/2": 3}, got); diff != "" {
		t.Error(diff)
	}
}
