package registry

import (
	"hash/maphash"
	"sync/atomic"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
)

// generations counts changes of packages: whatever was derived from a package
// while its counter and the catalog's config generation stood where they stand
// now is current. Packages share counters by hash, so the memory is bounded; a
// shared counter costs a needless rebuild, never a stale answer.
type generations struct {
	seed     maphash.Seed
	counters [1 << 14]atomic.Uint64
}

// of gives the counter of one package in one domain.
func (g *generations) of(domainID string, c artifact.Coordinates) *atomic.Uint64 {
	var h maphash.Hash
	h.SetSeed(g.seed)
	_, _ = h.WriteString(domainID)
	_ = h.WriteByte('/')
	_, _ = h.WriteString(string(c.Format))
	_ = h.WriteByte('/')
	_, _ = h.WriteString(c.Namespace)
	_ = h.WriteByte('/')
	_, _ = h.WriteString(c.Name)
	return &g.counters[h.Sum64()%uint64(len(g.counters))]
}

// follow takes in committed changes.
func (g *generations) follow(changes []catalog.Change) {
	for _, c := range changes {
		switch {
		case c.Lost:
			for i := range g.counters {
				g.counters[i].Add(1)
			}
		case !c.Config:
			g.of(c.DomainID, c.Coordinates).Add(1)
		}
	}
}

// stamp is a moment of both generations.
type stamp struct {
	counter *atomic.Uint64
	at      uint64
	config  uint64
}

// stampOf must be taken before reading what it is to vouch for.
func (s *Service) stampOf(domainID string, c artifact.Coordinates) stamp {
	counter := s.gens.of(domainID, c)
	return stamp{counter: counter, at: counter.Load(), config: s.db.Generation()}
}

// before tells whether there was a relevant change between st and a moment of
// the same package.
func (st *stamp) before(later *stamp) bool { return st.at < later.at || st.config < later.config }

// current tells whether nothing relevant has changed since the stamp.
func (st *stamp) current(s *Service) bool {
	return st.counter.Load() == st.at && s.db.Generation() == st.config
}
