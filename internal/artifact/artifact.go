// Package artifact is the vocabulary of the house: repositories, coordinates,
// versions, assets and where they came from. It holds plain values and pure
// rules; nothing here does I/O.
//
// Coordinates are always normalised by their format before they reach this
// package's users: two spellings of one package never meet below the edge.
package artifact

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"packhouse/internal/digest"
)

// Format is the PackageFormat enum word of the CodeArtifact API.
type Format string

// The formats of the API.
const (
	NPM     Format = "npm"
	PyPI    Format = "pypi"
	Maven   Format = "maven"
	NuGet   Format = "nuget"
	Generic Format = "generic"
	Ruby    Format = "ruby"
	Swift   Format = "swift"
	Cargo   Format = "cargo"
)

// Formats lists every format of the API in its own order.
func Formats() []Format {
	return []Format{NPM, PyPI, Maven, NuGet, Generic, Ruby, Swift, Cargo}
}

// NamespaceRequired tells whether packages of f cannot exist without a namespace.
func (f Format) NamespaceRequired() bool { return f == Maven || f == Swift || f == Generic }

// NamespaceAllowed tells whether packages of f may have a namespace at all.
func (f Format) NamespaceAllowed() bool { return f.NamespaceRequired() || f == NPM }

// RepositoryID names a repository the way its ARN does.
type RepositoryID struct {
	Owner  string // the domain owner's account, 12 digits
	Domain string
	Name   string
}

// String is owner/domain/name, for logs.
func (id RepositoryID) String() string { return id.Owner + "/" + id.Domain + "/" + id.Name }

// VersionPolicy says which versions a repository takes where a format tells
// versions that change (Maven snapshots) from those that do not. The zero value
// takes both.
type VersionPolicy string

// The policies. Mixed is how the API writes the zero value.
const (
	Releases  VersionPolicy = "RELEASE"
	Snapshots VersionPolicy = "SNAPSHOT"
	Mixed     VersionPolicy = "MIXED"
)

// Takes tells whether a version goes with the policy; changing says of which
// sort it is.
func (p VersionPolicy) Takes(changing bool) bool {
	switch p {
	case Releases:
		return !changing
	case Snapshots:
		return changing
	default:
		return true
	}
}

// Coordinates name a package: format, namespace (may be empty) and name, all
// in the format's normalised spelling.
type Coordinates struct {
	Format    Format
	Namespace string
	Name      string
}

// String is format/namespace/name, for logs and messages.
func (c Coordinates) String() string {
	if c.Namespace == "" {
		return string(c.Format) + "/" + c.Name
	}
	return string(c.Format) + "/" + c.Namespace + "/" + c.Name
}

// Status is the PackageVersionStatus enum word.
type Status string

// The statuses. Deleted is only ever reported by a call, never stored.
const (
	Published  Status = "Published"
	Unfinished Status = "Unfinished"
	Unlisted   Status = "Unlisted"
	Archived   Status = "Archived"
	Disposed   Status = "Disposed"
	Deleted    Status = "Deleted"
)

// Downloadable tells whether a client may fetch assets of a version in s.
func (s Status) Downloadable() bool { return s == Published || s == Unlisted }

// OriginType is the PackageVersionOriginType enum word.
type OriginType string

// The origin types.
const (
	Internal OriginType = "INTERNAL" // published to the domain
	External OriginType = "EXTERNAL" // ingested from an external connection
	Unknown  OriginType = "UNKNOWN"
)

// Origin says how a version first entered its domain. It is set once; copies
// and retention carry it along.
type Origin struct {
	Type       OriginType
	Repository string // the repository it was published to; empty when External
	Connection string // the external connection it came through; empty when Internal
}

// Permission is ALLOW or BLOCK of an origin restriction.
type Permission string

// The two permissions.
const (
	Allow Permission = "ALLOW"
	Block Permission = "BLOCK"
)

// Restrictions is a package's origin configuration in one repository.
type Restrictions struct {
	Publish  Permission // may versions be published directly
	Upstream Permission // may versions come from upstreams and connections
}

// DefaultRestrictions is the origin configuration a package gets with its
// first version (section 10.1): what was published is not mixed with what
// comes from outside, and the other way round.
func DefaultRestrictions(direct bool) Restrictions {
	if direct {
		return Restrictions{Publish: Allow, Upstream: Block}
	}
	return Restrictions{Publish: Block, Upstream: Allow}
}

// Version is one version of a package in one repository.
type Version struct {
	Number    string
	Status    Status
	Revision  string // names the exact assets and metadata, see Revise
	Origin    Origin
	Published time.Time // entering the domain, or the source's publish time where known
	Manifest  []byte    // the format's own metadata of this version; nil when not loaded
}

// Asset is one file of a version.
type Asset struct {
	Name    string
	Size    int64 // bytes
	Digests digest.Set
}

// Revise derives a version's revision from its assets and metadata: the same
// content has the same revision in every repository; status has no part in it.
func Revise(manifest []byte, assets []Asset) string {
	sorted := slices.Clone(assets)
	slices.SortFunc(sorted, func(a, b Asset) int { return strings.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, a := range sorted {
		fmt.Fprintf(h, "%d:%s %s\n", len(a.Name), a.Name, a.Digests.Hex(digest.SHA256))
	}
	h.Write(manifest)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Details is what DescribePackageVersion, ListPackageVersionDependencies and
// GetPackageVersionReadme show of a version's manifest.
type Details struct {
	DisplayName  string
	Summary      string
	HomePage     string
	Source       string // address of the source code repository
	Licenses     []License
	Dependencies []Dependency
}

// License is one licence a version is offered under.
type License struct{ Name, URL string }

// Dependency is one direct dependency of a version.
type Dependency struct {
	Namespace   string
	Package     string
	Type        string // the format's word: regular, dev, peer, optional for npm
	Requirement string
}

// Connection is an external connection: a named outside registry of one format.
type Connection struct {
	Name   string // public:npmjs, or custom:<name> for a site's own
	Format Format
	URL    string // the registry's root as its client takes it; ends with a slash
}

// Event is a package version state change, the detail of the EventBridge
// envelope of section 12.1.
type Event struct {
	Domain        string
	Owner         string // domain owner account
	Repository    string
	Administrator string
	Coordinates   Coordinates
	Version       string
	Status        Status
	Revision      string
	Operation     string // Created, Updated, Deleted
	AssetsAdded   int
	AssetsRemoved int
	AssetsUpdated int
	Metadata      bool // metadataUpdated
	StatusChanged bool
}
