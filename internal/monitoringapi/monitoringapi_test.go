package monitoringapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packhouse/internal/access"
	"packhouse/internal/awscbor"
	"packhouse/internal/awsjson"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/identity"
	"packhouse/internal/metric"
	"packhouse/internal/monitoringapi"
	"packhouse/internal/restjson"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	alerts  = "arn:aws:sns:us-east-1:123456789012:alerts"
)

// figures is a source of metrics that a test fills.
type figures struct {
	mu     sync.Mutex
	points map[metric.ID][]metric.Point
	err    error
}

func (f *figures) Metrics(context.Context, string) ([]metric.ID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []metric.ID
	for id := range f.points {
		list = append(list, id)
	}
	return list, f.err
}

func (f *figures) Points(_ context.Context, _ string, id metric.ID, from, to time.Time, _ time.Duration) (list []metric.Point, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.points[id] {
		if !p.At.Before(from) && p.At.Before(to) {
			list = append(list, p)
		}
	}
	return list, f.err
}

// house is a server with its administrator.
type house struct {
	t       testing.TB
	url     string
	db      *catalog.DB
	key     aws.Credentials
	figures *figures
}

// eachEngine runs a test on both databases.
func eachEngine(t *testing.T, test func(t *testing.T, h *house)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))) })
	t.Run("postgres", func(t *testing.T) { test(t, newHouse(t, pgtest.NewDatabase(t))) })
}

func newHouse(t testing.TB, dsn string) *house {
	t.Helper()
	db, err := catalog.Open(t.Context(), dsn, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	ids := identity.New(db, identity.Options{Region: region})
	made, err := ids.Bootstrap(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	f := &figures{points: map[metric.ID][]metric.Point{}}
	handlers := monitoringapi.New(monitoringapi.Options{DB: db, Identity: ids, Checker: access.New(db), Region: region, Metrics: f})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case awscbor.Serves(r):
			handlers.CBOR.ServeHTTP(w, r)
		case awsjson.Serves(r):
			handlers.JSON.ServeHTTP(w, r)
		default:
			handlers.Query.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return &house{t, server.URL, db, aws.Credentials{AccessKeyID: made.ID, SecretAccessKey: string(made.Secret)}, f}
}

// user is the house as somebody who may do what a policy says.
func (h *house) user(name, document string) *house {
	h.t.Helper()
	err := h.db.Update(h.t.Context(), func(tx *catalog.Tx) error {
		if err := tx.InsertUser(catalog.User{Account: account, Name: name, Path: "/", ID: "AIDA" + name, Created: tx.Now()}); err != nil {
			return err
		}
		if err := tx.PutIdentityPolicy(catalog.IdentityPolicy{Account: account, PrincipalKind: catalog.PrincipalUser, PrincipalName: name, PolicyName: "p", Document: document}); err != nil {
			return err
		}
		return tx.InsertAccessKey(catalog.AccessKey{Account: account, ID: "AKIAEXAMPLE" + name, UserName: name, Secret: "secret", Status: catalog.KeyActive, Created: tx.Now()})
	})
	if err != nil {
		h.t.Fatal(err)
	}
	other := *h
	other.key = aws.Credentials{AccessKeyID: "AKIAEXAMPLE" + name, SecretAccessKey: "secret"}
	return &other
}

// sdk is the client that speaks CBOR.
func (h *house) sdk() *cloudwatch.Client {
	return cloudwatch.New(cloudwatch.Options{
		BaseEndpoint: &h.url, Region: region, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(h.key.AccessKeyID, h.key.SecretAccessKey, ""),
	})
}

// send signs and sends a body.
func (h *house) send(head map[string]string, body string) (*http.Response, string) {
	h.t.Helper()
	return h.to("/", head, body)
}

func (h *house) to(path string, head map[string]string, body string) (*http.Response, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for name, value := range head {
		req.Header.Set(name, value)
	}
	hash := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(h.t.Context(), h.key, req, hex.EncodeToString(hash[:]), monitoringapi.Service, region, time.Now()); err != nil {
		h.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res, string(text)
}

func (h *house) json(operation string, in any) (*http.Response, map[string]any) {
	h.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		h.t.Fatal(err)
	}
	res, text := h.send(map[string]string{"X-Amz-Target": monitoringapi.Target + "." + operation, "Content-Type": "application/x-amz-json-1.0"}, string(body))
	var out map[string]any
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&out); err != nil {
		h.t.Fatalf("%s: %q: %v", operation, text, err)
	}
	return res, out
}

func (h *house) query(operation string, in url.Values) (*http.Response, string) {
	h.t.Helper()
	in.Set("Action", operation)
	in.Set("Version", "2010-08-01")
	return h.send(map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, in.Encode())
}

// storage is the alarm of the issue.
func storage() *cloudwatch.PutMetricAlarmInput {
	return &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("storage high"), AlarmDescription: aws.String("more than 100 GB"), MetricName: aws.String("RepositoryStorageUsed"),
		Namespace: aws.String("AWS/CodeArtifact"), Statistic: types.StatisticAverage, Period: aws.Int32(3600), Threshold: aws.Float64(107374182400),
		ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold, AlarmActions: []string{alerts},
	}
}

func wantCode(t *testing.T, err error, code, words string) {
	t.Helper()
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), words) {
		t.Errorf("got %v, want %s: ...%s...", err, code, words)
	}
}

func TestAlarms(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		ctx, c := t.Context(), h.sdk()
		in := storage()
		in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("platform")}}
		if _, err := c.PutMetricAlarm(ctx, in); err != nil {
			t.Fatal(err)
		}
		out, err := c.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"storage high"}})
		if err != nil || len(out.MetricAlarms) != 1 {
			t.Fatalf("%v, %+v", err, out)
		}
		a := out.MetricAlarms[0]
		if a.StateTransitionedTimestamp == nil || time.Since(*a.AlarmConfigurationUpdatedTimestamp) > time.Minute {
			t.Errorf("times %v, %v", a.StateTransitionedTimestamp, a.AlarmConfigurationUpdatedTimestamp)
		}
		a.StateTransitionedTimestamp, a.StateUpdatedTimestamp, a.AlarmConfigurationUpdatedTimestamp = nil, nil, nil
		arn := "arn:aws:cloudwatch:us-east-1:123456789012:alarm:storage high"
		want := types.MetricAlarm{
			AlarmName: in.AlarmName, AlarmArn: &arn, AlarmDescription: in.AlarmDescription, ActionsEnabled: aws.Bool(true),
			OKActions: []string{}, AlarmActions: []string{alerts}, InsufficientDataActions: []string{}, Dimensions: []types.Dimension{},
			StateValue: types.StateValueInsufficientData, StateReason: aws.String("Unchecked: Initial alarm creation"),
			MetricName: in.MetricName, Namespace: in.Namespace, Statistic: in.Statistic, Period: in.Period, EvaluationPeriods: aws.Int32(1),
			Threshold: in.Threshold, ComparisonOperator: in.ComparisonOperator, TreatMissingData: aws.String("missing"),
		}
		if diff := cmp.Diff(fmt.Sprintf("%+v", jsonOf(t, want)), fmt.Sprintf("%+v", jsonOf(t, a))); diff != "" {
			t.Error(diff)
		}
		tags, err := c.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: &arn})
		if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "platform" {
			t.Errorf("tags %+v, %v", tags, err)
		}

		// changed: the state stays, the tags too
		in.Threshold, in.EvaluationPeriods, in.DatapointsToAlarm, in.Tags = aws.Float64(0.5), aws.Int32(3), aws.Int32(2), nil
		in.Dimensions = []types.Dimension{{Name: aws.String("DomainName"), Value: aws.String("acme")}}
		if _, err := c.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: in.AlarmName, StateValue: types.StateValueOk, StateReason: aws.String("by hand")}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutMetricAlarm(ctx, in); err != nil {
			t.Fatal(err)
		}
		forMetric, err := c.DescribeAlarmsForMetric(ctx, &cloudwatch.DescribeAlarmsForMetricInput{MetricName: in.MetricName, Namespace: in.Namespace, Dimensions: in.Dimensions})
		if err != nil || len(forMetric.MetricAlarms) != 1 {
			t.Fatalf("%v, %+v", err, forMetric)
		}
		if a := forMetric.MetricAlarms[0]; a.StateValue != types.StateValueOk || *a.DatapointsToAlarm != 2 || *a.Threshold != 0.5 {
			t.Errorf("changed %+v", a)
		}
		if none, err := c.DescribeAlarmsForMetric(ctx, &cloudwatch.DescribeAlarmsForMetricInput{MetricName: in.MetricName, Namespace: in.Namespace}); err != nil || len(none.MetricAlarms) != 0 {
			t.Errorf("without dimensions: %v, %+v", err, none)
		}

		// switched, listed, deleted
		for _, name := range []string{"a", "b"} {
			other := storage()
			other.AlarmName = &name
			if _, err := c.PutMetricAlarm(ctx, other); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.DisableAlarmActions(ctx, &cloudwatch.DisableAlarmActionsInput{AlarmNames: []string{"a", "none"}}); err != nil {
			t.Error(err)
		}
		var names []string
		pages := cloudwatch.NewDescribeAlarmsPaginator(c, &cloudwatch.DescribeAlarmsInput{MaxRecords: aws.Int32(1)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page.MetricAlarms {
				names = append(names, fmt.Sprint(*a.AlarmName, *a.ActionsEnabled))
			}
		}
		if diff := cmp.Diff([]string{"afalse", "btrue", "storage hightrue"}, names); diff != "" {
			t.Error(diff)
		}
		for filter, want := range map[*cloudwatch.DescribeAlarmsInput]int{
			{StateValue: types.StateValueOk}:                                      1,
			{AlarmNamePrefix: aws.String("b")}:                                    1,
			{ActionPrefix: aws.String("arn:aws:sns:us-east-1:123456789012:al")}:   3,
			{ActionPrefix: aws.String("arn:aws:lambda")}:                          0,
			{AlarmTypes: []types.AlarmType{types.AlarmTypeCompositeAlarm}}:        0,
			{AlarmNames: []string{"a", "storage high", "none"}}:                   2,
			{ParentsOfAlarmName: aws.String("a")}:                                 0,
			{AlarmNamePrefix: aws.String("s"), StateValue: types.StateValueAlarm}: 0,
		} {
			if out, err := c.DescribeAlarms(ctx, filter); err != nil || len(out.MetricAlarms) != want {
				t.Errorf("%+v: %v, %d alarms", jsonOf(t, filter), err, len(out.MetricAlarms))
			}
		}
		_, err = c.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"a", "none"}})
		wantCode(t, err, "ResourceNotFound", "none does not exist")
		if _, err := c.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"a", "storage high"}}); err != nil {
			t.Error(err)
		}
		_, err = c.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: &arn})
		wantCode(t, err, "ResourceNotFoundException", "alarm that exists")

		// history, oldest first
		var history []string
		items := cloudwatch.NewDescribeAlarmHistoryPaginator(c, &cloudwatch.DescribeAlarmHistoryInput{AlarmName: in.AlarmName, ScanBy: types.ScanByTimestampAscending, MaxRecords: aws.Int32(2)})
		for items.HasMorePages() {
			page, err := items.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range page.AlarmHistoryItems {
				history = append(history, string(i.HistoryItemType)+": "+*i.HistorySummary)
			}
		}
		wantHistory := []string{
			`ConfigurationUpdate: Alarm "storage high" created`, "StateUpdate: Alarm updated from INSUFFICIENT_DATA to OK",
			`ConfigurationUpdate: Alarm "storage high" updated`, `ConfigurationUpdate: Alarm "storage high" deleted`,
		}
		if diff := cmp.Diff(wantHistory, history); diff != "" {
			t.Error(diff)
		}
	})
}

// jsonOf is a value as JSON, nil members left out.
func jsonOf(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	for name, value := range out {
		if value == nil {
			delete(out, name)
		}
	}
	delete(out, "ResultMetadata")
	return out
}

func TestPutMetricAlarm_Refused(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	for _, c := range []struct {
		change      func(*cloudwatch.PutMetricAlarmInput)
		code, words string
	}{
		{func(in *cloudwatch.PutMetricAlarmInput) { in.AlarmName = aws.String("a\x01") }, "ValidationError", "alarmName"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.MetricName = nil }, "MissingParameter", "MetricName"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.Threshold = nil }, "MissingParameter", "Threshold"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.ComparisonOperator = "" }, "MissingParameter", "ComparisonOperator"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.Statistic = "p99" }, "ValidationError", "enum"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.ExtendedStatistic = aws.String("p99") }, "InvalidParameterValue", "percentiles"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.Period = aws.Int32(30) }, "InvalidParameterValue", "multiple of 60"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluationPeriods = aws.Int32(169) }, "InvalidParameterCombination", "a week"},
		{func(in *cloudwatch.PutMetricAlarmInput) {
			in.Period, in.EvaluationPeriods = aws.Int32(60), aws.Int32(1441)
		}, "InvalidParameterCombination", "a day"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluationPeriods = aws.Int32(0) }, "ValidationError", "greater than or equal to 1"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.DatapointsToAlarm = aws.Int32(2) }, "InvalidParameterCombination", "DatapointsToAlarm"},
		{func(in *cloudwatch.PutMetricAlarmInput) {
			in.AlarmActions = []string{"arn:aws:lambda:us-east-1:1:function:f"}
		}, "InvalidParameterValue", "actions are topics"},
		{func(in *cloudwatch.PutMetricAlarmInput) {
			in.OKActions = []string{"arn:aws:sns:eu-west-1:123456789012:x"}
		}, "InvalidParameterValue", "Only us-east-1 is supported"},
		{func(in *cloudwatch.PutMetricAlarmInput) {
			in.ComparisonOperator = types.ComparisonOperatorGreaterThanUpperThreshold
		}, "InvalidParameterValue", "anomaly"},
		{func(in *cloudwatch.PutMetricAlarmInput) {
			in.Metrics = []types.MetricDataQuery{{Id: aws.String("a"), Expression: aws.String("b")}}
		}, "InvalidParameterValue", "metric math"},
		{func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluationInterval = aws.Int32(60) }, "InvalidParameterValue", "PromQL"},
		{func(in *cloudwatch.PutMetricAlarmInput) {
			in.Tags = []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("")}}
		}, "InvalidParameterValue", "aws:"},
	} {
		in := storage()
		c.change(in)
		_, err := h.sdk().PutMetricAlarm(t.Context(), in)
		wantCode(t, err, c.code, c.words)
	}
	_, err := h.sdk().SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("a"), StateValue: "OK", StateReason: aws.String(""), StateReasonData: aws.String("{")})
	wantCode(t, err, "InvalidFormat", "JSON")
	_, err = h.sdk().DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{NextToken: aws.String("x")})
	wantCode(t, err, "InvalidNextToken", "token")
}

func TestMetrics(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		ctx, c := t.Context(), h.sdk()
		noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
		total, one := metric.ID{Name: "RepositoryStorageUsed"}, metric.ID{Name: "RepositoryStorageUsed", Domain: "acme", Repository: "npm"}
		h.figures.points = map[metric.ID][]metric.Point{
			total: {metric.Sample(noon, 4), metric.Sample(noon.Add(time.Minute), 8), metric.Sample(noon.Add(5*time.Minute), 0.5)},
			one:   {metric.Sample(noon, 1)},
		}
		listed, err := c.ListMetrics(ctx, &cloudwatch.ListMetricsInput{Dimensions: []types.DimensionFilter{{Name: aws.String("RepositoryName")}}})
		if err != nil || len(listed.Metrics) != 1 || *listed.Metrics[0].Dimensions[1].Value != "npm" {
			t.Errorf("%v, %+v", err, listed)
		}
		for _, in := range []*cloudwatch.ListMetricsInput{
			{Namespace: aws.String("AWS/EC2")}, {MetricName: aws.String("Errors")}, {Dimensions: []types.DimensionFilter{{Name: aws.String("DomainName"), Value: aws.String("other")}}},
		} {
			if none, err := c.ListMetrics(ctx, in); err != nil || len(none.Metrics) != 0 {
				t.Errorf("%v, %+v", err, none)
			}
		}
		stats, err := c.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String(metric.Namespace), MetricName: &total.Name, StartTime: &noon, EndTime: aws.Time(noon.Add(time.Hour)), Period: aws.Int32(300),
			Statistics: []types.Statistic{types.StatisticAverage, types.StatisticMaximum, types.StatisticSampleCount},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []types.Datapoint{
			{Timestamp: aws.Time(noon), Average: aws.Float64(6), Maximum: aws.Float64(8), SampleCount: aws.Float64(2), Unit: types.StandardUnitBytes},
			{Timestamp: aws.Time(noon.Add(5 * time.Minute)), Average: aws.Float64(0.5), Maximum: aws.Float64(0.5), SampleCount: aws.Float64(1), Unit: types.StandardUnitBytes},
		}
		if diff := cmp.Diff(fmt.Sprint(jsonOf(t, map[string]any{"d": want})), fmt.Sprint(jsonOf(t, map[string]any{"d": stats.Datapoints}))); diff != "" {
			t.Error(diff)
		}
		query := types.MetricDataQuery{Id: aws.String("m1"), MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: aws.String(metric.Namespace), MetricName: &total.Name}, Period: aws.Int32(60), Stat: aws.String("Sum"),
		}}
		data, err := c.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{MetricDataQueries: []types.MetricDataQuery{query}, StartTime: &noon, EndTime: aws.Time(noon.Add(time.Hour))})
		if err != nil {
			t.Fatal(err)
		}
		r := data.MetricDataResults[0]
		if diff := cmp.Diff([]float64{0.5, 8, 4}, r.Values); diff != "" || r.StatusCode != types.StatusCodeComplete || *r.Label != "RepositoryStorageUsed" || !r.Timestamps[2].Equal(noon) {
			t.Errorf("%s %+v", diff, r)
		}
		expression := types.MetricDataQuery{Id: aws.String("e1"), Expression: aws.String("m1*2")}
		_, err = c.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{MetricDataQueries: []types.MetricDataQuery{query, expression}, StartTime: &noon, EndTime: aws.Time(noon.Add(time.Hour))})
		wantCode(t, err, "InvalidParameterValue", "metric math")
		_, err = c.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{MetricDataQueries: []types.MetricDataQuery{query, query}, StartTime: &noon, EndTime: aws.Time(noon.Add(time.Hour))})
		wantCode(t, err, "InvalidParameterValue", "more than once")
		_, err = c.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String("n"), MetricName: &total.Name, StartTime: &noon, EndTime: aws.Time(noon.Add(25 * time.Hour)), Period: aws.Int32(60), Statistics: []types.Statistic{"Sum"},
		})
		wantCode(t, err, "InvalidParameterCombination", "up to 1500 datapoints")
		_, err = c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("n"), MetricData: []types.MetricDatum{{MetricName: aws.String("m"), Value: aws.Float64(1)}}})
		wantCode(t, err, "InvalidParameterValue", "PutMetricData is not supported")
	})
}

// TestGetMetricData_InParts: whoever asks for few figures at a time gets them all,
// in whichever order and however many fit into a part.
func TestGetMetricData_InParts(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	h.figures.points = map[metric.ID][]metric.Point{
		{Name: "CacheHit"}:  {metric.Sample(noon, 1), metric.Sample(noon.Add(time.Minute), 2), metric.Sample(noon.Add(2*time.Minute), 3)},
		{Name: "CacheMiss"}: {metric.Sample(noon, 4), metric.Sample(noon.Add(time.Minute), 5)},
	}
	var queries []types.MetricDataQuery
	for _, name := range []string{"CacheHit", "Errors", "CacheMiss"} {
		queries = append(queries, types.MetricDataQuery{Id: aws.String("m" + name), MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: aws.String(metric.Namespace), MetricName: aws.String(name)}, Period: aws.Int32(60), Stat: aws.String("Sum"),
		}})
	}
	in := func(scan types.ScanBy, most int32) *cloudwatch.GetMetricDataInput {
		return &cloudwatch.GetMetricDataInput{MetricDataQueries: queries, StartTime: &noon, EndTime: aws.Time(noon.Add(time.Hour)), ScanBy: scan, MaxDatapoints: &most}
	}
	for scan, want := range map[types.ScanBy]map[string][]float64{
		types.ScanByTimestampAscending:  {"mCacheHit": {1, 2, 3}, "mErrors": {}, "mCacheMiss": {4, 5}},
		types.ScanByTimestampDescending: {"mCacheHit": {3, 2, 1}, "mErrors": {}, "mCacheMiss": {5, 4}},
	} {
		for most := int32(1); most <= 6; most++ {
			got, complete := map[string][]float64{}, 0
			for pages := cloudwatch.NewGetMetricDataPaginator(h.sdk(), in(scan, most)); pages.HasMorePages(); {
				p, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for _, r := range p.MetricDataResults {
					got[*r.Id] = append(got[*r.Id], r.Values...)
					if n += len(r.Values); r.StatusCode == types.StatusCodeComplete {
						complete++
					}
				}
				if n > int(most) {
					t.Errorf("%d figures in a part of %d", n, most)
				}
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || complete != 3 {
				t.Errorf("%s by %d, %d complete: %s", scan, most, complete, diff)
			}
		}
	}
	first, err := h.sdk().GetMetricData(t.Context(), in("", 1))
	if err != nil {
		t.Fatal(err)
	}
	other := in(types.ScanByTimestampAscending, 1)
	other.NextToken = first.NextToken
	_, err = h.sdk().GetMetricData(t.Context(), other)
	wantCode(t, err, "InvalidNextToken", "token")
}

// The same operations in the protocols that the SDK for Go does not speak.
// TestMetrics_OfLongAgo: figures of long ago are points of hours and days, which
// periods that begin in the middle of one would miss or mistake.
func TestMetrics_OfLongAgo(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	id, now := metric.ID{Name: "CacheHit"}, time.Now().UTC()
	for _, c := range []struct{ ago, kept, period time.Duration }{
		{2 * time.Hour, time.Minute, time.Hour},
		{10 * 24 * time.Hour, time.Hour, time.Hour},
		{10 * 24 * time.Hour, time.Hour, 24 * time.Hour},
		{200 * 24 * time.Hour, 24 * time.Hour, 24 * time.Hour},
		{2000000 * time.Hour, 0, 365 * 24 * time.Hour}, // before 1970
	} {
		start := now.Add(-c.ago).Truncate(24 * time.Hour).Add(13*time.Hour + 17*time.Minute)
		if c.ago < 24*time.Hour {
			start = now.Add(-c.ago).Truncate(time.Minute)
		}
		at := start.Truncate(max(c.kept, time.Minute))
		if c.kept == 0 {
			at = time.Unix(0, 0).UTC()
		}
		h.figures.points = map[metric.ID][]metric.Point{id: {metric.Sample(at, 4)}}
		out, err := h.sdk().GetMetricStatistics(t.Context(), &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String(metric.Namespace), MetricName: &id.Name, StartTime: &start, EndTime: aws.Time(now.Add(time.Minute)),
			Period: aws.Int32(int32(c.period / time.Second)), Statistics: []types.Statistic{types.StatisticSum},
		})
		if err != nil || len(out.Datapoints) != 1 || *out.Datapoints[0].Sum != 4 || !out.Datapoints[0].Timestamp.Equal(at) {
			t.Errorf("%v ago by %v: %v, %+v, want %v", c.ago, c.period, err, jsonOf(t, map[string]any{"d": out}), at)
		}
	}
}

func TestProtocols(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	res, out := h.json("PutMetricAlarm", map[string]any{
		"AlarmName": "j", "MetricName": "Errors", "Namespace": metric.Namespace, "Statistic": "Sum", "Period": 60, "Threshold": 1.5, "ComparisonOperator": "LessThanThreshold",
	})
	if res.StatusCode != http.StatusOK || len(out) != 0 || res.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		t.Errorf("%d %v %s", res.StatusCode, out, res.Header.Get("Content-Type"))
	}
	res, text := h.query("PutMetricAlarm", url.Values{
		"AlarmName": {"q"}, "MetricName": {"Errors"}, "Namespace": {metric.Namespace}, "Statistic": {"Sum"}, "Period": {"60"}, "Threshold": {"1.5"},
		"ComparisonOperator": {"LessThanThreshold"}, "Dimensions.member.1.Name": {"DomainName"}, "Dimensions.member.1.Value": {"acme"}, "OKActions.member.1": {alerts},
	})
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(text, `<PutMetricAlarmResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ResponseMetadata>`) {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	_, out = h.json("DescribeAlarms", map[string]any{"AlarmNames": []string{"j", "q"}})
	for i, want := range []string{"j", "q"} {
		a := out["MetricAlarms"].([]any)[i].(map[string]any)
		if a["AlarmName"] != want || a["Threshold"] != 1.5 || a["EvaluationPeriods"] != 1.0 {
			t.Errorf("%v", a)
		}
	}
	_, text = h.query("DescribeAlarms", url.Values{"AlarmNames.member.1": {"q"}})
	for _, want := range []string{
		"<Threshold>1.5</Threshold>", "<OKActions><member>" + alerts + "</member></OKActions>",
		"<Dimensions><member><Name>DomainName</Name><Value>acme</Value></member></Dimensions>", "<CompositeAlarms></CompositeAlarms>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
	// failures have the name of the protocol, and in JSON the code of Query too
	res, out = h.json("DeleteAlarms", map[string]any{"AlarmNames": []string{"none"}})
	if res.StatusCode != 400 || out["__type"] != "ResourceNotFound" || res.Header.Get(restjson.QueryErrorHeader) != "ResourceNotFound;Sender" {
		t.Errorf("%d %v %v", res.StatusCode, out, res.Header)
	}
	res, out = h.json("GetMetricData", map[string]any{"MetricDataQueries": []any{map[string]any{"Id": "a"}}, "StartTime": 1, "EndTime": 100})
	if res.StatusCode != 400 || out["__type"] != "MissingRequiredParameterException" || res.Header.Get(restjson.QueryErrorHeader) != "MissingParameter;Sender" {
		t.Errorf("%d %v %v", res.StatusCode, out, res.Header)
	}
	res, text = h.query("DeleteAlarms", url.Values{"AlarmNames.member.1": {"none"}})
	if res.StatusCode != 404 || !strings.Contains(text, "<Type>Sender</Type><Code>ResourceNotFound</Code>") {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	res, text = h.query("PutMetricAlarm", url.Values{"AlarmName": {"q"}, "Threshold": {"NaN"}})
	if res.StatusCode != 400 || !strings.Contains(text, "Threshold: expected a finite number") {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	h.figures.err = errors.New("secret")
	res, text = h.query("ListMetrics", url.Values{})
	if res.StatusCode != 500 || !strings.Contains(text, "<Code>InternalServiceError</Code>") || strings.Contains(text, "secret") {
		t.Errorf("%d %s", res.StatusCode, text)
	}
}

func TestPermissions(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	ctx := t.Context()
	if _, err := h.sdk().PutMetricAlarm(ctx, storage()); err != nil {
		t.Fatal(err)
	}
	u := h.user("ann", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudwatch:PutMetricAlarm","cloudwatch:DeleteAlarms"],`+
		`"Resource":"arn:aws:cloudwatch:us-east-1:123456789012:alarm:mine*"},{"Effect":"Allow","Action":"cloudwatch:Get*","Resource":"*"}]}`).sdk()
	in := storage()
	_, err := u.PutMetricAlarm(ctx, in)
	wantCode(t, err, "AccessDenied", "cloudwatch:PutMetricAlarm")
	in.AlarmName = aws.String("mine one")
	if _, err := u.PutMetricAlarm(ctx, in); err != nil {
		t.Error(err)
	}
	in.Tags = []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
	_, err = u.PutMetricAlarm(ctx, in)
	wantCode(t, err, "AccessDenied", "cloudwatch:TagResource")
	_, err = u.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"mine one", "storage high"}})
	wantCode(t, err, "AccessDenied", "storage high")
	if _, err := u.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"mine one"}}); err != nil {
		t.Error(err)
	}
	_, err = u.ListMetrics(ctx, &cloudwatch.ListMetricsInput{})
	wantCode(t, err, "AccessDenied", "cloudwatch:ListMetrics")
	now := time.Now()
	query := types.MetricDataQuery{Id: aws.String("m"), MetricStat: &types.MetricStat{Metric: &types.Metric{Namespace: aws.String("x"), MetricName: aws.String("y")}, Period: aws.Int32(60), Stat: aws.String("Sum")}}
	if _, err := u.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{StartTime: aws.Time(now.Add(-time.Hour)), EndTime: &now, MetricDataQueries: []types.MetricDataQuery{query}}); err != nil {
		t.Error(err)
	}
}
