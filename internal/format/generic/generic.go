// Package generic is for files of any kind: a version is a set of named assets
// that means nothing to the house. CodeArtifact has an API for them alone
// (PublishPackageVersion); here they can be sent and fetched with plain HTTP
// too (section 11.8).
//
// A version stays Unfinished while assets are added with ?unfinished=true; the
// first one sent without it publishes the version, which then is closed.
// Generic packages are never looked for in upstreams: copying moves them.
package generic

import (
	"cmp"
	"io"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

// Format is the generic package format. It has no state.
type Format struct{}

var _ format.Format = Format{}

// New makes the format.
func New() Format { return Format{} }

// Name implements registry.Ecosystem.
func (Format) Name() artifact.Format { return artifact.Generic }

// Traits implements registry.Ecosystem.
func (Format) Traits() registry.Traits {
	return registry.Traits{Growth: registry.GrowsUnfinished, Local: true}
}

// Normalize implements registry.Ecosystem. Names are exact; there must be a
// namespace.
func (Format) Normalize(c artifact.Coordinates) (artifact.Coordinates, error) {
	c.Format = artifact.Generic
	if err := artifact.CheckName("namespace", c.Namespace); err != nil {
		return artifact.Coordinates{}, err
	}
	if err := artifact.CheckName("package", c.Name); err != nil {
		return artifact.Coordinates{}, err
	}
	return c, nil
}

// Compare implements registry.Ecosystem: runs of digits by their value, all
// else by its bytes, so that 1.9 comes before 1.10.
func (Format) Compare(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		i, j := leadingDigits(x), leadingDigits(y)
		c := cmp.Compare(x[0], y[0])
		if i > 0 && j > 0 {
			m, n := strings.TrimLeft(x[:i], "0"), strings.TrimLeft(y[:j], "0")
			c = cmp.Or(cmp.Compare(len(m), len(n)), strings.Compare(m, n))
		}
		if c != 0 {
			return c
		}
		x, y = x[max(i, 1):], y[max(j, 1):]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

func leadingDigits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

// Describe implements registry.Ecosystem: nothing is known of generic packages.
func (Format) Describe(artifact.Coordinates, []byte) (artifact.Details, error) {
	return artifact.Details{}, nil
}

// Readme implements registry.Ecosystem: generic packages have none.
func (Format) Readme([]byte, []artifact.Asset, func(string) (io.ReadCloser, error)) (string, error) {
	return "", fault.New(fault.NotFound, "generic packages have no readme")
}

// Remote implements registry.Ecosystem: there are no outside registries.
func (Format) Remote(string) upstream.Remote { return nil }
