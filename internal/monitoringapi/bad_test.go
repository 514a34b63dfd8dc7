package monitoringapi_test

import (
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"packhouse/internal/awscbor"
	"packhouse/internal/monitoringapi"
)

// nasty are values that something behind the operations may not bear.
func nasty() []string {
	return []string{"", "\x00", "a\x00b", "\xff", "a\xc3(", "\ud7ff\uffff", "NaN", "-Infinity", "1e999", "-1", "99999999999999999999", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "arn:aws:cloudwatch:us-east-1:123456789012:alarm:\x00"}
}

// with adds parameters, given as names and values.
func with(v url.Values, more ...string) url.Values {
	out := maps.Clone(v)
	if out == nil {
		out = url.Values{}
	}
	for i := 0; i < len(more); i += 2 {
		out.Set(more[i], more[i+1])
	}
	return out
}

// calls are good inputs of all operations.
func calls() map[string]url.Values {
	metric := url.Values{
		"Namespace": {"AWS/CodeArtifact"}, "MetricName": {"CacheHit"},
		"Dimensions.member.1.Name": {"DomainName"}, "Dimensions.member.1.Value": {"acme"},
	}
	span := []string{"StartTime", "2026-01-01T00:00:00Z", "EndTime", "2026-01-02T00:00:00Z"}
	arn := "arn:aws:cloudwatch:us-east-1:123456789012:alarm:a"
	list := []string{"MaxRecords", "1"}
	return map[string]url.Values{
		"PutMetricAlarm": with(metric, "AlarmName", "a", "AlarmDescription", "d", "Statistic", "Sum", "Period", "60", "EvaluationPeriods", "1", "DatapointsToAlarm", "1",
			"Threshold", "1", "ComparisonOperator", "GreaterThanThreshold", "TreatMissingData", "missing", "Unit", "Count", "ActionsEnabled", "true", "AlarmActions.member.1", alerts,
			"Tags.member.1.Key", "k", "Tags.member.1.Value", "v"),
		"DescribeAlarms":          with(nil, append(list, "AlarmNames.member.1", "a", "StateValue", "OK", "ActionPrefix", "arn")...),
		"DescribeAlarmsForMetric": with(metric, "Statistic", "Sum", "Period", "60", "Unit", "Count"),
		"DescribeAlarmHistory":    with(nil, append(list, "AlarmName", "a", "HistoryItemType", "Action", "StartDate", span[1], "EndDate", span[3], "ScanBy", "TimestampAscending")...),
		"SetAlarmState":           with(nil, "AlarmName", "a", "StateValue", "OK", "StateReason", "r", "StateReasonData", "{}"),
		"EnableAlarmActions":      with(nil, "AlarmNames.member.1", "a"),
		"DisableAlarmActions":     with(nil, "AlarmNames.member.1", "a"),
		"DeleteAlarms":            with(nil, "AlarmNames.member.1", "b"),
		"ListMetrics":             with(metric, "RecentlyActive", "PT3H", "OwningAccount", account),
		"GetMetricStatistics":     with(metric, append(span, "Period", "31536000", "Statistics.member.1", "Sum", "Unit", "Count")...),
		"GetMetricData": with(nil, append(span, "MetricDataQueries.member.1.Id", "a", "MetricDataQueries.member.1.Label", "l", "MaxDatapoints", "1000", "ScanBy", "TimestampAscending",
			"MetricDataQueries.member.1.MetricStat.Period", "31536000", "MetricDataQueries.member.1.MetricStat.Stat", "Sum",
			"MetricDataQueries.member.1.MetricStat.Metric.Namespace", "AWS/CodeArtifact", "MetricDataQueries.member.1.MetricStat.Metric.MetricName", "CacheHit",
			"MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Name", "DomainName", "MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Value", "acme")...),
		"PutMetricData":       with(nil, "Namespace", "x"),
		"ListTagsForResource": with(nil, "ResourceARN", arn),
		"TagResource":         with(nil, "ResourceARN", arn, "Tags.member.1.Key", "k", "Tags.member.1.Value", "v"),
		"UntagResource":       with(nil, "ResourceARN", arn, "TagKeys.member.1", "k"),
	}
}

// TestBadInput_IsNeverOurFault puts values that nobody expects into each member
// of each operation.
func TestBadInput_IsNeverOurFault(t *testing.T) {
	calls := calls()
	for _, row := range monitoringapi.Table() {
		if calls[row.Name()] == nil {
			t.Errorf("there is no call of %s here", row.Name())
		}
	}
	eachEngine(t, func(t *testing.T, h *house) {
		if res, text := h.query("PutMetricAlarm", maps.Clone(calls["PutMetricAlarm"])); res.StatusCode != 200 {
			t.Fatal(text)
		}
		for _, action := range slices.Sorted(maps.Keys(calls)) {
			res, text := h.query(action, maps.Clone(calls[action]))
			if refused := action == "DeleteAlarms" || action == "PutMetricData"; res.StatusCode != 200 && !refused {
				t.Errorf("%s: %d %s", action, res.StatusCode, text)
			}
			for name := range with(calls[action], "NextToken", "x") {
				for _, value := range nasty() {
					if res, text := h.query(action, with(calls[action], name, value)); res.StatusCode >= 500 {
						t.Errorf("%s with %s=%q: %d %s", action, name, value, res.StatusCode, text)
					}
				}
			}
		}
		if res, text := h.query("DescribeAlarms", url.Values{}); res.StatusCode != 200 {
			t.Error(text)
		}
	})
}

// TestPermissions_OfEveryOperation: whoever is permitted nothing may do nothing,
// and whoever is permitted an operation may do it.
func TestPermissions_OfEveryOperation(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	nobody := h.user("NOBODY", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}]}`)
	for action, form := range calls() {
		if res, text := nobody.query(action, maps.Clone(form)); res.StatusCode != 403 || !strings.Contains(text, "cloudwatch:"+action) {
			t.Errorf("%s: %d %s", action, res.StatusCode, text)
		}
		actions := `"cloudwatch:` + action + `"`
		if action == "PutMetricAlarm" {
			actions += `,"cloudwatch:TagResource"`
		}
		one := h.user(action, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[`+actions+`],"Resource":"*"}]}`)
		if res, text := one.query(action, maps.Clone(form)); res.StatusCode == 403 {
			t.Errorf("%s: %d %s", action, res.StatusCode, text)
		}
	}
}

// FuzzCBOR sends what it likes to an operation of its choice.
func FuzzCBOR(f *testing.F) {
	h := newHouse(f, "sqlite:"+filepath.Join(f.TempDir(), "catalog.db"))
	rows := monitoringapi.Table()
	for i := range rows {
		for _, in := range []any{
			map[string]any{"AlarmName": "a", "AlarmNames": []string{"a"}, "StateValue": "OK", "StateReason": "r", "MetricName": "m", "Namespace": "AWS/CodeArtifact"},
			map[string]any{"StartTime": cbor.Tag{Number: 1, Content: 1.5}, "EndTime": cbor.Tag{Number: 1, Content: 1e11}, "Period": 60, "Statistics": []string{"Sum"}, "Namespace": "n", "MetricName": "m"},
			map[string]any{"NextToken": "x", "MaxRecords": 1 << 40, "Dimensions": []any{map[string]any{"Name": "DomainName", "Value": nil}}},
		} {
			body, err := cbor.Marshal(in)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), body)
		}
	}
	f.Fuzz(func(t *testing.T, row uint8, body []byte) {
		mine := *h
		mine.t = t
		name := rows[int(row)%len(rows)].Name()
		if res, text := mine.to("/service/"+monitoringapi.Target+"/operation/"+name, map[string]string{awscbor.ProtocolHeader: "rpc-v2-cbor", "Content-Type": "application/cbor"}, string(body)); res.StatusCode >= 500 {
			t.Errorf("%s %x: %d %q", name, body, res.StatusCode, text)
		}
	})
}
