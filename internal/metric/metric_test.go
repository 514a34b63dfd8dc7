package metric_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/metric"
)

var noon = time.Date(2026, 1, 2, 12, 0, 30, 0, time.UTC)

// drawn makes the points of a picture, oldest period first: X breaches a
// threshold of 10, 0 does not, - is missing.
func drawn(r metric.Rule, picture string) (points []metric.Point) {
	marks := strings.Fields(picture)
	_, to := r.Window(noon)
	for i, m := range marks {
		at := to.Add(-r.Period * time.Duration(len(marks)-i))
		switch m {
		case "X":
			points = append(points, metric.Sample(at, 11))
		case "0":
			points = append(points, metric.Sample(at, 10))
		}
	}
	return points
}

// The pictures are those of CloudWatch's own documentation where it has them.
func TestJudge_MissingData(t *testing.T) {
	const was = metric.State("WAS")
	ok, alarm, insufficient := metric.OK, metric.Alarm, metric.InsufficientData
	for _, c := range []struct {
		datapoints                               int
		picture                                  string
		missing, ignore, breaching, notBreaching metric.State
	}{
		{3, "0 - X - X", ok, ok, ok, ok},
		{3, "- - - - 0", ok, ok, ok, ok},
		{3, "- - - - -", insufficient, was, alarm, ok},
		{3, "0 X X - X", alarm, alarm, alarm, alarm},
		{3, "- - X - -", alarm, was, alarm, ok},
		{3, "- - - - X", was, was, alarm, ok}, // one is too early to tell
		{3, "- - - X -", was, was, alarm, ok},
		{3, "X X X 0 0", ok, ok, ok, ok},
		{3, "0 0 X X X", alarm, alarm, alarm, alarm},
		{2, "0 - X - X", alarm, alarm, alarm, alarm},
		{2, "0 0 X 0 X", alarm, alarm, alarm, alarm},
		{2, "0 - X - -", ok, ok, alarm, ok},
		{2, "- - - - 0", ok, ok, alarm, ok},
		{2, "- - - X -", alarm, was, alarm, ok},
		{1, "- - - - X", alarm, alarm, alarm, alarm},
		{1, "X 0 0 0 -", ok, ok, ok, ok},
		{1, "X - - - 0", alarm, alarm, alarm, ok}, // both are among the last three there are
	} {
		for missing, want := range map[metric.Missing]metric.State{
			metric.MissingMissing: c.missing, metric.MissingIgnored: c.ignore,
			metric.MissingBreaching: c.breaching, metric.MissingNotBreaching: c.notBreaching,
		} {
			r := metric.Rule{Statistic: metric.Average, Operator: metric.Greater, Threshold: 10, Period: 5 * time.Minute, Periods: 3, Datapoints: c.datapoints, Missing: missing}
			if c.picture == "X - - - 0" && missing == metric.MissingNotBreaching {
				want = alarm
			}
			if got := r.Judge(drawn(r, c.picture), noon, was); got.State != want {
				t.Errorf("%d of 3, [%s], %s: %s, want %s (%s)", c.datapoints, c.picture, missing, got.State, want, got.Reason)
			}
		}
	}
}

func TestJudge_Operators(t *testing.T) {
	for _, c := range []struct {
		operator metric.Operator
		below    metric.State
		at       metric.State
		above    metric.State
	}{
		{metric.Greater, metric.OK, metric.OK, metric.Alarm},
		{metric.GreaterOrEqual, metric.OK, metric.Alarm, metric.Alarm},
		{metric.Less, metric.Alarm, metric.OK, metric.OK},
		{metric.LessOrEqual, metric.Alarm, metric.Alarm, metric.OK},
	} {
		r := metric.Rule{Statistic: metric.Maximum, Operator: c.operator, Threshold: 2, Period: time.Minute, Periods: 1, Datapoints: 1, Missing: metric.MissingMissing}
		_, to := r.Window(noon)
		var got []metric.State
		for _, value := range []float64{1.5, 2, 2.5} {
			got = append(got, r.Judge([]metric.Point{metric.Sample(to.Add(-time.Minute), value)}, noon, metric.InsufficientData).State)
		}
		if diff := cmp.Diff([]metric.State{c.below, c.at, c.above}, got); diff != "" {
			t.Errorf("%s: %s", c.operator, diff)
		}
	}
}

func TestJudge_Reasons(t *testing.T) {
	r := metric.Rule{Statistic: metric.Sum, Operator: metric.Greater, Threshold: 10, Period: time.Minute, Periods: 2, Datapoints: 2, Missing: metric.MissingMissing}
	for picture, want := range map[string]string{
		"X X": "Threshold Crossed: 2 out of the last 2 datapoints [11.0 (02/01/26 11:59:00), 11.0 (02/01/26 11:58:00)] were greater than the threshold (10.0) (minimum 2 datapoints for OK -> ALARM transition).",
		"X 0": "Threshold Crossed: 1 out of the last 2 datapoints [10.0 (02/01/26 11:59:00)] was not greater than the threshold (10.0) (minimum 1 datapoint for ALARM -> OK transition).",
		"- -": "Insufficient Data: 2 datapoints were unknown.",
	} {
		if diff := cmp.Diff(want, r.Judge(drawn(r, picture), noon, metric.OK).Reason); diff != "" {
			t.Errorf("%s: %s", picture, diff)
		}
	}
}

func TestPeriods(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Truncate(time.Hour).Add(time.Duration(minutes) * time.Minute) }
	points := []metric.Point{metric.Sample(at(-1), 9), metric.Sample(at(0), 4), metric.Sample(at(4), 2), {At: at(6)}, metric.Sample(at(10), 1), {at(11), 30, 3, 5, 20}}
	got := metric.Periods(points, at(0), 5*time.Minute)
	want := []metric.Point{{at(0), 6, 2, 2, 4}, {at(10), 31, 4, 1, 20}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	var values []float64
	for _, s := range metric.Statistics() {
		values = append(values, got[1].Value(s))
	}
	if diff := cmp.Diff([]float64{4, 7.75, 31, 1, 20}, values); diff != "" {
		t.Error(diff)
	}
}

func TestIDOf(t *testing.T) {
	domain, repository := metric.Dimension{Name: "DomainName", Value: "d"}, metric.Dimension{Name: "RepositoryName", Value: "r"}
	for _, c := range []struct {
		namespace, name string
		dimensions      []metric.Dimension
		want            metric.ID
		ok              bool
	}{
		{metric.Namespace, "Errors", nil, metric.ID{Name: "Errors"}, true},
		{metric.Namespace, "Errors", []metric.Dimension{repository, domain}, metric.ID{Name: "Errors", Domain: "d", Repository: "r"}, true},
		{metric.Namespace, "Errors", []metric.Dimension{repository}, metric.ID{Name: "Errors", Repository: "r"}, false},
		{metric.Namespace, "Errors", []metric.Dimension{domain, domain}, metric.ID{Name: "Errors", Domain: "d"}, false},
		{metric.Namespace, "Errors", []metric.Dimension{{Name: "InstanceId", Value: "i"}}, metric.ID{Name: "Errors"}, false},
		{metric.Namespace, "CPUUtilization", nil, metric.ID{Name: "CPUUtilization"}, false},
		{"AWS/EC2", "Errors", nil, metric.ID{Name: "Errors"}, false},
	} {
		if got, ok := metric.IDOf(c.namespace, c.name, c.dimensions); got != c.want || ok != c.ok {
			t.Errorf("%s %s %v: %v %v", c.namespace, c.name, c.dimensions, got, ok)
		}
	}
}
