package npm

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// cursor walks the members of one JSON object without copying. It skips what it
// does not look at several times faster than a parser because it checks no
// grammar: use it on bytes a parser has accepted. On anything else it stops or
// gives nonsense, and never panics.
type cursor struct {
	b     []byte
	i     int
	begun bool
}

// span is a range of bytes in the object the cursor was made of.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// field is one member: name is unquoted, whole runs from the name's quote to
// the end of the value.
type field struct {
	name  []byte
	whole span
	value span
}

// walk starts at the object in b; ok is false when b holds no object.
func walk(b []byte) (c cursor, ok bool) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return cursor{}, false
	}
	return cursor{b: b, i: i + 1}, true
}

// next gives the next member, false at the end.
func (c *cursor) next() (f field, ok bool) {
	b := c.b
	i := skipSpace(b, c.i)
	if c.begun {
		if i >= len(b) || b[i] != ',' {
			return f, false
		}
		i = skipSpace(b, i+1)
	}
	c.begun = true
	if i >= len(b) || b[i] != '"' {
		return f, false
	}
	f.whole.from = i
	end := stringEnd(b, i)
	if end < 0 {
		return f, false
	}
	f.name = unquoted(b[i:end])
	i = skipSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return f, false
	}
	i = skipSpace(b, i+1)
	f.value.from = i
	i = valueEnd(b, i)
	if i < 0 {
		return f, false
	}
	f.value.to, f.whole.to, c.i = i, i, i
	return f, true
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// shortString is up to where a plain loop beats a call of bytes.IndexByte.
const shortString = 32

// stringEnd is where the string that opens at i ends, -1 when it does not.
func stringEnd(b []byte, i int) int {
	rest := b[i+1:]
	for n, c := range rest[:min(shortString, len(rest))] {
		if c == '"' {
			return i + n + 2
		}
		if c == '\\' {
			break
		}
	}
	for i++; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		slashes := 0
		for j := i - 2; b[j] == '\\'; j-- { // ends at the opening quote at the latest
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// valueEnd is where the value that begins at i ends, -1 when it does not.
func valueEnd(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		return containerEnd(b, i)
	}
	start := i
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
			if i == start {
				return -1
			}
			return i
		}
		i++
	}
	return -1
}

func containerEnd(b []byte, i int) int {
	const braces = 0x20 // the bit between [ and {, ] and }
	depth := 0
	for i < len(b) {
		c := b[i]
		if c == '"' {
			if i = stringEnd(b, i); i < 0 {
				return -1
			}
			continue
		}
		i++
		if c |= braces; c == '{' {
			depth++
		} else if c == '}' {
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// unquoted gives the text of a JSON string; it allocates only for escapes.
// Anything but a string gives nil.
func unquoted(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	text, _ := jsontext.AppendUnquote(nil, raw) // invalid UTF-8 becomes U+FFFD, as in browsers
	return text
}

// quote appends s as a JSON string.
func quote(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // invalid UTF-8 becomes U+FFFD
	return dst
}

// facts are the members of a manifest the house itself reads; all raw.
type facts struct {
	name, version, dist        span // zero when absent
	tarball, integrity, shasum span
	attested                   span // dist.attestations.url
}

// inspect finds the facts of a manifest; false when it is not an object, or
// says one of them twice: clients differ in which they would believe.
func inspect(manifest []byte) (f facts, ok bool) {
	c, ok := walk(manifest)
	if !ok {
		return f, false
	}
	for m, more := c.next(); more; m, more = c.next() {
		switch string(m.name) {
		case "name":
			ok = ok && once(&f.name, m.value)
		case "version":
			ok = ok && once(&f.version, m.value)
		case "dist":
			ok = ok && once(&f.dist, m.value) && f.inspectDist(manifest)
		}
	}
	return f, ok
}

func (f *facts) inspectDist(manifest []byte) (ok bool) {
	at := f.dist.from
	c, ok := walk(f.dist.of(manifest))
	for m, more := c.next(); ok && more; m, more = c.next() {
		value := span{at + m.value.from, at + m.value.to}
		switch string(m.name) {
		case "tarball":
			ok = once(&f.tarball, value)
		case "integrity":
			ok = once(&f.integrity, value)
		case "shasum":
			ok = once(&f.shasum, value)
		case "attestations":
			ok = f.inspectAttestations(manifest, value)
		}
	}
	return ok
}

// inspectAttestations finds the address; of what is not the object it should
// be, none.
func (f *facts) inspectAttestations(manifest []byte, at span) (ok bool) {
	c, _ := walk(at.of(manifest))
	for m, more := c.next(); more; m, more = c.next() {
		if string(m.name) == "url" && !once(&f.attested, span{at.from + m.value.from, at.from + m.value.to}) {
			return false
		}
	}
	return true
}

func once(s *span, value span) bool {
	if *s != (span{}) {
		return false
	}
	*s = value
	return true
}
