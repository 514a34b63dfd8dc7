package upkeep

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// sweepBatch is how many blobs one transaction takes away. Removing a file is
// quick, but on SQLite every other writer waits for it.
const sweepBatch = 32

// sweepLook is how many files are looked at between pauses.
const sweepLook = 64

// rest gives others as long as the work since began has taken.
func rest(ctx context.Context, began time.Time) error {
	wait := time.NewTimer(time.Since(began))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Swept counts what a sweep removed.
type Swept struct {
	Blobs int
	Bytes int64
}

// sweepBlobs removes the bytes that nothing has referred to and that have been
// left alone for the grace: those the catalog knows of, then files it does not.
func (r *Runner) sweepBlobs(ctx context.Context, _ catalog.Job) error {
	total, err := r.Sweep(ctx)
	if total.Blobs > 0 {
		r.log.InfoContext(ctx, "swept unreferenced bytes", slog.Int("blobs", total.Blobs), slog.Int64("bytes", total.Bytes))
	}
	return err
}

// Sweep is one whole sweep, done now. Publishing goes on meanwhile: the bytes
// and their row go inside one transaction that has looked for references
// itself, and only if nobody has put the bytes again since the grace began.
func (r *Runner) Sweep(ctx context.Context) (total Swept, err error) {
	before := r.opt.Now().Add(-r.opt.Grace)
	if err := r.sweepRows(ctx, before, &total); err != nil {
		return total, fmt.Errorf("sweep blobs: %w", err)
	}
	if err := r.sweepFiles(ctx, before, &total); err != nil {
		return total, fmt.Errorf("sweep files without a row: %w", err)
	}
	return total, nil
}

// sweepRows goes through the blobs that have a row and no reference.
func (r *Runner) sweepRows(ctx context.Context, before time.Time, total *Swept) error {
	var after catalog.StoredBlob
	for {
		began := time.Now()
		var some []catalog.StoredBlob
		err := r.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
			some, err = tx.UnreferencedBlobs("", before, after, sweepBatch)
			return err
		})
		if err != nil || len(some) == 0 {
			return err
		}
		after = some[len(some)-1]
		if err := r.remove(ctx, some, before, total); err != nil {
			return err
		}
		if err := rest(ctx, began); err != nil {
			return err
		}
	}
}

// sweepFiles goes through the files of the store for those without a row: left
// by a crash between storing the bytes and committing the row, or uploaded and
// never published.
func (r *Runner) sweepFiles(ctx context.Context, before time.Time, total *Swept) error {
	var some []catalog.StoredBlob
	flush := func() error {
		err := r.remove(ctx, some, before, total)
		some = some[:0]
		return err
	}
	seen, began := 0, time.Now()
	for info, err := range r.opt.Blobs.All(ctx) {
		if err != nil {
			return err
		}
		if seen++; seen%sweepLook == 0 {
			if err := rest(ctx, began); err != nil {
				return err
			}
			began = time.Now()
		}
		if !info.Modified.Before(before) {
			continue
		}
		known := false
		err := r.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
			known, err = tx.HasBlob(info.Ref.Space, info.Ref.SHA256)
			return err
		})
		if err != nil {
			return err
		}
		if known {
			continue
		}
		some = append(some, catalog.StoredBlob{Space: info.Ref.Space, SHA256: info.Ref.SHA256, Size: info.Size})
		if len(some) == sweepBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// remove takes away those of some that nothing refers to. Whichever of this
// transaction and one that adds a reference commits first, the other sees it:
// a reference found here keeps the bytes; bytes gone there refuse the reference
// (registry, refer). Both hold the row of the content first, so that the bytes
// do not go in an attempt that fails.
func (r *Runner) remove(ctx context.Context, some []catalog.StoredBlob, before time.Time, total *Swept) error {
	if len(some) == 0 {
		return nil
	}
	gone := map[blob.Ref]int64{} // over all attempts of the transaction: files do not come back with it
	err := r.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		for _, b := range some {
			if _, err := tx.HoldBlob(b.Space, b.SHA256); err != nil {
				return err
			}
			used, err := tx.HasBlobReference(b.Space, b.SHA256)
			if err != nil {
				return err
			}
			if used {
				continue
			}
			switch row, err := tx.StoredBlob(b.Space, b.SHA256); {
			case fault.Is(err, fault.NotFound):
			case err != nil:
				return err
			case !row.Created.Before(before): // it was referred to meanwhile
				continue
			}
			ref := blob.Ref{Space: b.Space, SHA256: b.SHA256}
			expired, err := r.opt.Blobs.Expire(ctx, ref, before)
			switch {
			case fault.Is(err, fault.NotFound): // by an earlier attempt, or never there
			case err != nil:
				return err
			case !expired:
				continue
			default:
				gone[ref] = b.Size
			}
			if err := tx.DeleteBlob(b.Space, b.SHA256); err != nil {
				return err
			}
		}
		return nil
	})
	for _, size := range gone {
		total.Blobs++
		total.Bytes += size
	}
	return err
}
