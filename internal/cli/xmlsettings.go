package cli

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// mergeXML is for settings.xml of Maven and NuGet.Config. Elements are told
// apart by what makes them one to their readers: <add> by its key, what has an
// <id> by that, names in a list by their text, others by their own name. What
// settings do not name stays byte for byte.
func mergeXML(old, settings string) (string, error) {
	want, err := parseXML(settings)
	if err != nil {
		return "", err
	}
	have, err := parseXML(old)
	if err != nil {
		return "", fmt.Errorf("it is not well-formed XML, mend or move it first: %w", err)
	}
	if have.name != want.name {
		return "", fmt.Errorf("its root is <%s> where <%s> is expected", have.name, want.name)
	}
	if !strings.HasPrefix(old[have.start:], "<"+have.name) {
		return "", fmt.Errorf("its elements have a prefix (%.20q), write it without first", old[have.start:])
	}
	m := xmlMerge{old: old, settings: settings, eol: lineEnd(old)}
	m.into(have, want)
	merged := m.apply()
	if _, err := parseXML(merged); err != nil {
		return "", fmt.Errorf("merging it would break it: %w", err)
	}
	return merged, nil
}

// settingsElement is an element, with where it stands in the text.
type settingsElement struct {
	name     string
	attrs    []xml.Attr
	children []*settingsElement
	text     string // of its own, not of its children

	start, open int // the start tag
	shut, end   int // the end tag; shut == end in <a/>
}

func (n *settingsElement) attr(name string) (string, bool) {
	for _, a := range n.attrs {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

func (n *settingsElement) child(name string) *settingsElement {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// identity tells an element from others in the same place.
func (n *settingsElement) identity() string {
	if key, ok := n.attr("key"); ok {
		return n.name + "\x00key\x00" + strings.ToLower(key) // NuGet compares so
	}
	if id := n.child("id"); id != nil {
		return n.name + "\x00id\x00" + strings.TrimSpace(id.text)
	}
	switch n.name {
	case "activeProfile", "pluginGroup":
		return n.name + "\x00" + strings.TrimSpace(n.text)
	}
	return n.name
}

// parseXML gives the root element.
func parseXML(text string) (*settingsElement, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	var root *settingsElement
	var stack []*settingsElement
	for {
		before := int(d.InputOffset())
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		after := int(d.InputOffset())
		switch t := token.(type) {
		case xml.StartElement:
			n := &settingsElement{name: t.Name.Local, attrs: slices.Clone(t.Attr), start: before, open: after}
			switch {
			case len(stack) > 0:
				p := stack[len(stack)-1]
				p.children = append(p.children, n)
			case root != nil:
				return nil, errors.New("it has two roots")
			default:
				root = n
			}
			stack = append(stack, n)
		case xml.EndElement:
			n := stack[len(stack)-1]
			n.shut, n.end = before, after
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			} else if strings.TrimSpace(string(t)) != "" {
				return nil, errors.New("there is text outside its root")
			}
		}
	}
	if root == nil {
		return nil, errors.New("it has no element")
	}
	return root, nil
}

// xmlMerge collects what changes in the old text.
type xmlMerge struct {
	old, settings, eol string
	edits              []xmlEdit
}

type xmlEdit struct {
	from, to int
	text     string
}

func (m *xmlMerge) edit(from, to int, text string) {
	m.edits = append(m.edits, xmlEdit{from, to, text})
}

func (m *xmlMerge) apply() string {
	slices.SortStableFunc(m.edits, func(a, b xmlEdit) int { return a.from - b.from })
	var b strings.Builder
	at := 0
	for _, e := range m.edits {
		b.WriteString(m.old[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.WriteString(m.old[at:])
	return b.String()
}

// into changes have so that it has what want has.
func (m *xmlMerge) into(have, want *settingsElement) {
	m.attributes(have, want)
	if len(want.children) == 0 {
		if text := strings.TrimSpace(want.text); len(have.children) == 0 && text != strings.TrimSpace(have.text) {
			raw := strings.TrimSpace(m.settings[want.open:want.shut])
			if have.shut == have.end {
				m.widen(have, raw)
			} else {
				m.edit(have.open, have.shut, raw)
			}
		}
		return
	}
	var fresh []*settingsElement
	for _, w := range want.children {
		id := w.identity()
		if at := slices.IndexFunc(have.children, func(h *settingsElement) bool { return h.identity() == id }); at >= 0 {
			m.into(have.children[at], w)
		} else {
			fresh = append(fresh, w)
		}
	}
	m.dropOtherPassword(have, want)
	m.add(have, fresh)
}

// dropOtherPassword: of credentials that NuGet has in the clear or encrypted,
// one form has to go when the other comes.
func (m *xmlMerge) dropOtherPassword(have, want *settingsElement) {
	key := func(n *settingsElement) string { k, _ := n.attr("key"); return strings.ToLower(k) }
	if !slices.ContainsFunc(want.children, func(n *settingsElement) bool { return key(n) == "cleartextpassword" }) {
		return
	}
	for _, c := range have.children {
		if key(c) == "password" {
			from := have.open + len(strings.TrimRight(m.old[have.open:c.start], " \t\r\n"))
			m.edit(from, c.end, "")
		}
	}
}

// attributes sets those of want; others stay.
func (m *xmlMerge) attributes(have, want *settingsElement) {
	for _, a := range want.attrs {
		if a.Name.Space != "" || a.Name.Local == "xmlns" || a.Name.Local == "key" {
			continue
		}
		value, ok := have.attr(a.Name.Local)
		if ok && value == a.Value {
			continue
		}
		var escaped strings.Builder
		_ = xml.EscapeText(&escaped, []byte(a.Value)) // a builder never fails
		text := a.Name.Local + `="` + escaped.String() + `"`
		if ok {
			if from, to, found := attrSpan(m.old[have.start:have.open], a.Name.Local); found {
				m.edit(have.start+from, have.start+to, text)
				continue
			}
		}
		at := have.open - 1
		if have.shut == have.end {
			at--
		}
		for at > have.start && strings.IndexByte(" \t\r\n", m.old[at-1]) >= 0 {
			at--
		}
		m.edit(at, at, " "+text)
	}
}

// attrSpan finds name="value" in a start tag that is well-formed.
func attrSpan(tag, name string) (from, to int, ok bool) {
	i := strings.IndexAny(tag, " \t\r\n")
	for i >= 0 && i < len(tag) {
		rest := strings.TrimLeft(tag[i:], " \t\r\n")
		i = len(tag) - len(rest)
		key, value, found := strings.Cut(rest, "=")
		if !found {
			return 0, 0, false
		}
		value = strings.TrimLeft(value, " \t\r\n")
		if value == "" || value[0] != '"' && value[0] != '\'' {
			return 0, 0, false
		}
		n := strings.IndexByte(value[1:], value[0])
		if n < 0 {
			return 0, 0, false
		}
		end := len(tag) - len(value) + n + 2
		if strings.TrimRight(key, " \t\r\n") == name {
			return i, end, true
		}
		i = end
	}
	return 0, 0, false
}

// add puts elements behind what have holds.
func (m *xmlMerge) add(have *settingsElement, fresh []*settingsElement) {
	if len(fresh) == 0 {
		return
	}
	outer := m.indentOf(have.start)
	inner := outer + "  "
	if len(have.children) > 0 {
		inner = m.indentOf(have.children[0].start)
	} else if strings.Contains(outer, "\t") {
		inner = outer + "\t"
	}
	var b strings.Builder
	for _, n := range fresh {
		b.WriteString(m.eol + inner + m.moved(n, inner))
	}
	if have.shut == have.end {
		m.widen(have, b.String()+m.eol+outer)
		return
	}
	content := m.old[have.open:have.shut]
	at := have.open + len(strings.TrimRight(content, " \t\r\n"))
	if !strings.Contains(m.old[at:have.shut], "\n") {
		b.WriteString(m.eol + outer)
	}
	m.edit(at, at, b.String())
}

// widen makes <a/> an element with content.
func (m *xmlMerge) widen(n *settingsElement, content string) {
	tag := m.old[n.start:n.open]
	at := n.start + len(strings.TrimRight(strings.TrimSuffix(tag, "/>"), " \t\r\n"))
	m.edit(at, n.open, ">"+content+"</"+n.name+">")
}

// indentOf is the white space before what stands at an offset, if it is the
// first thing in its line.
func (m *xmlMerge) indentOf(at int) string {
	line := m.old[strings.LastIndexByte(m.old[:at], '\n')+1 : at]
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// moved is the text of an element of settings, indented for its new place.
func (m *xmlMerge) moved(n *settingsElement, indent string) string {
	was := m.settings[strings.LastIndexByte(m.settings[:n.start], '\n')+1 : n.start]
	was = was[:len(was)-len(strings.TrimLeft(was, " \t"))]
	lines := strings.Split(strings.ReplaceAll(m.settings[n.start:n.end], "\r\n", "\n"), "\n")
	for i := range lines[1:] {
		lines[i+1] = indent + strings.TrimPrefix(lines[i+1], was)
	}
	return strings.Join(lines, m.eol)
}
