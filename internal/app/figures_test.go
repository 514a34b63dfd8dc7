package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"
)

// usageTotal is the total of GetUsageReport.
type usageTotal struct {
	Downloads, Publishes, CacheHits, CacheMisses, CacheHitPercent, BytesSaved, Errors int64
}

// report asks for the usage of a repository, or of the domain with "".
func (s *site) report(t *testing.T, repository string) usageTotal {
	t.Helper()
	cred, err := s.aws(t).Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"domain": {"corp"}}
	if repository != "" {
		q.Set("repository", repository)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/v1/reports/usage?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sign(t, req, cred, time.Now())
	res, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ Total usageTotal }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", res.Status, err)
	}
	return out.Total
}

// measured is the same from CloudWatch's metrics of some dimensions.
func (s *site) measured(t *testing.T, dimensions ...string) (sum usageTotal) {
	t.Helper()
	c := cloudwatch.NewFromConfig(s.aws(t))
	for _, m := range []struct {
		name string
		stat types.Statistic
		to   *int64
	}{
		{"GetPackageVersionAsset", types.StatisticSum, &sum.Downloads},
		{"PublishPackageVersion", types.StatisticSum, &sum.Publishes},
		{"CacheHit", types.StatisticSum, &sum.CacheHits},
		{"CacheMiss", types.StatisticSum, &sum.CacheMisses},
		{"CacheHitRatio", types.StatisticAverage, &sum.CacheHitPercent},
		{"BytesSaved", types.StatisticSum, &sum.BytesSaved},
		{"Errors", types.StatisticSum, &sum.Errors},
	} {
		in := &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String("AWS/CodeArtifact"), MetricName: &m.name, Statistics: []types.Statistic{m.stat}, Period: aws.Int32(4 * 86400),
			StartTime: aws.Time(time.Now().Add(-time.Hour)), EndTime: aws.Time(time.Now().Add(time.Hour)),
		}
		for i := range dimensions {
			in.Dimensions = append(in.Dimensions, types.Dimension{Name: aws.String([]string{"DomainName", "RepositoryName"}[i]), Value: &dimensions[i]})
		}
		out, err := c.GetMetricStatistics(t.Context(), in)
		if err != nil || len(out.Datapoints) > 1 {
			t.Fatalf("%s: %v, %+v", m.name, err, out)
		}
		for _, d := range out.Datapoints {
			*m.to = int64(aws.ToFloat64(d.Sum) + aws.ToFloat64(d.Average))
		}
	}
	return sum
}

// TestFigures_AreOneAndTheSame: what clients have done is told alike by the
// report, CloudWatch's metrics and Prometheus.
func TestFigures_AreOneAndTheSame(t *testing.T) {
	eachDatabase(t, func(t *testing.T, flags map[string]string) {
		public := publicRegistry(t)
		s := newSite(t, public.URL, flags)
		for i := range 3 {
			if a := s.publish(t, "mine", fmt.Sprintf("1.%d.0", i), []byte("some bytes")); a.status != http.StatusCreated {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		for range 2 {
			s.want(t, http.StatusOK, "app/hello")
			s.want(t, http.StatusOK, "app/hello/-/hello-1.0.0.tgz")
			s.want(t, http.StatusOK, "internal/mine/-/mine-1.1.0.tgz")
		}
		s.want(t, http.StatusNotFound, "internal/nothing")
		public.Stop()
		s.want(t, http.StatusBadGateway, "app/other")

		all := s.report(t, "")
		if all.Downloads != 4 || all.Publishes != 3 || all.CacheHits == 0 || all.CacheMisses == 0 || all.BytesSaved == 0 || all.Errors != 1 || all.CacheHitPercent == 0 {
			t.Errorf("%+v", all)
		}
		for name, c := range map[string][2]usageTotal{
			"account":  {all, s.measured(t)},
			"domain":   {all, s.measured(t, "corp")},
			"app":      {s.report(t, "app"), s.measured(t, "corp", "app")},
			"internal": {s.report(t, "internal"), s.measured(t, "corp", "internal")},
			"public":   {s.report(t, "public"), s.measured(t, "corp", "public")},
		} {
			if diff := cmp.Diff(c[0], c[1]); diff != "" {
				t.Errorf("%s: report and metrics differ: %s", name, diff)
			}
		}
		for _, name := range []string{"app", "internal"} {
			want := s.report(t, name)
			want.CacheHitPercent = 0
			value := func(metric string) int64 {
				return int64(s.metric(t, `packhouse_repository_`+metric+`_total{account="`+account+`",domain="corp",repository="`+name+`"}`))
			}
			got := usageTotal{
				Downloads: value("downloads"), Publishes: value("publishes"), CacheHits: value("cache_hits"), CacheMisses: value("cache_misses"),
				BytesSaved: value("bytes_saved"), Errors: value("errors"),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: report and Prometheus differ: %s", name, diff)
			}
		}
	})
}
