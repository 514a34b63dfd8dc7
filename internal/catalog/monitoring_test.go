package catalog

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

func TestAlarms_EveryAlarmGoesOnAfterOne(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		update(t, db, func(tx *Tx) error {
			for _, a := range []Alarm{{Account: "2", Name: "a"}, {Account: "1", Name: "b"}, {Account: "1", Name: "a"}, {Account: "2", Name: "b"}} {
				if err := tx.PutAlarm(a); err != nil {
					return err
				}
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			var got []string
			for account, name := "", ""; ; {
				list, err := tx.EveryAlarm(account, name, 1)
				if err != nil || len(list) == 0 {
					if diff := cmp.Diff([]string{"1/a", "1/b", "2/a", "2/b"}, got); diff != "" {
						t.Error(diff)
					}
					return err
				}
				account, name = list[0].Account, list[0].Name
				got = append(got, account+"/"+name)
			}
		})
	})
}

func TestAlarmHistory_TrimsOldEntries(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		update(t, db, func(tx *Tx) error {
			for i := range int64(3) {
				if err := tx.AddAlarmHistory(AlarmHistory{Account: account, Alarm: "a", Kind: "k", At: moment(i), Data: "{}"}); err != nil {
					return err
				}
			}
			n, err := tx.TrimAlarmHistory(moment(2), 0)
			if n != 2 {
				t.Errorf("%d entries", n)
			}
			return err
		})
	})
}

func TestSubscriptions_ExpireUnlessConfirmed(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		s := Subscription{ID: "1", Account: account, Topic: "t", Owner: account, Protocol: "http", Endpoint: "e", Created: moment(1), Expires: moment(2)}
		update(t, db, func(tx *Tx) error {
			if err := tx.PutTopic(Topic{Account: account, Name: "t", Settings: TopicSettings{DisplayName: "d"}, Created: moment(1)}); err != nil {
				return err
			}
			if err := tx.InsertSubscription(s); err != nil {
				return err
			}
			twice := s
			twice.ID = "2"
			wantKind(t, tx.InsertSubscription(twice), fault.Conflict, "")
			other := twice
			other.Endpoint, other.Confirmed = "f", moment(1)
			return tx.InsertSubscription(other)
		})
		update(t, db, func(tx *Tx) error {
			n, err := tx.ExpireSubscriptions(moment(3), 0)
			if n != 1 {
				t.Errorf("%d have expired", n)
			}
			_, missing := tx.Subscription("1")
			wantKind(t, missing, fault.NotFound, "")
			return err
		})
		update(t, db, func(tx *Tx) error {
			there, err := tx.DeleteTopic(account, "t")
			if list, _ := tx.Subscriptions(account, "", "", 0); !there || len(list) != 0 {
				t.Errorf("%v, left are %v", there, list)
			}
			return err
		})
	})
}

func TestTopicSigning_FirstKeyStays(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		for _, key := range []Secret{"one", "two"} {
			update(t, db, func(tx *Tx) error { return tx.InsertTopicSigning(key, "cert of "+string(key)) })
		}
		view(t, db, func(tx *Tx) error {
			secret, certificate, err := tx.TopicSigning()
			if secret != "one" || certificate != "cert of one" {
				t.Errorf("%q, %q", secret, certificate)
			}
			var stored string
			if _, err := tx.one("SELECT secret FROM topic_signing", nil, &stored); err != nil || stored == "one" {
				t.Errorf("stored %q, %v", stored, err)
			}
			return err
		})
	})
}
