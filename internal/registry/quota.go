package registry

import (
	"io"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// Quotas hold in three places. Stage, and what takes parts, refuse an asset that
// could never be taken, from what was announced of its length and again while
// its bytes come. Publish, Copy and restoring ask in their transaction, so that concurrent ones cannot
// exceed a quota together. And what would be retained on its way through a
// repository is served, but not kept: a full quota must not break anybody's
// build.

// Announced is content of which is known before it is read that it has n bytes,
// or at least n; n below 0 is not known.
func Announced(r io.Reader, n int64) io.Reader { return announced{r, n} }

type announced struct {
	io.Reader
	size int64
}

// limit is a bound on the size of one asset in a repository.
type limit struct {
	kind, name string
	catalog.Limits
}

// limits are the bounds on one asset in a repository, as far as the
// configuration that n is of knows them. No asset can be larger than all that
// may be held.
func (n *node) limits() []limit {
	var out []limit
	for _, l := range []limit{{"repository", n.id.Name, n.graph.quotas[n.repo.ID]}, {"domain", n.id.Domain, n.graph.quotas[n.graph.domain.ID]}} {
		if l.Limits != (catalog.Limits{}) {
			out = append(out, l)
		}
	}
	return out
}

func (l limit) takes(asset string, size int64) error {
	if err := l.Takes(l.kind, l.name, asset, size); err != nil {
		return err
	}
	if l.Bytes != nil && size > *l.Bytes {
		return fault.About(fault.Quota, l.kind, l.name, "%s is larger than the %d bytes that the %s %s may hold in all (maxBytes of its quota)", asset, *l.Bytes, l.kind, l.name)
	}
	return nil
}

// bounded is content that ends in an error when there is more of it than the
// limits take.
type bounded struct {
	io.Reader
	name   string
	read   int64
	limits []limit
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	for _, l := range b.limits {
		if over := l.takes(b.name, b.read); over != nil {
			return 0, over
		}
	}
	return n, err
}

// within refuses content that announces more bytes than a repository takes, and
// bounds the others.
func (n *node) within(name string, content io.Reader) (io.Reader, error) {
	limits := n.limits()
	if len(limits) == 0 {
		return content, nil
	}
	if a, ok := content.(announced); ok {
		if err := n.mayBe(name, a.size); err != nil {
			return nil, err
		}
	}
	return &bounded{Reader: content, name: name, limits: limits}, nil
}

// mayBe refuses an asset of a size that the repository never takes.
func (n *node) mayBe(name string, size int64) error {
	for _, l := range n.limits() {
		if err := l.takes(name, size); err != nil {
			return err
		}
	}
	return nil
}

// admit asks the quotas for room for versions and assets in n; see
// catalog.Tx.Admit.
func admit(tx *catalog.Tx, n *node, versions int, assets []artifact.Asset) error {
	return tx.Admit(n.id.Domain, n.repo, versions, assets)
}
