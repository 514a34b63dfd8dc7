package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"packhouse/internal/catalog"
)

const (
	countEvery   = time.Minute // metrics are read more often than bytes need counting
	countTimeout = 10 * time.Second
)

// storedBytes counts what domains keep, at most once every countEvery.
type storedBytes struct {
	app *App

	mu    sync.Mutex
	at    time.Time
	total float64
}

func (s *storedBytes) value() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < countEvery {
		return s.total
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	var total int64
	err := s.app.eachDomain(ctx, func(tx *catalog.Tx, d catalog.Domain) error {
		usage, err := tx.DomainUsage(d.ID)
		total += usage.Bytes
		return err
	})
	if err != nil {
		s.app.log.Error("count stored bytes", slog.Any("error", err))
		return s.total
	}
	s.at, s.total = time.Now(), float64(total)
	return s.total
}

// FreeSpace is how many bytes this user may still write to the disk of a folder.
func FreeSpace(folder string) (bytes uint64, known bool) { return freeSpace(folder) }
