package access

import (
	"slices"
	"sync"

	"packhouse/internal/policy"
)

// granted remembers what was allowed without a look at the request: by
// statements without conditions and variables, so that only the principal, the
// need and the policies had a say. It holds for one generation, as the policies
// do. This is the way of nearly every download.
type granted struct {
	mu         sync.RWMutex
	generation uint64
	needs      map[grant][]string // with the Policies of the Need
}

// grant is who may do what.
type grant struct {
	kind                    policy.PrincipalType
	who                     string // ARN
	action, resource, owner string
	alone                   bool // without resource policies
}

// maxGranted bounds the grants remembered; at that number all are forgotten.
const maxGranted = 8192

// grantOf gives the key of a need; ok is false when the outcome is not to be
// remembered: sessions and groups may differ under one name, and the rarer
// kinds of need are not worth it.
func grantOf(p *policy.Principal, need *Need) (g grant, ok bool) {
	named := p.Type == policy.User || p.Type == policy.Root || p.Type == policy.Anonymous
	if !named || len(p.Groups) > 0 || need.Alternative != "" || need.Governor != "" || need.Trust != nil {
		return grant{}, false
	}
	return grant{p.Type, p.ARN, need.Action, need.Resource, need.Owner, need.WithoutResourcePolicy}, true
}

func (m *granted) has(generation uint64, g *grant, policies []string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	known, ok := m.needs[*g]
	return ok && m.generation == generation && slices.Equal(known, policies)
}

// add remembers a grant decided by what was loaded after generation was read.
func (m *granted) add(generation uint64, g *grant, policies []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case generation < m.generation:
		return
	case generation > m.generation, m.needs == nil, len(m.needs) >= maxGranted:
		m.generation, m.needs = generation, make(map[grant][]string)
	}
	m.needs[*g] = slices.Clone(policies)
}
