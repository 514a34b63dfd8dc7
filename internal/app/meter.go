package app

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/metric"
)

// meter is the source of metrics: what the catalog holds, counted at most once a
// minute, when somebody asks. A count stands for the last full minute; those of
// the last hour are remembered by this process.
//
// It is the one place that knows where figures come from.
type meter struct {
	db  *catalog.DB
	now func() time.Time

	mu       sync.Mutex
	accounts map[string]*[]count // oldest first
}

const keepCounts = 60

// count is the figures of an account at a time.
type count struct {
	at     time.Time
	values map[metric.ID]float64
}

func newMeter(db *catalog.DB, now func() time.Time) metric.Source {
	return &meter{db: db, now: now, accounts: map[string]*[]count{}}
}

// Metrics implements metric.Source.
func (m *meter) Metrics(ctx context.Context, account string) ([]metric.ID, error) {
	list, err := m.counts(ctx, account)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var ids []metric.ID
	for id := range list[len(list)-1].values {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, metric.ID.Compare)
	return ids, nil
}

// Points implements metric.Source.
func (m *meter) Points(ctx context.Context, account string, id metric.ID, from, to time.Time) ([]metric.Point, error) {
	list, err := m.counts(ctx, account)
	if err != nil {
		return nil, err
	}
	var points []metric.Point
	for _, c := range list {
		if value, ok := c.values[id]; ok && !c.at.Before(from) && c.at.Before(to) {
			points = append(points, metric.Sample(c.at, value))
		}
	}
	return points, nil
}

// counts gives what is remembered of an account, with the last full minute.
func (m *meter) counts(ctx context.Context, account string) ([]count, error) {
	at := m.now().UTC().Truncate(time.Minute).Add(-time.Minute)
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.accounts[account]
	if list == nil {
		list = &[]count{}
		m.accounts[account] = list
	}
	// A clock that goes back finds what was counted in its future gone.
	*list = slices.DeleteFunc(*list, func(c count) bool { return c.at.After(at) || c.at.Before(at.Add(-keepCounts*time.Minute)) })
	if n := len(*list); n > 0 && (*list)[n-1].at.Equal(at) {
		return slices.Clone(*list), nil
	}
	values, err := m.take(ctx, account)
	if err != nil {
		return nil, err
	}
	*list = append(*list, count{at, values})
	return slices.Clone(*list), nil
}

// take counts what an account has.
func (m *meter) take(ctx context.Context, account string) (map[metric.ID]float64, error) {
	values := map[metric.ID]float64{{Name: storage}: 0, {Name: stored}: 0}
	return values, m.db.View(ctx, func(tx *catalog.Tx) error {
		held, err := tx.RepositoriesBytes(account)
		if err != nil {
			return err
		}
		for _, h := range held {
			bytes := float64(h.Bytes)
			values[metric.ID{Name: storage}] += bytes
			values[metric.ID{Name: storage, Domain: h.Domain}] += bytes
			values[metric.ID{Name: storage, Domain: h.Domain, Repository: h.Repository}] = bytes
		}
		domains, err := tx.Domains(account, "", 0)
		for _, d := range domains {
			usage, failed := tx.DomainUsage(d.ID)
			err = cmp.Or(err, failed)
			values[metric.ID{Name: stored}] += float64(usage.Bytes)
			values[metric.ID{Name: stored, Domain: d.Name}] = float64(usage.Bytes)
		}
		return err
	})
}

const (
	storage = "RepositoryStorageUsed"
	stored  = "DomainStorageUsed"
)
