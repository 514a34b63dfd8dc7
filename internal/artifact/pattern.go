package artifact

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"packhouse/internal/fault"
)

// Pattern says which packages of a domain belong to a package group (section
// 10.3). The zero value is "/*", all of them. Patterns can be compared.
type Pattern struct {
	breadth   breadth
	format    Format
	namespace string
	name      string
}

// breadth is the form of a pattern, the widest first. Of the patterns that
// match one package the one of the narrower form is the more specific, and of
// two prefixes the longer.
type breadth uint8

const (
	allPackages     breadth = iota // /*
	ofFormat                       // /format/*
	namespacePrefix                // /format/namespace~
	ofNamespace                    // /format/namespace/*
	namePrefix                     // /format/[namespace]/name~
	exactly                        // /format/[namespace]/name$
)

// RootPattern is the pattern of the group that every domain has.
const RootPattern = "/*"

// ParsePattern reads a pattern. Errors are fault.Invalid and say what to write
// instead. Names of NuGet, PyPI and Swift packages must be in their normalised
// form: other spellings could never match.
func ParsePattern(text string) (Pattern, error) {
	if text == RootPattern {
		return Pattern{}, nil
	}
	parts := strings.Split(text, "/")
	if parts[0] != "" || len(parts) < 3 || len(parts) > 4 {
		return Pattern{}, badPattern(text, "want /*, /FORMAT/*, /FORMAT/NAMESPACE~, /FORMAT/NAMESPACE/*, /FORMAT/[NAMESPACE]/NAME~ or /FORMAT/[NAMESPACE]/NAME$")
	}
	p := Pattern{format: Format(parts[1])}
	if err := knownFormat(text, p.format); err != nil {
		return Pattern{}, err
	}
	last := parts[len(parts)-1]
	name, suffix := last, byte(0)
	if last != "" {
		name, suffix = last[:len(last)-1], last[len(last)-1]
	}
	switch {
	case len(parts) == 3 && last == "*":
		p.breadth = ofFormat
		return p, nil
	case len(parts) == 3 && suffix == '~':
		p.breadth, p.namespace = namespacePrefix, name
	case len(parts) == 3:
		return Pattern{}, badPattern(text, "a format is followed by /*, by /NAMESPACE~, or by a namespace, which may be empty, and a name")
	case last == "*":
		p.breadth, p.namespace = ofNamespace, parts[2]
		if p.namespace == "" {
			return Pattern{}, badPattern(text, "the namespace is empty; /%s/* has all packages of the format", p.format)
		}
	case suffix == '~':
		p.breadth, p.namespace, p.name = namePrefix, parts[2], name
	case suffix == '$':
		p.breadth, p.namespace, p.name = exactly, parts[2], name
	default:
		return Pattern{}, badPattern(text, "must end with $ (exactly this name), ~ (names that begin with these words) or /* (everything below)")
	}
	return p, p.check(text)
}

func badPattern(text, why string, args ...any) error {
	return fault.Field("packageGroup", "%q is not a pattern: %s", text, fmt.Sprintf(why, args...))
}

func knownFormat(text string, f Format) error {
	if slices.Contains(Formats(), f) {
		return nil
	}
	if f == "python" {
		return badPattern(text, "the format of Python packages is pypi")
	}
	return badPattern(text, "%q is not a format", f)
}

// check looks at the parts of a pattern other than "/*" and "/FORMAT/*".
func (p Pattern) check(text string) error {
	switch {
	case p.namespace != "" && !p.format.NamespaceAllowed():
		return badPattern(text, "%s packages have no namespace: it is empty, as in /%s//name$", p.format, p.format)
	case p.namespace == "" && (p.breadth < namePrefix || p.format.NamespaceRequired()):
		return badPattern(text, "%s packages have a namespace", p.format)
	case p.name == "" && p.breadth >= namePrefix:
		return badPattern(text, "the name is empty")
	}
	for _, part := range [...]string{p.namespace, p.name} {
		switch {
		case strings.ContainsRune(part, '*'):
			return badPattern(text, "* stands only at the end, behind a slash")
		case !wellFormed(part):
			return badPattern(text, "a namespace or name has up to 255 characters without #, white space and control characters")
		case part != normalForm(p.format, part):
			return badPattern(text, "write %s as %s: names of %s packages are normalised", part, normalForm(p.format, part), p.format)
		}
	}
	if prefix, ok := p.prefix(); ok {
		if last, _ := utf8.DecodeLastRuneInString(prefix); !inWord(last) {
			return badPattern(text, "~ follows a letter or digit; to match everything below a namespace write /*")
		}
	}
	return nil
}

func wellFormed(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '#' || unicode.IsSpace(r) || unicode.Is(unicode.C, r)
	})
}

// normalForm is the part of a name as its format would spell it, as far as the
// format changes spellings at all (section 2.3).
func normalForm(f Format, part string) string {
	switch f {
	case NuGet, Swift:
		return strings.ToLower(part)
	case PyPI:
		return joinRuns(strings.ToLower(part), '-')
	case NPM, Maven, Generic, Ruby, Cargo:
	}
	return part
}

// joinRuns replaces each run of dots, dashes and underscores by one by.
func joinRuns(s string, by byte) string {
	var b strings.Builder
	inRun := false
	for _, r := range s {
		if r == '.' || r == '-' || r == '_' {
			if !inRun {
				b.WriteByte(by)
			}
			inRun = true
			continue
		}
		inRun = false
		b.WriteRune(r)
	}
	return b.String()
}

// String is the pattern as it is written.
func (p Pattern) String() string {
	switch p.breadth {
	case allPackages:
		return RootPattern
	case ofFormat:
		return "/" + string(p.format) + "/*"
	case namespacePrefix:
		return "/" + string(p.format) + "/" + p.namespace + "~"
	case ofNamespace:
		return "/" + string(p.format) + "/" + p.namespace + "/*"
	case namePrefix:
		return "/" + string(p.format) + "/" + p.namespace + "/" + p.name + "~"
	case exactly:
	}
	return "/" + string(p.format) + "/" + p.namespace + "/" + p.name + "$"
}

// Format is the only format whose packages can match; empty: those of all.
func (p Pattern) Format() Format { return p.format }

// ExactPattern is the pattern that one package alone matches.
func ExactPattern(c Coordinates) Pattern {
	return Pattern{breadth: exactly, format: c.Format, namespace: c.Namespace, name: c.Name}
}

// Matches tells whether the pattern matches a package exactly as written.
func (p Pattern) Matches(c Coordinates) bool {
	exact := ExactPattern(c)
	if p == exact {
		return true
	}
	for wider := range exact.wider() {
		if p == wider {
			return true
		}
	}
	return false
}

// MayMatch tells whether packages of f can match p.
func (p Pattern) MayMatch(f Format) bool { return p.breadth == allPackages || p.format == f }

// prefix is the part that is followed by "~".
func (p Pattern) prefix() (part string, ok bool) {
	switch p.breadth {
	case namespacePrefix:
		return p.namespace, true
	case namePrefix:
		return p.name, true
	case allPackages, ofFormat, ofNamespace, exactly:
	}
	return "", false
}

// wider gives every other pattern that matches all that p matches, the most
// specific first.
func (p Pattern) wider() iter.Seq[Pattern] {
	return func(yield func(Pattern) bool) {
		each := func(q Pattern) bool { return q == p || yield(q) }
		for name := range prefixes(p.name) {
			if !each(Pattern{namePrefix, p.format, p.namespace, name}) {
				return
			}
		}
		if p.namespace != "" && p.breadth >= ofNamespace && !each(Pattern{breadth: ofNamespace, format: p.format, namespace: p.namespace}) {
			return
		}
		for namespace := range prefixes(p.namespace) {
			if !each(Pattern{breadth: namespacePrefix, format: p.format, namespace: namespace}) {
				return
			}
		}
		if p.breadth != allPackages && each(Pattern{breadth: ofFormat, format: p.format}) {
			each(Pattern{})
		}
	}
}

// prefixes gives the beginnings of s that end where a word ends, the longest
// first: s itself when it ends with a word.
func prefixes(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		next := ' ' // the character behind; a blank is as good as none
		for s != "" {
			last, size := utf8.DecodeLastRuneInString(s)
			if inWord(last) && !inWord(next) && !invisible(next) && !yield(s) {
				return
			}
			s, next = s[:len(s)-size], last
		}
	}
}

// inWord tells whether r is part of a word: letters, digits, and what is set
// above or below them.
func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return r != utf8.RuneError && unicode.In(r, unicode.L, unicode.N, unicode.M)
}

// invisible characters end no word.
func invisible(r rune) bool { return r >= utf8.RuneSelf && unicode.Is(unicode.Cf, r) }
