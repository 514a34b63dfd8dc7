package control

import (
	"context"
	"slices"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

const (
	day            = 24 * time.Hour
	growthHistory  = 365 * day // that a forecast looks at
	reportDays     = 30
	staleDays      = 90
	forecastDays   = 90
	popularLimit   = 20
	staleLimit     = 100
	flushPatience  = 2 * time.Second
	maxReportReach = 10 * 365 * day
)

// onReported asks about the repository where the input names one, else about
// the domain.
func onReported(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	if targetOf(c, in).id.Name != "" {
		return onRepository(a, c, action, in)
	}
	return onDomain(a, c, action, in)
}

// reported finds what a report is about; the repository's ID is empty where it
// is about the domain.
func reported(tx *catalog.Tx, id artifact.RepositoryID) (catalog.Domain, catalog.Repository, error) {
	d, err := tx.Domain(id.Owner, id.Domain)
	if err != nil || id.Name == "" {
		return d, catalog.Repository{}, err
	}
	r, err := tx.Repository(d.ID, id.Name)
	return d, r, err
}

// counted writes what this process has counted so far, so that a report has all
// of it. When that cannot be, the report says what was known before.
func (a *API) counted(ctx context.Context) {
	if a.opt.Usage == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushPatience)
	defer cancel()
	_ = a.opt.Usage.Flush(ctx) // it tells the log
}

func (a *API) getStorageReport(ctx context.Context, c *restjson.Call, in *api.GetStorageReportInput) (*api.GetStorageReportOutput, error) {
	a.counted(ctx)
	id := targetOf(c, in).id
	out := &api.GetStorageReportOutput{}
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		*out = api.GetStorageReportOutput{AsOf: restjson.At(tx.Now()), Repositories: []api.RepositoryStorage{}}
		d, r, err := reported(tx, id)
		if err != nil {
			return err
		}
		totals, err := tx.UsageTotals(d.ID)
		if err != nil {
			return err
		}
		repositories, err := tx.Repositories(d.ID, catalog.RepositoryFilter{}, "", 0)
		if err != nil {
			return err
		}
		for _, t := range totals {
			if t.RepositoryID == "" && r.ID == "" {
				out.Bytes = t.Bytes
			}
			at := slices.IndexFunc(repositories, func(known catalog.Repository) bool { return known.ID == t.RepositoryID })
			if at < 0 || r.ID != "" && r.ID != t.RepositoryID {
				continue
			}
			out.LogicalBytes += t.Bytes
			if r.ID != "" {
				out.Bytes = t.Bytes
			}
			out.Repositories = append(out.Repositories, api.RepositoryStorage{Repository: repositories[at].Name, Bytes: t.Bytes, Assets: t.Files, Versions: t.Versions})
		}
		slices.SortFunc(out.Repositories, func(x, y api.RepositoryStorage) int {
			if x.Bytes != y.Bytes {
				return int(min(max(y.Bytes-x.Bytes, -1), 1))
			}
			return compareText(x.Repository, y.Repository)
		})
		q := catalog.SeriesQuery{DomainID: d.ID, RepositoryID: r.ID, Metric: catalog.MetricDomainStorage, From: tx.Now().Add(-growthHistory), To: tx.Now().Add(time.Minute), Period: day}
		if r.ID != "" {
			q.Metric = catalog.MetricStorage
		}
		days, err := tx.Series(q)
		out.Growth = forecast(days, tx.Now().Add(time.Duration(limitOf(in.ForecastDays, forecastDays))*day))
		return err
	})
	return out, err
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// periods are the widths of the points of a usage report.
var periods = map[string]time.Duration{"": day, "DAY": day, "HOUR": time.Hour, "MINUTE": time.Minute} //nolint:gochecknoglobals // a table

func (a *API) getUsageReport(ctx context.Context, c *restjson.Call, in *api.GetUsageReportInput) (*api.GetUsageReportOutput, error) {
	t := targetOf(c, in)
	if in.Package != "" {
		if in.Format == "" {
			return nil, fault.Field("format", "is needed with a package")
		}
		if periods[in.Period] != day {
			return nil, fault.Field("period", "must be DAY for a package: less is not kept")
		}
		var err error
		if t, err = a.packageOf(c, in); err != nil {
			return nil, err
		}
	} else if in.Format != "" || in.Namespace != "" {
		return nil, fault.Field("package", "is needed with a format or namespace")
	}
	a.counted(ctx)
	out := &api.GetUsageReportOutput{}
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		from, to, err := reportRange(in.StartTime, in.EndTime, tx.Now())
		if err != nil {
			return err
		}
		since, err := tx.UsageSince()
		if err != nil {
			return err
		}
		*out = api.GetUsageReportOutput{
			StartTime: restjson.At(from), EndTime: restjson.At(to), CountedSince: restjson.At(since), Total: &api.Usage{}, Points: []api.Usage{},
		}
		d, r, err := reported(tx, t.id)
		if err != nil {
			return err
		}
		if in.Package != "" {
			out.Points, err = packagePoints(tx, d.ID, r.ID, t.c, from, to)
		} else {
			out.Points, err = usagePoints(tx, catalog.SeriesQuery{DomainID: d.ID, RepositoryID: r.ID, From: from, To: to, Period: periods[in.Period]})
		}
		for i := range out.Points {
			addUsage(out.Total, &out.Points[i])
			percent(&out.Points[i])
		}
		percent(out.Total)
		return err
	})
	return out, err
}

// reportRange is the time a report is about, which ends now and begins 30 days
// before unless something else is asked for.
func reportRange(start, end *restjson.Time, now time.Time) (from, to time.Time, err error) {
	to = now
	if end != nil {
		to = end.Time
	}
	from = to.Add(-reportDays * day)
	if start != nil {
		from = start.Time
	}
	switch {
	case !from.Before(to):
		return from, to, fault.Field("startTime", "must be before endTime")
	case to.Sub(from) > maxReportReach:
		return from, to, fault.Field("startTime", "is more than ten years before endTime")
	}
	return from, to, nil
}

func usagePoints(tx *catalog.Tx, q catalog.SeriesQuery) ([]api.Usage, error) {
	at := map[time.Time]*api.Usage{}
	for _, m := range []struct {
		metric string
		of     func(*api.Usage) *int64
	}{
		{catalog.MetricDownloads, func(u *api.Usage) *int64 { return &u.Downloads }},
		{catalog.MetricPublished, func(u *api.Usage) *int64 { return &u.Publishes }},
		{catalog.MetricDeleted, func(u *api.Usage) *int64 { return &u.Deletes }},
		{catalog.MetricHits, func(u *api.Usage) *int64 { return &u.CacheHits }},
		{catalog.MetricMisses, func(u *api.Usage) *int64 { return &u.CacheMisses }},
		{catalog.MetricBytes, func(u *api.Usage) *int64 { return &u.BytesServed }},
		{catalog.MetricSaved, func(u *api.Usage) *int64 { return &u.BytesSaved }},
		{catalog.MetricRequests, func(u *api.Usage) *int64 { return &u.Requests }},
		{catalog.MetricErrors, func(u *api.Usage) *int64 { return &u.Errors }},
		{catalog.MetricRefused, func(u *api.Usage) *int64 { return &u.ClientErrors }},
	} {
		q.Metric = m.metric
		points, err := tx.Series(q)
		if err != nil {
			return nil, err
		}
		for _, p := range points {
			if at[p.Time] == nil {
				at[p.Time] = &api.Usage{Time: restjson.At(p.Time)}
			}
			*m.of(at[p.Time]) += p.Sum
		}
	}
	out := make([]api.Usage, 0, len(at))
	for _, p := range at {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(x, y api.Usage) int { return x.Time.Compare(y.Time.Time) })
	return out, nil
}

func packagePoints(tx *catalog.Tx, domainID, repositoryID string, c artifact.Coordinates, from, to time.Time) ([]api.Usage, error) {
	days, err := tx.PackageDays(domainID, repositoryID, c, from, to.Add(-1))
	out := make([]api.Usage, len(days))
	for i, d := range days {
		out[i] = api.Usage{
			Time:      restjson.At(d.Day),
			Downloads: d.Downloads, Publishes: d.Published, Deletes: d.Deleted, CacheHits: d.Hits, CacheMisses: d.Misses, BytesServed: d.Bytes, BytesSaved: d.Saved,
		}
	}
	return out, err
}

func addUsage(sum, u *api.Usage) {
	sum.Downloads += u.Downloads
	sum.Publishes += u.Publishes
	sum.Deletes += u.Deletes
	sum.CacheHits += u.CacheHits
	sum.CacheMisses += u.CacheMisses
	sum.BytesServed += u.BytesServed
	sum.BytesSaved += u.BytesSaved
	sum.Requests += u.Requests
	sum.Errors += u.Errors
	sum.ClientErrors += u.ClientErrors
}

func percent(u *api.Usage) {
	if all := u.CacheHits + u.CacheMisses; all > 0 {
		u.CacheHitPercent = 100 * u.CacheHits / all
	}
}

func (a *API) getPopularPackages(ctx context.Context, c *restjson.Call, in *api.GetPopularPackagesInput) (*api.GetPopularPackagesOutput, error) {
	a.counted(ctx)
	id := targetOf(c, in).id
	out := &api.GetPopularPackagesOutput{}
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		d, r, err := reported(tx, id)
		if err != nil {
			return err
		}
		since, err := tx.UsageSince()
		if err != nil {
			return err
		}
		from := tx.Now().Add(-time.Duration(limitOf(in.Days, reportDays)-1) * day)
		rows, err := tx.PopularPackages(d.ID, r.ID, from, tx.Now(), limitOf(in.MaxPackages, popularLimit))
		*out = api.GetPopularPackagesOutput{CountedSince: restjson.At(since), Packages: make([]api.PopularPackage, len(rows))}
		for i, p := range rows {
			out.Packages[i] = api.PopularPackage{
				Format: string(p.Coordinates.Format), Namespace: p.Coordinates.Namespace, Package: p.Coordinates.Name,
				Downloads: p.Downloads, CacheHits: p.Hits, CacheMisses: p.Misses, BytesServed: p.Bytes, BytesSaved: p.Saved,
			}
		}
		return err
	})
	return out, err
}

// stalePlace is a place in the listing of stale packages.
type stalePlace struct {
	Repository string
	Package    artifact.Coordinates
	Before     int64 // microseconds: all pages are about one time
}

func (a *API) getStalePackages(ctx context.Context, c *restjson.Call, in *api.GetStalePackagesInput) (*api.GetStalePackagesOutput, error) {
	a.counted(ctx)
	id, limit := targetOf(c, in).id, limitOf(in.MaxResults, staleLimit)
	days := limitOf(in.Days, staleDays)
	l := page.For[stalePlace]("GetStalePackages", id.Owner, id.Domain, id.Name, time.Duration(days).String())
	after, going, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &api.GetStalePackagesOutput{}
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		d, r, err := reported(tx, id)
		if err != nil {
			return err
		}
		since, err := tx.UsageSince()
		if err != nil {
			return err
		}
		repositories := []catalog.Repository{r}
		if r.ID == "" {
			if repositories, err = tx.Repositories(d.ID, catalog.RepositoryFilter{}, "", 0); err != nil {
				return err
			}
		}
		before := tx.Now().Add(-time.Duration(days) * day)
		if going {
			before = time.UnixMicro(after.Before)
		}
		var rows []api.StalePackage
		for _, r := range repositories {
			if len(rows) > limit || going && r.Name < after.Repository {
				continue
			}
			from := artifact.Coordinates{}
			if going && r.Name == after.Repository {
				from = after.Package
			}
			some, err := tx.StalePackages(r.ID, before, from, limit+1-len(rows))
			if err != nil {
				return err
			}
			for _, p := range some {
				rows = append(rows, stalePackage(r.Name, p))
			}
		}
		rows, token := page.Cut(l, rows, limit, func(p api.StalePackage) stalePlace {
			return stalePlace{p.Repository, artifact.Coordinates{Format: artifact.Format(p.Format), Namespace: p.Namespace, Name: p.Package}, before.UnixMicro()}
		})
		if rows == nil {
			rows = []api.StalePackage{}
		}
		*out = api.GetStalePackagesOutput{CountedSince: restjson.At(since), Packages: rows, NextToken: token}
		return nil
	})
	return out, err
}

func stalePackage(repository string, p catalog.StalePackage) api.StalePackage {
	out := api.StalePackage{
		Repository: repository, Format: string(p.Coordinates.Format), Namespace: p.Coordinates.Namespace, Package: p.Coordinates.Name,
		Versions: p.Versions, Bytes: p.Bytes, Downloads: p.Downloads,
	}
	if !p.LastDownload.IsZero() {
		out.LastDownloadTime = restjson.At(p.LastDownload)
	}
	if !p.LastPublished.IsZero() {
		out.LastPublishedTime = restjson.At(p.LastPublished)
	}
	return out
}
