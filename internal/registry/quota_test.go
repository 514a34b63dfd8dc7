package registry

import (
	"strings"
	"testing"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// limit sets the quota of a repository, of the domain when repo is empty.
func (h *house) limit(repo string, l catalog.Limits) {
	h.t.Helper()
	scope := h.domain.ID
	if repo != "" {
		scope = h.repos[repo].ID
	}
	h.update(func(tx *catalog.Tx) error {
		_, err := tx.PutQuota(h.domain.ID, scope, l)
		return err
	})
}

func (h *house) wantOver(err error, text string) {
	h.t.Helper()
	if !fault.Is(err, fault.Quota) || !strings.Contains(err.Error(), text) {
		h.t.Errorf("got %v, want a quota error with %q", err, text)
	}
}

// quotaOf is what counting all rows gives, after a look that the counts agree.
func (h *house) quotaOf(repo string) (q catalog.Quota) {
	h.t.Helper()
	h.update(func(tx *catalog.Tx) error {
		wrong, err := tx.CheckHoldings(h.domain.ID)
		if err != nil || len(wrong) > 0 {
			h.t.Errorf("counts differ: %v, %v", wrong, err)
		}
		scope := h.domain.ID
		if repo != "" {
			scope = h.repos[repo].ID
		}
		q, err = tx.Quota(scope)
		return err
	})
	return q
}

func TestQuota_PublishOverItLeavesNothing(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("ours")
	h.mustPublish("ours", "hello", "1", "12345")
	h.limit("ours", catalog.Limits{Bytes: new(int64(12)), Versions: new(int64(3)), AssetBytes: new(int64(8))})

	h.wantOver(h.publish("ours", "hello", "2", "123456789"), "larger than the 8 bytes")
	h.wantOver(h.publish("ours", "fresh", "1", "12345678"), "may hold 12 bytes")
	h.update(func(tx *catalog.Tx) error {
		if _, err := tx.Package(h.repos["ours"].ID, coords("fresh")); !fault.Is(err, fault.NotFound) {
			t.Errorf("a refused publish left its package: %v", err)
		}
		return nil
	})
	h.mustPublish("ours", "hello", "2", "1234567") // to the last byte
	h.wantOver(h.publish("ours", "hello", "3", "1"), "may hold 12 bytes")
	h.mustPublish("ours", "hello", "3", "") // nothing is no bytes
	h.wantOver(h.publish("ours", "hello", "4", ""), "may hold 3 versions")
	if q := h.quotaOf("ours"); q.Held != (catalog.Holding{Bytes: 12, Versions: 3}) {
		t.Errorf("%+v", q.Held)
	}
	if err := h.publish("ours", "hello", "1", "12345"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a version that is there: %v, want a conflict", err)
	}
	if err := h.open("ours").Unpublish(t.Context(), coords("hello"), []string{"2"}); err != nil {
		t.Fatal(err)
	}
	h.mustPublish("ours", "hello", "5", "1234567")
}

func TestQuota_AssetThatAnnouncesItsSizeIsNotRead(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("ours")
	h.limit("", catalog.Limits{AssetBytes: new(int64(8))})
	unread := strings.NewReader("123456789")
	_, err := h.open("ours").Stage(t.Context(), coords("hello"), "file", Announced(unread, 9))
	h.wantOver(err, "in the domain corp")
	if unread.Len() != 9 {
		t.Error("it was read")
	}
	h.limit("", catalog.Limits{Bytes: new(int64(4))})
	_, err = h.open("ours").Stage(t.Context(), coords("hello"), "file", Announced(strings.NewReader("12345"), -1))
	h.wantOver(err, "may hold in all")
}

func TestQuota_DomainCountsAContentOnce(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("one")
	h.repo("two")
	h.limit("", catalog.Limits{Bytes: new(int64(5))})
	h.mustPublish("one", "a", "1", "12345")
	h.mustPublish("two", "b", "1", "12345")
	h.wantOver(h.publish("two", "b", "2", "x"), "the domain corp may hold 5 bytes")
	if q := h.quotaOf(""); q.Held != (catalog.Holding{Bytes: 5, Versions: 2}) {
		t.Errorf("%+v", q.Held)
	}
}

func TestQuota_CopyOverItCopiesNothing(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("from")
	h.repo("to")
	h.mustPublish("from", "hello", "1", "12345")
	h.mustPublish("from", "hello", "2", "12345")
	h.limit("to", catalog.Limits{Versions: new(int64(1))})
	id := func(name string) artifact.RepositoryID {
		return artifact.RepositoryID{Owner: owner, Domain: "corp", Name: name}
	}
	q := CopyRequest{Source: id("from"), Destination: id("to"), Coordinates: coords("hello"), Versions: []string{"1", "2"}}
	_, err := h.service.Copy(t.Context(), q)
	h.wantOver(err, "may hold 1 versions")
	if held := h.quotaOf("to").Held; held != (catalog.Holding{}) {
		t.Errorf("%+v", held)
	}
	q.Versions = []string{"2"}
	if _, err := h.service.Copy(t.Context(), q); err != nil {
		t.Fatal(err)
	}
}

// What comes back from the trash needs room like what is published.
func TestQuota_RestoreOverItRestoresNothing(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("ours")
	h.mustPublish("ours", "hello", "1", "12345")
	h.mustPublish("ours", "hello", "2", "12345")
	h.update(func(tx *catalog.Tx) error {
		p, err := tx.Package(h.repos["ours"].ID, coords("hello"))
		if err != nil {
			return err
		}
		for _, number := range []string{"1", "2"} {
			v, err := tx.Version(p.ID, number)
			if err == nil {
				err = tx.TrashVersion(p, v, "too old", tx.Now().Add(time.Hour))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	h.limit("ours", catalog.Limits{Versions: new(int64(1)), Bytes: new(int64(9))})
	b := Batch{Repository: artifact.RepositoryID{Owner: owner, Domain: "corp", Name: "ours"}, Coordinates: coords("hello"), Versions: []string{"1", "2"}}
	_, err := h.service.Restore(t.Context(), b, nil)
	h.wantOver(err, "may hold 1 versions")
	if held := h.quotaOf("ours").Held; held != (catalog.Holding{}) {
		t.Errorf("%+v", held)
	}
	b.Versions = []string{"2"}
	if _, err := h.service.Restore(t.Context(), b, nil); err != nil {
		t.Fatal(err)
	}
	if held := h.quotaOf("ours").Held; held != (catalog.Holding{Bytes: 5, Versions: 1}) {
		t.Errorf("%+v", held)
	}
}

// A full quota must not break the builds that come through a repository.
func TestQuota_WhatComesThroughIsServedAndNotKept(t *testing.T) {
	remote := newOutside(t)
	remote.put("lib", "1", "outside")
	h := newHouse(t, remote)
	h.repo("public", "@")
	h.repo("ours")
	h.repo("app", "ours", "public")
	h.mustPublish("ours", "mine", "1", "inside")
	h.limit("app", catalog.Limits{Bytes: new(int64(3))})
	h.limit("public", catalog.Limits{Versions: new(int64(0))})

	for range 2 {
		h.mustFetch("app", "lib", "1", "outside")
		h.mustFetch("app", "mine", "1", "inside")
	}
	if gets := remote.gets.Load(); gets < 2 {
		t.Errorf("fetched %d times: it was kept somewhere", gets)
	}
	for _, repo := range []string{"app", "public"} {
		if held := h.quotaOf(repo).Held; held != (catalog.Holding{}) {
			t.Errorf("%s holds %+v", repo, held)
		}
	}
	h.limit("app", catalog.Limits{Bytes: new(int64(100))})
	h.mustFetch("app", "lib", "1", "outside")
	if held := h.quotaOf("app").Held; held != (catalog.Holding{Bytes: 7, Versions: 1}) {
		t.Errorf("with room again it holds %+v", held)
	}
	if held := h.quotaOf("public").Held; held != (catalog.Holding{}) {
		t.Errorf("public holds %+v", held)
	}
}
