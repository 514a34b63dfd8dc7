package registry

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// openBlob opens a content that rows refer to and say the size of. When its
// bytes are not there, because they were damaged and moved aside, or somebody
// has deleted or cut them, they are fetched again if they have come from outside.
func (s *Service) openBlob(ctx context.Context, ref blob.Ref, size int64) (blob.Reader, error) {
	f, err := s.blobs.Open(ctx, ref)
	if err == nil && f.Size() == size || err != nil && !errors.Is(err, blob.ErrNotFound) {
		return f, err
	}
	if err == nil {
		_ = f.Close() // only read from
		if err := s.setAside(ctx, ref); err != nil {
			return nil, err
		}
	}
	if err := s.Refetch(ctx, ref); err != nil {
		return nil, err
	}
	return s.blobs.Open(ctx, ref)
}

// setAside takes a content out of service whose bytes are wrong.
func (s *Service) setAside(ctx context.Context, ref blob.Ref) error {
	info, err := s.blobs.Stat(ctx, ref)
	if err == nil {
		var moved bool
		if moved, err = s.blobs.Quarantine(ctx, ref, info.Modified); moved {
			s.log.ErrorContext(ctx, "stored bytes are damaged and are not served any more", slog.String("content", ref.String()))
		}
	}
	if errors.Is(err, blob.ErrNotFound) {
		return nil // somebody else has
	}
	return err
}

// restoreFrom bounds the assets of one content whose connections are asked.
const restoreFrom = 16

// Refetch fetches the bytes of a content again that external versions are made
// of, and keeps them if their digest is the recorded one. Many who ask at once
// share one fetch. Unavailable when they cannot be had.
func (s *Service) Refetch(ctx context.Context, ref blob.Ref) error {
	_, err := s.restores.Do(ctx, ref, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.refetch(ctx, ref) })
	return err
}

func (s *Service) refetch(ctx context.Context, ref blob.Ref) error {
	var owners []catalog.BlobOwner
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		owners, err = tx.BlobOwners(ref.Space, ref.SHA256, restoreFrom)
		return err
	})
	if err != nil {
		return err
	}
	lost := fault.New(fault.Unavailable, "the stored bytes of this file are damaged or missing and there is no other copy; publish it again, or restore the server's blobs from a backup")
	sum, err := hex.DecodeString(ref.SHA256)
	if err != nil {
		return err
	}
	for _, o := range owners {
		at := slices.IndexFunc(owners, func(e catalog.BlobOwner) bool {
			return e.Package.Coordinates == o.Package.Coordinates && e.Version.Number == o.Version.Number && e.Asset == o.Asset && e.Version.Origin == o.Version.Origin
		})
		src := s.sources[o.Version.Origin.Connection]
		if o.Version.Origin.Type != artifact.External || src == nil || owners[at].Package.ID != o.Package.ID { // or asked already, for another repository
			continue
		}
		want, err := s.whereOutside(ctx, src, contentKey{"", o.Package.Coordinates, o.Version.Number, o.Asset})
		if err == nil {
			want.Integrity = "sha256-" + base64.StdEncoding.EncodeToString(sum) // whatever it says now: these bytes or none
			a := &arrival{begun: make(chan struct{}), ended: make(chan struct{}), size: -1, into: map[*node]*node{}}
			s.fetch(ctx, a, ref.Space, src, want, func(blob.Info) error { return nil })
			if err = a.err; err == nil {
				s.log.WarnContext(ctx, "bytes that were lost have been fetched again", slog.String("content", ref.String()),
					slog.String("connection", src.Connection.Name), slog.String("package", o.Package.Coordinates.String()), slog.String("version", o.Version.Number))
				s.observe(o.Package.Coordinates.Format, "restored")
				return nil
			}
		}
		lost = fault.Wrap(fault.Unavailable, err, "the stored bytes of this file are damaged or missing, and %s does not give them again now; try later, or restore the server's blobs from a backup", src.Connection.Name)
	}
	s.log.ErrorContext(ctx, "stored bytes are missing", slog.String("content", ref.String()), slog.Any("error", lost))
	return lost
}

// whereOutside finds where a source has an asset.
func (s *Service) whereOutside(ctx context.Context, src *upstream.Source, k contentKey) (upstream.ListedAsset, error) {
	if _, addressed := src.Remote.(upstream.Addressed); addressed {
		return src.Remote.Locate(k.c, k.version, k.name, nil)
	}
	st, err := s.remotes.Check(ctx, src, k.c)
	if err != nil {
		return upstream.ListedAsset{}, err
	}
	if !st.Found() {
		return upstream.ListedAsset{}, notVisible(k.c)
	}
	l, err := s.listing(ctx, remoteState{source: src, state: st}, k.c)
	if err != nil {
		return upstream.ListedAsset{}, err
	}
	return src.Remote.Locate(k.c, k.version, k.name, l)
}
