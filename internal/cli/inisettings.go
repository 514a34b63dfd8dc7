package cli

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// mergeINI is for files that Python's configparser reads, such as pip.conf and
// .pypirc: sections, options, values that go on in indented lines, no comments
// at the end of a line. Lists (listOptions) get what they lack; other options
// are replaced. What configparser would refuse is refused.
func mergeINI(old, settings string) (string, error) {
	have, err := parseINI(old)
	if err != nil {
		return "", fmt.Errorf("it is not a file of [sections] and options, mend or move it first: %w", err)
	}
	want, err := parseINI(settings)
	if err != nil {
		return "", err
	}
	eol := lineEnd(old)
	for _, section := range want {
		if section.name == "" {
			continue
		}
		at := slices.IndexFunc(have, func(s iniSection) bool { return s.name == section.name })
		if at < 0 {
			have = append(have.closed(eol), iniSection{name: section.name, head: []string{"[" + section.name + "]" + eol}})
			at = len(have) - 1
		}
		for _, o := range section.options {
			have[at].set(o, eol)
		}
	}
	return have.String(), nil
}

// iniFile is a file in order; the first section has no name and holds what
// comes before all others.
type iniFile []iniSection

// iniSection is a section with the lines it is made of, so that what is not
// touched comes out as it went in.
type iniSection struct {
	name    string
	head    []string // its header, and comments and empty lines after it
	options []iniOption
}

type iniOption struct {
	key    string   // as options are compared
	name   string   // as it is written
	sign   string   // = or :, with the space around it
	indent string   // before the name
	values []string // first line after the sign, then those that go on, trimmed
	lines  []string // as they are in the file
	extent int      // of lines, those up to the last of the value
	after  []string // comments and empty lines after it
}

func parseINI(text string) (iniFile, error) {
	file := iniFile{{}}
	indent := 0
	option := false // the last line with something was one of an option
	for n, line := range numbered(text) {
		content := strings.TrimSpace(line)
		if strings.Contains(strings.TrimSuffix(line, "\r\n"), "\r") { // Python ends a line there
			return nil, fmt.Errorf("line %d has a carriage return in its middle", n)
		}
		section := &file[len(file)-1]
		level := len(line) - len(strings.TrimLeft(line, " \t\f\v"))
		switch {
		case content == "" || content[0] == '#' || content[0] == ';':
			section.trail(line)
		case option && level > indent:
			o := &section.options[len(section.options)-1]
			o.lines = append(append(o.lines, o.after...), line)
			o.after, o.extent = nil, len(o.lines)
			o.values = append(o.values, content)
		case content[0] == '[' && strings.LastIndexByte(content, ']') > 1:
			name := content[1:strings.LastIndexByte(content, ']')]
			if level > 0 { // below an option that is added it would be part of its value
				return nil, fmt.Errorf("line %d: section %s is indented", n, name)
			}
			if slices.ContainsFunc(file, func(s iniSection) bool { return s.name == name }) {
				return nil, fmt.Errorf("line %d: section %s is there twice", n, name)
			}
			file = append(file, iniSection{name: name, head: []string{line}})
			indent, option = level, false
		default:
			at := strings.IndexAny(content, "=:")
			if at <= 0 {
				return nil, fmt.Errorf("line %d is neither a section nor an option", n)
			}
			if section.name == "" {
				return nil, fmt.Errorf("line %d: an option before the first section", n)
			}
			name, value := strings.TrimRight(content[:at], " \t"), strings.TrimLeft(content[at+1:], " \t")
			o := iniOption{key: iniKey(name), indent: line[:level], name: name, sign: content[len(name) : len(content)-len(value)], values: []string{value}, lines: []string{line}, extent: 1}
			if slices.ContainsFunc(section.options, func(p iniOption) bool { return p.key == o.key }) {
				return nil, fmt.Errorf("line %d: option %s is there twice", n, name)
			}
			section.options = append(section.options, o)
			indent, option = level, true
		}
	}
	return file, nil
}

// iniKey is how options are compared: pip takes - and _ for one, configparser
// capitals and small letters.
func iniKey(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }

func (s *iniSection) trail(line string) {
	if n := len(s.options); n > 0 {
		s.options[n-1].after = append(s.options[n-1].after, line)
	} else {
		s.head = append(s.head, line)
	}
}

// set adds an option or changes the one that is there.
func (s *iniSection) set(want iniOption, eol string) {
	at := slices.IndexFunc(s.options, func(o iniOption) bool { return o.key == want.key })
	if at < 0 {
		want.indent = ""
		s.add(want.written(eol))
		return
	}
	have := &s.options[at]
	if isList(want.key) {
		have.extend(want, eol)
		return
	}
	if slices.Equal(have.values, want.values) {
		return
	}
	want.name, want.indent = have.name, have.indent
	fresh := want.written(eol)
	for _, line := range have.lines[1:have.extent] {
		if c := strings.TrimSpace(line); c != "" && (c[0] == '#' || c[0] == ';') {
			fresh.after = append(fresh.after, line) // comments between the lines of the old value
		}
	}
	fresh.after = append(fresh.after, have.after...)
	*have = fresh
}

// add puts an option below the last one, above the empty lines at the end.
func (s *iniSection) add(o iniOption) {
	last := &s.head
	if n := len(s.options); n > 0 {
		last = &s.options[n-1].after
	}
	end := len(*last)
	for end > 0 && strings.TrimSpace((*last)[end-1]) == "" {
		end--
	}
	o.after = slices.Clone((*last)[end:])
	*last = (*last)[:end]
	s.options = append(s.options, o)
}

// written is an option as new lines.
func (o iniOption) written(eol string) iniOption {
	lines := []string{strings.TrimRight(o.indent+o.name+" = "+o.values[0], " ") + eol}
	for _, v := range o.values[1:] {
		lines = append(lines, o.indent+"    "+v+eol)
	}
	o.lines, o.extent, o.after = lines, len(lines), nil
	return o
}

// isList tells which options have several values, apart by white space.
func isList(key string) bool {
	return slices.Contains([]string{"index-servers", "trusted-host", "extra-index-url", "find-links"}, key)
}

// extend adds the values it lacks. An address that is there with other
// credentials is replaced.
func (o *iniOption) extend(want iniOption, eol string) {
	for item := range strings.FieldsSeq(strings.Join(want.values, " ")) {
		present := strings.Fields(strings.Join(o.values, " "))
		if slices.Contains(present, item) {
			continue
		}
		if at := slices.IndexFunc(present, func(p string) bool { return bare(p) == bare(item) }); at >= 0 {
			o.replace(present[at], item)
			continue
		}
		if item[0] == '#' || item[0] == ';' { // alone in a line it would be a comment
			last := ended(o.lines[o.extent-1], eol)
			o.lines[o.extent-1] = strings.TrimRight(last, "\r\n") + " " + item + eol
			o.values[len(o.values)-1] = strings.TrimSpace(o.values[len(o.values)-1] + " " + item)
			continue
		}
		pad := o.indent + "    "
		if o.extent > 1 {
			last := o.lines[o.extent-1]
			pad = last[:len(last)-len(strings.TrimLeft(last, " \t\f\v"))]
		}
		o.lines[o.extent-1] = ended(o.lines[o.extent-1], eol)
		o.lines = slices.Insert(o.lines, o.extent, pad+item+eol)
		o.extent++
		o.values = append(o.values, item)
	}
}

// replace puts one word in the place of another of the value.
func (o *iniOption) replace(old, item string) {
	for i := range o.values {
		o.values[i] = strings.Join(replaced(strings.Fields(o.values[i]), old, item), " ")
	}
	for i, line := range o.lines[:o.extent] {
		c := strings.TrimSpace(line)
		if i > 0 && (c == "" || c[0] == '#' || c[0] == ';') {
			continue
		}
		from := 0
		if i == 0 {
			from = strings.IndexAny(line, "=:") + 1
		}
		o.lines[i] = line[:from] + swapWord(line[from:], old, item)
	}
}

func replaced(words []string, old, item string) []string {
	for i, w := range words {
		if w == old {
			words[i] = item
		}
	}
	return words
}

// swapWord replaces a word between white space, which stays.
func swapWord(line, old, item string) string {
	var b strings.Builder
	for line != "" {
		word := strings.TrimLeft(line, " \t\r\n\f\v")
		b.WriteString(line[:len(line)-len(word)])
		end := strings.IndexAny(word, " \t\r\n\f\v")
		if end < 0 {
			end = len(word)
		}
		if word[:end] == old {
			b.WriteString(item)
		} else {
			b.WriteString(word[:end])
		}
		line = word[end:]
	}
	return b.String()
}

// bare is an address without its user and password.
func bare(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	u.User = nil
	return u.String()
}

// closed has a line end at the end, and an empty line before what follows.
func (f iniFile) closed(eol string) iniFile {
	text := f.String()
	if text == "" {
		return f
	}
	last := &f[len(f)-1]
	lines := &last.head
	if n := len(last.options); n > 0 {
		o := &last.options[n-1]
		if lines = &o.after; len(*lines) == 0 {
			lines = &o.lines
		}
	}
	if n := len(*lines); n > 0 {
		(*lines)[n-1] = ended((*lines)[n-1], eol)
	}
	if !strings.HasSuffix(strings.TrimRight(text, " \t"), "\n"+eol) {
		last.trail(eol)
	}
	return f
}

// String is the file. A last line without an end gets one when lines follow.
func (f iniFile) String() string {
	var b strings.Builder
	write := func(lines []string) {
		for _, line := range lines {
			if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
				b.WriteByte('\n')
			}
			b.WriteString(line)
		}
	}
	for _, s := range f {
		write(s.head)
		for _, o := range s.options {
			write(o.lines)
			write(o.after)
		}
	}
	return b.String()
}
