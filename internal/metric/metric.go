// Package metric is what monitoring knows of figures: how a metric is named, what
// a period of it comes to, and when an alarm is to be raised. It is pure.
//
// Figures arrive as points, each the summary of one stretch of time, and leave
// as statistics of periods. A point counts for the period that it begins in.
//
// The surprise: percentiles are not kept, since summaries do not add up to them.
package metric

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Namespace is the one of every metric here.
const Namespace = "AWS/CodeArtifact"

// The dimensions of metrics. One of a repository has both, one of a domain the
// first, one of the account none.
const (
	DomainName     = "DomainName"
	RepositoryName = "RepositoryName"
)

// Kind is how a metric comes about. Of what is counted, each minute in which
// there was something is a sample; of bytes that are stored each minute; of the
// hit ratio each request, 100 or 0.
type Kind struct {
	Name string
	Unit string // of CloudWatch: Bytes, Count, Percent
}

// Kinds are the metrics there are.
func Kinds() []Kind {
	return []Kind{
		{Name: "RepositoryStorageUsed", Unit: "Bytes"},
		{Name: "DomainStorageUsed", Unit: "Bytes"},
		{Name: "GetPackageVersionAsset", Unit: "Count"},
		{Name: "PublishPackageVersion", Unit: "Count"},
		{Name: "CacheHit", Unit: "Count"},
		{Name: "CacheMiss", Unit: "Count"},
		{Name: "CacheHitRatio", Unit: "Percent"},
		{Name: "Errors", Unit: "Count"},
		{Name: "BytesSaved", Unit: "Bytes"},
	}
}

// KindOf finds a kind by name.
func KindOf(name string) (Kind, bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

// ID names one metric of an account. Without a repository it is the domain's,
// which is the sum over its repositories; without a domain the account's, the
// sum over the domains that it owns.
type ID struct {
	Name               string
	Domain, Repository string
}

// Dimension is one of the dimensions of a metric.
type Dimension struct {
	Name  string `json:"Name"`
	Value string `json:"Value"`
}

// Dimensions are those of a metric, in the order of their names.
func (id ID) Dimensions() []Dimension {
	list := []Dimension{}
	if id.Domain != "" {
		list = append(list, Dimension{DomainName, id.Domain})
	}
	if id.Repository != "" {
		list = append(list, Dimension{RepositoryName, id.Repository})
	}
	return list
}

// IDOf is the metric with some dimensions. ok is false when there cannot be one:
// its figures are missing, which is no error.
func IDOf(namespace, name string, dimensions []Dimension) (id ID, ok bool) {
	id.Name = name
	for _, d := range dimensions {
		switch {
		case d.Name == DomainName && id.Domain == "":
			id.Domain = d.Value
		case d.Name == RepositoryName && id.Repository == "":
			id.Repository = d.Value
		default:
			return id, false
		}
	}
	_, known := KindOf(name)
	return id, namespace == Namespace && known && (id.Repository == "" || id.Domain != "")
}

// Resolution is how wide the points are that are kept of a time so long ago.
func Resolution(age time.Duration) time.Duration {
	const day = 24 * time.Hour
	switch {
	case age > 90*day:
		return day
	case age > day:
		return time.Hour
	}
	return time.Minute
}

// Point is what was seen in the stretch of time that begins At.
type Point struct {
	At       time.Time
	Sum      float64
	Count    float64 // of samples; 0 is no point at all
	Min, Max float64 // of one sample
}

// Sample is the point of one sample.
func Sample(at time.Time, value float64) Point { return Point{at, value, 1, value, value} }

// Source has the figures of accounts.
type Source interface {
	// Metrics lists the metrics of an account by name, domain and repository:
	// those of each repository, of each domain and of the account.
	Metrics(ctx context.Context, account string) ([]ID, error)
	// Points gives the points of a metric that begin in [from, to), in the order
	// of time, in the finest resolution that is kept of that time. What is kept
	// only in points wider than period is left out. A metric that does not exist
	// has none.
	Points(ctx context.Context, account string, id ID, from, to time.Time, period time.Duration) ([]Point, error)
}

// Statistic is what a period is asked for.
type Statistic string

// The statistics there are.
const (
	Average     Statistic = "Average"
	Sum         Statistic = "Sum"
	Minimum     Statistic = "Minimum"
	Maximum     Statistic = "Maximum"
	SampleCount Statistic = "SampleCount"
)

// Statistics lists them.
func Statistics() []Statistic { return []Statistic{SampleCount, Average, Sum, Minimum, Maximum} }

// Add is the point of both, at the time of the first.
func (p Point) Add(q Point) Point {
	switch {
	case q.Count == 0:
		return p
	case p.Count == 0:
		return q
	}
	return Point{p.At, p.Sum + q.Sum, p.Count + q.Count, min(p.Min, q.Min), max(p.Max, q.Max)}
}

// Value is a statistic of a point that has a sample.
func (p Point) Value(s Statistic) float64 {
	switch s {
	case Sum:
		return p.Sum
	case Minimum:
		return p.Min
	case Maximum:
		return p.Max
	case SampleCount:
		return p.Count
	case Average:
	}
	return p.Sum / p.Count
}

// Periods gathers points into periods of a length, the first of which begins at
// from. Periods without a sample are left out, points before from too.
func Periods(points []Point, from time.Time, length time.Duration) []Point {
	var list []Point
	for _, p := range points {
		since := p.At.Sub(from)
		if since < 0 || p.Count == 0 {
			continue
		}
		begin := from.Add(since / length * length)
		if n := len(list); n > 0 && list[n-1].At.Equal(begin) {
			list[n-1] = list[n-1].Add(p)
			continue
		}
		p.At = begin
		list = append(list, p)
	}
	return list
}

// String is a metric as it is told to people.
func (id ID) String() string {
	words := []string{Namespace, id.Name}
	for _, d := range id.Dimensions() {
		words = append(words, d.Name+"="+d.Value)
	}
	return strings.Join(words, " ")
}

// Compare orders metrics by name, domain and repository.
func (id ID) Compare(other ID) int {
	for _, pair := range [][2]string{{id.Name, other.Name}, {id.Domain, other.Domain}, {id.Repository, other.Repository}} {
		if c := strings.Compare(pair[0], pair[1]); c != 0 {
			return c
		}
	}
	return 0
}
