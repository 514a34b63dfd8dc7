package registry

import (
	"context"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// Caller is who asks; identity.Caller is the one of the house.
type Caller interface {
	access.Caller
	Name() string // short, for people
}

// Repo is one repository bound to one caller for one request. It is not for
// concurrent use.
type Repo struct {
	service *Service
	node    *node
	caller  Caller

	mayRead    bool                 // checked already
	mayPublish artifact.Coordinates // the package for which that was checked already
}

// Open finds a repository for a caller. It checks nothing yet: each method of
// Repo checks the permission it needs. An anonymous caller learns nothing of
// what exists: credentials are asked for first (section 5).
func (s *Service) Open(ctx context.Context, caller Caller, id artifact.RepositoryID) (*Repo, error) {
	n, err := s.node(ctx, id)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			if e := s.mayAskFor(ctx, caller, id); e != nil {
				return nil, e
			}
		}
		return nil, err
	}
	return &Repo{service: s, node: n, caller: caller}, nil
}

// mayAskFor refuses callers who could not read the repository if it existed.
func (s *Service) mayAskFor(ctx context.Context, caller Caller, id artifact.RepositoryID) error {
	return s.access.Check(ctx, caller, access.Repository(readAction, s.opt.Region, id, id.Owner))
}

// The actions that format endpoints need (section 4.1).
const (
	readAction          = "codeartifact:ReadFromRepository"
	publishAction       = "codeartifact:PublishPackageVersion"
	metadataAction      = "codeartifact:PutPackageMetadata"
	deleteVersionAction = "codeartifact:DeletePackageVersions"
	deletePackageAction = "codeartifact:DeletePackage"
)

// ID names the repository.
func (r *Repo) ID() artifact.RepositoryID { return r.node.id }

// CallerName is the caller's short name.
func (r *Repo) CallerName() string { return r.caller.Name() }

// MayRead checks ReadFromRepository, once per Repo.
func (r *Repo) MayRead(ctx context.Context) error {
	if r.mayRead {
		return nil
	}
	if err := r.service.access.Check(ctx, r.caller, r.node.readNeed); err != nil {
		return err
	}
	r.mayRead = true
	return nil
}

// may checks an action on a package of the repository.
func (r *Repo) may(ctx context.Context, action string, c artifact.Coordinates) error {
	return r.service.access.Check(ctx, r.caller, access.Package(action, r.service.opt.Region, r.node.id, r.node.repo.Administrator, c))
}
