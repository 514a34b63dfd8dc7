package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// MaxParts is how many parts one asset may be sent in.
const MaxParts = 10_000

// Part is a piece of an asset.
type Part struct {
	SHA256 string // lower-case hex
	Size   int64  // bytes
}

// Assembly is an asset to be put together from parts.
type Assembly struct {
	Version string
	Name    string // of the asset
	SHA256  string // of all parts together, lower-case hex
	Parts   []Part // in order; one may be there twice
}

// size is that of the whole asset.
func (a Assembly) size() (n int64) {
	for _, p := range a.Parts {
		n += p.Size
	}
	return n
}

// StagePart stores a part of an asset that Assemble will name, durably on
// return, if it has the SHA-256 want. Parts belong to the asset they were sent
// for: a part of another one cannot be named, whoever knows its hash. Equal
// parts are kept once. One that nobody renews is forgotten after the grace of
// the sweep, a day or so.
//
// TooLarge when the parts sent for this asset would be more bytes, or more
// parts, than an asset may have; Quota when they are more than one may have in
// the repository. Errors of content are as for Stage.
func (r *Repo) StagePart(ctx context.Context, c artifact.Coordinates, version, name, want string, content io.Reader) (Part, error) {
	if err := r.mayAdd(ctx, c, version, name); err != nil {
		return Part{}, err
	}
	s, upload := r.service, r.upload(c, version, name)
	if err := s.db.View(ctx, func(tx *catalog.Tx) error { return s.roomFor(tx, r.node, upload, name) }); err != nil {
		return Part{}, err
	}
	content, err := r.node.within(name, content)
	if err != nil {
		return Part{}, err
	}
	info, err := r.store(ctx, r.partSpace(), content)
	if err != nil {
		return Part{}, err
	}
	p := Part{info.Ref.SHA256, info.Size}
	if p.SHA256 != want {
		return p, fault.New(fault.Invalid, "the part does not have the SHA-256 %s but %s", want, p.SHA256)
	}
	return p, s.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.PutUploadPart(upload, catalog.UploadPart(p)); err != nil {
			return err
		}
		return s.roomFor(tx, r.node, upload, name)
	})
}

// roomFor refuses an upload with more parts, or more bytes, than the asset called
// name may have in n.
func (s *Service) roomFor(tx *catalog.Tx, n *node, upload, name string) error {
	parts, size, err := tx.UploadSize(upload)
	if err != nil {
		return err
	}
	if parts > MaxParts {
		return fault.New(fault.TooLarge, "an asset may be sent in %d parts at most", MaxParts)
	}
	if size > s.opt.MaxAssetBytes {
		return fault.New(fault.TooLarge, "the parts of this asset are more than %d bytes, which is the most this server takes (max-asset-size)", s.opt.MaxAssetBytes)
	}
	return n.mayBe(name, size)
}

// Assemble puts an asset together from parts that StagePart has stored, durably
// on return, for Publish to refer to. When some are not there it gives their
// hashes and does nothing else; parts of this asset that a does not name are
// forgotten. An asset that the version has with this hash already is given as it
// is, without looking at parts.
//
// Conflict when the version has another asset of the name or takes no more, and
// Quota when the repository or its domain has no room for the asset, before any
// part is asked for; Invalid when the whole has another hash.
func (r *Repo) Assemble(ctx context.Context, c artifact.Coordinates, a Assembly) (st Staged, missing []string, err error) {
	if err := r.mayAdd(ctx, c, a.Version, a.Name); err != nil {
		return Staged{}, nil, err
	}
	s, upload := r.service, r.upload(c, a.Version, a.Name)
	if size := a.size(); size > s.opt.MaxAssetBytes || len(a.Parts) > MaxParts {
		return Staged{}, nil, fault.New(fault.TooLarge, "%d bytes in %d parts are more than this server takes for one asset: %d bytes (max-asset-size) in %d parts",
			size, len(a.Parts), s.opt.MaxAssetBytes, MaxParts)
	}
	var have []catalog.UploadPart
	if err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		var fresh bool
		if st, fresh, err = s.heldAsset(tx, r.node, c, a); err != nil || st.Name != "" {
			return err
		}
		if err := s.admitWhole(tx, r.node, fresh, a); err != nil {
			return err
		}
		have, err = tx.UploadParts(upload)
		return err
	}); err != nil || st.Name != "" {
		return st, nil, err
	}
	missing, unwanted, err := r.compare(ctx, a.Parts, have)
	if err != nil {
		return Staged{}, nil, err
	}
	if len(unwanted) > 0 {
		if err := s.db.Update(ctx, func(tx *catalog.Tx) error {
			for _, sha := range unwanted {
				if err := tx.DeleteUploadPart(upload, sha); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return Staged{}, nil, err
		}
	}
	if len(missing) > 0 {
		return Staged{}, missing, nil
	}
	whole := &pieces{ctx: ctx, blobs: s.blobs, space: r.partSpace(), left: a.Parts}
	defer whole.Close()
	info, err := s.blobs.Put(ctx, r.node.graph.domain.ID, whole)
	if fault.Is(err, fault.NotFound) { // swept since
		return Staged{}, nil, fault.Wrap(fault.Unavailable, err, "a part of %s has been cleaned up meanwhile; ask again which are missing", a.Name)
	}
	if err != nil && ctx.Err() != nil && fault.Is(err, fault.Internal) {
		err = brokenOff(err)
	}
	if err != nil {
		return Staged{}, nil, err
	}
	if info.Ref.SHA256 != a.SHA256 {
		return Staged{}, nil, fault.New(fault.Invalid, "the parts together do not have the SHA-256 %s but %s", a.SHA256, info.Ref.SHA256)
	}
	return Staged{artifact.Asset{Name: a.Name, Size: info.Size, Digests: info.Digests}}, nil, nil
}

// ForgetParts lets go of the parts of an asset that has been published.
func (r *Repo) ForgetParts(ctx context.Context, c artifact.Coordinates, a Assembly) error {
	if err := r.mayAdd(ctx, c, a.Version, a.Name); err != nil {
		return err
	}
	err := r.service.db.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteUpload(r.upload(c, a.Version, a.Name)) })
	if err != nil {
		return err
	}
	// Another upload that has an equal part finds it missing and sends it again.
	for _, p := range a.Parts {
		err := r.service.blobs.Delete(ctx, blob.Ref{Space: r.partSpace(), SHA256: p.SHA256})
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
	}
	return nil
}

// mayAdd is what has to be right before anything of an asset is taken.
func (r *Repo) mayAdd(ctx context.Context, c artifact.Coordinates, version, name string) error {
	r.does(publishAction, c, version)
	if err := r.MayPublish(ctx, c); err != nil {
		return err
	}
	if err := artifact.CheckName("packageVersion", version); err != nil {
		return err
	}
	return artifact.CheckAssetName(name)
}

// upload names what the parts of an asset are kept under.
func (r *Repo) upload(c artifact.Coordinates, version, name string) string {
	// No part of it can hold a slash, so that no two assets have one name.
	sum := sha256.Sum256([]byte(strings.Join([]string{r.node.repo.ID, string(c.Format), c.Namespace, c.Name, version, name}, "/")))
	return hex.EncodeToString(sum[:])
}

// partSpace is where the parts of a domain are: apart from its assets, which
// have rows that the sweep looks for.
func (r *Repo) partSpace() string { return "parts-" + r.node.graph.domain.ID }

// heldAsset gives the asset that a version of this repository has already under
// the name and hash of a; none when there is nothing in its way. fresh tells that
// there is no such version.
func (s *Service) heldAsset(tx *catalog.Tx, n *node, c artifact.Coordinates, a Assembly) (st Staged, fresh bool, err error) {
	row, err := tx.Package(n.repo.ID, c)
	if fault.Is(err, fault.NotFound) {
		return Staged{}, true, nil
	}
	if err != nil {
		return Staged{}, false, err
	}
	held, err := tx.Version(row.ID, a.Version)
	if fault.Is(err, fault.NotFound) {
		return Staged{}, true, nil
	}
	if err != nil {
		return Staged{}, false, err
	}
	asset, err := tx.Asset(held.ID, a.Name)
	switch {
	case err == nil && asset.Digests.Hex(digest.SHA256) == a.SHA256:
		return Staged{asset.Asset}, false, nil
	case err == nil:
		return Staged{}, false, fault.About(fault.Conflict, "asset", a.Name, "version %s already has an asset %s with other content; publish another version, or delete this one first", a.Version, a.Name)
	case !fault.Is(err, fault.NotFound):
		return Staged{}, false, err
	case !s.traits(c.Format).Growth.takes(held.Status):
		return Staged{}, false, closed(c, held.Version)
	}
	return Staged{}, false, nil
}

// admitWhole asks the quotas for room for an asset before its parts are sent.
// Publish asks again: others may come first.
func (s *Service) admitWhole(tx *catalog.Tx, n *node, fresh bool, a Assembly) error {
	whole := artifact.Asset{Name: a.Name, Size: a.size()}
	if err := n.mayBe(a.Name, whole.Size); err != nil {
		return err
	}
	if err := whole.Digests.SetHex(digest.SHA256, a.SHA256); err != nil {
		return fault.Wrap(fault.Invalid, err, "%s is no SHA-256", a.SHA256)
	}
	versions := 0
	if fresh {
		versions = 1
	}
	return admit(tx, n, versions, []artifact.Asset{whole})
}

// compare tells which parts are missing, and which of those we have are not
// among them.
func (r *Repo) compare(ctx context.Context, parts []Part, have []catalog.UploadPart) (missing, unwanted []string, err error) {
	known := make(map[Part]bool, len(have))
	for _, p := range have {
		known[Part(p)] = true
	}
	seen := map[string]bool{}
	for _, p := range parts {
		if seen[p.SHA256] {
			continue
		}
		seen[p.SHA256] = true
		if known[p] {
			_, err := r.service.blobs.Stat(ctx, blob.Ref{Space: r.partSpace(), SHA256: p.SHA256})
			if err == nil {
				continue
			}
			if !errors.Is(err, blob.ErrNotFound) {
				return nil, nil, err
			}
		}
		missing = append(missing, p.SHA256)
	}
	for _, p := range have {
		if !seen[p.SHA256] {
			unwanted = append(unwanted, p.SHA256)
		}
	}
	return missing, unwanted, nil
}

// pieces reads blobs one after the other, one open at a time.
type pieces struct {
	ctx   context.Context //nolint:containedctx // lives for one Put
	blobs blob.Store
	space string
	left  []Part
	open  blob.Reader
}

func (p *pieces) Read(b []byte) (int, error) {
	for {
		if p.open == nil {
			if len(p.left) == 0 {
				return 0, io.EOF
			}
			var err error
			if p.open, err = p.blobs.Open(p.ctx, blob.Ref{Space: p.space, SHA256: p.left[0].SHA256}); err != nil {
				return 0, err
			}
			p.left = p.left[1:]
		}
		n, err := p.open.Read(b)
		if err == io.EOF { //nolint:errorlint // a reader returns it bare
			err = p.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close closes what is open.
func (p *pieces) Close() error {
	if p.open == nil {
		return nil
	}
	err := p.open.Close()
	p.open = nil
	return err
}
