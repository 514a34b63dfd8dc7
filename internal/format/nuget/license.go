package nuget

import (
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// maxLicense bounds the licence file that is looked at, in bytes.
const maxLicense = 128 << 10

// Of a text less than licensePercent of which are licences nothing is said: it
// may hold conditions of its own.
const licensePercent = 75

// recognizeLicense gives the SPDX name of the licence a text is, or an
// expression where it is several; empty for any other text.
func recognizeLicense(text []byte) string {
	covered := licensecheck.Scan(text)
	if covered.Percent < licensePercent {
		return ""
	}
	var ids []string
	for _, m := range covered.Match {
		if !m.IsURL && !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	return strings.Join(ids, " AND ")
}
