package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"packhouse/internal/fault"
)

// The metrics there are series of; names of CloudWatch where it has the metric.
const (
	MetricStorage       = "RepositoryStorageUsed" // bytes of a repository, a sample each minute
	MetricDomainStorage = "DomainStorageUsed"     // bytes of a domain, each content once
	MetricRequests      = "Requests"
	MetricDownloads     = "GetPackageVersionAsset"
	MetricPublished     = "PublishPackageVersion"
	MetricDeleted       = "DeletePackageVersions"
	MetricHits          = "CacheHit"
	MetricMisses        = "CacheMiss"
	MetricBytes         = "BytesServed"
	MetricSaved         = "BytesSaved"
	MetricErrors        = "Errors"
	MetricRefused       = "ClientErrors"

	// MetricHitRatio is made of two others: every hit is a sample of 100 and every
	// miss one of 0, so that the average of any time is the percentage.
	MetricHitRatio = "CacheHitRatio"
)

// Metrics lists every metric that Series answers for, sorted.
func Metrics() []string {
	m := []string{
		MetricStorage, MetricDomainStorage, MetricRequests, MetricDownloads, MetricPublished, MetricDeleted, MetricHits, MetricMisses,
		MetricBytes, MetricSaved, MetricErrors, MetricRefused, MetricHitRatio,
	}
	slices.Sort(m)
	return m
}

// Spans of points, in minutes, and how long they are kept.
const (
	spanMinute = 1
	spanHour   = 60
	spanDay    = 24 * 60

	keepMinutes = spanDay
	keepHours   = 90 * spanDay
	keepDays    = 5*365*spanDay + spanDay // with a leap day
)

// Marks are minutes since 1970 up to which something is done, in the table meta.
const (
	markClosed  = "usage_closed" // nothing is added to minutes before it
	markHours   = "usage_hours"  // hours before it are made of their minutes
	markDays    = "usage_days"   // days before it are made of their hours
	markSampled = "usage_sampled"
	markSince   = "usage_since" // when counting began, microseconds
)

func (tx *Tx) usageMark(key string) (int64, error) {
	text, ok, err := tx.Meta(key)
	if err != nil || !ok {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("mark %s: %w", key, err)
	}
	return n, nil
}

func (tx *Tx) setUsageMark(key string, n int64) error {
	return tx.SetMeta(key, strconv.FormatInt(n, 10))
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func dayOf(t time.Time) int64 { return t.Unix() / (60 * spanDay) }

// down rounds a minute down to a span.
func down(minute, span int64) int64 { return minute - minute%span }

// pointKey is one minute of a series. The series of an account stand under its
// number in the place of a domain's ID.
type pointKey struct {
	domainID, repositoryID, metric string
	at                             int64
}

func (k pointKey) compare(o pointKey) int {
	return cmp.Or(cmp.Compare(k.domainID, o.domainID), cmp.Compare(k.repositoryID, o.repositoryID), cmp.Compare(k.metric, o.metric), cmp.Compare(k.at, o.at))
}

// addPoint counts n more in a minute.
func (tx *Tx) addPoint(k pointKey, n int64) error {
	if n == 0 {
		return nil
	}
	add := func() (int64, error) {
		return tx.exec(`INSERT INTO usage_point (series, span, at, total, samples, lowest, highest)
			SELECT id, 1, $4, $5, 1, $5, $5 FROM usage_series WHERE domain_id = $1 AND repository_id = $2 AND metric = $3
			ON CONFLICT (series, span, at) DO UPDATE SET total = usage_point.total + excluded.total,
				lowest = usage_point.lowest + excluded.total, highest = usage_point.highest + excluded.total`,
			k.domainID, k.repositoryID, k.metric, k.at, n)
	}
	done, err := add()
	if err != nil || done > 0 {
		return err
	}
	if _, err := tx.exec("INSERT INTO usage_series (domain_id, repository_id, metric) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
		k.domainID, k.repositoryID, k.metric); err != nil {
		return err
	}
	_, err = add()
	return err
}

// SeriesQuery asks for the points of one metric of a repository, of a domain
// where RepositoryID is empty, or of all domains that an account owns.
type SeriesQuery struct {
	Account                string // and neither of the others
	DomainID, RepositoryID string
	Metric                 string
	From, To               time.Time // To is not included
	// Period is the width of a point, rounded down to whole minutes; 0: the
	// width kept, which is a minute for a day, an hour for 90 days, and a day.
	// A point is never narrower than what is kept.
	Period time.Duration
	// Widest, if set, leaves out what is kept in wider points only.
	Widest time.Duration
}

// SeriesPoint is what was measured in one period: the sum of a number of
// samples, the least and the largest of them. Of what is counted the samples are
// those minutes in which there was something to count.
type SeriesPoint struct {
	Time                 time.Time // its beginning
	Sum, Count, Min, Max int64
}

// Series gives points by time. Periods without any are left out.
func (tx *Tx) Series(q SeriesQuery) ([]SeriesPoint, error) {
	if q.Metric == MetricHitRatio {
		return tx.hitRatio(q)
	}
	if !slices.Contains(Metrics(), q.Metric) {
		return nil, fault.New(fault.Invalid, "there is no metric %s", q.Metric)
	}
	hours, err := tx.usageMark(markHours)
	if err != nil {
		return nil, err
	}
	days, err := tx.usageMark(markDays)
	if err != nil {
		return nil, err
	}
	var id int64
	found, err := tx.one("SELECT id FROM usage_series WHERE domain_id = $1 AND repository_id = $2 AND metric = $3",
		[]any{cmp.Or(q.Account, q.DomainID), q.RepositoryID, q.Metric}, &id)
	if err != nil || !found {
		return nil, err
	}
	period, now := max(int64(q.Period/time.Minute), 0), minuteOf(tx.Now())
	// Up to where wider points are read. What is wider is there for what is
	// older, and does when it is not wider than the period.
	if period == 0 || period%spanHour != 0 {
		hours = min(hours, down(now-keepMinutes, spanHour))
	}
	if period == 0 || period%spanDay != 0 {
		days = min(days, down(now-keepHours, spanDay))
	}
	days = min(days, hours)
	from, to := minuteOf(q.From), minuteOf(q.To.Add(time.Minute-1))
	var points []SeriesPoint
	for _, part := range []struct{ span, from, to int64 }{
		{spanDay, down(from, spanDay), min(to, days)},
		{spanHour, max(down(from, spanHour), days), min(to, hours)},
		{spanMinute, max(from, hours), to},
	} {
		if part.from >= part.to || q.Widest > 0 && part.span > int64(q.Widest/time.Minute) {
			continue
		}
		err := tx.each(func(scan func(...any) error) error {
			var at int64
			var p SeriesPoint
			if err := scan(&at, &p.Sum, &p.Count, &p.Min, &p.Max); err != nil {
				return err
			}
			points = joinPoint(points, at, period, p)
			return nil
		}, "SELECT at, total, samples, lowest, highest FROM usage_point WHERE series = $1 AND span = $2 AND at >= $3 AND at < $4 ORDER BY at",
			id, part.span, part.from, part.to)
		if err != nil {
			return nil, err
		}
	}
	return points, nil
}

// joinPoint adds a point that begins at a minute to the period it is in.
func joinPoint(points []SeriesPoint, at, period int64, p SeriesPoint) []SeriesPoint {
	if period > 0 {
		at = down(at, period)
	}
	p.Time = time.Unix(at*60, 0).UTC()
	if n := len(points); n > 0 && points[n-1].Time.Equal(p.Time) {
		last := &points[n-1]
		last.Sum, last.Count = last.Sum+p.Sum, last.Count+p.Count
		last.Min, last.Max = min(last.Min, p.Min), max(last.Max, p.Max)
		return points
	}
	return append(points, p)
}

func (tx *Tx) hitRatio(q SeriesQuery) ([]SeriesPoint, error) {
	q.Metric = MetricHits
	hits, err := tx.Series(q)
	if err != nil {
		return nil, err
	}
	q.Metric = MetricMisses
	misses, err := tx.Series(q)
	if err != nil {
		return nil, err
	}
	at := map[time.Time]SeriesPoint{}
	for _, p := range hits {
		at[p.Time] = SeriesPoint{Time: p.Time, Sum: 100 * p.Sum, Count: p.Sum, Min: 100, Max: 100}
	}
	for _, p := range misses {
		v := at[p.Time] // whose least is 0 now
		at[p.Time] = SeriesPoint{Time: p.Time, Sum: v.Sum, Count: v.Count + p.Sum, Max: v.Max}
	}
	points := slices.Collect(maps.Values(at))
	slices.SortFunc(points, func(a, b SeriesPoint) int { return a.Time.Compare(b.Time) })
	return points, nil
}

// storedNow is what is sampled of storage, by series: of repositories and domains
// what their totals say, of domains and accounts the sum over what is in them.
const storedNow = `SELECT domain_id, repository_id, CASE WHEN repository_id = '' THEN '` + MetricDomainStorage + `' ELSE '` + MetricStorage + `' END AS metric, bytes FROM usage_total
	UNION ALL SELECT domain_id, '', '` + MetricStorage + `', CAST(sum(CASE WHEN repository_id = '' THEN 0 ELSE bytes END) AS BIGINT) FROM usage_total GROUP BY domain_id
	UNION ALL SELECT d.owner, '', '` + MetricStorage + `', CAST(sum(CASE WHEN t.repository_id = '' THEN 0 ELSE t.bytes END) AS BIGINT)
		FROM usage_total t JOIN domain d ON d.id = t.domain_id GROUP BY d.owner
	UNION ALL SELECT d.owner, '', '` + MetricDomainStorage + `', CAST(sum(t.bytes) AS BIGINT)
		FROM usage_total t JOIN domain d ON d.id = t.domain_id WHERE t.repository_id = '' GROUP BY d.owner`

// SampleStorage adds the storage of every repository, domain and account to its
// series, once a minute however often it is called, and tells whether it did.
// The sample stands for the last full minute, at the end of which this was
// stored. Fold first.
func (tx *Tx) SampleStorage() (sampled bool, err error) {
	now := minuteOf(tx.Now())
	last, err := tx.usageMark(markSampled)
	if err != nil || last >= now && last <= now+usageSettles { // further ahead was a wrong clock
		return false, err
	}
	if _, err := tx.exec("INSERT INTO usage_series (domain_id, repository_id, metric) SELECT t.domain_id, t.repository_id, t.metric FROM (" + storedNow + `) t
		WHERE NOT EXISTS (SELECT 1 FROM usage_series s WHERE s.domain_id = t.domain_id AND s.repository_id = t.repository_id AND s.metric = t.metric)`); err != nil {
		return false, err
	}
	if _, err := tx.exec(`INSERT INTO usage_point (series, span, at, total, samples, lowest, highest)
		SELECT s.id, 1, $1, t.bytes, 1, t.bytes, t.bytes FROM (`+storedNow+`) t
		JOIN usage_series s ON s.domain_id = t.domain_id AND s.repository_id = t.repository_id AND s.metric = t.metric
		WHERE true ON CONFLICT DO NOTHING`, now-1); err != nil {
		return false, err
	}
	return true, tx.setUsageMark(markSampled, now)
}

// SeriesName names a metric of which something was counted.
type SeriesName struct {
	Domain, Repository string // names; a domain's has the first alone, the account's neither
	Metric             string
}

// AccountSeries lists the series of an account, of the domains that it owns and
// of the repositories in them, in no order.
func (tx *Tx) AccountSeries(account string) ([]SeriesName, error) {
	q := newQuery("SELECT '', '', metric FROM usage_series WHERE ").add("domain_id = ? AND repository_id = ''", account).
		add(` UNION ALL SELECT d.name, '', s.metric FROM domain d JOIN usage_series s ON s.domain_id = d.id AND s.repository_id = '' WHERE d.owner = ?`, account).
		add(` UNION ALL SELECT d.name, r.name, s.metric FROM domain d JOIN repository r ON r.domain_id = d.id
			JOIN usage_series s ON s.domain_id = d.id AND s.repository_id = r.id WHERE d.owner = ?`, account)
	list, err := all(tx, func(scan func(...any) error) (n SeriesName, err error) {
		err = scan(&n.Domain, &n.Repository, &n.Metric)
		return n, err
	}, q)
	made := map[SeriesName]bool{}
	for _, n := range list {
		if n.Metric == MetricHits || n.Metric == MetricMisses {
			n.Metric = MetricHitRatio
			made[n] = true
		}
	}
	return slices.AppendSeq(list, maps.Keys(made)), err
}

// usageSettles is how long after its end an hour is made of its minutes: what
// comes later is counted in the minute in which it comes.
const usageSettles = 3 // minutes

// UsageRollUp is one piece of the work of making hours of minutes and days of
// hours, and of deleting what is older than is kept. The zero value begins.
type UsageRollUp struct {
	begun       bool
	hours, days int64 // up to where points are to be made
	wasHours    int64
	wasDays     int64
	after       int64 // the last series done
}

// rollBatch is how many series one transaction does.
const rollBatch = 64

// RollUpUsage does one piece and tells whether there is another. It may be
// broken off and begun anew anywhere.
func (tx *Tx) RollUpUsage(r UsageRollUp) (next UsageRollUp, more bool, err error) {
	if !r.begun {
		return tx.beginRollUp(r)
	}
	ids, err := all(tx, func(scan func(...any) error) (id int64, err error) {
		err = scan(&id)
		return id, err
	}, newQuery("SELECT id FROM usage_series WHERE ").add("id > ? ORDER BY id", r.after).limit(rollBatch))
	if err != nil {
		return r, false, err
	}
	if len(ids) == 0 {
		return r, false, tx.endRollUp(r)
	}
	now := minuteOf(tx.Now())
	for _, id := range ids {
		if err := tx.widen(id, spanMinute, spanHour, r.wasHours, r.hours); err != nil {
			return r, false, err
		}
		if err := tx.widen(id, spanHour, spanDay, r.wasDays, r.days); err != nil {
			return r, false, err
		}
		for _, old := range []struct{ span, before int64 }{
			{spanMinute, min(down(now-keepMinutes, spanHour), r.hours)},
			{spanHour, min(down(now-keepHours, spanDay), r.days)},
			{spanDay, down(now-keepDays, spanDay)},
		} {
			if _, err := tx.exec("DELETE FROM usage_point WHERE series = $1 AND span = $2 AND at < $3", id, old.span, old.before); err != nil {
				return r, false, err
			}
		}
	}
	r.after = ids[len(ids)-1]
	return r, true, nil
}

func (tx *Tx) beginRollUp(r UsageRollUp) (UsageRollUp, bool, error) {
	var err error
	if r.wasHours, err = tx.usageMark(markHours); err != nil {
		return r, false, err
	}
	if r.wasDays, err = tx.usageMark(markDays); err != nil {
		return r, false, err
	}
	r.begun, r.hours = true, down(minuteOf(tx.Now())-usageSettles, spanHour)
	r.days = down(r.hours, spanDay)
	if r.wasHours > r.hours+spanHour { // the clock was ahead: nothing would be made, nor counted in its own minute, until then
		return r, false, errors.Join(tx.setUsageMark(markHours, r.hours), tx.setUsageMark(markDays, min(r.days, r.wasDays)), tx.setUsageMark(markClosed, r.hours))
	}
	if r.hours <= r.wasHours { // this hour is done, or the clock has gone back a little
		return r, false, nil
	}
	// From here on nothing is added to what is summed up.
	return r, true, tx.setUsageMark(markClosed, r.hours)
}

func (tx *Tx) endRollUp(r UsageRollUp) error {
	if err := tx.setUsageMark(markHours, r.hours); err != nil {
		return err
	}
	if err := tx.setUsageMark(markDays, max(r.days, r.wasDays)); err != nil {
		return err
	}
	now := tx.Now()
	for _, step := range []struct {
		text string
		arg  int64
	}{
		{"DELETE FROM usage_package WHERE day < $1", dayOf(now) - keepDays/spanDay},
		{"DELETE FROM usage_flush WHERE at < $1", now.Add(-7 * 24 * time.Hour).UnixMicro()},
	} {
		if _, err := tx.exec(step.text, step.arg); err != nil {
			return err
		}
	}
	_, err := tx.exec(`DELETE FROM usage_series WHERE NOT EXISTS (SELECT 1 FROM usage_point p WHERE p.series = usage_series.id)
		AND NOT EXISTS (SELECT 1 FROM usage_total t WHERE t.domain_id = usage_series.domain_id AND t.repository_id = usage_series.repository_id)`)
	return err
}

// widen makes the wide points of a series between two times of narrow ones.
// Doing it again makes the same ones.
func (tx *Tx) widen(series, narrow, wide, from, to int64) error {
	if from >= to {
		return nil
	}
	_, err := tx.exec(`INSERT INTO usage_point (series, span, at, total, samples, lowest, highest)
		SELECT series, CAST($3 AS BIGINT), at - at % $3, CAST(sum(total) AS BIGINT), CAST(sum(samples) AS BIGINT), min(lowest), max(highest)
		FROM usage_point WHERE series = $1 AND span = $2 AND at >= $4 AND at < $5 GROUP BY series, at - at % $3
		ON CONFLICT (series, span, at) DO UPDATE SET total = excluded.total, samples = excluded.samples, lowest = excluded.lowest, highest = excluded.highest`,
		series, narrow, wide, from, to)
	return err
}
