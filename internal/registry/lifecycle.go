package registry

import (
	"context"
	"fmt"
	"slices"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// The methods here are what the API does to stored versions (section 4). They
// look at one repository alone and check no permission: control has done that
// from the declaration of the operation, on names, before anything is read.

// Batch is a call about several versions of one package.
type Batch struct {
	Repository  artifact.RepositoryID
	Coordinates artifact.Coordinates
	Versions    []string
	Revisions   map[string]string // what each version must have; nil: any
	Expected    artifact.Status   // what each version must have; empty: any
}

// Outcome says what became of each version of a batch. A version may be in
// neither map: nothing had to be done.
type Outcome struct {
	Done   map[string]VersionState
	Failed map[string]VersionError
}

// VersionState is a version after the call.
type VersionState struct {
	Revision string
	Status   artifact.Status
}

// VersionError is why a version was left alone.
type VersionError struct {
	Code    VersionErrorCode
	Message string
}

// VersionErrorCode is the PackageVersionErrorCode enum word.
type VersionErrorCode string

// The codes.
const (
	AlreadyExists      VersionErrorCode = "ALREADY_EXISTS"
	MismatchedRevision VersionErrorCode = "MISMATCHED_REVISION"
	MismatchedStatus   VersionErrorCode = "MISMATCHED_STATUS"
	NotAllowed         VersionErrorCode = "NOT_ALLOWED"
	VersionNotFound    VersionErrorCode = "NOT_FOUND"
	Skipped            VersionErrorCode = "SKIPPED"
)

func newOutcome() Outcome {
	return Outcome{Done: map[string]VersionState{}, Failed: map[string]VersionError{}}
}

func (o *Outcome) done(v artifact.Version) {
	o.Done[v.Number] = VersionState{Revision: v.Revision, Status: v.Status}
}

func (o *Outcome) fail(number string, code VersionErrorCode, format string, args ...any) {
	o.Failed[number] = VersionError{code, fmt.Sprintf(format, args...)}
}

// skip fails every version that has not failed, because one has.
func (o *Outcome) skip(numbers []string, format string) {
	for _, number := range numbers {
		if _, ok := o.Failed[number]; !ok {
			o.fail(number, Skipped, format, number)
		}
	}
}

// UpdateStatus moves versions to another status: all of them, or none when one
// cannot go (operation 47). target is Published, Unlisted or Archived, else
// Invalid. NotFound without the repository or package.
func (s *Service) UpdateStatus(ctx context.Context, b Batch, target artifact.Status) (Outcome, error) {
	switch target {
	case artifact.Published, artifact.Unlisted, artifact.Archived:
	default:
		return Outcome{}, fault.Field("targetStatus", "must be Published, Unlisted or Archived; versions are disposed and deleted by operations of their own")
	}
	return s.moveTo(ctx, b, target, func(catalog.Version) string { return "" })
}

// moveTo is UpdateStatus for a target that is one of the three; refuse may say of
// further versions why not.
func (s *Service) moveTo(ctx context.Context, b Batch, target artifact.Status, refuse func(catalog.Version) string) (Outcome, error) {
	allowed := func(row catalog.Version) string {
		reason := refuse(row)
		switch {
		case reason != "":
			return reason
		case row.Status == artifact.Disposed:
			return fmt.Sprintf("version %s is Disposed and can only be deleted", row.Number)
		case row.Status == artifact.Unfinished && target == artifact.Unlisted:
			return fmt.Sprintf("version %s is Unfinished and must be Published before it can be Unlisted", row.Number)
		}
		return ""
	}
	return s.together(ctx, b, allowed, func(tx *catalog.Tx, n *node, p catalog.Package, row *catalog.Version) error {
		if row.Status == target {
			return nil
		}
		row.Status = target
		if err := tx.UpdateVersion(p, *row); err != nil {
			return err
		}
		return tx.Emit(eventOf(n, p.Coordinates, row.Version, artifact.Event{Operation: "Updated", StatusChanged: true}))
	})
}

// Dispose takes the bytes of versions away and keeps their records, so that
// the numbers stay taken: of all of them, or of none when one cannot
// (operation 19). A version that is Disposed already stays so. The revision
// still names what the version was.
func (s *Service) Dispose(ctx context.Context, b Batch) (Outcome, error) {
	allowed := func(catalog.Version) string { return "" }
	return s.together(ctx, b, allowed, func(tx *catalog.Tx, n *node, p catalog.Package, row *catalog.Version) error {
		if row.Status == artifact.Disposed {
			return nil
		}
		if err := notOnHold(tx, p, row.Number); err != nil {
			return err
		}
		assets, err := tx.Assets(row.ID, "", 0)
		if err != nil {
			return err
		}
		if err := tx.DeleteAssets(p, row.ID); err != nil {
			return err
		}
		if err := s.dropTags(tx, p, row.Number); err != nil {
			return err
		}
		row.Status = artifact.Disposed
		if err := tx.UpdateVersion(p, *row); err != nil {
			return err
		}
		return tx.Emit(eventOf(n, p.Coordinates, row.Version, artifact.Event{Operation: "Updated", AssetsRemoved: len(assets), StatusChanged: true}))
	})
}

// together applies change to every version of a batch, or to none when one is
// missing, is not as expected, or allowed says why not.
func (s *Service) together(ctx context.Context, b Batch, allowed func(catalog.Version) string,
	change func(*catalog.Tx, *node, catalog.Package, *catalog.Version) error,
) (out Outcome, err error) {
	if err := b.check(); err != nil {
		return Outcome{}, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		out = newOutcome()
		n, p, err := held(tx, b.Repository, b.Coordinates)
		if err != nil {
			return err
		}
		rows, err := b.rows(tx, p, &out)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if reason := allowed(row); reason != "" {
				out.fail(row.Number, NotAllowed, "%s", reason)
			}
		}
		if len(out.Failed) > 0 {
			out.skip(b.Versions, "version %s is skipped")
			return nil
		}
		for i := range rows {
			if err := change(tx, n, p, &rows[i]); err != nil {
				return err
			}
			out.done(rows[i].Version)
		}
		return nil
	})
	return out, err
}

// DeleteVersions removes versions of whatever status; those that are missing
// or not as expected fail alone (operation 10). The package stays.
func (s *Service) DeleteVersions(ctx context.Context, b Batch) (out Outcome, err error) {
	if err := b.check(); err != nil {
		return Outcome{}, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		out = newOutcome()
		n, p, err := held(tx, b.Repository, b.Coordinates)
		if err != nil {
			return err
		}
		rows, err := b.rows(tx, p, &out)
		if err != nil {
			return err
		}
		for _, row := range rows {
			switch err := s.dropVersion(tx, n, p, row); {
			case fault.Is(err, fault.Conflict): // on legal hold
				out.fail(row.Number, NotAllowed, "%s", fault.Message(err))
				continue
			case err != nil:
				return err
			}
			row.Status = artifact.Deleted
			out.done(row.Version)
		}
		return nil
	})
	return out, err
}

// DeletePackage removes a package with all its versions, tags and origin
// configuration, and returns what it was. NotFound without it.
func (s *Service) DeletePackage(ctx context.Context, id artifact.RepositoryID, c artifact.Coordinates) (p catalog.Package, err error) {
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		var n *node
		if n, p, err = held(tx, id, c); err != nil {
			return err
		}
		return s.dropPackage(tx, n, p)
	})
	return p, err
}

// SetRestrictions sets the origin configuration of a package, as somebody's
// own decision; a package that is not there yet comes to be without versions.
func (s *Service) SetRestrictions(ctx context.Context, id artifact.RepositoryID, c artifact.Coordinates, r artifact.Restrictions) error {
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		n, err := within(tx, id)
		if err != nil {
			return err
		}
		p, _, err := tx.EnsurePackage(n.repo, c, s.displayName(c), r)
		if err != nil {
			return err
		}
		return tx.SetRestrictions(p, r, true)
	})
}

// OpenStored gives the bytes of an asset as the catalog has it; the caller
// closes them.
func (s *Service) OpenStored(ctx context.Context, a catalog.Asset) (blob.Reader, error) {
	return s.openBlob(ctx, blob.Ref{Space: a.Space, SHA256: a.Digests.Hex(digest.SHA256)}, a.Size)
}

// within finds a repository as it is in this transaction.
func within(tx *catalog.Tx, id artifact.RepositoryID) (*node, error) {
	d, err := tx.Domain(id.Owner, id.Domain)
	if err != nil {
		return nil, err
	}
	r, err := tx.Repository(d.ID, id.Name)
	if err != nil {
		return nil, err
	}
	return &node{id: id, repo: r}, nil
}

// held finds a repository and a package it holds.
func held(tx *catalog.Tx, id artifact.RepositoryID, c artifact.Coordinates) (*node, catalog.Package, error) {
	n, err := within(tx, id)
	if err != nil {
		return nil, catalog.Package{}, err
	}
	p, err := tx.Package(n.repo.ID, c)
	return n, p, err
}

// check refuses a batch that contradicts itself, and sorts it.
func (b *Batch) check() error {
	if len(b.Versions) == 0 {
		return fault.Field("versions", "must name at least one version")
	}
	b.Versions = slices.Clone(b.Versions)
	slices.Sort(b.Versions)
	b.Versions = slices.Compact(b.Versions)
	if b.Revisions == nil {
		return nil
	}
	for _, number := range b.Versions {
		if _, ok := b.Revisions[number]; !ok {
			return fault.Field("versionRevisions", "must name the same versions as versions; %s is missing", number)
		}
	}
	if len(b.Revisions) != len(b.Versions) {
		return fault.Field("versionRevisions", "must name the same versions as versions")
	}
	return nil
}

// rows finds the versions of a batch, without manifests; out is told of those
// that are missing or not as expected.
func (b *Batch) rows(tx *catalog.Tx, p catalog.Package, out *Outcome) ([]catalog.Version, error) {
	rows := make([]catalog.Version, 0, len(b.Versions))
	for _, number := range b.Versions {
		row, err := tx.Version(p.ID, number)
		if fault.Is(err, fault.NotFound) {
			out.missing(number)
			continue
		}
		if err != nil {
			return nil, err
		}
		row.Manifest = nil // what is written back leaves it as it is
		if b.Expected != "" && row.Status != b.Expected {
			out.fail(number, MismatchedStatus, "current status: %s, expected status: %s", row.Status, b.Expected)
			continue
		}
		if want, ok := b.Revisions[number]; ok && want != row.Revision {
			out.otherRevision(number, row.Revision, want)
			continue
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (o *Outcome) missing(number string) {
	o.fail(number, VersionNotFound, "Could not find version %s", number)
}

func (o *Outcome) otherRevision(number, current, expected string) {
	o.fail(number, MismatchedRevision, "current revision: %s, expected revision: %s", current, expected)
}
