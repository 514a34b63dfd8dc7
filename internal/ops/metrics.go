// Package ops is what whoever runs the house looks at: health and readiness,
// metrics, the log of requests, and the profiler on a listener of its own.
//
// Edge is the outermost handler. It gives each request an id, recovers panics,
// counts and logs once; the handlers below tell it what they know through the
// response writer (Exchange). A request costs a few atomic additions and one
// append to a buffer: series are looked up by two words and never formatted.
package ops

import (
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"packhouse/internal/blob"
)

// maxSeries bounds the pairs of format and operation: should a caller ever let
// outside text in, it becomes "other" instead of eating memory.
const maxSeries = 512

// Metrics is the registry of everything counted.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	in, out  *prometheus.CounterVec
	cache    *prometheus.CounterVec
	inFlight prometheus.Gauge
	panics   prometheus.Counter
	failures *prometheus.CounterVec

	upstreamLatency *prometheus.HistogramVec
	upstreamErrors  *prometheus.CounterVec
	jobs            *prometheus.HistogramVec
	events          *prometheus.CounterVec

	series pairs[*series]
	caches pairs[prometheus.Counter]
}

// series are the counters of one format and operation.
type series struct {
	classes [6]prometheus.Counter // by the status' first digit; 0 for none
	latency prometheus.Observer
	in, out prometheus.Counter
}

// NewMetrics makes the metrics of a server of this version.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "packhouse_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "packhouse_" + name, Help: help,
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.requests = counter("requests_total", "Requests answered. format is a package format, api or empty; status is the class, 2xx to 5xx.", "format", "operation", "status")
	m.latency = histogram("request_duration_seconds", "Time from a request's headers to the end of its answer.", "format", "operation")
	m.in = counter("request_bytes_total", "Bytes of request bodies.", "format", "operation")
	m.out = counter("response_bytes_total", "Bytes of response bodies.", "format", "operation")
	m.cache = counter("cache_total", "What the caches of finished documents, contents and outside documents did.", "format", "what")
	m.upstreamLatency = histogram("upstream_duration_seconds", "Time to the headers of an outside registry's answer.", "connection")
	m.upstreamErrors = counter("upstream_errors_total", "Requests to outside registries that failed, by kind.", "connection", "kind")
	m.jobs = histogram("job_duration_seconds", "Time of one run of a background job; ok is false when it failed.", "kind", "ok")
	m.events = counter("events_total", "Attempts to deliver an event, by how they ended: delivered, failed, or dead for those given up.", "outcome")
	for _, outcome := range []string{"delivered", "failed", "dead"} {
		m.events.WithLabelValues(outcome) // there from the start
	}
	m.failures = counter("failures_total", "Requests that ended in an error, by its kind.", "kind")
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Name: "packhouse_requests_in_flight", Help: "Requests being answered."})
	m.panics = prometheus.NewCounter(prometheus.CounterOpts{Name: "packhouse_panics_total", Help: "Requests that ended in a panic; each is a bug."})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "packhouse_build_info", Help: "1, with what is running as labels.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision()},
	})
	build.Set(1)
	m.registry.MustRegister(m.inFlight, m.panics, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.series.make = m.newSeries
	m.caches.make = func(format, what string) prometheus.Counter { return m.cache.WithLabelValues(format, what) }
	return m
}

func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// Handler serves /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *Metrics) newSeries(format, operation string) *series {
	s := &series{
		latency: m.latency.WithLabelValues(format, operation),
		in:      m.in.WithLabelValues(format, operation),
		out:     m.out.WithLabelValues(format, operation),
	}
	for i, class := range [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		s.classes[i] = m.requests.WithLabelValues(format, operation, class)
	}
	return s
}

// Request counts one answered request.
func (m *Metrics) Request(r *Request) {
	s := m.series.get(r.Format, r.Operation)
	class := r.Status / 100
	if class < 0 || class >= len(s.classes) {
		class = 0
	}
	s.classes[class].Inc()
	s.latency.Observe(r.Duration.Seconds())
	if r.In > 0 {
		s.in.Add(float64(r.In))
	}
	if r.Out > 0 {
		s.out.Add(float64(r.Out))
	}
	if r.Error != "" {
		m.failures.WithLabelValues(r.Error).Inc()
	}
}

// Cache counts what a cache did: hit, miss, stale and so on.
func (m *Metrics) Cache(format, what string) { m.caches.get(format, what).Inc() }

// Upstream counts one try of a request to an outside registry; kind is that of
// its failure, "" when it had none.
func (m *Metrics) Upstream(connection string, took time.Duration, kind string) {
	m.upstreamLatency.WithLabelValues(connection).Observe(took.Seconds())
	if kind != "" {
		m.upstreamErrors.WithLabelValues(connection, kind).Inc()
	}
}

// Job counts one run of a background job.
func (m *Metrics) Job(kind string, took time.Duration, ok bool) {
	m.jobs.WithLabelValues(kind, strconv.FormatBool(ok)).Observe(took.Seconds())
}

// Event counts one attempt to deliver an event.
func (m *Metrics) Event(outcome string) { m.events.WithLabelValues(outcome).Inc() }

// Breaker shows a connection's circuit breaker: 1 while it is open.
func (m *Metrics) Breaker(connection string, open func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "packhouse_upstream_breaker_open", Help: "1 while requests to the outside registry are not tried.",
		ConstLabels: prometheus.Labels{"connection": connection},
	}, func() float64 {
		if open() {
			return 1
		}
		return 0
	}))
}

// Storage shows what the blob store did since the start.
func (m *Metrics) Storage(stats func() blob.Stats) {
	for _, c := range []struct {
		name, help string
		value      func(blob.Stats) int64
	}{
		{"blob_puts_total", "Contents stored, new or not.", func(s blob.Stats) int64 { return s.Puts }},
		{"blob_put_bytes_total", "Bytes of contents stored.", func(s blob.Stats) int64 { return s.PutBytes }},
		{"blob_put_failures_total", "Contents that failed or were given up.", func(s blob.Stats) int64 { return s.PutFailures }},
		{"blob_opens_total", "Contents opened.", func(s blob.Stats) int64 { return s.Opens }},
		{"blob_open_bytes_total", "Sizes of contents opened.", func(s blob.Stats) int64 { return s.OpenBytes }},
		{"blob_misses_total", "Opens of what is not there.", func(s blob.Stats) int64 { return s.Misses }},
		{"blob_failures_total", "Other failed operations.", func(s blob.Stats) int64 { return s.Failures }},
		{"blob_deletes_total", "Contents deleted.", func(s blob.Stats) int64 { return s.Deletes }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: "packhouse_" + c.name, Help: c.help},
			func() float64 { return float64(c.value(stats())) }))
	}
	m.Gauge("blob_writing", "Contents being written.", func() float64 { return float64(stats().Writing) })
}

// Gauge shows a value read when metrics are.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "packhouse_" + name, Help: help}, value))
}

// Counter shows a total read when metrics are.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "packhouse_" + name, Help: help}, value))
}

// pairs is a small map by two words whose readers never lock: it is copied
// when a pair is new, which ends soon after the start.
type pairs[V any] struct {
	make func(a, b string) V
	mu   sync.Mutex
	m    atomic.Pointer[map[[2]string]V]
}

func (p *pairs[V]) get(a, b string) V {
	if m := p.m.Load(); m != nil {
		if v, ok := (*m)[[2]string{a, b}]; ok {
			return v
		}
	}
	return p.add(a, b)
}

func (p *pairs[V]) add(a, b string) V {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := map[[2]string]V{}
	if m := p.m.Load(); m != nil {
		maps.Copy(next, *m)
	}
	if len(next) >= maxSeries {
		a, b = "other", "other"
	}
	if v, ok := next[[2]string{a, b}]; ok {
		return v
	}
	v := p.make(a, b)
	next[[2]string{a, b}] = v
	p.m.Store(&next)
	return v
}
