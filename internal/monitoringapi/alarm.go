package monitoringapi

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/alarm"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/metric"
	"packhouse/internal/restjson"
)

const (
	maxAlarms  = 5000 // of an account
	day, week  = 86400, 604800
	metricKind = "MetricAlarm"
)

func (a *API) alarmRows() []restjson.Row {
	return []restjson.Row{
		op(a, "PutMetricAlarm", "make an alarm that watches a metric, or change it", a.putAlarm),
		op(a, "DescribeAlarms", "list the alarms of the account", a.describeAlarms),
		op(a, "DescribeAlarmsForMetric", "list the alarms that watch a metric", a.alarmsForMetric),
		op(a, "DescribeAlarmHistory", "tell what has happened to alarms", a.describeHistory),
		op(a, "SetAlarmState", "set the state of an alarm until it is evaluated next", a.setState),
		op(a, "EnableAlarmActions", "have alarms tell of their changes", a.enableActions),
		op(a, "DisableAlarmActions", "have alarms not tell of their changes", a.disableActions),
		op(a, "DeleteAlarms", "remove alarms", a.deleteAlarms),
	}
}

// absent is a structure that is only looked for to be refused.
type absent struct{}

// PutAlarmInput is an alarm. EvaluationPeriods is 1 unless it is given.
type PutAlarmInput struct {
	AlarmName                        string            `json:"AlarmName" required:"true" validate:"AlarmName"`
	AlarmDescription                 string            `json:"AlarmDescription" validate:"Description"`
	ActionsEnabled                   *bool             `json:"ActionsEnabled"`
	OKActions                        []string          `json:"OKActions" validate:"Actions"`
	AlarmActions                     []string          `json:"AlarmActions" validate:"Actions"`
	InsufficientDataActions          []string          `json:"InsufficientDataActions" validate:"Actions"`
	MetricName                       string            `json:"MetricName" validate:"MetricName"`
	Namespace                        string            `json:"Namespace" validate:"Namespace"`
	Statistic                        string            `json:"Statistic" validate:"Statistic"`
	ExtendedStatistic                string            `json:"ExtendedStatistic"`
	Dimensions                       []Dimension       `json:"Dimensions" validate:"Dimensions"`
	Period                           *int              `json:"Period" validate:"Period"`
	Unit                             string            `json:"Unit" validate:"Unit"`
	EvaluationPeriods                *int              `json:"EvaluationPeriods" validate:"Periods"`
	DatapointsToAlarm                *int              `json:"DatapointsToAlarm" validate:"Periods"`
	Threshold                        *float64          `json:"Threshold"`
	ComparisonOperator               string            `json:"ComparisonOperator" validate:"Operator"`
	TreatMissingData                 string            `json:"TreatMissingData" validate:"Missing"`
	EvaluateLowSampleCountPercentile string            `json:"EvaluateLowSampleCountPercentile" validate:"LowSampleCounts"` // of percentiles
	Metrics                          []MetricDataQuery `json:"Metrics"`
	Tags                             []Tag             `json:"Tags" validate:"Tags"`
	ThresholdMetricID                string            `json:"ThresholdMetricId"`
	EvaluationCriteria               *absent           `json:"EvaluationCriteria"`
	EvaluationInterval               *int              `json:"EvaluationInterval"`
}

func (in *PutAlarmInput) resources(region, account string) []string {
	return []string{alarm.ARN(region, account, in.AlarmName)}
}

func (in *PutAlarmInput) alsoNeeds() string {
	if len(in.Tags) > 0 {
		return "TagResource"
	}
	return ""
}

// unsupported names what only alarms of other kinds than ours have.
func (in *PutAlarmInput) unsupported() error {
	switch {
	case len(in.Metrics) > 0:
		return refuse(invalidValue, "Metrics: alarms on metric math are not supported, name one metric with MetricName, Namespace and Statistic")
	case in.ExtendedStatistic != "":
		return noPercentiles(in.ExtendedStatistic)
	case in.EvaluateLowSampleCountPercentile != "":
		return refuse(invalidValue, "EvaluateLowSampleCountPercentile: alarms on percentiles are not supported")
	case in.ThresholdMetricID != "" || in.ComparisonOperator != "" && !slices.Contains(metric.Operators(), metric.Operator(in.ComparisonOperator)):
		return refuse(invalidValue, "alarms on anomaly detection are not supported: give a Threshold and one of %v", metric.Operators())
	case in.EvaluationCriteria != nil || in.EvaluationInterval != nil:
		return refuse(invalidValue, "EvaluationCriteria: alarms on PromQL are not supported, name one metric with MetricName, Namespace and Statistic")
	}
	return nil
}

// check gives the settings of an alarm.
func (in *PutAlarmInput) check(region string) (s catalog.AlarmSettings, err error) {
	if err := in.unsupported(); err != nil {
		return s, err
	}
	for _, m := range []struct {
		name  string
		given bool
	}{
		{"MetricName", in.MetricName != ""},
		{"Namespace", in.Namespace != ""},
		{"Statistic", in.Statistic != ""},
		{"Period", in.Period != nil},
		{"Threshold", in.Threshold != nil},
		{"ComparisonOperator", in.ComparisonOperator != ""},
	} {
		if !m.given {
			return s, refuse(missingParameter, "The parameter %s is required", m.name)
		}
	}
	if err := wholeMinutes(*in.Period); err != nil {
		return s, err
	}
	s = catalog.AlarmSettings{
		Description: in.AlarmDescription, Namespace: in.Namespace, Metric: in.MetricName, Dimensions: dimensionsOf(in.Dimensions), Unit: in.Unit,
		Statistic: metric.Statistic(in.Statistic), Operator: metric.Operator(in.ComparisonOperator), Threshold: *in.Threshold,
		Period: *in.Period, Periods: 1, Missing: metric.Missing(cmp.Or(in.TreatMissingData, string(metric.MissingMissing))),
		OK: in.OKActions, Alarm: in.AlarmActions, Insufficient: in.InsufficientDataActions,
	}
	if in.EvaluationPeriods != nil {
		s.Periods = *in.EvaluationPeriods
	}
	if in.DatapointsToAlarm != nil {
		s.Datapoints = *in.DatapointsToAlarm
	}
	switch {
	case s.Datapoints > s.Periods:
		return s, refuse(invalidCombination, "DatapointsToAlarm must not be more than EvaluationPeriods")
	case s.Periods > week/s.Period || s.Period < 3600 && s.Periods > day/s.Period:
		return s, refuse(invalidCombination, "Period multiplied by EvaluationPeriods must not be more than a week (604800), or than a day (86400) when Period is less than an hour")
	}
	for _, list := range [][]string{s.OK, s.Alarm, s.Insufficient} {
		for _, to := range list {
			if err := alarm.CheckAction(to, region); err != nil {
				return s, restjson.WithCode(invalidValue, err)
			}
		}
	}
	return s, nil
}

// putAlarm has a new alarm evaluated soon.
func (a *API) putAlarm(ctx context.Context, account string, in *PutAlarmInput) (*nothing, error) {
	settings, err := in.check(a.region)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		now := tx.Now()
		row := catalog.Alarm{
			Account: account, Name: in.AlarmName, Settings: settings, Actions: in.ActionsEnabled == nil || *in.ActionsEnabled, Created: now, Modified: now,
			State: metric.InsufficientData, Reason: "Unchecked: Initial alarm creation", Updated: now, Changed: now,
		}
		verb := "updated"
		_, err := tx.Alarm(account, in.AlarmName)
		switch {
		case fault.Is(err, fault.NotFound):
			verb = "created"
			if n, err := tx.CountAlarms(account); err != nil || n >= maxAlarms {
				return cmp.Or(err, fault.New(fault.Quota, "The account has %d alarms, which is the most it may have.", n))
			}
			arn := alarm.ARN(a.region, account, in.AlarmName)
			if err := tx.DeleteTags(arn); err != nil { // of one of that name before
				return err
			}
			if err := putTags(tx, arn, in.Tags); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		if err := tx.PutAlarm(row); err != nil {
			return err
		}
		if err := configured(tx, account, in.AlarmName, verb); err != nil {
			return err
		}
		return tx.Enqueue(catalog.Job{Kind: catalog.JobEvaluateAlarms})
	})
}

// configured writes down that an alarm has been made, changed or removed.
func configured(tx *catalog.Tx, account, name, verb string) error {
	return tx.AddAlarmHistory(catalog.AlarmHistory{
		Account: account, Alarm: name, Kind: alarm.ConfigurationUpdate, At: tx.Now(), Summary: `Alarm "` + name + `" ` + verb,
		Data: `{"version":"1.0","type":"` + map[string]string{"created": "Create", "updated": "Update", "deleted": "Delete"}[verb] + `"}`,
	})
}

// DescribeAlarmsInput chooses alarms.
type DescribeAlarmsInput struct {
	AlarmNames          []string `json:"AlarmNames" validate:"AlarmNames"`
	AlarmNamePrefix     string   `json:"AlarmNamePrefix" validate:"AlarmPrefix"`
	AlarmTypes          []string `json:"AlarmTypes" validate:"AlarmTypes"`
	ChildrenOfAlarmName string   `json:"ChildrenOfAlarmName" validate:"AlarmName"` // of composite alarms, of which there are none
	ParentsOfAlarmName  string   `json:"ParentsOfAlarmName" validate:"AlarmName"`
	StateValue          string   `json:"StateValue" validate:"State"`
	ActionPrefix        string   `json:"ActionPrefix" validate:"ActionPrefix"`
	MaxRecords          *int     `json:"MaxRecords" validate:"MaxRecords"`
	NextToken           *string  `json:"NextToken" validate:"NextToken"`
}

func (*DescribeAlarmsInput) resources(region, account string) []string {
	return []string{alarm.ARN(region, account, "*")}
}

// MetricAlarm is an alarm in a list.
type MetricAlarm struct {
	AlarmName                          string         `json:"AlarmName"`
	AlarmArn                           string         `json:"AlarmArn"`
	AlarmDescription                   string         `json:"AlarmDescription,omitempty"`
	AlarmConfigurationUpdatedTimestamp *restjson.Time `json:"AlarmConfigurationUpdatedTimestamp"`
	ActionsEnabled                     bool           `json:"ActionsEnabled"`
	OKActions                          []string       `json:"OKActions"`
	AlarmActions                       []string       `json:"AlarmActions"`
	InsufficientDataActions            []string       `json:"InsufficientDataActions"`
	StateValue                         string         `json:"StateValue"`
	StateReason                        string         `json:"StateReason"`
	StateReasonData                    string         `json:"StateReasonData,omitempty"`
	StateUpdatedTimestamp              *restjson.Time `json:"StateUpdatedTimestamp"`
	StateTransitionedTimestamp         *restjson.Time `json:"StateTransitionedTimestamp"`
	MetricName                         string         `json:"MetricName"`
	Namespace                          string         `json:"Namespace"`
	Statistic                          string         `json:"Statistic"`
	Dimensions                         []Dimension    `json:"Dimensions"`
	Period                             int            `json:"Period"`
	Unit                               string         `json:"Unit,omitempty"`
	EvaluationPeriods                  int            `json:"EvaluationPeriods"`
	DatapointsToAlarm                  *int           `json:"DatapointsToAlarm,omitempty"`
	Threshold                          float64        `json:"Threshold"`
	ComparisonOperator                 string         `json:"ComparisonOperator"`
	TreatMissingData                   string         `json:"TreatMissingData"`
}

func (a *API) alarmOf(row catalog.Alarm) MetricAlarm {
	s := row.Settings
	out := MetricAlarm{
		AlarmName: row.Name, AlarmArn: alarm.ARN(a.region, row.Account, row.Name), AlarmDescription: s.Description,
		AlarmConfigurationUpdatedTimestamp: at(row.Modified), ActionsEnabled: row.Actions,
		OKActions: collect(s.OK, itself), AlarmActions: collect(s.Alarm, itself), InsufficientDataActions: collect(s.Insufficient, itself),
		StateValue: string(row.State), StateReason: row.Reason, StateReasonData: row.Data,
		StateUpdatedTimestamp: at(row.Updated), StateTransitionedTimestamp: at(row.Changed),
		MetricName: s.Metric, Namespace: s.Namespace, Statistic: string(s.Statistic), Dimensions: collect(s.Dimensions, dimensionOf),
		Period: s.Period, Unit: s.Unit, EvaluationPeriods: s.Periods, Threshold: s.Threshold,
		ComparisonOperator: string(s.Operator), TreatMissingData: string(s.Missing),
	}
	if s.Datapoints != 0 {
		out.DatapointsToAlarm = &s.Datapoints
	}
	return out
}

func itself(s string) string { return s }

// DescribeAlarmsOutput is a part of the alarms.
type DescribeAlarmsOutput struct {
	CompositeAlarms []absent      `json:"CompositeAlarms"`
	MetricAlarms    []MetricAlarm `json:"MetricAlarms"`
	NextToken       *string       `json:"NextToken,omitempty"`
}

func (in *DescribeAlarmsInput) chooses(row catalog.Alarm) bool {
	s := row.Settings
	if len(in.AlarmNames) > 0 && !slices.Contains(in.AlarmNames, row.Name) || in.StateValue != "" && in.StateValue != string(row.State) {
		return false
	}
	return in.ActionPrefix == "" || slices.ContainsFunc(slices.Concat(s.OK, s.Alarm, s.Insufficient), func(to string) bool {
		return strings.HasPrefix(to, in.ActionPrefix)
	})
}

func (a *API) describeAlarms(ctx context.Context, account string, in *DescribeAlarmsInput) (*DescribeAlarmsOutput, error) {
	out := &DescribeAlarmsOutput{[]absent{}, []MetricAlarm{}, nil}
	switch {
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != "":
		return nil, refuse(invalidCombination, "AlarmNames and AlarmNamePrefix go one at a time")
	case in.ChildrenOfAlarmName != "" || in.ParentsOfAlarmName != "" || in.AlarmTypes != nil && !slices.Contains(in.AlarmTypes, metricKind):
		return out, nil // there are no others
	}
	filter := append([]string{account, in.AlarmNamePrefix, in.StateValue, in.ActionPrefix}, in.AlarmNames...)
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		list, next, err := part(in.NextToken, in.MaxRecords, maxRecords, "DescribeAlarms", filter, func(after string, limit int) ([]catalog.Alarm, error) {
			return a.choose(tx, account, in.AlarmNamePrefix, after, limit, in.chooses)
		}, func(row catalog.Alarm) string { return row.Name })
		out.MetricAlarms, out.NextToken = collect(list, a.alarmOf), next
		return err
	})
	return out, err
}

// choose gives up to limit alarms after a name.
func (a *API) choose(tx *catalog.Tx, account, prefix, after string, limit int, want func(catalog.Alarm) bool) (list []catalog.Alarm, err error) {
	const batch = 200
	for {
		rows, err := tx.Alarms(account, prefix, after, batch)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if after = row.Name; want(row) {
				list = append(list, row)
			}
			if len(list) == limit {
				return list, nil
			}
		}
		if len(rows) < batch {
			return list, nil
		}
	}
}

// ForMetricInput chooses alarms by what they watch.
type ForMetricInput struct {
	MetricName        string      `json:"MetricName" required:"true" validate:"MetricName"`
	Namespace         string      `json:"Namespace" required:"true" validate:"Namespace"`
	Statistic         string      `json:"Statistic" validate:"Statistic"`
	ExtendedStatistic string      `json:"ExtendedStatistic"`
	Dimensions        []Dimension `json:"Dimensions" validate:"Dimensions"`
	Period            *int        `json:"Period" validate:"Period"`
	Unit              string      `json:"Unit" validate:"Unit"`
}

func (*ForMetricInput) resources(region, account string) []string {
	return []string{alarm.ARN(region, account, "*")}
}

// ForMetricOutput is the alarms.
type ForMetricOutput struct {
	MetricAlarms []MetricAlarm `json:"MetricAlarms"`
}

func (a *API) alarmsForMetric(ctx context.Context, account string, in *ForMetricInput) (*ForMetricOutput, error) {
	dimensions := sorted(dimensionsOf(in.Dimensions))
	var list []catalog.Alarm
	err := a.db.View(ctx, func(tx *catalog.Tx) (err error) {
		list, err = a.choose(tx, account, "", "", -1, func(row catalog.Alarm) bool {
			s := row.Settings
			return s.Metric == in.MetricName && s.Namespace == in.Namespace && in.ExtendedStatistic == "" && slices.Equal(sorted(s.Dimensions), dimensions) &&
				(in.Statistic == "" || in.Statistic == string(s.Statistic)) && (in.Period == nil || *in.Period == s.Period) && (in.Unit == "" || in.Unit == s.Unit)
		})
		return err
	})
	return &ForMetricOutput{collect(list, a.alarmOf)}, err
}

func sorted(list []metric.Dimension) []metric.Dimension {
	return slices.SortedFunc(slices.Values(list), func(a, b metric.Dimension) int { return strings.Compare(a.Name+"\x00"+a.Value, b.Name+"\x00"+b.Value) })
}

// DescribeHistoryInput chooses entries.
type DescribeHistoryInput struct {
	AlarmName          string         `json:"AlarmName" validate:"AlarmName"`
	AlarmContributorID string         `json:"AlarmContributorId"`
	AlarmTypes         []string       `json:"AlarmTypes" validate:"AlarmTypes"`
	HistoryItemType    string         `json:"HistoryItemType" validate:"HistoryType"`
	StartDate          *restjson.Time `json:"StartDate"`
	EndDate            *restjson.Time `json:"EndDate"`
	MaxRecords         *int           `json:"MaxRecords" validate:"MaxRecords"`
	NextToken          *string        `json:"NextToken" validate:"NextToken"`
	ScanBy             string         `json:"ScanBy" validate:"ScanBy"`
}

func (in *DescribeHistoryInput) resources(region, account string) []string {
	return []string{alarm.ARN(region, account, cmp.Or(in.AlarmName, "*"))}
}

// HistoryItem is something that has happened to an alarm.
type HistoryItem struct {
	AlarmName       string         `json:"AlarmName"`
	AlarmType       string         `json:"AlarmType"`
	Timestamp       *restjson.Time `json:"Timestamp"`
	HistoryItemType string         `json:"HistoryItemType"`
	HistorySummary  string         `json:"HistorySummary"`
	HistoryData     string         `json:"HistoryData"`
}

// DescribeHistoryOutput is a part of the entries, the newest first.
type DescribeHistoryOutput struct {
	AlarmHistoryItems []HistoryItem `json:"AlarmHistoryItems"`
	NextToken         *string       `json:"NextToken,omitempty"`
}

func (a *API) describeHistory(ctx context.Context, account string, in *DescribeHistoryInput) (*DescribeHistoryOutput, error) {
	out := &DescribeHistoryOutput{[]HistoryItem{}, nil}
	if in.AlarmTypes != nil && !slices.Contains(in.AlarmTypes, metricKind) || in.AlarmContributorID != "" {
		return out, nil // there is no history of others
	}
	f := catalog.HistoryFilter{Alarm: in.AlarmName, Kind: in.HistoryItemType, From: timeOf(in.StartDate), To: timeOf(in.EndDate), Ascending: in.ScanBy == "TimestampAscending"}
	filter := []string{account, f.Alarm, f.Kind, f.From.String(), f.To.String(), in.ScanBy}
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		list, next, err := part(in.NextToken, in.MaxRecords, maxRecords, "DescribeAlarmHistory", filter, func(after int64, limit int) ([]catalog.AlarmHistory, error) {
			f.After = after
			return tx.AlarmHistory(account, f, limit)
		}, func(h catalog.AlarmHistory) int64 { return h.Seq })
		out.AlarmHistoryItems = collect(list, func(h catalog.AlarmHistory) HistoryItem {
			return HistoryItem{h.Alarm, metricKind, at(h.At), h.Kind, h.Summary, h.Data}
		})
		out.NextToken = next
		return err
	})
	return out, err
}

func timeOf(t *restjson.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// SetStateInput is the state of an alarm.
type SetStateInput struct {
	AlarmName       string  `json:"AlarmName" required:"true" validate:"AlarmName"`
	StateValue      string  `json:"StateValue" required:"true" validate:"State"`
	StateReason     *string `json:"StateReason" required:"true" validate:"Reason"`
	StateReasonData string  `json:"StateReasonData" validate:"ReasonData"`
}

func (in *SetStateInput) resources(region, account string) []string {
	return []string{alarm.ARN(region, account, in.AlarmName)}
}

func (a *API) setState(ctx context.Context, account string, in *SetStateInput) (*nothing, error) {
	if in.StateReasonData != "" && !jsontext.Value(in.StateReasonData).IsValid() {
		return nil, refuse(invalidFormat, "StateReasonData was not valid JSON")
	}
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		row, err := tx.Alarm(account, in.AlarmName)
		if err != nil {
			return err
		}
		turned, err := alarm.Turn(tx, a.region, row, metric.State(in.StateValue), *in.StateReason, in.StateReasonData)
		if err == nil && !turned {
			return fault.New(fault.Unavailable, "the alarm was changed by another at the same time, try again")
		}
		return err
	})
}

// NamesInput names alarms.
type NamesInput struct {
	AlarmNames []string `json:"AlarmNames" required:"true" validate:"AlarmNames"`
}

func (in *NamesInput) resources(region, account string) []string {
	if len(in.AlarmNames) == 0 {
		return []string{alarm.ARN(region, account, "*")}
	}
	return collect(in.AlarmNames, func(name string) string { return alarm.ARN(region, account, name) })
}

func (a *API) enableActions(ctx context.Context, account string, in *NamesInput) (*nothing, error) {
	return nil, a.switchActions(ctx, account, in.AlarmNames, true)
}

func (a *API) disableActions(ctx context.Context, account string, in *NamesInput) (*nothing, error) {
	return nil, a.switchActions(ctx, account, in.AlarmNames, false)
}

// switchActions leaves out alarms that do not exist, as CloudWatch does.
func (a *API) switchActions(ctx context.Context, account string, names []string, on bool) error {
	return a.db.Update(ctx, func(tx *catalog.Tx) error {
		for _, name := range names {
			row, err := tx.Alarm(account, name)
			switch {
			case fault.Is(err, fault.NotFound) || err == nil && row.Actions == on:
				continue
			case err != nil:
				return err
			}
			if err := tx.SwitchAlarmActions(account, name, on); err != nil {
				return err
			}
			if err := configured(tx, account, name, "updated"); err != nil {
				return err
			}
		}
		return nil
	})
}

// deleteAlarms deletes all or, when one does not exist, none.
func (a *API) deleteAlarms(ctx context.Context, account string, in *NamesInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		for _, name := range slices.Compact(slices.Sorted(slices.Values(in.AlarmNames))) {
			switch there, err := tx.DeleteAlarm(account, name); {
			case err != nil:
				return err
			case !there:
				return fault.New(fault.NotFound, "Alarm %s does not exist: nothing was deleted.", name)
			}
			if err := tx.DeleteTags(alarm.ARN(a.region, account, name)); err != nil {
				return err
			}
			if err := configured(tx, account, name, "deleted"); err != nil {
				return err
			}
		}
		return nil
	})
}
