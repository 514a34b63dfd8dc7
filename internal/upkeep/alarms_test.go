package upkeep

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/metric"
	"packhouse/internal/topic"
)

// much is a source with a high figure for every minute.
type much struct{}

func (much) Metrics(context.Context, string) ([]metric.ID, error) { return nil, nil }

func (much) Points(_ context.Context, _ string, _ metric.ID, from, to time.Time, _ time.Duration) (list []metric.Point, err error) {
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		list = append(list, metric.Sample(at, 1e9))
	}
	return list, nil
}

// Two replicas evaluate an alarm that changes: its topic is told once, after the
// endpoint has been away.
func TestAlarms_ToldOnceAfterARetry(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB) {
		p := newPost(t)
		away := true
		p.answers(func(w http.ResponseWriter, _ *http.Request) {
			if away {
				away = false
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		o := newOffice(t, db)
		house := topic.NewHouse(db, o.opt.Region, func() string { return "http://packhouse.test" })
		o.opt.Metrics = much{}
		o.opt.Sinks.Topic = func(s catalog.Subscription) event.Sink {
			return house.Sink(s, topic.Ways{Webhook: o.opt.Sinks.Webhook})
		}
		err := db.Update(t.Context(), func(tx *catalog.Tx) error {
			a := catalog.Alarm{Account: owner, Name: "high", Actions: true, State: metric.OK, Settings: catalog.AlarmSettings{
				Namespace: metric.Namespace, Metric: "RepositoryStorageUsed", Statistic: metric.Average, Operator: metric.Greater, Threshold: 5,
				Period: 60, Periods: 1, Missing: metric.MissingMissing, Alarm: []string{topic.ARN(o.opt.Region, owner, "alerts")},
			}}
			if err := tx.PutAlarm(a); err != nil {
				return err
			}
			if err := tx.PutTopic(catalog.Topic{Account: owner, Name: "alerts"}); err != nil {
				return err
			}
			s := catalog.Subscription{ID: topic.NewSubscriptionID(), Account: owner, Topic: "alerts", Owner: owner, Protocol: topic.HTTP, Endpoint: p.URL, Confirmed: tx.Now()}
			if err := tx.InsertSubscription(s); err != nil {
				return err
			}
			return tx.Enqueue(catalog.Job{Kind: catalog.JobEvaluateAlarms})
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			defer o.work()()
		}
		p.await(t, 2)
		if got := p.bodies(); got[0] != got[1] || !strings.Contains(got[0], `\"NewStateValue\":\"ALARM\"`) {
			t.Errorf("%q", got)
		}
		err = db.View(t.Context(), func(tx *catalog.Tx) error {
			history, err := tx.AlarmHistory(owner, catalog.HistoryFilter{Ascending: true}, 0)
			var told []string
			for _, h := range history {
				told = append(told, h.Kind)
			}
			if diff := cmp.Diff([]string{"StateUpdate", "Action"}, told); diff != "" {
				t.Error(diff)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestTidyMonitoring(t *testing.T) {
	db := openCatalog(t, "sqlite", catalog.Options{})
	now := time.Now()
	err := db.Update(t.Context(), func(tx *catalog.Tx) error {
		for _, at := range []time.Time{now.Add(-31 * 24 * time.Hour), now} {
			if err := tx.AddAlarmHistory(catalog.AlarmHistory{Account: owner, Alarm: "a", At: at}); err != nil {
				return err
			}
		}
		return tx.InsertSubscription(catalog.Subscription{ID: "1", Account: owner, Topic: "t", Expires: now.Add(-time.Second)})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := newRunner(Options{DB: db}).tidyMonitoring(t.Context(), catalog.Job{}); err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(tx *catalog.Tx) error {
		history, err := tx.AlarmHistory(owner, catalog.HistoryFilter{}, 0)
		if list, _ := tx.Subscriptions(owner, "", "", 0); len(history) != 1 || len(list) != 0 {
			t.Errorf("%v, %v", history, list)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
