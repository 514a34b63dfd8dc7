package sigv4

import (
	"cmp"
	"iter"
	"net/http"
	"slices"
	"strings"
)

// canonicalLines yields "METHOD\npath\nquery\n" in each form that signers in
// the wild derive from one request line: the path as sent (AWS SDK for Go) or
// without dot segments and empty segments (botocore), the query sorted by its
// escaped text (the specification) or by its plain text (AWS SDK for Go). They
// nearly always coincide, and then one form is yielded. All of them are
// functions of the same bytes, so none lets a request pass for another one
// that this server would route or read differently.
func canonicalLines(r *http.Request) iter.Seq[string] {
	rawPath, rawQuery := target(r)
	paths := distinct(escape(rawPath, '/'), escape(cleanPath(rawPath), '/'))
	queries := distinct(canonicalQuery(rawQuery, byEscaped), canonicalQuery(rawQuery, byPlain))
	return func(yield func(string) bool) {
		for _, p := range paths {
			for _, q := range queries {
				if !yield(r.Method + "\n" + p + "\n" + q + "\n") {
					return
				}
			}
		}
	}
}

func distinct(a, b string) []string {
	if a == b {
		return []string{a}
	}
	return []string{a, b}
}

// target is the path and query as they came over the wire, still escaped.
func target(r *http.Request) (path, query string) {
	if r.RequestURI == "" { // not made by a server
		path, query = r.URL.EscapedPath(), r.URL.RawQuery
	} else {
		path, query, _ = strings.Cut(r.RequestURI, "?")
		if i := strings.Index(path, "://"); i > 0 && path[0] != '/' { // absolute form, for proxies
			if _, after, ok := strings.Cut(path[i+3:], "/"); ok {
				path = "/" + after
			} else {
				path = ""
			}
		}
	}
	if path == "" {
		path = "/"
	}
	return path, query
}

// cleanPath is RFC 3986 5.2.4 with runs of slashes merged, as botocore's
// remove_dot_segments; a trailing slash is kept.
func cleanPath(path string) string {
	var out []string
	for seg := range strings.SplitSeq(path, "/") {
		switch seg {
		case "", ".":
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, seg)
		}
	}
	clean := "/" + strings.Join(out, "/")
	if strings.HasSuffix(path, "/") && len(out) > 0 {
		clean += "/"
	}
	return clean
}

type pair struct{ name, value, plainName, plainValue string }

func byEscaped(a, b pair) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
}

func byPlain(a, b pair) int {
	return cmp.Or(cmp.Compare(a.plainName, b.plainName), cmp.Compare(a.plainValue, b.plainValue))
}

// canonicalQuery decodes and escapes again, so that any spelling of a
// parameter is judged by its meaning; "+" is a space as it is to the decoder
// of the operations.
func canonicalQuery(raw string, order func(a, b pair) int) string {
	if raw == "" {
		return ""
	}
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, value = unescape(name), unescape(value)
		pairs = append(pairs, pair{escape(name, 0), escape(value, 0), name, value})
	}
	slices.SortFunc(pairs, order)
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(p.value)
	}
	return b.String()
}

// unescape is url.QueryUnescape that leaves a malformed escape as it stands.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

// escape percent-encodes every byte but A-Z a-z 0-9 - . _ ~ and keep, with
// upper-case digits.
func escape(s string, keep byte) string {
	const digits = "0123456789ABCDEF"
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' || keep != 0 && c == keep
	}
	n := 0
	for i := range len(s) {
		if !plain(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
