package registry

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// Defaults of Options.
const (
	defaultSearched    = 25
	defaultMemory      = 32 << 20
	defaultRenderBytes = 2 << 30
	defaultMaxAsset    = 5 << 30
	defaultMaxAssets   = 350
	defaultMaxWhole    = 1 << 30

	maxMissing     = 50_000 // remembered absent files, about 300 bytes each
	defaultMissing = 1 * time.Minute
	wholeTimeout   = 2 * fetchTimeout
)

// New makes a Service over a catalog and a blob store. ecosystems holds every
// format this server serves; Close ends what New starts.
func New(db *catalog.DB, blobs blob.Store, checker *access.Checker, ecosystems []Ecosystem, opt Options) (*Service, error) {
	opt.MaxSearched = cmp.Or(opt.MaxSearched, defaultSearched)
	opt.MemoryBytes = cmp.Or(opt.MemoryBytes, defaultMemory)
	opt.RenderBytes = cmp.Or(opt.RenderBytes, defaultRenderBytes)
	opt.MaxAssetBytes = cmp.Or(opt.MaxAssetBytes, defaultMaxAsset)
	opt.MaxAssets = cmp.Or(opt.MaxAssets, defaultMaxAssets)
	opt.MaxWholeBytes = cmp.Or(opt.MaxWholeBytes, defaultMaxWhole)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	s := &Service{
		opt: opt, log: opt.Logger, db: db, blobs: blobs, access: checker,
		ecosystems: map[artifact.Format]Ecosystem{}, sources: map[string]*upstream.Source{},
		graphs: &catalog.Memo[domainKey, *graph]{},
	}
	s.gens.seed = maphash.MakeSeed()
	for _, e := range ecosystems {
		s.ecosystems[e.Name()] = e
	}
	for name, c := range opt.Connections {
		e, ok := s.ecosystems[c.Format]
		if !ok {
			continue // a connection of a format this server does not serve yet
		}
		remote := e.Remote(c.URL)
		if remote == nil {
			return nil, fmt.Errorf("connection %s: %s packages come from no outside registry", name, c.Format)
		}
		s.sources[name] = &upstream.Source{Key: sourceKey(c), Connection: c, Remote: remote, Get: opt.Get(c)}
	}
	var err error
	if s.documents, err = newDocuments(opt.RenderDir, opt.MemoryBytes/2, opt.RenderBytes); err != nil {
		return nil, err
	}
	if s.contents, err = newContents(opt.MemoryBytes / 2); err != nil {
		return nil, err
	}
	if s.missing, err = otter.New(&otter.Options[arrivalKey, struct{}]{
		MaximumSize:      maxMissing,
		ExpiryCalculator: otter.ExpiryWriting[arrivalKey, struct{}](cmp.Or(opt.Lifetimes.Negative, defaultMissing)),
	}); err != nil {
		return nil, err
	}
	s.rests.Timeout = wholeTimeout
	s.remotes = upstream.NewCache(remoteStore{db, blobs}, opt.Lifetimes, opt.Now, opt.Logger)
	s.unfollow = db.Subscribe(s.gens.follow)
	return s, nil
}

// Close cuts off fetches and refreshes under way: every request has ended, so
// nobody waits for them.
func (s *Service) Close() {
	s.unfollow()
	s.arrivals.close()
	s.rests.Close()
	s.missing.StopAllGoroutines()
	s.builds.Close()
	s.remotes.Close()
}

// sourceKey tells remote documents of one address from those of another, so
// that pointing a connection elsewhere starts afresh.
func sourceKey(c artifact.Connection) string {
	sum := sha256.Sum256([]byte(c.URL))
	return c.Name + "@" + hex.EncodeToString(sum[:6])
}

func (s *Service) observe(f artifact.Format, what string) {
	if s.opt.Observe != nil {
		s.opt.Observe(Observation{Format: f, What: what})
	}
}

// Connection tells what an external connection is; NotFound for a name this
// server does not know.
func (s *Service) Connection(name string) (artifact.Connection, error) {
	c, ok := s.opt.Connections[name]
	if !ok {
		return artifact.Connection{}, fault.New(fault.NotFound, "there is no external connection named %s", name)
	}
	return c, nil
}

// Ecosystem gives the format's rules; Invalid for a format this server does
// not serve.
func (s *Service) Ecosystem(f artifact.Format) (Ecosystem, error) {
	e, ok := s.ecosystems[f]
	if !ok {
		return nil, fault.Field("format", "%s packages are not served by this server yet", f)
	}
	return e, nil
}

// NormalizeVersion gives the spelling a version of a format is known under.
func (s *Service) NormalizeVersion(f artifact.Format, number string) string {
	if n, ok := s.ecosystems[f].(Numbering); ok {
		return n.NormalizeVersion(number)
	}
	return number
}

// traits are those of a format; zero for one this server does not serve.
func (s *Service) traits(f artifact.Format) Traits {
	if e, ok := s.ecosystems[f]; ok {
		return e.Traits()
	}
	return Traits{}
}

// reach lists every repository in which a search from n may find packages of f.
func (s *Service) reach(n *node, f artifact.Format) []*node {
	if s.traits(f).Local {
		return []*node{n}
	}
	return n.reach(s.opt.MaxSearched)
}

// remoteSpace is where remote documents are kept: they belong to no domain.
const remoteSpace = "remote"

// remoteStore keeps remote documents in the catalog and their bytes in the blob
// store. It implements upstream.Store.
type remoteStore struct {
	db    *catalog.DB
	blobs blob.Store
}

// Load implements upstream.Store.
func (r remoteStore) Load(ctx context.Context, source string, c artifact.Coordinates) (upstream.Record, bool, error) {
	var row catalog.RemoteDocument
	err := r.db.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.RemoteDocument(source, c)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return upstream.Record{}, false, nil
	}
	return upstream.Record{
		Source: source, Coordinates: c, Validator: upstream.Validator{ETag: row.ETag, LastModified: row.LastModified},
		Body: row.BlobSHA256, Size: row.Size, Checked: row.CheckedAt,
	}, err == nil, err
}

// Save implements upstream.Store.
func (r remoteStore) Save(ctx context.Context, rec upstream.Record, body []byte) (upstream.Record, error) {
	if body == nil {
		err := r.db.Update(ctx, func(tx *catalog.Tx) error { return tx.TouchRemoteDocument(rec.Source, rec.Coordinates, rec.Checked) })
		return rec, err
	}
	info, err := r.blobs.Put(ctx, remoteSpace, bytes.NewReader(body))
	if err != nil {
		return rec, err
	}
	rec.Body, rec.Size = info.Ref.SHA256, info.Size
	err = r.db.Update(ctx, func(tx *catalog.Tx) error {
		return tx.PutRemoteDocument(catalog.RemoteDocument{
			Connection: rec.Source, Coordinates: rec.Coordinates, Status: 200, ETag: rec.ETag, LastModified: rec.LastModified,
			CheckedAt: rec.Checked, ChangedAt: rec.Checked, BlobSHA256: rec.Body, Size: rec.Size,
		})
	})
	return rec, err
}

// Drop implements upstream.Store.
func (r remoteStore) Drop(ctx context.Context, source string, c artifact.Coordinates) error {
	return r.db.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteRemoteDocument(source, c) })
}

// Read implements upstream.Store.
func (r remoteStore) Read(ctx context.Context, rec upstream.Record) ([]byte, error) {
	f, err := r.blobs.Open(ctx, blob.Ref{Space: remoteSpace, SHA256: rec.Body})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body := make([]byte, f.Size())
	if _, err := io.ReadFull(f, body); err != nil {
		return nil, fmt.Errorf("read remote document: %w", err)
	}
	return body, nil
}
