package monitoringapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"packhouse/internal/fault"
	"packhouse/internal/metric"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

const (
	maxMetrics    = 500     // in an answer
	maxDatapoints = 1440    // of GetMetricStatistics
	maxValues     = 100_800 // of GetMetricData, in an answer
)

func (a *API) metricRows() []restjson.Row {
	return []restjson.Row{
		op(a, "ListMetrics", "list the metrics of the account", a.listMetrics),
		op(a, "GetMetricStatistics", "get statistics of a metric", a.getStatistics),
		op(a, "GetMetricData", "get statistics of several metrics", a.getData),
		op(a, "PutMetricData", "is refused: metrics are made by the server", putData),
	}
}

// Dimension is one of the dimensions of a metric.
type Dimension struct {
	Name  string `json:"Name" required:"true" validate:"DimensionName"`
	Value string `json:"Value" required:"true" validate:"DimensionValue"`
}

func dimensionsOf(list []Dimension) []metric.Dimension {
	var out []metric.Dimension
	for _, d := range list {
		out = append(out, metric.Dimension(d))
	}
	return out
}

func dimensionOf(d metric.Dimension) Dimension { return Dimension(d) }

// DimensionFilter chooses metrics by a dimension, whatever its value unless one is
// given.
type DimensionFilter struct {
	Name  string `json:"Name" required:"true" validate:"DimensionName"`
	Value string `json:"Value" validate:"DimensionValue"`
}

// ListMetricsInput chooses metrics.
type ListMetricsInput struct {
	Namespace             string            `json:"Namespace" validate:"Namespace"`
	MetricName            string            `json:"MetricName" validate:"MetricName"`
	Dimensions            []DimensionFilter `json:"Dimensions" validate:"Dimensions"`
	NextToken             *string           `json:"NextToken" validate:"NextToken"`
	RecentlyActive        string            `json:"RecentlyActive" validate:"RecentlyActive"` // all are
	IncludeLinkedAccounts bool              `json:"IncludeLinkedAccounts"`                    // there are none
	OwningAccount         string            `json:"OwningAccount" validate:"AccountID"`
}

func (*ListMetricsInput) resources(string, string) []string { return []string{"*"} }

// Metric names a metric.
type Metric struct {
	Namespace  string      `json:"Namespace" validate:"Namespace"`
	MetricName string      `json:"MetricName" validate:"MetricName"`
	Dimensions []Dimension `json:"Dimensions" validate:"Dimensions"`
}

// ListMetricsOutput is a part of the metrics.
type ListMetricsOutput struct {
	Metrics   []Metric `json:"Metrics"`
	NextToken *string  `json:"NextToken,omitempty"`
}

func (in *ListMetricsInput) chooses(id metric.ID) bool {
	if in.Namespace != "" && in.Namespace != metric.Namespace || in.MetricName != "" && in.MetricName != id.Name {
		return false
	}
	dimensions := id.Dimensions()
	for _, f := range in.Dimensions {
		if !slices.ContainsFunc(dimensions, func(d metric.Dimension) bool { return d.Name == f.Name && (f.Value == "" || d.Value == f.Value) }) {
			return false
		}
	}
	return true
}

func (a *API) listMetrics(ctx context.Context, account string, in *ListMetricsInput) (*ListMetricsOutput, error) {
	if in.OwningAccount != "" && in.OwningAccount != account {
		return nil, refuse(invalidValue, "OwningAccount: the metrics of other accounts are not shown")
	}
	filter := []string{account, in.Namespace, in.MetricName}
	for _, d := range in.Dimensions {
		filter = append(filter, d.Name, d.Value)
	}
	load := func(after metric.ID, limit int) ([]metric.ID, error) {
		all, err := a.metrics.Metrics(ctx, account)
		if err != nil {
			return nil, err
		}
		var list []metric.ID
		for _, id := range all {
			if id.Compare(after) > 0 && in.chooses(id) && len(list) < limit {
				list = append(list, id)
			}
		}
		return list, nil
	}
	list, next, err := part(in.NextToken, nil, maxMetrics, "ListMetrics", filter, load, func(id metric.ID) metric.ID { return id })
	return &ListMetricsOutput{collect(list, func(id metric.ID) Metric {
		return Metric{metric.Namespace, id.Name, collect(id.Dimensions(), dimensionOf)}
	}), next}, err
}

// wholeMinutes tells whether a period is one that figures are kept for.
func wholeMinutes(seconds int) error {
	if seconds <= 0 || seconds%60 != 0 {
		return refuse(invalidValue, "The parameter Period must be a multiple of 60: figures are kept by the minute")
	}
	return nil
}

// span is the time that is asked for, from the minute that it begins in.
func span(start, end time.Time) (from, to time.Time, err error) {
	if !start.Before(end) {
		return from, to, refuse(invalidCombination, "The parameter StartTime must be less than the parameter EndTime.")
	}
	if epoch := time.Unix(0, 0); start.Before(epoch) { // there is nothing before, and lengths of time have an end
		start = epoch
	}
	return start.UTC().Truncate(time.Minute), end.UTC(), nil
}

// GetStatisticsInput chooses a metric, a time and statistics.
type GetStatisticsInput struct {
	Namespace          string         `json:"Namespace" required:"true" validate:"Namespace"`
	MetricName         string         `json:"MetricName" required:"true" validate:"MetricName"`
	Dimensions         []Dimension    `json:"Dimensions" validate:"Dimensions"`
	StartTime          *restjson.Time `json:"StartTime" required:"true"`
	EndTime            *restjson.Time `json:"EndTime" required:"true"`
	Period             *int           `json:"Period" required:"true" validate:"DataPeriod"`
	Statistics         []string       `json:"Statistics" validate:"Statistics"`
	ExtendedStatistics []string       `json:"ExtendedStatistics" validate:"Extended"`
	Unit               string         `json:"Unit" validate:"Unit"`
}

func (*GetStatisticsInput) resources(string, string) []string { return []string{"*"} }

// Datapoint is a period with the statistics that were asked for.
type Datapoint struct {
	Timestamp   *restjson.Time `json:"Timestamp"`
	SampleCount *float64       `json:"SampleCount,omitempty"`
	Average     *float64       `json:"Average,omitempty"`
	Sum         *float64       `json:"Sum,omitempty"`
	Minimum     *float64       `json:"Minimum,omitempty"`
	Maximum     *float64       `json:"Maximum,omitempty"`
	Unit        string         `json:"Unit"`
}

// GetStatisticsOutput is the periods that have samples, in the order of time.
type GetStatisticsOutput struct {
	Label      string      `json:"Label"`
	Datapoints []Datapoint `json:"Datapoints"`
}

// noPercentiles is why extended statistics are refused.
func noPercentiles(asked string) error {
	return refuse(invalidValue, "The statistic %s cannot be had: percentiles and the like are not kept, only SampleCount, Average, Sum, Minimum and Maximum", asked)
}

func (a *API) getStatistics(ctx context.Context, account string, in *GetStatisticsInput) (*GetStatisticsOutput, error) {
	switch {
	case len(in.ExtendedStatistics) > 0:
		return nil, noPercentiles(in.ExtendedStatistics[0])
	case len(in.Statistics) == 0:
		return nil, refuse(missingParameter, "The parameter Statistics is required: at least one of SampleCount, Average, Sum, Minimum, Maximum")
	}
	if err := wholeMinutes(*in.Period); err != nil {
		return nil, err
	}
	from, to, err := span(in.StartTime.Time, in.EndTime.Time)
	if err != nil {
		return nil, err
	}
	length := time.Duration(*in.Period) * time.Second
	if n := to.Sub(from) / length; n > maxDatapoints {
		return nil, refuse(invalidCombination, "You have requested up to %d datapoints, which exceeds the limit of %d. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n, maxDatapoints)
	}
	if kept := metric.Resolution(a.now().Sub(from)); kept <= length {
		from = from.Truncate(kept) // so that the points that are left lie in the periods that they are of
	}
	periods, kind, err := a.periods(ctx, account, metricAsked{in.Namespace, in.MetricName, in.Dimensions, in.Unit}, from, to, length)
	out := &GetStatisticsOutput{Label: in.MetricName, Datapoints: []Datapoint{}}
	for _, p := range periods {
		d := Datapoint{Timestamp: at(p.At), Unit: kind.Unit}
		for _, s := range in.Statistics {
			value := p.Value(metric.Statistic(s))
			switch metric.Statistic(s) {
			case metric.SampleCount:
				d.SampleCount = &value
			case metric.Average:
				d.Average = &value
			case metric.Sum:
				d.Sum = &value
			case metric.Minimum:
				d.Minimum = &value
			case metric.Maximum:
				d.Maximum = &value
			}
		}
		out.Datapoints = append(out.Datapoints, d)
	}
	return out, err
}

// metricAsked is a metric as a caller names it.
type metricAsked struct {
	namespace, name string
	dimensions      []Dimension
	unit            string
}

// periods reads a metric. There are none of a metric that does not exist, or has
// another unit.
func (a *API) periods(ctx context.Context, account string, m metricAsked, from, to time.Time, length time.Duration) ([]metric.Point, metric.Kind, error) {
	id, ok := metric.IDOf(m.namespace, m.name, dimensionsOf(m.dimensions))
	kind, _ := metric.KindOf(m.name)
	if !ok || m.unit != "" && m.unit != kind.Unit {
		return nil, kind, nil
	}
	points, err := a.metrics.Points(ctx, account, id, from, to, length)
	return metric.Periods(points, from, length), kind, err
}

// MetricStat is a statistic of a metric.
type MetricStat struct {
	Metric *Metric `json:"Metric" required:"true"`
	Period *int    `json:"Period" required:"true" validate:"DataPeriod"`
	Stat   string  `json:"Stat" required:"true" validate:"Stat"`
	Unit   string  `json:"Unit" validate:"Unit"`
}

// MetricDataQuery is one question.
type MetricDataQuery struct {
	ID         string      `json:"Id" required:"true" validate:"QueryID"`
	MetricStat *MetricStat `json:"MetricStat"`
	Expression *string     `json:"Expression" validate:"Expression"`
	Label      *string     `json:"Label"`
	ReturnData *bool       `json:"ReturnData"`
	Period     *int        `json:"Period" validate:"DataPeriod"`
	AccountID  *string     `json:"AccountId" validate:"AccountID"`
}

// LabelOptions say how labels tell time, which they do not here.
type LabelOptions struct {
	Timezone string `json:"Timezone"`
}

// GetDataInput is some questions about a time.
type GetDataInput struct {
	MetricDataQueries []MetricDataQuery `json:"MetricDataQueries" required:"true" validate:"Queries"`
	StartTime         *restjson.Time    `json:"StartTime" required:"true"`
	EndTime           *restjson.Time    `json:"EndTime" required:"true"`
	NextToken         *string           `json:"NextToken" validate:"NextToken"`
	ScanBy            string            `json:"ScanBy" validate:"ScanBy"`
	MaxDatapoints     *int              `json:"MaxDatapoints" validate:"Datapoints"`
	LabelOptions      *LabelOptions     `json:"LabelOptions"`
}

func (*GetDataInput) resources(string, string) []string { return []string{"*"} }

// MetricDataResult is one answer. The values are in the order of the times.
type MetricDataResult struct {
	ID         string          `json:"Id"`
	Label      string          `json:"Label"`
	Timestamps []restjson.Time `json:"Timestamps"`
	Values     []float64       `json:"Values"`
	StatusCode string          `json:"StatusCode"`
}

// MessageData is a word about an answer.
type MessageData struct {
	Code  string `json:"Code"`
	Value string `json:"Value"`
}

// GetDataOutput is the answers, or a part of them.
type GetDataOutput struct {
	NextToken         *string            `json:"NextToken,omitempty"`
	MetricDataResults []MetricDataResult `json:"MetricDataResults"`
	Messages          []MessageData      `json:"Messages"`
}

// dataKey is how far answers have been given: of the questions before Query all,
// of that one up to the period that begins at After.
type dataKey struct {
	Query int
	After *int64 // seconds since 1970; nil: nothing yet
}

// check gives nil when a question can be answered.
func (q MetricDataQuery) check(account string) error {
	switch {
	case q.Expression != nil:
		return refuse(invalidValue, "The query %s has an Expression: metric math is not supported, ask with MetricStat", q.ID)
	case q.MetricStat == nil:
		return refuse(missingParameter, "The query %s has no MetricStat", q.ID)
	case q.Period != nil:
		return refuse(invalidCombination, "The query %s has a Period beside that of its MetricStat", q.ID)
	case text(q.AccountID) != "" && *q.AccountID != account:
		return refuse(invalidValue, "The query %s is about another account", q.ID)
	case !slices.Contains(metric.Statistics(), metric.Statistic(q.MetricStat.Stat)):
		return noPercentiles(q.MetricStat.Stat)
	}
	return wholeMinutes(*q.MetricStat.Period)
}

func (a *API) getData(ctx context.Context, account string, in *GetDataInput) (*GetDataOutput, error) {
	start, end, err := span(in.StartTime.Time, in.EndTime.Time)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, q := range in.MetricDataQueries {
		if err := q.check(account); err != nil {
			return nil, err
		}
		if seen[q.ID] {
			return nil, refuse(invalidValue, "The id %s is used more than once", q.ID)
		}
		seen[q.ID] = true
	}
	asked, err := json.Marshal(in.MetricDataQueries, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("write the questions: %w", err)
	}
	pages := page.For[dataKey]("GetMetricData", account, string(asked), start.String(), end.String(), in.ScanBy)
	from, _, err := pages.Key(text(in.NextToken))
	if err != nil || from.Query < 0 {
		return nil, restjson.WithCode(invalidToken, cmp.Or(err, fault.New(fault.Invalid, "invalid next token")))
	}
	left := maxValues
	if in.MaxDatapoints != nil {
		left = *in.MaxDatapoints
	}
	out := &GetDataOutput{nil, []MetricDataResult{}, []MessageData{}}
	for ; from.Query < len(in.MetricDataQueries); from = (dataKey{from.Query + 1, nil}) {
		q := in.MetricDataQueries[from.Query]
		if q.ReturnData != nil && !*q.ReturnData {
			continue
		}
		r, err := a.answer(ctx, account, in, q, start, end, from.After, left)
		if err != nil {
			return nil, err
		}
		out.MetricDataResults = append(out.MetricDataResults, r)
		if left -= len(r.Values); r.StatusCode == partial {
			if n := len(r.Timestamps); n > 0 {
				after := r.Timestamps[n-1].Unix()
				from.After = &after
			}
			next := pages.Token(from)
			out.NextToken = &next
			break
		}
	}
	return out, nil
}

const partial = "PartialData" // the StatusCode of an answer that goes on in another part

// answer answers a question with up to most of the periods after one, in the
// order that is asked for.
func (a *API) answer(ctx context.Context, account string, in *GetDataInput, q MetricDataQuery, start, end time.Time, after *int64, most int) (r MetricDataResult, err error) {
	length := time.Duration(*q.MetricStat.Period) * time.Second
	m := q.MetricStat.Metric
	periods, _, err := a.periods(ctx, account, metricAsked{m.Namespace, m.MetricName, m.Dimensions, q.MetricStat.Unit}, start.Truncate(length), end, length)
	if err != nil {
		return r, err
	}
	ascending := in.ScanBy == "TimestampAscending"
	if !ascending {
		slices.Reverse(periods)
	}
	if after != nil {
		periods = slices.DeleteFunc(periods, func(p metric.Point) bool {
			begins := p.At.Unix()
			return begins == *after || (begins < *after) == ascending
		})
	}
	r = MetricDataResult{ID: q.ID, Label: label(q), Timestamps: []restjson.Time{}, Values: []float64{}, StatusCode: "Complete"}
	if len(periods) > most {
		periods, r.StatusCode = periods[:most], partial
	}
	for _, p := range periods {
		r.Timestamps = append(r.Timestamps, *at(p.At))
		r.Values = append(r.Values, p.Value(metric.Statistic(q.MetricStat.Stat)))
	}
	return r, nil
}

// label is the one that was asked for, or names the metric.
func label(q MetricDataQuery) string {
	if q.Label != nil {
		return *q.Label
	}
	m := q.MetricStat.Metric
	words := []string{}
	for _, d := range m.Dimensions {
		words = append(words, d.Value)
	}
	return strings.Join(append(words, m.MetricName), " ")
}

// PutDataInput is not looked at.
type PutDataInput struct {
	Namespace string `json:"Namespace"`
}

func (*PutDataInput) resources(string, string) []string { return []string{"*"} }

func putData(context.Context, string, *PutDataInput) (*nothing, error) {
	return nil, refuse(invalidValue, "PutMetricData is not supported: the metrics of %s are made by the server, and there are no others", metric.Namespace)
}
