package artifact

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"packhouse/internal/fault"
)

// maxName bounds names of every kind, in characters (section 2.1).
const maxName = 255

// CheckName holds a package's namespace or name, or a version's number, to what
// the API takes of any format (section 2.1), and refuses what no address can
// hold safely: control and other invisible characters, white space, slashes of
// both kinds, "." and "..". Invalid names field.
func CheckName(field, text string) error {
	if err := checkLength(field, text); err != nil {
		return err
	}
	for _, r := range text {
		if r == '/' || r == '\\' || r == '#' || unicode.IsSpace(r) || unicode.Is(unicode.C, r) {
			return fault.Field(field, "must not hold slashes, backslashes, #, white space or control characters")
		}
	}
	return nil
}

// assetSymbols are what a file may be called with besides letters and digits:
// the list of PublishPackageVersion, and the space.
const assetSymbols = "~!@^&()-_+[]{};,.` "

// CheckAssetName holds the name of a published file to the rules of
// PublishPackageVersion (section 2.1): letters and digits of any script and a
// few symbols, no slash among them, and not "." or "..". A space may not stand
// first or last: a header that carries the name would lose it.
func CheckAssetName(name string) error {
	const field = "asset"
	if err := checkLength(field, name); err != nil {
		return err
	}
	for _, r := range name {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N) && !strings.ContainsRune(assetSymbols, r) {
			return fault.Field(field, "may hold letters, digits, spaces and %s", strings.TrimSpace(assetSymbols))
		}
	}
	if name != strings.TrimSpace(name) {
		return fault.Field(field, "must not begin or end with a space")
	}
	return nil
}

func checkLength(field, text string) error {
	switch {
	case !utf8.ValidString(text):
		return fault.Field(field, "must be UTF-8 text")
	case text == "" || utf8.RuneCountInString(text) > maxName:
		return fault.Field(field, "must have 1 to %d characters", maxName)
	case text == "." || text == "..":
		return fault.Field(field, "must not be %s", text)
	}
	return nil
}
