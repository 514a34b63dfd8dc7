package nuget

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// remote is another NuGet source, seen as its client. What it finds in the
// service index it remembers for a while; that is all its state.
type remote struct {
	index string // address of the service index
	now   func() time.Time
	turn  chan struct{} // holds one token: who has it asks for the index

	mu    sync.Mutex
	found places
}

// places are where a source keeps what is asked of it.
type places struct {
	registrations string // with a slash at the end
	content       string // likewise; empty when the source does not say
	at            time.Time
}

// How long the service index is trusted: as long as NuGet's own clients do,
// or, when an address in it turns out wrong, no longer than the second.
const (
	placesFor     = 30 * time.Minute
	placesAtLeast = time.Minute
)

// Bounds of what a source may answer. The largest public registrations have
// some ten thousand versions.
const (
	maxIndex    = 4 << 20   // bytes of a service index
	maxListing  = 128 << 20 // bytes of a package's registration with all its pages
	maxPages    = 2000
	pageFetches = 8 // pages of one package fetched at a time
)

// newRemote makes the remote of a service index. An address that does not end
// in .json is a server's root, which has its index at the usual place.
func newRemote(base string) *remote {
	index := strings.TrimRight(base, "/")
	if !strings.HasSuffix(index, ".json") {
		index += "/" + indexPath
	}
	return &remote{index: index, now: time.Now, turn: make(chan struct{}, 1)}
}

// List implements upstream.Remote. A registration whose pages are documents of
// their own becomes one document here.
func (r *remote) List(ctx context.Context, get upstream.Get, c artifact.Coordinates, prev upstream.Validator) (upstream.Document, error) {
	at, err := r.places(ctx, get, placesFor)
	if err != nil {
		return upstream.Document{}, err
	}
	doc, err := r.list(ctx, get, at, c, prev)
	if err == nil || errors.Is(err, upstream.ErrNotModified) || ctx.Err() != nil {
		return doc, err
	}
	// Has the source moved? Else a package would count as gone that is not.
	now, again := r.places(ctx, get, placesAtLeast)
	if again != nil || now.registrations == at.registrations {
		return doc, err
	}
	return r.list(ctx, get, now, c, upstream.Validator{})
}

// places gives where things are, no older than maxAge where the source answers.
func (r *remote) places(ctx context.Context, get upstream.Get, maxAge time.Duration) (places, error) {
	known := func() (places, bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.found, !r.found.at.IsZero() && r.now().Sub(r.found.at) < maxAge
	}
	if p, ok := known(); ok {
		return p, nil
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return places{}, context.Cause(ctx)
	}
	old, ok := known()
	if ok {
		return old, nil // somebody else has asked meanwhile
	}
	p, err := r.discover(ctx, get)
	if err != nil {
		if !old.at.IsZero() && ctx.Err() == nil {
			return old, nil // what it said last may still be right
		}
		return places{}, err
	}
	r.mu.Lock()
	r.found = p
	r.mu.Unlock()
	return p, nil
}

// registrationTypes are the hives from the one with everything in it to the
// poorest.
func registrationTypes() []string {
	return []string{
		"RegistrationsBaseUrl/Versioned", "RegistrationsBaseUrl/3.6.0", "RegistrationsBaseUrl/3.4.0",
		"RegistrationsBaseUrl/3.0.0-rc", "RegistrationsBaseUrl/3.0.0-beta", "RegistrationsBaseUrl",
	}
}

func (r *remote) discover(ctx context.Context, get upstream.Get) (places, error) {
	_, body, err := fetchJSON(ctx, get, r.index, upstream.Validator{}, maxIndex)
	if err != nil {
		if fault.Is(err, fault.NotFound) { // of the index, not of a package
			err = fault.Wrap(fault.Upstream, err, "the remote has no service index at the connection's address")
		}
		return places{}, err
	}
	var doc struct {
		Resources []struct {
			ID   text  `json:"@id"`
			Type words `json:"@type"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(body, &doc, lenient()); err != nil {
		return places{}, fault.Wrap(fault.Upstream, err, "the remote's service index cannot be read")
	}
	byType := map[string]string{}
	for _, resource := range doc.Resources {
		for _, t := range resource.Type {
			if _, ok := byType[t]; !ok && absolute(string(resource.ID)) {
				byType[t] = strings.TrimRight(string(resource.ID), "/") + "/"
			}
		}
	}
	p := places{content: byType["PackageBaseAddress/3.0.0"], at: r.now()}
	for _, t := range registrationTypes() {
		if p.registrations = byType[t]; p.registrations != "" {
			return p, nil
		}
	}
	return places{}, fault.New(fault.Upstream, "the remote's service index names no RegistrationsBaseUrl: it is not a source of NuGet's version 3 protocol")
}

// absolute tells whether u is an address the remote's client could fetch.
func absolute(u string) bool {
	rest, ok := strings.CutPrefix(u, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(u, "http://")
	}
	return ok && rest != "" && rest[0] != '/'
}

// collected is the document that is kept of a package: its registration with
// every page in it.
type collected struct {
	Content string          `json:"content,omitempty"` // where the source keeps packages
	Items   []collectedPage `json:"items"`
}

type collectedPage struct {
	Items jsontext.Value `json:"items"`
}

func (r *remote) list(ctx context.Context, get upstream.Get, at places, c artifact.Coordinates, prev upstream.Validator) (upstream.Document, error) {
	validator, body, err := fetchJSON(ctx, get, at.registrations+escapedID(c)+"/index.json", prev, maxListing)
	if err != nil {
		return upstream.Document{}, err
	}
	var doc struct {
		Items []struct {
			ID    text           `json:"@id"`
			Items jsontext.Value `json:"items"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &doc, lenient()); err != nil {
		return upstream.Document{}, unreadable(err, c)
	}
	if len(doc.Items) > maxPages {
		return upstream.Document{}, fault.New(fault.Upstream, "the remote's registration of %s has more than %d pages", c.Name, maxPages)
	}
	all := collected{Content: at.content, Items: make([]collectedPage, len(doc.Items))}
	var left atomic.Int64
	left.Store(maxListing - int64(len(body)))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(pageFetches)
	for i, p := range doc.Items {
		if len(p.Items) > 0 {
			all.Items[i].Items = p.Items
			continue
		}
		g.Go(func() error {
			items, err := fetchPage(ctx, get, c, string(p.ID), left.Load())
			all.Items[i].Items = items
			if err == nil && left.Add(-int64(len(items))) < 0 {
				err = tooLarge(maxListing)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return upstream.Document{}, err
	}
	body, err = json.Marshal(all, lenient())
	if err != nil {
		return upstream.Document{}, unreadable(err, c)
	}
	return upstream.Document{Body: body, Validator: validator}, nil
}

// fetchPage gives the items of a page. One that the index names and that is not
// there is the remote's failure, not an unknown package.
func fetchPage(ctx context.Context, get upstream.Get, c artifact.Coordinates, address string, limit int64) (jsontext.Value, error) {
	if !absolute(address) {
		return nil, fault.New(fault.Upstream, "the remote's registration of %s has a page without content or address", c.Name)
	}
	_, body, err := fetchJSON(ctx, get, address, upstream.Validator{}, limit)
	if err != nil {
		if fault.Is(err, fault.NotFound) || errors.Is(err, upstream.ErrNotModified) {
			err = fault.Wrap(fault.Upstream, err, "the remote names a page of %s that it does not have", c.Name)
		}
		return nil, err
	}
	var page struct {
		Items jsontext.Value `json:"items"`
	}
	if err := json.Unmarshal(body, &page, lenient()); err != nil {
		return nil, unreadable(err, c)
	}
	return page.Items, nil
}

func unreadable(err error, c artifact.Coordinates) error {
	return fault.Wrap(fault.Upstream, err, "the remote's registration of %s cannot be read", c.Name)
}

func tooLarge(limit int64) error {
	return fault.New(fault.Upstream, "the remote's answer is larger than %d bytes", limit)
}

// fetchJSON gets a document of at most limit bytes after decoding. Sources
// compress some documents whether asked to or not.
func fetchJSON(ctx context.Context, get upstream.Get, address string, prev upstream.Validator, limit int64) (upstream.Validator, []byte, error) {
	header := http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}}
	if prev.ETag != "" {
		header.Set("If-None-Match", prev.ETag)
	}
	if prev.LastModified != "" {
		header.Set("If-Modified-Since", prev.LastModified)
	}
	resp, err := get(ctx, address, header)
	if err != nil {
		return upstream.Validator{}, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		return upstream.Validator{}, nil, upstream.ErrNotModified
	}
	content := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(resp.Body)
		if err != nil {
			return upstream.Validator{}, nil, brokenOff(err)
		}
		content = unzip
	}
	body, err := io.ReadAll(io.LimitReader(content, limit+1))
	if err != nil {
		return upstream.Validator{}, nil, brokenOff(err)
	}
	if int64(len(body)) > limit {
		return upstream.Validator{}, nil, tooLarge(limit)
	}
	return upstream.Validator{ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")}, body, nil
}

// brokenOff classifies what goes wrong while a body is read.
func brokenOff(err error) error {
	if fault.Of(err) != fault.Internal {
		return err
	}
	return fault.Wrap(fault.Upstream, err, "the remote broke off its answer, or it is not what its header says")
}
