package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

func TestEventRules_PutListSwitchDelete(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		made := moment(1)
		rule := func(name, pattern string, enabled bool) EventRule {
			return EventRule{Account: account, Name: name, Pattern: pattern, Enabled: enabled, Description: "d", Role: "r", Created: made}
		}
		before := db.Generation()
		update(t, db, func(tx *Tx) error {
			for _, r := range []EventRule{rule("b", "{}", true), rule("a", "{}", true), rule("ab", "{}", false), {Account: "999999999999", Name: "a", Created: made}} {
				if err := tx.PutEventRule(r); err != nil {
					return err
				}
			}
			changed := rule("b", `{"x":[1]}`, true)
			changed.Created = moment(2)
			return tx.PutEventRule(changed)
		})
		if db.Generation() == before {
			t.Error("nobody is told of the change")
		}
		list := func(prefix, after string, limit int) (rules []EventRule) {
			view(t, db, func(tx *Tx) (err error) { rules, err = tx.EventRules(account, prefix, after, limit); return err })
			return rules
		}
		if diff := cmp.Diff([]EventRule{rule("a", "{}", true), rule("ab", "{}", false), rule("b", `{"x":[1]}`, true)}, list("", "", 0)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]EventRule{rule("ab", "{}", false)}, list("a", "a", 5)); diff != "" {
			t.Error(diff)
		}
		update(t, db, func(tx *Tx) error {
			wantKind(t, tx.EnableEventRule(account, "none", true), fault.NotFound, "")
			found, err := tx.DeleteEventRule(account, "none")
			if found || err != nil {
				t.Errorf("deleted what is not there: %v, %v", found, err)
			}
			if _, err := tx.DeleteEventRule(account, "b"); err != nil {
				return err
			}
			return tx.EnableEventRule(account, "ab", true)
		})
		view(t, db, func(tx *Tx) error {
			_, err := tx.EventRule(account, "b")
			wantKind(t, err, fault.NotFound, "")
			got, err := tx.EventRule(account, "ab")
			if !got.Enabled {
				t.Error("the rule is off still")
			}
			return err
		})
	})
}

func TestEventTargets(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		n := 0
		full := EventTarget{Account: account, Rule: "r", ID: "2", ARN: "arn:2", Settings: TargetSettings{
			Input: "i", Paths: map[string]string{"a": "$"}, PathValues: []string{"p"}, Header: map[string]string{"H": "v"}, Attempts: &n,
		}}
		plain := EventTarget{Account: account, Rule: "r", ID: "1", ARN: "arn:1"}
		other := EventTarget{Account: account, Rule: "s", ID: "1", ARN: "arn:3"}
		update(t, db, func(tx *Tx) error {
			for _, target := range []EventTarget{{Account: account, Rule: "r", ID: "2", ARN: "old"}, full, other, plain} {
				if err := tx.PutEventTarget(target); err != nil {
					return err
				}
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			all, err := tx.EventTargets(account, "", "", 0)
			if diff := cmp.Diff([]EventTarget{plain, full, other}, all); diff != "" || err != nil {
				t.Error(err, diff)
			}
			some, err := tx.EventTargets(account, "r", "1", 1)
			if diff := cmp.Diff([]EventTarget{full}, some); diff != "" || err != nil {
				t.Error(err, diff)
			}
			one, err := tx.EventTarget(SplitTarget(other.Target()))
			if diff := cmp.Diff(other, one); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			for _, want := range []bool{true, false} {
				if found, err := tx.DeleteEventTarget(account, "r", "1"); found != want || err != nil {
					t.Errorf("deleted %v, %v", found, err)
				}
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			_, err := tx.EventTarget(account, "r", "1")
			wantKind(t, err, fault.NotFound, "")
			return nil
		})
	})
}

func TestEventConnections_SecretsAreSealed(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		c := EventConnection{
			Account: account, Name: "ci", ID: "id-1", Description: "d", Kind: "BASIC",
			Settings: ConnectionSettings{User: "u", Params: []ConnectionParameter{{In: ParamHeader, Key: "K", Secret: true}, {In: ParamQuery, Key: "q", Value: "shown"}}},
			Secret:   ConnectionSecret{Password: "hunter2", Params: map[string]Secret{"header/K": "hunter3"}},
			Created:  moment(1), Modified: moment(2),
		}
		update(t, db, func(tx *Tx) error {
			if err := tx.SetEventSigning(account, "hunter4"); err != nil {
				return err
			}
			return tx.InsertEventConnection(c)
		})
		view(t, db, func(tx *Tx) error {
			for _, read := range []func() (EventConnection, error){
				func() (EventConnection, error) { return tx.EventConnection(account, "ci") },
				func() (EventConnection, error) { return tx.EventConnectionByID("id-1") },
			} {
				got, err := read()
				if diff := cmp.Diff(c, got); diff != "" || err != nil {
					t.Error(err, diff)
				}
			}
			secret, err := tx.EventSigning(account)
			if string(secret) != "hunter4" || err != nil {
				t.Errorf("signing secret %q, %v", string(secret), err)
			}
			none, err := tx.EventSigning("999999999999")
			if none != "" || err != nil {
				t.Errorf("signing secret of nobody %q, %v", string(none), err)
			}
			var texts []string
			for _, query := range []string{"SELECT settings || secret FROM event_connection", "SELECT secret FROM event_signing"} {
				some, err := all(tx, scanString, newQuery(query))
				if err != nil {
					return err
				}
				texts = append(texts, some...)
			}
			if len(texts) != 2 || strings.Contains(strings.Join(texts, ""), "hunter") {
				t.Errorf("the database has %q", texts)
			}
			return nil
		})
		if shown := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(shown, "hunter") {
			t.Errorf("a connection shows its secrets: %s", shown)
		}
		c.Secret.Password, c.Modified = "hunter5", moment(3)
		update(t, db, func(tx *Tx) error {
			wantKind(t, tx.InsertEventConnection(c), fault.Conflict, "")
			return tx.UpdateEventConnection(c)
		})
		update(t, db, func(tx *Tx) error {
			list, err := tx.EventConnections(account, "c", "", 0)
			if diff := cmp.Diff([]EventConnection{c}, list); diff != "" || err != nil {
				t.Error(err, diff)
			}
			if err := tx.DeleteEventConnection(account, "ci"); err != nil {
				return err
			}
			wantKind(t, tx.DeleteEventConnection(account, "ci"), fault.NotFound, "")
			wantKind(t, tx.UpdateEventConnection(c), fault.NotFound, "")
			return nil
		})
	})
}

func TestEventDestinations(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d := EventDestination{
			Account: account, Name: "ci", ID: "id-1", Description: "d", Connection: "c", Endpoint: "https://x.test/", Method: "POST", Rate: 5,
			Created: moment(1), Modified: moment(2),
		}
		update(t, db, func(tx *Tx) error { return tx.InsertEventDestination(d) })
		d.Rate, d.Method = 6, "PUT"
		update(t, db, func(tx *Tx) error {
			wantKind(t, tx.InsertEventDestination(d), fault.Conflict, "")
			return tx.UpdateEventDestination(d)
		})
		update(t, db, func(tx *Tx) error {
			got, err := tx.EventDestination(account, "ci")
			list, err2 := tx.EventDestinations(account, "", "", 1)
			if diff := cmp.Diff([]EventDestination{d, d}, append(list, got)); diff != "" || err != nil || err2 != nil {
				t.Error(err, err2, diff)
			}
			if err := tx.DeleteEventDestination(account, "ci"); err != nil {
				return err
			}
			wantKind(t, tx.DeleteEventDestination(account, "ci"), fault.NotFound, "")
			wantKind(t, tx.UpdateEventDestination(d), fault.NotFound, "")
			return nil
		})
	})
}

// targets gives what waits, with the time until it is due.
func waitingTargets(t *testing.T, db *DB, c *clock) map[string]time.Duration {
	t.Helper()
	got := map[string]time.Duration{}
	view(t, db, func(tx *Tx) error {
		list, err := tx.WaitingTargets()
		for _, w := range list {
			got[w.Target] = w.Due.Sub(c.Now())
		}
		return err
	})
	return got
}

func TestEventDeliveries_LifeOfOne(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		if got := waitingTargets(t, db, c); len(got) != 0 {
			t.Errorf("waiting at first: %v", got)
		}
		since := c.Now().Add(-time.Minute)
		update(t, db, func(tx *Tx) error {
			for _, target := range []string{"a/r/1", "a/r/1", "b/r/1"} {
				d := EventDelivery{Account: target[:1], Target: target, TargetARN: "arn", EventID: "e", Body: "{}", Since: since}
				if err := tx.InsertEventDelivery(d); err != nil {
					return err
				}
			}
			return nil
		})
		if diff := cmp.Diff(map[string]time.Duration{"a/r/1": 0, "b/r/1": 0}, waitingTargets(t, db, c)); diff != "" {
			t.Error(diff)
		}
		lease := func(target string, limit int) (list []EventDelivery) {
			update(t, db, func(tx *Tx) (err error) {
				list, err = tx.LeaseEventDeliveries(target, limit, time.Minute)
				return err
			})
			return list
		}
		first, second, third := lease("a/r/1", 1), lease("a/r/1", 5), lease("a/r/1", 5)
		if len(first) != 1 || len(second) != 1 || len(third) != 0 || first[0].ID == second[0].ID {
			t.Fatalf("leased %d, %d and %d", len(first), len(second), len(third))
		}
		want := EventDelivery{ID: first[0].ID, Account: "a", Target: "a/r/1", TargetARN: "arn", EventID: "e", Body: "{}", Since: since, Attempts: 1, Due: c.Now().Add(time.Minute)}
		if diff := cmp.Diff(want, first[0]); diff != "" {
			t.Error(diff)
		}
		update(t, db, func(tx *Tx) error {
			if err := tx.PutOffEventDelivery(first[0], 1, c.Now().Add(time.Hour), "no"); err != nil {
				return err
			}
			wantKind(t, tx.CompleteEventDelivery(first[0]), fault.Conflict, "") // not held any longer
			return tx.CompleteEventDelivery(second[0])
		})
		if diff := cmp.Diff(map[string]time.Duration{"a/r/1": time.Hour, "b/r/1": 0}, waitingTargets(t, db, c)); diff != "" {
			t.Error(diff)
		}
		c.advance(time.Hour)
		held := lease("a/r/1", 5)
		if len(held) != 1 || held[0].Attempts != 2 || held[0].LastError != "no" {
			t.Fatalf("leased %+v", held)
		}
		c.advance(time.Hour) // the lease runs out, and another takes it
		again := lease("a/r/1", 5)
		if len(again) != 1 || again[0].Attempts != 3 {
			t.Fatalf("leased %+v", again)
		}
		update(t, db, func(tx *Tx) error {
			wantKind(t, tx.CompleteEventDelivery(held[0]), fault.Conflict, "")
			wantKind(t, tx.PutOffEventDelivery(held[0], 2, c.Now(), ""), fault.Conflict, "")
			wantKind(t, tx.BuryEventDelivery(held[0], 2, ""), fault.Conflict, "")
			return tx.BuryEventDelivery(again[0], 3, "never")
		})
		var dead EventDelivery
		view(t, db, func(tx *Tx) error {
			list, err := tx.DeadLetters("a", RuleTargets("a", "r"), "", 5)
			if len(list) != 1 || !list[0].Dead.Equal(c.Now()) || list[0].LastError != "never" || list[0].Attempts != 3 {
				t.Fatalf("dead letters %+v, %v", list, err)
			}
			dead = list[0]
			for _, other := range [][2]string{{"a", "q"}, {"b", ""}} {
				if list, err := tx.DeadLetters(other[0], RuleTargets(other[0], other[1]), "", 5); len(list) != 0 || err != nil {
					t.Errorf("dead letters of %v: %+v, %v", other, list, err)
				}
			}
			_, err = tx.DeadLetter("b", dead.ID)
			wantKind(t, err, fault.NotFound, "")
			b, err := tx.EventBacklog()
			if diff := cmp.Diff(EventBacklog{Waiting: 1, Dead: 1, Oldest: since}, b); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error { return tx.ReviveEventDelivery(dead) })
		revived := lease("a/r/1", 5)
		if len(revived) != 1 || revived[0].Attempts != 1 || !revived[0].Since.Equal(c.Now()) || revived[0].ID != dead.ID {
			t.Errorf("revived %+v", revived)
		}
	})
}

func TestEventDeliveries_ExpireDropPurge(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		add := func(target string, age time.Duration) {
			update(t, db, func(tx *Tx) error {
				return tx.InsertEventDelivery(EventDelivery{Account: "a", Target: target, Since: c.Now().Add(-age)})
			})
		}
		add("a/r/1", 3*time.Hour)
		add("a/r/1", time.Minute)
		add("a/r/2", 3*time.Hour)
		add("a/s/1", 3*time.Hour)
		update(t, db, func(tx *Tx) error {
			if _, err := tx.LeaseEventDeliveries("a/s/1", 1, time.Minute); err != nil {
				return err
			}
			for target, want := range map[string]int64{"a/r/1": 1, "a/s/1": 0, "a/none": 0} { // the second is held
				if n, err := tx.ExpireEventDeliveries(target, c.Now().Add(-time.Hour), "too old", 0); n != want || err != nil {
					t.Errorf("%s: %d expired, %v", target, n, err)
				}
			}
			n, err := tx.DropEventDeliveries("a/r/2", 0)
			if n != 1 {
				t.Errorf("%d dropped", n)
			}
			return err
		})
		if diff := cmp.Diff(map[string]time.Duration{"a/r/1": 0, "a/s/1": time.Minute}, waitingTargets(t, db, c)); diff != "" {
			t.Error(diff)
		}
		purge := func(want int64) {
			update(t, db, func(tx *Tx) error {
				n, err := tx.PurgeDeadLetters(c.Now().Add(-time.Hour), 0)
				if n != want {
					t.Errorf("%d purged, want %d", n, want)
				}
				return err
			})
		}
		purge(0)
		c.advance(2 * time.Hour)
		purge(1)
	})
}

func TestEventDeliveries_GoInBatches(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		update(t, db, func(tx *Tx) error {
			for i := range 10 {
				target := []string{"a/gone/1", "a/late/1"}[i%2]
				if err := tx.InsertEventDelivery(EventDelivery{Account: "a", Target: target, Since: c.Now().Add(-time.Hour)}); err != nil {
					return err
				}
			}
			return nil
		})
		for name, step := range map[string]func(tx *Tx) (int64, error){
			"drop": func(tx *Tx) (int64, error) { return tx.DropEventDeliveries("a/gone/1", 2) },
			"expire": func(tx *Tx) (int64, error) {
				return tx.ExpireEventDeliveries("a/late/1", c.Now(), "late", 2)
			},
		} {
			if diff := cmp.Diff([]int64{2, 2, 1, 0}, counts(t, db, step)); diff != "" {
				t.Error(name, diff)
			}
		}
		purge := func(tx *Tx) (int64, error) { return tx.PurgeDeadLetters(c.Now().Add(time.Hour), 2) }
		if diff := cmp.Diff([]int64{2, 2, 1, 0}, counts(t, db, purge)); diff != "" {
			t.Error("purge", diff)
		}
	})
}

// counts is what four runs of a step say, each in a transaction of its own.
func counts(t *testing.T, db *DB, step func(tx *Tx) (int64, error)) (list []int64) {
	t.Helper()
	for range 4 {
		update(t, db, func(tx *Tx) error {
			n, err := step(tx)
			list = append(list, n)
			return err
		})
	}
	return list
}

func TestDeadLetters_OldestOfATargetAreTrimmed(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		bury := func(target, name string) {
			update(t, db, func(tx *Tx) error {
				if err := tx.InsertEventDelivery(EventDelivery{Account: "a", Target: target, EventID: name, Since: c.Now().Add(-time.Hour)}); err != nil {
					return err
				}
				_, err := tx.ExpireEventDeliveries(target, c.Now(), "late", 0)
				return err
			})
			c.advance(time.Second)
		}
		for _, name := range []string{"1", "2", "3", "4", "5", "6", "7"} {
			bury("a/r/1", name)
		}
		bury("a/r/2", "other")
		update(t, db, func(tx *Tx) error {
			return tx.InsertEventDelivery(EventDelivery{Account: "a", Target: "a/r/1", EventID: "waits", Since: c.Now()})
		})
		view(t, db, func(tx *Tx) error {
			targets, err := tx.DeadTargets()
			if diff := cmp.Diff([]string{"a/r/1", "a/r/2"}, targets); diff != "" {
				t.Error(diff)
			}
			return err
		})
		trim := func(tx *Tx) (int64, error) { return tx.TrimDeadLetters("a/r/1", 2, 3) }
		if diff := cmp.Diff([]int64{3, 2, 0, 0}, counts(t, db, trim)); diff != "" {
			t.Error(diff)
		}
		view(t, db, func(tx *Tx) error {
			list, err := tx.DeadLetters("a", "", "", 0)
			var got []string
			for _, d := range list {
				got = append(got, d.EventID)
			}
			slices.Sort(got)
			if diff := cmp.Diff([]string{"6", "7", "other"}, got); diff != "" {
				t.Error(diff)
			}
			return err
		})
		if diff := cmp.Diff(1, len(waitingTargets(t, db, c))); diff != "" {
			t.Error(diff)
		}
	})
}
