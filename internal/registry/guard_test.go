package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

func TestConfusion_NameStaysInsideWhenItsVersionsAreGone(t *testing.T) {
	h, o := org(t)
	o.put("widget", "99.0.0", "attack")
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")
	if err := h.open("npm-internal").Unpublish(t.Context(), coords("widget"), []string{"1.0.0"}); err != nil {
		t.Fatal(err)
	}
	if got, err := h.fetch("frontend-app", "widget", "99.0.0"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %q, %v", got, err)
	}
	h.wantVersions("frontend-app", "widget")
	if n := o.docs.Load(); n != 0 {
		t.Errorf("the connection was asked for the name %d times", n)
	}
	h.restrict("npm-internal", "widget", artifact.Allow, artifact.Allow)
	h.wantVersions("frontend-app", "widget", "99.0.0")
}

func TestConfusion_WhatIsBeyondTheLimitIsNotAsked(t *testing.T) {
	o := newOutside(t)
	h := newHouse(t, o)
	o.put("widget", "99.0.0", "attack")
	h.repo("r00")
	for i := 1; i <= 23; i++ {
		h.repo(fmt.Sprintf("r%02d", i), fmt.Sprintf("r%02d", i-1))
	}
	h.repo("last", "@")
	h.repo("root", "r23", "last") // 24 repositories below r23: last is the 26th
	h.mustPublish("last", "widget", "1.0.0", "ours")
	h.restrict("r23", "widget", artifact.Block, artifact.Block) // nothing below r23 is searched
	before := o.docs.Load()
	if got, err := h.fetch("root", "widget", "99.0.0"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %q, %v", got, err)
	}
	if n := o.docs.Load() - before; n != 0 {
		t.Errorf("the connection was asked for the name %d times", n)
	}
}

// A fetch that began before a name was published inside must not leave an
// external version behind, nor complete for the client.
func TestConfusion_FetchUnderWayIsGivenUpWhenTheNameIsPublished(t *testing.T) {
	for _, c := range []struct {
		name, publishTo string
		across          bool
	}{
		{"in the repository that asked", "frontend-app", true},
		{"in the repository that asked, mixed names", "frontend-app", false},
		{"elsewhere in reach", "npm-internal", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, o := org(t)
			h.update(func(tx *catalog.Tx) error { return tx.SetCrossRepositoryBlock(h.domain.ID, c.across) })
			o.put("widget", "99.0.0", "attack")
			o.gate = make(chan struct{})
			ended := make(chan error, 1)
			go func() {
				_, err := h.fetch("frontend-app", "widget", "99.0.0")
				ended <- err
			}()
			for o.gets.Load() == 0 {
				time.Sleep(time.Millisecond) // until the fetch is under way
			}
			h.mustPublish(c.publishTo, "widget", "1.0.0", "ours")
			close(o.gate)
			if err := <-ended; err == nil {
				t.Error("the client got the external version")
			}
			h.wantVersions("frontend-app", "widget", "1.0.0")
			for _, version := range h.held("frontend-app", "widget") {
				if strings.HasPrefix(version, "99.") {
					t.Error("the external version was retained")
				}
			}
		})
	}
}

// ask gives the body of a document through a repository opened before.
func ask(t *testing.T, r *Repo, name string, render Render) string {
	t.Helper()
	d, err := r.Document(t.Context(), coords(name), Variant{Name: "numbers"}, "text/plain", render)
	if err != nil {
		t.Error(err)
		return ""
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	return w.Body.String()
}

func TestDocument_BuildBegunBeforeAPublishIsNotItsAnswer(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	begun, release := make(chan struct{}), make(chan struct{})
	slow := func(ctx context.Context, l *Listing, w io.Writer) error {
		close(begun)
		<-release
		return renderNumbers(ctx, l, w)
	}
	early, late := make(chan string, 1), make(chan string, 1)
	before, after := h.open("frontend-app"), h.open("frontend-app")
	go func() { early <- ask(t, before, "widget", slow) }()
	<-begun
	h.mustPublish("npm-internal", "widget", "2.0.0", "two")
	go func() { late <- ask(t, after, "widget", renderNumbers) }()
	time.Sleep(10 * time.Millisecond) // so that it may join the build
	close(release)
	<-early
	if got := <-late; got != "1.0.0\n2.0.0\n" {
		t.Errorf("after the publish: %q", got)
	}
}

func TestDocument_RequestFromBeforeAConfigChangeSpoilsNothing(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	old := h.open("frontend-app")
	h.setUpstreams("npm-public")
	_, _ = old.Document(t.Context(), coords("widget"), Variant{Name: "numbers"}, "text/plain", renderNumbers)
	if w, err := h.document("widget"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a repository no longer upstream is shown: %v, %v", w, err)
	}
	old = h.open("frontend-app")
	h.setUpstreams("npm-internal")
	if _, err := old.Asset(t.Context(), coords("widget"), "1.0.0", "file"); err != nil {
		t.Errorf("a repository that is upstream now is not searched: %v", err)
	}
}

func TestDocument_IsServedAlsoWhenTheCacheLetsGoOfIt(t *testing.T) {
	h, _ := org(t)
	h.service.documents, _ = newDocuments(t.TempDir()+"/small", 1, 1)
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	long := strings.Repeat("x", 2*inMemory)
	d, err := h.open("frontend-app").Document(t.Context(), coords("widget"), Variant{Name: "long"}, "text/plain",
		func(_ context.Context, _ *Listing, w io.Writer) error {
			_, err := io.WriteString(w, long)
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); h.service.documents.cache.EstimatedSize() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // until it is evicted
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusOK || w.Body.String() != long {
		t.Errorf("got %d and %d bytes", w.Code, w.Body.Len())
	}
	file := d.plain.file
	runtime.KeepAlive(d)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		if _, err := os.Stat(file); os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("its file stays")
		}
	}
}

func TestFind_TextThatNoNameCanHoldFindsNothing(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "widget", "1.0.0", "one")
	for _, text := range []string{strings.Repeat("w", 60_000), "wid\x00get", "\xff"} {
		found, total, err := h.open("frontend-app").Search(t.Context(), artifact.NPM, text, 0, 10)
		if err != nil || total != 0 || len(found) != 0 {
			t.Errorf("%.10q: %d of %d, %v", text, len(found), total, err)
		}
	}
}

func TestAsset_IsKeptAtTheConnectionOfEachRepositoryThatAsked(t *testing.T) {
	h, o := org(t)
	h.repo("npm-other", "@")
	h.repo("backend-app", "npm-other")
	o.put("express", "1.0.0", "express one")
	o.gate = make(chan struct{})
	ended := make(chan error, 2)
	for _, repo := range []*Repo{h.open("frontend-app"), h.open("backend-app")} {
		go func() {
			c, err := repo.Asset(t.Context(), coords("express"), "1.0.0", "file")
			if err == nil {
				var f io.Closer
				if f, err = c.Open(t.Context()); err == nil {
					err = f.Close()
				}
			}
			ended <- err
		}()
	}
	for joined := 0; joined < 2; time.Sleep(time.Millisecond) { // until both are waiting for one fetch
		h.service.arrivals.mu.Lock()
		for _, a := range h.service.arrivals.open {
			a.mu.Lock()
			joined = len(a.into)
			a.mu.Unlock()
		}
		h.service.arrivals.mu.Unlock()
	}
	close(o.gate)
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	for _, repo := range []string{"frontend-app", "backend-app", "npm-public", "npm-other"} {
		h.wantHeld(repo, "express", "1.0.0 EXTERNAL")
	}
}
