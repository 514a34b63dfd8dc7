package ops

import (
	"github.com/prometheus/client_golang/prometheus"

	"packhouse/internal/catalog"
	"packhouse/internal/usage"
)

// maxStored bounds the repositories whose bytes are shown apart.
const maxStored = 2000

// Stored is what a repository or, where Repository is empty, a domain keeps.
type Stored struct {
	Owner, Domain, Repository string
	Bytes                     int64
	catalog.Turned            // of a repository, since the start
}

// usageCollector shows what was counted by repository. The names of
// repositories are labels: how many there are is bounded where they come from.
type usageCollector struct {
	totals func() []usage.Total
	counts []usageCount

	stored                         func() []Stored
	repositoryDesc, domainDesc     *prometheus.Desc
	publishedCounts, deletedCounts *prometheus.Desc
}

type usageCount struct {
	desc *prometheus.Desc
	of   func(catalog.Counts) int64
}

// Usage shows what repositories were asked for since the start, and what is
// stored.
func (m *Metrics) Usage(totals func() []usage.Total, stored func() []Stored) {
	repository, domain := []string{"account", "domain", "repository"}, []string{"account", "domain"}
	c := &usageCollector{
		totals: totals, stored: stored,
		repositoryDesc: prometheus.NewDesc("packhouse_repository_stored_bytes", "Bytes of a repository's assets.", repository, nil),
		domainDesc:     prometheus.NewDesc("packhouse_domain_stored_bytes", "Bytes of a domain, each content once.", domain, nil),

		publishedCounts: prometheus.NewDesc("packhouse_repository_publishes_total", "Publications that have stored something.", repository, nil),
		deletedCounts:   prometheus.NewDesc("packhouse_repository_deletes_total", "Versions deleted.", repository, nil),
	}
	for _, n := range []struct {
		name, help string
		of         func(catalog.Counts) int64
	}{
		{"requests", "Requests answered.", func(c catalog.Counts) int64 { return c.Requests }},
		{"downloads", "Assets sent whole.", func(c catalog.Counts) int64 { return c.Downloads }},
		{"cache_hits", "Documents and assets answered from here.", func(c catalog.Counts) int64 { return c.Hits }},
		{"cache_misses", "Documents and assets fetched outside to be answered.", func(c catalog.Counts) int64 { return c.Misses }},
		{"bytes_served", "Bytes of bodies sent.", func(c catalog.Counts) int64 { return c.Bytes }},
		{"bytes_saved", "Bytes sent of what comes from outside, without fetching it.", func(c catalog.Counts) int64 { return c.Saved }},
		{"errors", "Answers 5xx.", func(c catalog.Counts) int64 { return c.Errors }},
		{"client_errors", "Answers 4xx.", func(c catalog.Counts) int64 { return c.Refused }},
	} {
		c.counts = append(c.counts, usageCount{prometheus.NewDesc("packhouse_repository_"+n.name+"_total", n.help, repository, nil), n.of})
	}
	m.registry.MustRegister(c)
}

// Describe implements prometheus.Collector.
func (c *usageCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, n := range c.counts {
		ch <- n.desc
	}
	ch <- c.repositoryDesc
	ch <- c.domainDesc
	ch <- c.publishedCounts
	ch <- c.deletedCounts
}

// Collect implements prometheus.Collector. Repositories of one name, as when one
// was deleted and made again, are one.
func (c *usageCollector) Collect(ch chan<- prometheus.Metric) {
	type name struct{ owner, domain, repository string }
	sums := map[name]*catalog.Counts{}
	for _, t := range c.totals() {
		n := name{t.Owner, t.Domain, t.Repository}
		if sums[n] == nil {
			sums[n] = &catalog.Counts{}
		}
		sums[n].Add(t.Counts)
	}
	for n, sum := range sums {
		for _, k := range c.counts {
			ch <- prometheus.MustNewConstMetric(k.desc, prometheus.CounterValue, float64(k.of(*sum)), n.owner, n.domain, n.repository)
		}
	}
	shown, rest := 0, Stored{Owner: "other", Domain: "other", Repository: "other"}
	show := func(s Stored) {
		for _, m := range []struct {
			desc  *prometheus.Desc
			kind  prometheus.ValueType
			value int64
		}{
			{c.repositoryDesc, prometheus.GaugeValue, s.Bytes},
			{c.publishedCounts, prometheus.CounterValue, s.Published},
			{c.deletedCounts, prometheus.CounterValue, s.Deleted},
		} {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value), s.Owner, s.Domain, s.Repository)
		}
	}
	for _, s := range c.stored() {
		switch {
		case s.Repository == "":
			ch <- prometheus.MustNewConstMetric(c.domainDesc, prometheus.GaugeValue, float64(s.Bytes), s.Owner, s.Domain)
		case shown < maxStored:
			shown++
			show(s)
		default:
			rest.Bytes += s.Bytes
			rest.Published += s.Published
			rest.Deleted += s.Deleted
		}
	}
	if rest.Bytes > 0 || rest.Turned != (catalog.Turned{}) {
		show(rest)
	}
}
