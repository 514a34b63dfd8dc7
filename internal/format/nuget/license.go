package nuget

import (
	"strings"

	"packhouse/internal/format"
)

// maxLicense bounds the licence file that is looked at, in bytes.
const maxLicense = format.MaxLicense

// recognizeLicense gives the SPDX name of the licence a text is, or an
// expression where it is several; empty for any other text.
func recognizeLicense(text []byte) string {
	return strings.Join(format.RecognizeLicenses(text), " AND ")
}
