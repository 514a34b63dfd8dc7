package upkeep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

const (
	checkBatch   = 64               // contents listed at a time
	checkEvery   = time.Second      // progress is written no more often
	checkPiece   = 256 << 10        // bytes read at a time
	checkStretch = 30 * time.Second // then the job makes way for others
	checkHurry   = time.Minute      // of a stretch; a file that takes longer is read on at full speed: the lease ends
	keepChecks   = 20               // of each domain
)

// The phases of a check: contents that rows tell of, assets whose content none
// tells of, files nobody knows of.
const (
	phaseRecorded   = ""
	phaseUnrecorded = "UNRECORDED"
	phaseUnknown    = "UNKNOWN"
)

// checking is one stretch of a storage check.
type checking struct {
	*Runner
	check  catalog.StorageCheck
	saved  time.Time
	began  time.Time // of the stretch, for the rate
	read   int64     // bytes in it
	buffer []byte
}

// checkStorage compares stored bytes with their digests, from where the check
// was left. What is found is written before the check goes on, so that nothing
// is forgotten however it is broken off.
func (r *Runner) checkStorage(ctx context.Context, job catalog.Job) error {
	c := &checking{Runner: r, saved: time.Now(), began: time.Now(), buffer: make([]byte, checkPiece)}
	err := r.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		c.check, err = tx.StorageCheck(job.Key)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil && c.check.State == catalog.CheckRunning {
		err = c.run(ctx)
	}
	switch {
	case fault.Is(err, fault.Conflict): // somebody has stopped it
		return nil
	case errors.Is(err, errMore):
		return err
	case err != nil:
		return fmt.Errorf("check storage: %w", err)
	}
	return nil
}

func (c *checking) run(ctx context.Context) error {
	for _, phase := range []struct {
		name, next string
		do         func(context.Context) error
	}{
		{phaseRecorded, phaseUnrecorded, c.recorded},
		{phaseUnrecorded, phaseUnknown, c.unrecorded},
		{phaseUnknown, phaseUnknown, c.unknown},
	} {
		if c.check.Phase != phase.name {
			continue
		}
		if err := phase.do(ctx); err != nil {
			return err
		}
		c.check.Phase, c.check.After = phase.next, catalog.StoredBlob{}
		if err := c.save(ctx); err != nil {
			return err
		}
	}
	c.check.State = catalog.CheckDone
	return c.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.AdvanceStorageCheck(c.check); err != nil {
			return err
		}
		return tx.TrimStorageChecks(c.check.DomainID, keepChecks)
	})
}

// save writes how far the check is.
func (c *checking) save(ctx context.Context) error {
	c.saved = time.Now()
	return c.opt.DB.Update(ctx, func(tx *catalog.Tx) error { return tx.AdvanceStorageCheck(c.check) })
}

// passed notes that a content has been looked at.
func (c *checking) passed(ctx context.Context, b catalog.StoredBlob) error {
	c.check.After = b
	if time.Since(c.began) > checkStretch {
		return errors.Join(c.save(ctx), errMore)
	}
	if time.Since(c.saved) < checkEvery {
		return nil
	}
	return c.save(ctx)
}

// found writes a finding.
func (c *checking) found(ctx context.Context, b catalog.StoredBlob, kind, outcome, detail string) error {
	c.log.WarnContext(ctx, "storage check", slog.String("content", b.Space+"/"+b.SHA256), slog.String("found", kind), slog.String("outcome", outcome), slog.String("detail", detail))
	return c.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		return tx.PutStorageFinding(catalog.StorageFinding{CheckID: c.check.ID, Space: b.Space, SHA256: b.SHA256, Kind: kind, Outcome: outcome, Detail: detail})
	})
}

// recorded looks at every content that a row tells of.
func (c *checking) recorded(ctx context.Context) error {
	for {
		var some []catalog.StoredBlob
		err := c.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
			some, err = tx.StoredBlobs(c.check.DomainID, c.check.After, checkBatch)
			return err
		})
		if err != nil || len(some) == 0 {
			return err
		}
		for _, b := range some {
			n := c.read
			if err := c.content(ctx, b); err != nil {
				return err
			}
			c.check.Contents++
			c.check.Bytes += c.read - n
			if err := c.passed(ctx, b); err != nil {
				return err
			}
		}
	}
}

// content looks at one content with a row.
func (c *checking) content(ctx context.Context, b catalog.StoredBlob) error {
	ref := blob.Ref{Space: b.Space, SHA256: b.SHA256}
	for try := range 10 { // it may be put again meanwhile
		info, size, sum, err := c.digest(ctx, ref)
		switch {
		case errors.Is(err, blob.ErrNotFound):
			return c.missing(ctx, b)
		case err != nil:
			return err
		case sum == b.SHA256 && size == b.Size:
			return nil
		case sum == b.SHA256: // the bytes are right, the row is not
			return c.rowSize(ctx, b, size)
		case try == 0: // it may have been the reading: of a file system behind a network, or of failing memory
			continue
		}
		moved, err := c.opt.Blobs.Quarantine(ctx, ref, info.Modified)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
		if !moved {
			continue
		}
		if err := c.opt.DB.Update(ctx, func(tx *catalog.Tx) error { return tx.BlobLost(b.Space, b.SHA256) }); err != nil {
			return err
		}
		kind, detail := catalog.FoundDamaged, "the bytes have the digest "+sum
		if size != b.Size {
			kind, detail = catalog.FoundSize, fmt.Sprintf("%d bytes of %d", size, b.Size)
		}
		if err := c.found(ctx, b, kind, catalog.OutcomeQuarantined, detail); err != nil {
			return err
		}
		return c.repair(ctx, b, kind, detail)
	}
	return nil
}

// missing is for a row without bytes, unless the sweep has just taken both.
func (c *checking) missing(ctx context.Context, b catalog.StoredBlob) error {
	there, known := false, false
	err := c.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		if there, err = tx.HasBlob(b.Space, b.SHA256); err == nil && there {
			there, err = tx.HasBlobReference(b.Space, b.SHA256)
		}
		if err == nil {
			known, err = tx.HasStorageFinding(c.check.ID, b.Space, b.SHA256)
		}
		return err
	})
	if err != nil || !there || known { // what was moved aside before the check was broken off has been told
		return err
	}
	if _, err := c.opt.Blobs.Stat(ctx, blob.Ref{Space: b.Space, SHA256: b.SHA256}); !errors.Is(err, blob.ErrNotFound) {
		return err // put since
	}
	if err := c.found(ctx, b, catalog.FoundMissing, catalog.OutcomeReported, ""); err != nil {
		return err
	}
	return c.repair(ctx, b, catalog.FoundMissing, "")
}

// repair fetches lost bytes again, where that is asked for and possible. A
// document of a remote is asked for again by itself.
func (c *checking) repair(ctx context.Context, b catalog.StoredBlob, kind, detail string) error {
	if !c.check.Repair || c.opt.Restore == nil || b.Space == catalog.RemoteSpace {
		return nil
	}
	if err := c.opt.Restore(ctx, blob.Ref{Space: b.Space, SHA256: b.SHA256}); err != nil {
		return ctx.Err() // it stays what it is, and says why in the log
	}
	return c.found(ctx, b, kind, catalog.OutcomeRepaired, detail)
}

func (c *checking) rowSize(ctx context.Context, b catalog.StoredBlob, size int64) error {
	detail := fmt.Sprintf("the row says %d bytes, which are %d", b.Size, size)
	if !c.check.Repair {
		return c.found(ctx, b, catalog.FoundSize, catalog.OutcomeReported, detail)
	}
	err := c.opt.DB.Update(ctx, func(tx *catalog.Tx) error { return tx.SetBlobSize(b.Space, b.SHA256, size) })
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return c.found(ctx, b, catalog.FoundSize, catalog.OutcomeRepaired, detail)
}

// unrecorded looks for assets whose content no row tells of.
func (c *checking) unrecorded(ctx context.Context) error {
	for {
		var some []catalog.StoredBlob
		err := c.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
			some, err = tx.UnrecordedAssets(c.check.DomainID, c.check.After, checkBatch)
			return err
		})
		if err != nil || len(some) == 0 {
			return err
		}
		for _, b := range some {
			outcome := catalog.OutcomeReported
			if c.check.Repair {
				outcome = catalog.OutcomeRepaired
				if err := c.opt.DB.Update(ctx, func(tx *catalog.Tx) error { return tx.StoreBlob(b.Space, b.SHA256, b.Size) }); err != nil {
					return err
				}
			}
			if err := c.found(ctx, b, catalog.FoundUnrecorded, outcome, ""); err != nil {
				return err
			}
			if err := c.content(ctx, b); err != nil {
				return err
			}
			if err := c.passed(ctx, b); err != nil {
				return err
			}
		}
	}
}

// unknown looks for files that nobody knows of. Young ones may be on their way
// in. It starts over when it is broken off, for files come in no order.
func (c *checking) unknown(ctx context.Context) error {
	before := c.opt.Now().Add(-c.opt.Grace)
	var some []blob.Info
	for info, err := range c.opt.Blobs.All(ctx) {
		if err != nil {
			return err
		}
		if c.check.DomainID != "" && info.Ref.Space != c.check.DomainID || !info.Modified.Before(before) {
			continue
		}
		if some = append(some, info); len(some) < checkBatch {
			continue
		}
		if err := c.unknownOf(ctx, some); err != nil {
			return err
		}
		some = some[:0]
	}
	return c.unknownOf(ctx, some)
}

// unknownOf looks for those of some files: all at once, for there may be millions
// and a stretch is too short to ask the database about each.
func (c *checking) unknownOf(ctx context.Context, some []blob.Info) error {
	var unknown []blob.Info
	err := c.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		unknown = nil
		sums, known := map[string][]string{}, map[string]map[string]bool{} // by space
		for _, info := range some {
			sums[info.Ref.Space] = append(sums[info.Ref.Space], info.Ref.SHA256)
		}
		for space, of := range sums {
			var err error
			if known[space], err = tx.HasBlobs(space, of); err != nil {
				return err
			}
		}
		for _, info := range some {
			if known[info.Ref.Space][info.Ref.SHA256] {
				continue
			}
			switch used, err := tx.HasBlobReference(info.Ref.Space, info.Ref.SHA256); {
			case err != nil:
				return err
			case !used:
				unknown = append(unknown, info)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, info := range unknown {
		b := catalog.StoredBlob{Space: info.Ref.Space, SHA256: info.Ref.SHA256}
		if err := c.found(ctx, b, catalog.FoundUnknown, catalog.OutcomeReported, fmt.Sprintf("%d bytes, which the sweep takes", info.Size)); err != nil {
			return err
		}
	}
	return nil
}

// digest reads a content at the rate of the check. It gives the store's own
// view from before it was read.
func (c *checking) digest(ctx context.Context, ref blob.Ref) (info blob.Info, size int64, sum string, err error) {
	if info, err = c.opt.Blobs.Stat(ctx, ref); err != nil {
		return info, 0, "", err
	}
	f, err := c.opt.Blobs.Open(ctx, ref)
	if err != nil {
		return info, 0, "", err
	}
	defer f.Close()
	hasher := digest.NewHasher()
	for {
		n, err := f.Read(c.buffer)
		_, _ = hasher.Write(c.buffer[:n]) // never fails
		size += int64(n)
		c.read += int64(n)
		if errors.Is(err, io.EOF) {
			return info, size, hasher.Sum().Hex(digest.SHA256), nil
		}
		if err != nil { // a disk that cannot read is no better than one that reads wrong
			c.log.ErrorContext(ctx, "stored bytes cannot be read", slog.String("content", ref.String()), slog.Any("error", err))
			return info, size, "unreadable", nil
		}
		if err := c.pace(ctx); err != nil {
			return info, size, "", err
		}
		if time.Since(c.saved) > checkEvery { // one file may take long: somebody may want to stop it, or see that it lives
			if err := c.save(ctx); err != nil {
				return info, size, "", err
			}
		}
	}
}

// pace waits until the bytes read so far may have been.
func (c *checking) pace(ctx context.Context) error {
	if c.check.Rate <= 0 || time.Since(c.began) > checkHurry {
		return ctx.Err()
	}
	ahead := time.Duration(float64(c.read)/float64(c.check.Rate)*float64(time.Second)) - time.Since(c.began)
	if ahead <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
