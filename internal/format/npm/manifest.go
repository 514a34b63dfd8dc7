package npm

import (
	"bytes"
	"strings"

	"packhouse/internal/digest"
)

// storedManifest makes the manifest to store of the version object a publisher
// sent: what describes the publisher's machine or a CouchDB document is
// dropped, dist gets the digests of the bytes that arrived, the request's readme
// moves in when the version has none, and license is asked where nothing is said
// of one.
func storedManifest(sent []byte, sums digest.Set, readme []byte, license func() string) []byte {
	b := make([]byte, 0, len(sent)+len(readme)+256)
	b = append(b, '{')
	hasReadme, hasLicense := false, false
	c, _ := walk(sent)
	var dist []byte
	for m, more := c.next(); more; m, more = c.next() {
		switch string(m.name) {
		case "_attachments", "_rev", "_resolved", "_from", "_where", "_integrity", "_shasum":
			continue
		case "dist":
			dist = m.value.of(sent)
			continue
		case "license", "licenses":
			hasLicense = true
		case "readme":
			hasReadme = len(unquoted(m.value.of(sent))) > 0
			if !hasReadme {
				continue
			}
		}
		b = append(append(b, m.whole.of(sent)...), ',')
	}
	if !hasReadme && len(unquoted(readme)) > 0 {
		b = append(append(append(b, `"readme":`...), readme...), ',')
	}
	if !hasLicense {
		if id := license(); id != "" {
			b = append(quote(append(b, `"license":`...), id), ',')
		}
	}
	b = append(b, `"dist":{"integrity":`...)
	b = quote(b, sums.SRI(digest.SHA512))
	b = append(b, `,"shasum":`...)
	b = quote(b, sums.Shasum())
	if d, ok := walk(dist); ok {
		for m, more := d.next(); more; m, more = d.next() {
			switch string(m.name) {
			case "integrity", "shasum", "tarball":
				continue
			}
			b = append(append(b, ','), m.whole.of(dist)...)
		}
	}
	return append(b, "}}"...)
}

// deprecation gives the raw deprecated member of a manifest. No deprecation is
// nil, however it is said: absent, null, false or an empty text.
func deprecation(manifest []byte) []byte {
	var found []byte
	c, _ := walk(manifest)
	for m, more := c.next(); more; m, more = c.next() {
		if string(m.name) == "deprecated" {
			found = m.value.of(manifest)
		}
	}
	switch string(found) {
	case "null", "false", `""`, "":
		return nil
	}
	return found
}

// deprecate gives the manifest with another deprecation (raw, nil for none),
// nil when it has that one already.
func deprecate(manifest, message []byte) []byte {
	if bytes.Equal(deprecation(manifest), message) {
		return nil
	}
	b := append(make([]byte, 0, len(manifest)+len(message)+16), '{')
	c, ok := walk(manifest)
	if !ok {
		return nil
	}
	for m, more := c.next(); more; m, more = c.next() {
		if string(m.name) != "deprecated" {
			b = append(append(b, m.whole.of(manifest)...), ',')
		}
	}
	if message != nil {
		b = append(append(append(b, `"deprecated":`...), message...), ',')
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}

// stringMember gives a member's text, "" when it is absent or not a string.
func stringMember(object []byte, name string) string {
	found := ""
	c, _ := walk(object)
	for m, more := c.next(); more; m, more = c.next() {
		if string(m.name) == name {
			found = string(unquoted(m.value.of(object)))
		}
	}
	return found
}

// cleanVersion is what npm makes of the version in a package.json
// (node-semver's clean): without a leading = or v and without build metadata.
func cleanVersion(v string) string {
	v, _, _ = strings.Cut(strings.TrimLeft(strings.TrimSpace(v), "=v "), "+")
	return v
}
