// Package alarm moves alarms between their states: it evaluates those of all
// accounts, and does what one that changes has been told to do.
//
// A change, its history and the messages that it sends are written in one
// transaction: whoever sees the one gets the other.
package alarm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"packhouse/internal/arn"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/metric"
	"packhouse/internal/topic"
)

// The kinds of entries in the history of an alarm.
const (
	ConfigurationUpdate = "ConfigurationUpdate"
	StateUpdate         = "StateUpdate"
	Action              = "Action"
)

// KeepHistory is how long entries are kept.
const KeepHistory = 30 * 24 * time.Hour

// ARN names an alarm.
func ARN(region, account, name string) string {
	return arn.ARN{Partition: arn.Partition, Service: "cloudwatch", Region: region, Account: account, Resource: "alarm:" + name}.String()
}

const batch = 200 // alarms that are read at a time

// Evaluate looks at every alarm. One that cannot be evaluated does not hold up the
// others; the error tells of all of them.
func Evaluate(ctx context.Context, db *catalog.DB, source metric.Source, region string, now time.Time) error {
	var account, name string
	failed, cause := 0, error(nil)
	for {
		var list []catalog.Alarm
		err := db.View(ctx, func(tx *catalog.Tx) (err error) {
			list, err = tx.EveryAlarm(account, name, batch)
			return err
		})
		if err != nil {
			return fmt.Errorf("list alarms: %w", err)
		}
		for _, a := range list {
			if err := evaluate(ctx, db, source, region, a, now); err != nil {
				if ctx.Err() != nil {
					return err
				}
				failed, cause = failed+1, err
			}
			account, name = a.Account, a.Name
		}
		if len(list) < batch {
			break
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d alarms could not be evaluated: %w", failed, cause)
	}
	return nil
}

func evaluate(ctx context.Context, db *catalog.DB, source metric.Source, region string, a catalog.Alarm, now time.Time) error {
	s := a.Settings
	rule := s.Rule()
	from, to := rule.Window(now)
	var points []metric.Point
	if id, ok := metric.IDOf(s.Namespace, s.Metric, s.Dimensions); ok && unitFits(id, s.Unit) {
		var err error
		if points, err = source.Points(ctx, a.Account, id, from, to, rule.Period); err != nil {
			return fmt.Errorf("read %s: %w", id, err)
		}
	}
	verdict := rule.Judge(points, now, a.State)
	if verdict.State == a.State {
		return nil
	}
	data, err := reasonData(rule, verdict, now)
	if err != nil {
		return err
	}
	return db.Update(ctx, func(tx *catalog.Tx) error {
		_, err := Turn(tx, region, a, verdict.State, verdict.Reason, data)
		return err
	})
}

// unitFits tells whether an alarm that names a unit sees a metric.
func unitFits(id metric.ID, unit string) bool {
	kind, _ := metric.KindOf(id.Name)
	return unit == "" || unit == kind.Unit
}

// Turn sets the state of an alarm as it was read, with all that comes of it. It
// tells false, and does nothing, when the alarm has been changed since.
func Turn(tx *catalog.Tx, region string, was catalog.Alarm, state metric.State, reason, data string) (bool, error) {
	a := was
	a.State, a.Reason, a.Data, a.Updated = state, reason, data, tx.Now()
	if state != was.State {
		a.Changed = a.Updated
	}
	if ok, err := tx.SetAlarmState(was, a); err != nil || !ok {
		return false, err
	}
	if state == was.State {
		return true, nil
	}
	entry := catalog.AlarmHistory{Account: a.Account, Alarm: a.Name, Kind: StateUpdate, At: a.Updated, Summary: fmt.Sprintf("Alarm updated from %s to %s", was.State, state)}
	var err error
	if entry.Data, err = stateData(was, a); err != nil {
		return false, err
	}
	if err := tx.AddAlarmHistory(entry); err != nil {
		return false, err
	}
	if !a.Actions {
		return true, nil
	}
	for _, to := range a.Settings.ActionsOf(state) {
		if err := tell(tx, region, was, a, to); err != nil {
			return false, err
		}
	}
	return true, nil
}

// tell publishes a change to a topic and writes down how that ended.
func tell(tx *catalog.Tx, region string, was, a catalog.Alarm, to string) error {
	entry := catalog.AlarmHistory{Account: a.Account, Alarm: a.Name, Kind: Action, At: a.Updated}
	data := actionData{ActionState: "Succeeded", NotificationResource: to, StateUpdateTimestamp: a.Updated.UnixMilli()}
	account, name, err := topic.ParseARN(to, region)
	if err == nil && account != a.Account {
		err = fault.New(fault.Denied, "the topic is not of the account of the alarm")
	}
	if err == nil {
		m, failed := message(region, was, a)
		if failed != nil {
			return failed
		}
		data.PublishedMessage = m.Text
		_, err = topic.Publish(tx, region, account, name, m)
	}
	if err != nil && fault.Of(err) == fault.Internal {
		return err
	}
	entry.Summary = "Successfully executed action " + to
	if err != nil {
		entry.Summary = "Failed to execute action " + to + ". Received error: \"" + fault.Message(err) + "\""
		data.ActionState, data.Error = "Failed", fault.Message(err)
	}
	text, err := json.Marshal(data, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write the history of an alarm: %w", err)
	}
	entry.Data = string(text)
	return tx.AddAlarmHistory(entry)
}

type actionData struct {
	ActionState          string `json:"actionState"`
	StateUpdateTimestamp int64  `json:"stateUpdateTimestamp"` // milliseconds since 1970
	NotificationResource string `json:"notificationResource"`
	PublishedMessage     string `json:"publishedMessage,omitempty"`
	Error                string `json:"error,omitempty"`
}

// notice is what CloudWatch sends to a topic.
type notice struct {
	AlarmName        string   `json:"AlarmName"`
	AlarmDescription *string  `json:"AlarmDescription"` // null when there is none
	AWSAccountID     string   `json:"AWSAccountId"`
	Configured       string   `json:"AlarmConfigurationUpdatedTimestamp"`
	NewStateValue    string   `json:"NewStateValue"`
	NewStateReason   string   `json:"NewStateReason"`
	StateChangeTime  string   `json:"StateChangeTime"`
	Region           string   `json:"Region"`
	AlarmArn         string   `json:"AlarmArn"`
	OldStateValue    string   `json:"OldStateValue"`
	OKActions        []string `json:"OKActions"`
	AlarmActions     []string `json:"AlarmActions"`
	Insufficient     []string `json:"InsufficientDataActions"`
	Trigger          trigger  `json:"Trigger"`
}

type trigger struct {
	MetricName         string             `json:"MetricName"`
	Namespace          string             `json:"Namespace"`
	StatisticType      string             `json:"StatisticType"`
	Statistic          string             `json:"Statistic"`
	Unit               *string            `json:"Unit"`
	Dimensions         []triggerDimension `json:"Dimensions"`
	Period             int                `json:"Period"`
	EvaluationPeriods  int                `json:"EvaluationPeriods"`
	DatapointsToAlarm  int                `json:"DatapointsToAlarm"`
	ComparisonOperator string             `json:"ComparisonOperator"`
	Threshold          float64            `json:"Threshold"`
	TreatMissingData   string             `json:"TreatMissingData"`
	LowSampleCount     string             `json:"EvaluateLowSampleCountPercentile"`
}

// triggerDimension has small letters, as CloudWatch writes it.
type triggerDimension struct {
	Value string `json:"value"`
	Name  string `json:"name"`
}

// statisticWords are the statistics as they stand in messages.
func statisticWords(s metric.Statistic) string {
	switch s {
	case metric.SampleCount:
		return "SAMPLE_COUNT"
	case metric.Average, metric.Sum, metric.Minimum, metric.Maximum:
	}
	return strings.ToUpper(string(s))
}

func message(region string, was, a catalog.Alarm) (topic.Message, error) {
	s := a.Settings
	n := notice{
		AlarmName: a.Name, AlarmDescription: optional(s.Description), AWSAccountID: a.Account, Configured: stamp(a.Modified),
		NewStateValue: string(a.State), NewStateReason: a.Reason, StateChangeTime: stamp(a.Changed), Region: region,
		AlarmArn: ARN(region, a.Account, a.Name), OldStateValue: string(was.State),
		OKActions: some(s.OK), AlarmActions: some(s.Alarm), Insufficient: some(s.Insufficient),
		Trigger: trigger{
			MetricName: s.Metric, Namespace: s.Namespace, StatisticType: "Statistic", Statistic: statisticWords(s.Statistic), Unit: optional(s.Unit),
			Dimensions: []triggerDimension{}, Period: s.Period, EvaluationPeriods: s.Periods, DatapointsToAlarm: s.Rule().Datapoints,
			ComparisonOperator: string(s.Operator), Threshold: s.Threshold, TreatMissingData: string(s.Missing),
		},
	}
	for _, d := range s.Dimensions {
		n.Trigger.Dimensions = append(n.Trigger.Dimensions, triggerDimension{d.Value, d.Name})
	}
	text, err := json.Marshal(n)
	if err != nil {
		return topic.Message{}, fmt.Errorf("write the message of an alarm: %w", err)
	}
	return topic.Message{Subject: subject(fmt.Sprintf("%s: %q in %s", a.State, a.Name, region)), Text: string(text)}, nil
}

// subject is cut to what a subject may be.
func subject(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-3]) + "..."
	}
	return text
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// seen is a period in StateReasonData.
type seen struct {
	Timestamp   string  `json:"timestamp"`
	SampleCount float64 `json:"sampleCount"`
	Value       float64 `json:"value"`
}

// maxSeen is how many periods StateReasonData tells of, the newest: it has 4000
// characters at most.
const maxSeen = 25

// reasonData is StateReasonData, newest period last in recentDatapoints and first
// in evaluatedDatapoints, as CloudWatch has them.
func reasonData(r metric.Rule, v metric.Verdict, now time.Time) (string, error) {
	data := struct {
		Version   string    `json:"version"`
		QueryDate string    `json:"queryDate"`
		StartDate string    `json:"startDate,omitempty"`
		Statistic string    `json:"statistic"`
		Period    int       `json:"period"`
		Recent    []float64 `json:"recentDatapoints"`
		Threshold float64   `json:"threshold"`
		Evaluated []seen    `json:"evaluatedDatapoints"`
	}{
		Version: "1.0", QueryDate: stamp(now), Statistic: string(r.Statistic), Period: int(r.Period / time.Second),
		Recent: []float64{}, Threshold: r.Threshold, Evaluated: []seen{},
	}
	recent := v.Recent[:min(len(v.Recent), maxSeen)]
	for _, p := range slices.Backward(recent) {
		if data.StartDate == "" {
			data.StartDate = stamp(p.At)
		}
		data.Recent = append(data.Recent, p.Value(r.Statistic))
	}
	for _, p := range recent {
		data.Evaluated = append(data.Evaluated, seen{stamp(p.At), p.Count, p.Value(r.Statistic)})
	}
	text, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("write the reason of an alarm: %w", err)
	}
	return string(text), nil
}

// stateData is the HistoryData of a change.
func stateData(was, a catalog.Alarm) (string, error) {
	type state struct {
		Value  string `json:"stateValue"`
		Reason string `json:"stateReason"`
	}
	text, err := json.Marshal(struct {
		Version string `json:"version"`
		Old     state  `json:"oldState"`
		New     state  `json:"newState"`
	}{"1.0", state{string(was.State), was.Reason}, state{string(a.State), a.Reason}})
	if err != nil {
		return "", fmt.Errorf("write the history of an alarm: %w", err)
	}
	return string(text), nil
}

// CheckAction tells whether an action is one that alarms have here: a topic of
// this region. Errors are fault.Invalid.
func CheckAction(action, region string) error {
	if !strings.HasPrefix(action, "arn:"+arn.Partition+":"+topic.Service+":") {
		return fault.New(fault.Invalid, "Invalid action %s: actions are topics here, %s", strconv.Quote(action), topic.ARN(region, "ACCOUNT", "NAME"))
	}
	_, _, err := topic.ParseARN(action, region)
	return err
}
