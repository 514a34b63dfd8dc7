package registry

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// lose moves the bytes of a content aside, as a check of the storage does.
func (h *house) lose(content string) blob.Ref {
	h.t.Helper()
	ref := blob.Ref{Space: h.domain.ID, SHA256: digest.Of([]byte(content)).Hex(digest.SHA256)}
	info, err := h.service.blobs.Stat(h.t.Context(), ref)
	if err != nil {
		h.t.Fatal(err)
	}
	if moved, err := h.service.blobs.Quarantine(h.t.Context(), ref, info.Modified); !moved || err != nil {
		h.t.Fatal(moved, err)
	}
	h.update(func(tx *catalog.Tx) error { return tx.BlobLost(ref.Space, ref.SHA256) })
	return ref
}

func TestRestore_LostBytesAreFetchedAgain(t *testing.T) {
	for name, content := range map[string]string{"small": "express one", "large": strings.Repeat("express one ", 10_000)} {
		t.Run(name, func(t *testing.T) {
			h, o := org(t)
			o.put("express", "1.0.0", content)
			h.mustFetch("frontend-app", "express", "1.0.0", content)
			h.mustFetch("frontend-app", "express", "1.0.0", content) // and is remembered
			h.lose(content)
			var clients sync.WaitGroup
			for range 8 {
				clients.Go(func() {
					if got, err := h.fetch("frontend-app", "express", "1.0.0"); err != nil || got != content {
						t.Errorf("got %d bytes, %v", len(got), err)
					}
				})
			}
			clients.Wait()
			if n := o.gets.Load(); n != 2 {
				t.Errorf("fetched %d times", n)
			}

			// What comes now is something else: these bytes or none.
			h.lose(content)
			o.put("express", "1.0.0", "express two")
			if got, err := h.fetch("npm-public", "express", "1.0.0"); !fault.Is(err, fault.Unavailable) {
				t.Errorf("got %q, %v", got, err)
			}
			o.down.Store(true)
			if got, err := h.fetch("npm-public", "express", "1.0.0"); !fault.Is(err, fault.Unavailable) {
				t.Errorf("while the remote is down: %q, %v", got, err)
			}
			o.down.Store(false)
			o.put("express", "1.0.0", content)
			h.mustFetch("npm-public", "express", "1.0.0", content)
		})
	}
}

func TestRestore_WhatWasPublishedHereIsUnavailable(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	h.mustFetch("npm-internal", "widget", "1.0.0", "ours")
	h.lose("ours")
	if got, err := h.fetch("npm-internal", "widget", "1.0.0"); !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), "publish it again") {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := h.service.blobs.Put(t.Context(), h.domain.ID, strings.NewReader("ours")); err != nil { // as a publish of the same bytes does
		t.Fatal(err)
	}
	h.mustFetch("npm-internal", "widget", "1.0.0", "ours")
}

// damagedStore gives other bytes than were put.
type damagedStore struct {
	blob.Store
	spoil func(blob.Reader) blob.Reader
}

func (d *damagedStore) Open(ctx context.Context, ref blob.Ref) (blob.Reader, error) {
	r, err := d.Store.Open(ctx, ref)
	if err != nil || d.spoil == nil || ref.Space == catalog.RemoteSpace {
		return r, err
	}
	return d.spoil(r), nil
}

func (d *damagedStore) Quarantine(ctx context.Context, ref blob.Ref, seen time.Time) (bool, error) {
	d.spoil = nil
	return d.Store.Quarantine(ctx, ref, seen)
}

type shortReader struct{ blob.Reader }

func (s shortReader) Size() int64 { return s.Reader.Size() - 1 }

type flippedReader struct{ blob.Reader }

func (f flippedReader) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	for i := range n {
		p[i] ^= 1
	}
	return n, err
}

// TestRestore_DamageThatShowsIsNotServed reads a cut file and a small one with
// other bytes.
func TestRestore_DamageThatShowsIsNotServed(t *testing.T) {
	for name, spoil := range map[string]func(blob.Reader) blob.Reader{
		"cut":     func(r blob.Reader) blob.Reader { return shortReader{r} },
		"flipped": func(r blob.Reader) blob.Reader { return flippedReader{r} },
	} {
		t.Run(name, func(t *testing.T) {
			h, o := org(t)
			o.put("express", "1.0.0", "express one")
			h.mustFetch("frontend-app", "express", "1.0.0", "express one")
			h.service.contents.cache.InvalidateAll()
			h.service.blobs = &damagedStore{h.service.blobs, spoil}
			h.mustFetch("frontend-app", "express", "1.0.0", "express one")
			if n := o.gets.Load(); n != 2 {
				t.Errorf("fetched %d times", n)
			}
		})
	}
}

// TestDeed_TellsHitsFromMisses asks for what is outside, and again.
func TestDeed_TellsHitsFromMisses(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "express one")
	asset := func() Deed {
		r := h.open("frontend-app")
		c, err := r.Asset(t.Context(), coords("express"), "1.0.0", "file")
		if err != nil {
			t.Fatal(err)
		}
		f, err := c.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return r.Deed()
	}
	document := func() Deed {
		r := h.open("frontend-app")
		_, err := r.Document(t.Context(), coords("express"), Variant{Name: "full"}, "text/plain",
			func(context.Context, *Listing, io.Writer) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return r.Deed()
	}
	for i, want := range []bool{true, false} {
		if d := document(); d.Answer != AnswerDocument || d.Fetched != want || !d.External {
			t.Errorf("document %d: %+v", i, d)
		}
	}
	for i, want := range []bool{true, false, false} {
		if d := asset(); d.Answer != AnswerAsset || d.Fetched != want || !d.External {
			t.Errorf("asset %d: %+v", i, d)
		}
	}
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	r := h.open("frontend-app")
	if _, err := r.Asset(t.Context(), coords("widget"), "1.0.0", "file"); err != nil {
		t.Fatal(err)
	}
	if d := r.Deed(); d.Answer != AnswerAsset || d.Fetched || d.External {
		t.Errorf("what was published here: %+v", d)
	}
}
