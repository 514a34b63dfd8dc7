package registry

import (
	"context"
	"strings"
	"unicode/utf8"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// maxSearchScan bounds the names one search looks through after the match.
const maxSearchScan = 1000

// maxSearchText is longer than any name, in bytes.
const maxSearchText = 1024

// Search finds packages whose name contains text among what the repository and
// its upstreams hold: published or retained, never asking outside. total counts
// the matches, up to a thousand.
func (r *Repo) Search(ctx context.Context, f artifact.Format, text string, offset, limit int) (found []Found, total int, err error) {
	if err := r.MayRead(ctx); err != nil {
		return nil, 0, err
	}
	if len(text) > maxSearchText || strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) {
		return nil, 0, nil // no name can hold it, and databases choke on it
	}
	var ids []string
	for _, n := range r.service.reach(r.node, f) {
		ids = append(ids, n.repo.ID)
	}
	var names []catalog.FoundPackage
	err = r.service.db.View(ctx, func(tx *catalog.Tx) (err error) {
		names, err = tx.SearchPackages(ids, f, text, artifact.Coordinates{}, maxSearchScan)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	total = len(names)
	for _, p := range names[min(offset, total):] {
		if len(found) == limit {
			break
		}
		one, err := r.service.show(ctx, r.node, p.Coordinates)
		if fault.Is(err, fault.NotFound) {
			continue // nothing of it is published
		}
		if err != nil {
			return nil, 0, err
		}
		found = append(found, one)
	}
	return found, total, nil
}

// show picks the version a search hit is shown with, from what is stored.
func (s *Service) show(ctx context.Context, n *node, c artifact.Coordinates) (Found, error) {
	v, err := s.look(ctx, n, c)
	if err != nil {
		return Found{}, err
	}
	best, tagged := catalog.Version{}, ""
	for _, n := range v.nodes {
		for _, t := range v.tags[v.packages[n].ID] {
			if t.Tag == "latest" {
				tagged = t.Version
			}
		}
		for _, row := range v.local(n) {
			if row.Status != artifact.Published || v.hides(row) {
				continue
			}
			newer := best.ID == "" || s.ecosystems[c.Format].Compare(row.Number, best.Number) > 0
			if (tagged == "" || best.Number != tagged) && newer || row.Number == tagged {
				best = row
			}
		}
	}
	if best.ID == "" {
		return Found{}, notVisible(c)
	}
	out := Found{Coordinates: c, Version: best.Number, Published: best.Published}
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.Manifests([]string{best.ID}, func(_ string, m []byte) error { out.Manifest = m; return nil })
	})
	return out, err
}
