// Package registry is the heart of the house: it opens repositories for
// callers, merges what a client sees over ordered upstreams and external
// connections, finds and retains assets, and publishes.
//
// Repo is a capability: whoever holds one has a repository bound to a caller,
// and each of its methods checks the permission it needs, so a format can
// neither forget a check nor reach another repository.
//
// Two listings have two names: Repo.Listing is the merged view a client sees;
// the API's listing of one repository alone is read from the catalog.
package registry

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/flight"
	"packhouse/internal/upstream"
)

// Ecosystem is all the heart must know of a format.
type Ecosystem interface {
	// Name is the format's enum word.
	Name() artifact.Format
	// Traits are what the heart does differently for some formats.
	Traits() Traits
	// Normalize validates coordinates and gives their canonical spelling.
	Normalize(c artifact.Coordinates) (artifact.Coordinates, error)
	// Compare orders two version numbers: negative when a comes before b.
	Compare(a, b string) int
	// Describe reads what the API shows of a version from its manifest.
	Describe(c artifact.Coordinates, manifest []byte) (artifact.Details, error)
	// Readme finds the readme of a version in its manifest or assets; NotFound
	// when it has none. open gives one asset's bytes.
	Readme(manifest []byte, assets []artifact.Asset, open func(name string) (io.ReadCloser, error)) (string, error)
	// Remote speaks the format as a client of the registry at base (which ends
	// with a slash); nil for a format that has no outside registries.
	Remote(base string) upstream.Remote
}

// Kinds is an Ecosystem whose version numbers say what kind they are; of others
// it is guessed (artifact.KindOf). What changes (Traits) need not be told.
type Kinds interface {
	Kind(version string) artifact.Kind
}

// Traits tell the formats apart. The zero value is the most usual format: its
// versions come whole and are found through upstreams.
type Traits struct {
	// Growth says until when a version takes further assets.
	Growth Growth
	// Local packages are found in the addressed repository alone, never through
	// upstreams or external connections; copying is how they get elsewhere.
	Local bool
	// Whole versions come from outside: when one file is asked for, the others of
	// its version are fetched behind it (section 7.5), as far as
	// Options.MaxWholeBytes goes.
	Whole bool
	// Changing tells whether a version is one whose content is replaced again and
	// again, such as a Maven snapshot; nil: none is. It is served from where it
	// is and never retained elsewhere, and may be overwritten.
	Changing func(version string) bool
	// FullName is how the clients of the format write a package's name; nil: as
	// its coordinates have it.
	FullName func(artifact.Coordinates) string
}

// changes tells whether the content of a version is replaced again and again.
func (t Traits) changes(version string) bool { return t.Changing != nil && t.Changing(version) }

// Numbering is an Ecosystem in which one version has several spellings.
type Numbering interface {
	// NormalizeVersion gives the spelling a version is known under; what is no
	// version of the format comes back as it is.
	NormalizeVersion(number string) string
}

// Inspector is an Ecosystem that reads what a version is from its files. It is
// asked when one comes in from outside; what is published the format itself
// reads (Repo.OpenStaged).
type Inspector interface {
	// Inspect gives the facts in one file, nil when it says nothing. An error
	// means that the file is not what its name says: it is not let in.
	Inspect(c artifact.Coordinates, version, asset string, content io.ReaderAt, size int64) (facts []byte, err error)
	// Merge adds facts to a manifest, nil when the version has none yet: a stored
	// one, or what a remote claims of the version. It must depend on its arguments
	// alone and may run more than once.
	Merge(manifest, facts []byte) ([]byte, error)
}

// Growth is how the assets of a version come (section 9).
type Growth uint8

// The ways.
const (
	GrowsNever      Growth = iota // all at once: a version that is there is never published again
	GrowsUnfinished               // one by one until the version is Published
	GrowsAlways                   // one by one, also when it is Published
)

// takes tells whether a version in s takes further assets.
func (g Growth) takes(s artifact.Status) bool {
	switch s {
	case artifact.Unfinished:
		return g != GrowsNever
	case artifact.Published, artifact.Unlisted:
		return g == GrowsAlways
	default:
		return false
	}
}

// Options configure a Service.
type Options struct {
	Region        string
	Connections   map[string]artifact.Connection // by name: the well-known ones and the site's own
	MaxSearched   int                            // repositories searched per resolution, default 25
	Lifetimes     upstream.Lifetimes             // of remote documents
	MemoryBytes   int64                          // bound of the cache of finished bodies, default 32 MiB
	RenderDir     string                         // where large finished documents are kept
	RenderBytes   int64                          // bound of RenderDir, default 2 GiB
	MaxAssetBytes int64                          // largest asset taken, default 5 GB
	MaxAssets     int                            // assets of one version, default 350
	MaxWholeBytes int64                          // of one version brought in whole, see Traits.Whole; default 1 GiB, negative: nothing but what was asked for
	Now           func() time.Time               // default time.Now
	Logger        *slog.Logger                   // default slog.Default()
	// Get gives the way out to the remote of a connection.
	Get func(c artifact.Connection) upstream.Get
	// Observe is told of what the caches did; for metrics. May be nil.
	Observe func(Observation)
}

// Observation is one thing metrics count.
type Observation struct {
	Format artifact.Format
	What   string // hit, miss, ingest, retain, ...
}

// Service opens repositories. It is safe for concurrent use.
type Service struct {
	opt        Options
	log        *slog.Logger
	db         *catalog.DB
	blobs      blob.Store
	access     *access.Checker
	ecosystems map[artifact.Format]Ecosystem
	sources    map[string]*upstream.Source // by connection name
	remotes    *upstream.Cache
	graphs     *catalog.Memo[domainKey, *graph]
	gens       generations
	documents  *documents
	contents   *contents
	arrivals   arrivals
	rests      flight.Group[arrivalKey, struct{}] // further files of versions, see bringRest
	missing    *otter.Cache[arrivalKey, struct{}] // guessed files that remotes did not have lately
	builds     flight.Group[documentKey, *Document]
	restores   flight.Group[blob.Ref, struct{}]
	unfollow   func()
}

// Variant names one of the forms a format renders a listing in.
type Variant struct {
	Name string // full, abbreviated, ...; a small fixed set per format
	Base string // the endpoint URL written into the document
}

// Render writes one form of a listing and says its media type. What it writes
// must depend on l and the variant alone.
type Render func(ctx context.Context, l *Listing, w io.Writer) error

// Listing is the merged view of one package from one repository: what a client
// may see over all upstreams and connections, after origin controls.
type Listing struct {
	Coordinates artifact.Coordinates
	// Versions holds the Published and Unlisted versions, each number once, the
	// first repository in search order winning. Those of a remote come in the
	// remote's order, the rest by publish time.
	Versions []Listed
	// Tags are merged npm dist-tags that name a Published version of Versions.
	Tags map[string]string
	// Remotes are the remote listings that took part, in search order; formats
	// take package-level facts (readme, maintainers) from the first.
	Remotes []*upstream.Listing
	// Modified is the newest publish or modification time known.
	Modified time.Time

	freshUntil time.Time
	parts      []part // the remote documents this was made from
	asked      bool   // one of them was asked for to make this
}

// Listed is one version of a Listing.
type Listed struct {
	artifact.Version                        // Manifest is loaded; nil when the version has none
	Assets           []artifact.Asset       // stored in reach, by name; empty when only the remote has it yet
	Remote           []upstream.ListedAsset // what the remote lists; empty for internal versions
}

// Publication is one version, or more assets of one, on its way in.
type Publication struct {
	Version     string
	DisplayName string
	Manifest    []byte // nil: none, or what a version that is there has
	// Merge, in place of Manifest, makes the manifest from the one the version
	// has, nil when it is new. It runs in the transaction, perhaps more than
	// once. An error refuses the publication.
	Merge     func(held []byte) ([]byte, error)
	Assets    []Staged
	Overwrite bool            // of a version that changes (Traits): assets of the same name are replaced
	Tags      []string        // npm dist-tags to point at the version
	Status    artifact.Status // Unfinished when more assets shall follow; empty: Published
	Published time.Time       // zero: now; of a version that is there it stays
}

// manifest is what the version gets, held being what it has.
func (p *Publication) manifest(held []byte) ([]byte, error) {
	if p.Merge == nil {
		return p.Manifest, nil
	}
	return p.Merge(held)
}

// Turn makes one version the content of another, as a new build becomes the
// current one of a snapshot.
type Turn struct {
	Current string // the version that changes; it comes to be when it is not there
	Next    string // what it becomes: this version is renamed to Current and Published
	// Retired is the number under which what Current was so far is kept,
	// Unlisted; empty: it is deleted. When there is a version of that number, it
	// gets the assets it lacks. It runs in the transaction, so that an error of
	// it, which refuses the turn, decides by what is current then.
	Retired func(was artifact.Version) (number string, err error)
}

// Staged is an asset whose bytes are in the blob store and that no row refers
// to yet. What is never published is swept away.
type Staged struct {
	artifact.Asset
}

// Amendment changes the manifest of one stored version; nil keeps it.
type Amendment func(v artifact.Version) (manifest []byte, err error)

// Found is one search hit.
type Found struct {
	Coordinates artifact.Coordinates
	Version     string // the one to show: the format's default
	Manifest    []byte
	Published   time.Time
}
