package app

import (
	"context"
	"slices"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/metric"
)

// meter is the source of metrics: the series that accounting keeps, whose names
// are those of CloudWatch.
//
// It is the one place that knows where figures come from.
type meter struct{ db *catalog.DB }

// Metrics implements metric.Source.
func (m meter) Metrics(ctx context.Context, account string) (ids []metric.ID, err error) {
	err = m.db.View(ctx, func(tx *catalog.Tx) error {
		ids = nil
		list, err := tx.AccountSeries(account)
		for _, s := range list {
			if _, shown := metric.KindOf(s.Metric); shown {
				ids = append(ids, metric.ID{Name: s.Metric, Domain: s.Domain, Repository: s.Repository})
			}
		}
		return err
	})
	slices.SortFunc(ids, metric.ID.Compare)
	return ids, err
}

// Points implements metric.Source.
func (m meter) Points(ctx context.Context, account string, id metric.ID, from, to time.Time, period time.Duration) (points []metric.Point, err error) {
	if _, shown := metric.KindOf(id.Name); !shown {
		return nil, nil
	}
	err = m.db.View(ctx, func(tx *catalog.Tx) error {
		points = nil
		q := catalog.SeriesQuery{Metric: id.Name, From: from, To: to, Widest: period}
		if err := find(tx, account, id, &q); err != nil {
			if fault.Is(err, fault.NotFound) {
				return nil
			}
			return err
		}
		series, err := tx.Series(q)
		for _, p := range series {
			if p.Time.Before(from) || !p.Time.Before(to) { // wide ones may begin before
				continue
			}
			points = append(points, metric.Point{At: p.Time, Sum: float64(p.Sum), Count: float64(p.Count), Min: float64(p.Min), Max: float64(p.Max)})
		}
		return err
	})
	return points, err
}

// find says what a metric is of.
func find(tx *catalog.Tx, account string, id metric.ID, q *catalog.SeriesQuery) error {
	if id.Domain == "" {
		q.Account = account
		return nil
	}
	d, err := tx.Domain(account, id.Domain)
	if err != nil || id.Repository == "" {
		q.DomainID = d.ID
		return err
	}
	r, err := tx.Repository(d.ID, id.Repository)
	q.DomainID, q.RepositoryID = d.ID, r.ID
	return err
}
