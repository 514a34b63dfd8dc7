package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/ops"
)

const (
	countEvery   = 10 * time.Second // metrics may be read more often than this asks the database
	countTimeout = 10 * time.Second
)

// storedBytes reads what domains and repositories keep, at most once every
// countEvery.
type storedBytes struct {
	app *App

	mu   sync.Mutex
	at   time.Time
	last []ops.Stored
}

// total is what all domains keep.
func (s *storedBytes) total() float64 {
	var sum int64
	for _, of := range s.each() {
		if of.Repository == "" {
			sum += of.Bytes
		}
	}
	return float64(sum)
}

func (s *storedBytes) each() []ops.Stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && time.Since(s.at) < countEvery {
		return s.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	var found []ops.Stored
	turned := s.app.db.Turnover()
	err := s.app.eachDomain(ctx, func(tx *catalog.Tx, d catalog.Domain) error {
		repositories, err := tx.Repositories(d.ID, catalog.RepositoryFilter{}, "", 0)
		if err != nil {
			return err
		}
		names := map[string]string{"": ""}
		for _, r := range repositories {
			names[r.ID] = r.Name
		}
		totals, err := tx.UsageTotals(d.ID)
		for _, t := range totals {
			if name, ok := names[t.RepositoryID]; ok {
				found = append(found, ops.Stored{Owner: d.Owner, Domain: d.Name, Repository: name, Bytes: t.Bytes, Turned: turned[t.RepositoryID]})
			}
		}
		return err
	})
	if err != nil {
		s.app.log.Error("read stored bytes", slog.Any("error", err))
		return s.last
	}
	s.at, s.last = time.Now(), found
	return found
}

// FreeSpace is how many bytes this user may still write to the disk of a folder.
func FreeSpace(folder string) (bytes uint64, known bool) { return freeSpace(folder) }
