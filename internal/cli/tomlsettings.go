package cli

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// mergeTOML sets what settings set and keeps the rest byte for byte. Of an array
// of tables, as [[index]] of uv, the one with the same name is changed, or one
// is added.
//
// The old text is cut into statements, which a parser has found to be right
// before; what comes out is read by that parser too and has to mean the one text
// laid over the other, so a way of writing that this does not know, such as an
// inline table that would have to grow, is refused and never spoilt.
func mergeTOML(old, settings string) (string, error) {
	var before, want map[string]any
	if err := toml.Unmarshal([]byte(old), &before); err != nil {
		return "", fmt.Errorf("it is not valid TOML, mend or move it first: %w", err)
	}
	if err := toml.Unmarshal([]byte(settings), &want); err != nil {
		return "", err
	}
	eol := lineEnd(old)
	doc := cutTOML(old)
	for _, table := range cutTOML(settings) {
		doc = doc.lay(table, eol)
	}
	merged := doc.String()
	var after map[string]any
	if err := toml.Unmarshal([]byte(merged), &after); err != nil {
		return "", fmt.Errorf("it has a table of the settings below written inline or with dots, write it as [table] first: %w", err)
	}
	if !reflect.DeepEqual(after, overlay(before, want)) {
		return "", errors.New("it has a table of the settings below written inline or with dots, write it as [table] first")
	}
	return merged, nil
}

// tomlTable is a header with the statements below it; the first one of a
// document has no header.
type tomlTable struct {
	path   []string
	array  bool   // [[path]]
	header string // with comments and empty lines after it
	items  []tomlItem
}

// tomlItem is key = value, with comments and empty lines after it.
type tomlItem struct {
	path        []string
	text, after string
	from, to    int // the value in text
}

type tomlDocument []tomlTable

// cutTOML cuts a valid text.
func cutTOML(text string) tomlDocument {
	doc := tomlDocument{{}}
	for text != "" {
		table := &doc[len(doc)-1]
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line = text[:i+1]
		}
		content := strings.TrimLeft(line, " \t")
		switch {
		case strings.TrimSpace(content) == "" || content[0] == '#':
			if n := len(table.items); n > 0 {
				table.items[n-1].after += line
			} else {
				table.header += line
			}
		case content[0] == '[':
			array := strings.HasPrefix(content, "[[")
			inner := strings.TrimLeft(content, "[")
			path, _ := tomlKey(inner)
			doc = append(doc, tomlTable{path: path, array: array, header: line})
		default:
			lead := len(line) - len(content)
			path, n := tomlKey(content)
			from := lead + n + 1 // after =
			from += len(text[from:]) - len(strings.TrimLeft(text[from:], " \t"))
			to := from + tomlValue(text[from:])
			end := len(text)
			if i := strings.IndexByte(text[to:], '\n'); i >= 0 {
				end = to + i + 1
			}
			line = text[:end]
			table.items = append(table.items, tomlItem{path: path, text: line, from: from, to: to})
		}
		text = text[len(line):]
	}
	return doc
}

// tomlKey reads a dotted key and tells where it ends, which is at = or ].
func tomlKey(s string) (path []string, n int) {
	for n < len(s) {
		switch c := s[n]; c {
		case ' ', '\t', '.':
			n++
		case '"', '\'':
			end := n + 1
			for end < len(s) && s[end] != c {
				if c == '"' && s[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(s))
			part := s[n:end]
			if c == '"' {
				var v struct{ K string }
				if toml.Unmarshal([]byte("K = "+part), &v) == nil {
					part = v.K
				}
			} else {
				part = strings.Trim(part, "'")
			}
			path, n = append(path, part), end
		case '=', ']', '\n', '\r':
			return path, n
		default:
			end := n
			for end < len(s) && !strings.ContainsRune(" \t.=]\"'\r\n", rune(s[end])) {
				end++
			}
			path, n = append(path, s[n:end]), end
		}
	}
	return path, n
}

// tomlValue tells how long the value is that a text begins with.
func tomlValue(s string) int {
	depth, end := 0, 0 // end is after the last byte that is neither space nor comment
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case '"', '\'':
			i += tomlString(s[i:])
			end = i
			continue
		case '#':
			n := strings.IndexByte(s[i:], '\n')
			if n < 0 {
				return end
			}
			i += n
			continue
		case '\n':
			if depth == 0 {
				return end
			}
		case '[', '{':
			depth++
			end = i + 1
		case ']', '}':
			depth--
			end = i + 1
		case ' ', '\t', '\r':
		default:
			end = i + 1
		}
		i++
	}
	return end
}

// tomlString tells how long a string is, quotes included.
func tomlString(s string) int {
	quote := s[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s, triple) {
		i := 3
		for i < len(s) && !strings.HasPrefix(s[i:], triple) {
			if quote == `"` && s[i] == '\\' {
				i++
			}
			i++
		}
		i = min(i+3, len(s))
		for n := 0; n < 2 && i < len(s) && s[i:i+1] == quote; n++ { // up to two quotes may stand before the end
			i++
		}
		return i
	}
	i := 1
	for i < len(s) && s[i:i+1] != quote && s[i] != '\n' {
		if quote == `"` && s[i] == '\\' {
			i++
		}
		i++
	}
	return min(i+1, len(s))
}

// lay puts a table of settings over a document.
func (doc tomlDocument) lay(want tomlTable, eol string) tomlDocument {
	if want.path == nil && len(want.items) == 0 {
		return doc
	}
	if want.array {
		if at := doc.named(want); at >= 0 {
			for _, item := range want.items {
				doc[at].set(item.path, item, eol)
			}
			return doc
		}
		return doc.append(want, eol)
	}
	for _, item := range want.items {
		full := append(slices.Clone(want.path), item.path...)
		if doc.change(full, item) {
			continue
		}
		at := slices.IndexFunc(doc, func(t tomlTable) bool { return !t.array && slices.Equal(t.path, want.path) })
		if at < 0 {
			doc = doc.append(tomlTable{path: want.path, header: strings.TrimRight(firstLine(want.header), "\r\n") + eol}, eol)
			at = len(doc) - 1
		}
		doc[at].set(item.path, item, eol)
	}
	return doc
}

func firstLine(s string) string {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return s[:i+1]
	}
	return s
}

// named finds the element of an array of tables with the name, or else the
// address, of want.
func (doc tomlDocument) named(want tomlTable) int {
	for _, key := range []string{"name", "url"} {
		at := slices.IndexFunc(want.items, func(i tomlItem) bool { return slices.Equal(i.path, []string{key}) })
		if at < 0 {
			continue
		}
		value := want.items[at].value()
		return slices.IndexFunc(doc, func(t tomlTable) bool {
			return t.array && slices.Equal(t.path, want.path) && slices.ContainsFunc(t.items, func(i tomlItem) bool {
				return slices.Equal(i.path, []string{key}) && sameTOML(i.value(), value)
			})
		})
	}
	return -1
}

func (i tomlItem) value() string { return i.text[i.from:i.to] }

// sameTOML tells whether two values mean the same, however they are written.
func sameTOML(a, b string) bool {
	var x, y struct{ V any }
	return toml.Unmarshal([]byte("V = "+a), &x) == nil && toml.Unmarshal([]byte("V = "+b), &y) == nil && reflect.DeepEqual(x, y)
}

// change gives a key that is there, in whatever table and with however many
// dots, its new value.
func (doc tomlDocument) change(full []string, want tomlItem) bool {
	inArray := [][]string{}
	for t := range doc {
		if doc[t].array {
			inArray = append(inArray, doc[t].path)
		}
		if slices.ContainsFunc(inArray, func(p []string) bool { return len(p) <= len(doc[t].path) && slices.Equal(p, doc[t].path[:len(p)]) }) {
			continue
		}
		for i := range doc[t].items {
			if item := &doc[t].items[i]; slices.Equal(append(slices.Clone(doc[t].path), item.path...), full) {
				item.assign(want)
				return true
			}
		}
	}
	return false
}

// assign replaces the value, unless it means the same already.
func (i *tomlItem) assign(want tomlItem) {
	if value := want.value(); !sameTOML(i.value(), value) {
		i.text = i.text[:i.from] + value + i.text[i.to:]
		i.to = i.from + len(value)
	}
}

// set changes a key of the table, or adds it below the last one.
func (t *tomlTable) set(path []string, want tomlItem, eol string) {
	for i := range t.items {
		if slices.Equal(t.items[i].path, path) {
			t.items[i].assign(want)
			return
		}
	}
	text := strings.TrimLeft(want.text[:want.to], " \t") + eol
	want.from -= len(want.text[:want.to]) + len(eol) - len(text)
	want.to = len(text) - len(eol)
	want.text = text
	// Above the empty lines and comments before the next table.
	last := &t.header
	if n := len(t.items); n > 0 {
		t.items[n-1].text = ended(t.items[n-1].text, eol)
		last = &t.items[n-1].after
	} else if t.path == nil {
		want.after, *last = *last, "" // of a document that begins with comments: before them
		if want.after != "" && strings.TrimSpace(firstLine(want.after)) != "" {
			want.after = eol + want.after
		}
		t.items = append(t.items, want)
		return
	} else if i := strings.IndexByte(*last, '\n'); i >= 0 {
		want.after, *last = (*last)[i+1:], (*last)[:i+1]
		t.items = append(t.items, want)
		return
	} else {
		*last = ended(*last, eol)
	}
	want.after, *last = *last, ""
	if len(t.items) == 0 {
		t.header, want.after = want.after, ""
	}
	t.items = append(t.items, want)
}

// append adds a table at the end.
func (doc tomlDocument) append(t tomlTable, eol string) tomlDocument {
	t.header = strings.TrimRight(firstLine(t.header), "\r\n") + eol
	items := t.items
	t.items = nil
	for _, item := range items {
		item.after = ""
		t.set(item.path, item, eol)
	}
	if text := doc.String(); text != "" {
		gap := ""
		if !strings.HasSuffix(text, "\n") {
			gap = eol
		}
		if !strings.HasSuffix(text, "\n"+eol) {
			gap += eol
		}
		last := &doc[len(doc)-1]
		if n := len(last.items); n > 0 {
			last.items[n-1].after += gap
		} else {
			last.header += gap
		}
	}
	return append(doc, t)
}

func (doc tomlDocument) String() string {
	var b strings.Builder
	for _, t := range doc {
		b.WriteString(t.header)
		for _, i := range t.items {
			b.WriteString(i.text)
			b.WriteString(i.after)
		}
	}
	return b.String()
}

// overlay is what a merged document has to mean.
func overlay(have, want map[string]any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, have)
	for k, v := range want {
		switch w := v.(type) {
		case map[string]any:
			if h, ok := out[k].(map[string]any); ok {
				out[k] = overlay(h, w)
				continue
			}
		case []any:
			if h, ok := out[k].([]any); ok && tablesAlone(w) && tablesAlone(h) {
				out[k] = overlayTables(h, w)
				continue
			}
		}
		out[k] = v
	}
	return out
}

func tablesAlone(list []any) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool { _, ok := v.(map[string]any); return !ok })
}

func overlayTables(have, want []any) []any {
	out := slices.Clone(have)
	for _, v := range want {
		table, _ := v.(map[string]any)
		at := -1
		for _, key := range []string{"name", "url"} {
			if table[key] == nil {
				continue
			}
			at = slices.IndexFunc(out, func(v any) bool {
				other, _ := v.(map[string]any)
				return reflect.DeepEqual(other[key], table[key])
			})
			break
		}
		if at < 0 {
			out = append(out, table)
			continue
		}
		other, _ := out[at].(map[string]any)
		out[at] = overlay(other, table)
	}
	return out
}
