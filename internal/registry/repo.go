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

	deed   Deed
	follow func(Deed)
}

// Deed is what a request did in a repository, as far as it has come: the last
// thing it asked a Repo for.
type Deed struct {
	Action   string               // in full; empty: nothing yet
	Package  artifact.Coordinates // Name is empty where it is about no package
	Version  string
	Versions []string // further ones
	// What it was answered with, for who counts. Of many requests that wait for
	// one fetch from outside, one has Fetched.
	Answer   Answer
	Fetched  bool
	External bool // it came from outside, now or before
}

// Answer is what a request was answered with.
type Answer uint8

// The answers.
const (
	AnswerOther    Answer = iota
	AnswerAsset           // a file of a version
	AnswerDocument        // what clients read of a package
)

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

// Deed tells what was asked for through this Repo, for the audit trail. It is
// known before it is permitted.
func (r *Repo) Deed() Deed { return r.deed }

// Follow has fn called with every Deed from now on.
func (r *Repo) Follow(fn func(Deed)) { r.follow = fn }

// does notes what is about to be done. Of one package the version stays once it
// is known, and what changes something counts more than what is read for it.
func (r *Repo) does(action string, c artifact.Coordinates, version string, more ...string) {
	switch {
	case c != r.deed.Package || r.deed.Action == "":
		r.deed = Deed{Action: action, Package: c, Answer: r.deed.Answer, Fetched: r.deed.Fetched, External: r.deed.External}
	case action != readAction:
		r.deed.Action = action
	}
	if version != "" {
		r.deed.Version, r.deed.Versions = version, more
	}
	if r.follow != nil {
		r.follow(r.deed)
	}
}

// answers notes what a request is answered with: an asset is more than the
// document that was read on the way.
func (r *Repo) answers(a Answer, fetched, external bool) {
	if r.deed.Answer != AnswerAsset || a == AnswerAsset {
		r.deed.Answer, r.deed.External = a, external
		r.deed.Fetched = r.deed.Fetched && a == AnswerDocument || fetched
	}
}

// Administrator is the account the repository belongs to.
func (r *Repo) Administrator() string { return r.node.repo.Administrator }

// RowID is the repository's in the catalog, and that of its domain.
func (r *Repo) RowID() (domain, repository string) { return r.node.repo.DomainID, r.node.repo.ID }

// ID names the repository.
func (r *Repo) ID() artifact.RepositoryID { return r.node.id }

// CallerName is the caller's short name.
func (r *Repo) CallerName() string { return r.caller.Name() }

// MayRead checks ReadFromRepository, once per Repo.
func (r *Repo) MayRead(ctx context.Context) error {
	if r.mayRead {
		return nil
	}
	if r.deed.Action == "" {
		r.deed.Action = readAction
	}
	if err := r.service.access.Check(ctx, r.caller, r.node.readNeed); err != nil {
		return err
	}
	r.mayRead = true
	return nil
}

// may checks an action on a package of the repository.
func (r *Repo) may(ctx context.Context, action string, c artifact.Coordinates) error {
	r.does(action, c, "")
	return r.service.access.Check(ctx, r.caller, access.Package(action, r.service.opt.Region, r.node.id, r.node.repo.Administrator, c))
}
