package alarm_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/alarm"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/metric"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	alerts  = "arn:aws:sns:us-east-1:123456789012:alerts"
)

// clock is one that a test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// source has one figure for every minute, unless it is missing.
type source struct {
	value   float64
	missing bool
	err     error
	asked   []metric.ID
}

func (*source) Metrics(context.Context, string) ([]metric.ID, error) { return nil, nil }

func (s *source) Points(_ context.Context, _ string, id metric.ID, from, to time.Time, _ time.Duration) (list []metric.Point, err error) {
	s.asked = append(s.asked, id)
	for at := from; at.Before(to) && !s.missing; at = at.Add(time.Minute) {
		list = append(list, metric.Sample(at, s.value))
	}
	return list, s.err
}

func eachEngine(t *testing.T, test func(t *testing.T, db *catalog.DB, c *clock)) {
	for name, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "catalog.db") },
		"postgres": func(t *testing.T) string { return pgtest.NewDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			c := &clock{time.Date(2026, 1, 2, 12, 0, 30, 0, time.UTC)}
			db, err := catalog.Open(t.Context(), dsn(t), catalog.Options{Now: c.now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			test(t, db, c)
		})
	}
}

func update(t *testing.T, db *catalog.DB, fn func(tx *catalog.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// put makes a topic with one endpoint and an alarm on more than 10.
func put(t *testing.T, db *catalog.DB, change func(*catalog.Alarm)) {
	t.Helper()
	update(t, db, func(tx *catalog.Tx) error {
		a := catalog.Alarm{
			Account: account, Name: "high", Actions: true, Created: tx.Now(), Modified: tx.Now(), Updated: tx.Now(), Changed: tx.Now(), State: metric.InsufficientData,
			Settings: catalog.AlarmSettings{
				Description: "d", Namespace: metric.Namespace, Metric: "RepositoryStorageUsed", Dimensions: []metric.Dimension{{Name: "DomainName", Value: "acme"}},
				Statistic: metric.Maximum, Operator: metric.Greater, Threshold: 10, Period: 60, Periods: 2, Missing: metric.MissingMissing,
				Alarm: []string{alerts}, OK: []string{alerts, "arn:aws:sns:us-east-1:123456789012:gone"}, Insufficient: []string{"arn:aws:sns:us-east-1:999999999999:other"},
			},
		}
		if change != nil {
			change(&a)
		}
		if err := tx.PutAlarm(a); err != nil {
			return err
		}
		if err := tx.PutTopic(catalog.Topic{Account: account, Name: "alerts", Created: tx.Now()}); err != nil {
			return err
		}
		if err := tx.InsertSubscription(catalog.Subscription{ID: "s1", Account: account, Topic: "alerts", Owner: account, Protocol: "http", Endpoint: "http://a.test/", Confirmed: tx.Now()}); err != nil {
			return err
		}
		return tx.InsertSubscription(catalog.Subscription{ID: "s2", Account: account, Topic: "alerts", Owner: account, Protocol: "http", Endpoint: "http://b.test/"}) // not confirmed
	})
}

func get(t *testing.T, db *catalog.DB) (a catalog.Alarm, history []catalog.AlarmHistory, sent []catalog.EventDelivery) {
	t.Helper()
	update(t, db, func(tx *catalog.Tx) (err error) {
		if a, err = tx.Alarm(account, "high"); err != nil {
			return err
		}
		if history, err = tx.AlarmHistory(account, catalog.HistoryFilter{Ascending: true}, 0); err != nil {
			return err
		}
		waiting, err := tx.WaitingTargets()
		if err != nil {
			return err
		}
		for _, w := range waiting {
			list, err := tx.LeaseEventDeliveries(w.Target, 100, time.Nanosecond)
			if err != nil {
				return err
			}
			sent = append(sent, list...)
		}
		return nil
	})
	return a, history, sent
}

func TestEvaluate_TurnsAndTells(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB, c *clock) {
		put(t, db, nil)
		s := &source{value: 11}
		evaluate := func() {
			t.Helper()
			if err := alarm.Evaluate(t.Context(), db, s, region, c.now()); err != nil {
				t.Fatal(err)
			}
			c.Time = c.Add(time.Minute)
		}
		evaluate()
		a, _, sent := get(t, db)
		if a.State != metric.Alarm || !strings.HasPrefix(a.Reason, "Threshold Crossed: 2 out of the last 2 datapoints [11.0 (02/01/26 11:59:00)") || !a.Changed.Equal(c.Add(-time.Minute)) {
			t.Errorf("%+v", a)
		}
		if diff := cmp.Diff(metric.ID{Name: "RepositoryStorageUsed", Domain: "acme"}, s.asked[0]); diff != "" {
			t.Error(diff)
		}
		if len(sent) != 1 || sent[0].Target != "sns:123456789012/alerts/s1" || sent[0].TargetARN != alerts+":s1" {
			t.Fatalf("sent %+v", sent)
		}
		var letter struct{ Type, Subject, Text string }
		if err := json.Unmarshal([]byte(sent[0].Body), &letter); err != nil || letter.Subject != `ALARM: "high" in us-east-1` {
			t.Errorf("%v, %+v", err, letter)
		}
		var message map[string]any
		if err := json.Unmarshal([]byte(letter.Text), &message); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"AlarmName": "high", "AlarmDescription": "d", "AWSAccountId": account, "AlarmConfigurationUpdatedTimestamp": "2026-01-02T12:00:30.000+0000",
			"NewStateValue": "ALARM", "NewStateReason": a.Reason, "StateChangeTime": "2026-01-02T12:00:30.000+0000", "Region": region,
			"AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:high", "OldStateValue": "INSUFFICIENT_DATA",
			"OKActions": []any{alerts, "arn:aws:sns:us-east-1:123456789012:gone"}, "AlarmActions": []any{alerts}, "InsufficientDataActions": []any{"arn:aws:sns:us-east-1:999999999999:other"},
			"Trigger": map[string]any{
				"MetricName": "RepositoryStorageUsed", "Namespace": metric.Namespace, "StatisticType": "Statistic", "Statistic": "MAXIMUM", "Unit": nil,
				"Dimensions": []any{map[string]any{"name": "DomainName", "value": "acme"}}, "Period": 60.0, "EvaluationPeriods": 2.0, "DatapointsToAlarm": 2.0,
				"ComparisonOperator": "GreaterThanThreshold", "Threshold": 10.0, "TreatMissingData": "missing", "EvaluateLowSampleCountPercentile": "",
			},
		}
		if diff := cmp.Diff(want, message); diff != "" {
			t.Error(diff)
		}

		evaluate() // nothing has changed: nobody is told
		s.value = 10
		evaluate() // OK: one topic is gone
		s.missing = true
		evaluate() // a topic of another account
		a, history, sent := get(t, db)
		if a.State != metric.InsufficientData || len(sent) != 2 {
			t.Errorf("%s, %d messages", a.State, len(sent))
		}
		var told []string
		for _, h := range history {
			told = append(told, h.Kind+": "+h.Summary)
		}
		wantTold := []string{
			"StateUpdate: Alarm updated from INSUFFICIENT_DATA to ALARM", "Action: Successfully executed action " + alerts,
			"StateUpdate: Alarm updated from ALARM to OK", "Action: Successfully executed action " + alerts,
			`Action: Failed to execute action arn:aws:sns:us-east-1:123456789012:gone. Received error: "Topic does not exist"`,
			"StateUpdate: Alarm updated from OK to INSUFFICIENT_DATA",
			`Action: Failed to execute action arn:aws:sns:us-east-1:999999999999:other. Received error: "the topic is not of the account of the alarm"`,
		}
		if diff := cmp.Diff(wantTold, told); diff != "" {
			t.Error(diff)
		}
		for _, h := range history {
			if !json.Valid([]byte(h.Data)) {
				t.Errorf("data %q", h.Data)
			}
		}
	})
}

// An alarm that looks at each minute of a day does not tell of each: reasons are
// as long as CloudWatch has them.
func TestEvaluate_LongReasons(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB, c *clock) {
		put(t, db, func(a *catalog.Alarm) { a.Settings.Periods, a.Settings.Threshold = 1440, -math.MaxFloat64 })
		if err := alarm.Evaluate(t.Context(), db, &source{value: 123456789012345.678}, region, c.now()); err != nil {
			t.Fatal(err)
		}
		a, history, _ := get(t, db)
		if a.State != metric.Alarm || len(a.Reason) > 1023 || len(a.Data) > 4000 || !json.Valid([]byte(a.Data)) ||
			!strings.HasPrefix(a.Reason, "Threshold Crossed: 1440 out of the last 1440 datapoints [123456789012345.67 (02/01/26 11:59:00), ") {
			t.Errorf("%s: %d %d %s", a.State, len(a.Reason), len(a.Data), a.Reason)
		}
		for _, h := range history {
			if len(h.Data) > 4095 {
				t.Errorf("%s has %d characters", h.Kind, len(h.Data))
			}
		}
	})
}

func TestEvaluate_ActionsSwitchedOff(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB, c *clock) {
		put(t, db, func(a *catalog.Alarm) { a.Actions = false })
		if err := alarm.Evaluate(t.Context(), db, &source{value: 11}, region, c.now()); err != nil {
			t.Fatal(err)
		}
		if a, history, sent := get(t, db); a.State != metric.Alarm || len(history) != 1 || len(sent) != 0 {
			t.Errorf("%s, %v, %v", a.State, history, sent)
		}
	})
}

// A metric that is none, or has another unit, is one without data.
func TestEvaluate_NoSuchMetric(t *testing.T) {
	for name, change := range map[string]func(*catalog.Alarm){
		"namespace": func(a *catalog.Alarm) { a.Settings.Namespace = "AWS/EC2" },
		"dimension": func(a *catalog.Alarm) { a.Settings.Dimensions[0].Name = "InstanceId" },
		"unit":      func(a *catalog.Alarm) { a.Settings.Unit = "Percent" },
	} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, db *catalog.DB, c *clock) {
				put(t, db, func(a *catalog.Alarm) { a.State = metric.OK; change(a) })
				s := &source{value: 11}
				if err := alarm.Evaluate(t.Context(), db, s, region, c.now()); err != nil {
					t.Fatal(err)
				}
				if a, _, _ := get(t, db); a.State != metric.InsufficientData || len(s.asked) != 0 {
					t.Errorf("%s, asked %v", a.State, s.asked)
				}
			})
		})
	}
}

// What was read before somebody changed the alarm does not count.
func TestTurn_StaleAlarmStays(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB, c *clock) {
		put(t, db, nil)
		stale, _, _ := get(t, db)
		c.Time = c.Add(time.Second)
		update(t, db, func(tx *catalog.Tx) error {
			turned, err := alarm.Turn(tx, region, stale, metric.OK, "one", "")
			if !turned {
				t.Error("the first has not turned it")
			}
			return err
		})
		update(t, db, func(tx *catalog.Tx) error {
			turned, err := alarm.Turn(tx, region, stale, metric.Alarm, "two", "")
			if turned {
				t.Error("the second has turned it")
			}
			return err
		})
		if a, history, sent := get(t, db); a.State != metric.OK || len(history) != 3 || len(sent) != 1 {
			t.Errorf("%s, %v, %v", a.State, history, sent)
		}
	})
}

// If the messages cannot be written, the state stays as it was.
func TestTurn_OneTransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB, _ *clock) {
		put(t, db, nil)
		was, _, _ := get(t, db)
		broken := errors.New("broken")
		err := db.Update(t.Context(), func(tx *catalog.Tx) error {
			if _, err := alarm.Turn(tx, region, was, metric.Alarm, "r", ""); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if a, history, sent := get(t, db); a.State != metric.InsufficientData || len(history) != 0 || len(sent) != 0 {
			t.Errorf("%s, %v, %v", a.State, history, sent)
		}
	})
}

func TestEvaluate_OneThatFailsDoesNotHoldUpOthers(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *catalog.DB, c *clock) {
		put(t, db, func(a *catalog.Alarm) { a.Settings.Namespace = "none"; a.Settings.Missing = metric.MissingBreaching })
		update(t, db, func(tx *catalog.Tx) error {
			a, err := tx.Alarm(account, "high")
			a.Name, a.Settings.Namespace = "before", metric.Namespace
			if err != nil {
				return err
			}
			return tx.PutAlarm(a)
		})
		err := alarm.Evaluate(t.Context(), db, &source{err: errors.New("no figures")}, region, c.now())
		if err == nil || !strings.Contains(err.Error(), "1 alarms could not be evaluated") {
			t.Error(err)
		}
		if a, _, _ := get(t, db); a.State != metric.Alarm {
			t.Error(a.State)
		}
	})
}
