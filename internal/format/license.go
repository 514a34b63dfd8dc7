package format

import (
	"slices"

	"github.com/google/licensecheck"
)

// MaxLicense is how much of a text RecognizeLicenses looks at, in bytes.
const MaxLicense = 128 << 10

// Of a text less than licensePercent of which are licences nothing is said: it
// may hold conditions of its own.
const licensePercent = 75

// RecognizeLicenses gives the SPDX identifiers of the licences that a text is
// made of, each once, in its order; nil when it is another text or more than
// that.
func RecognizeLicenses(text []byte) []string {
	if len(text) > MaxLicense {
		return nil
	}
	covered := licensecheck.Scan(text)
	if covered.Percent < licensePercent {
		return nil
	}
	var ids []string
	for _, m := range covered.Match {
		if !m.IsURL && !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}
