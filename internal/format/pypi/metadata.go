package pypi

import (
	"bytes"
	"strings"
)

// Bounds of core metadata, in bytes.
const (
	maxMetadata = 8 << 20   // of a METADATA or PKG-INFO file
	maxFacts    = 512 << 10 // of all it says but its description
)

// metadata is what a METADATA or PKG-INFO file says (core metadata
// specification), under the names of its JSON form (PEP 566). The description
// is left out where manifests are stored: it may be large, and is in the file.
type metadata struct {
	MetadataVersion   string   `json:"metadata_version,omitempty"`
	Name              string   `json:"name,omitempty"`
	Version           string   `json:"version,omitempty"`
	Summary           string   `json:"summary,omitempty"`
	Description       string   `json:"description,omitempty"`
	ContentType       string   `json:"description_content_type,omitempty"`
	Keywords          string   `json:"keywords,omitempty"`
	HomePage          string   `json:"home_page,omitempty"`
	DownloadURL       string   `json:"download_url,omitempty"`
	Author            string   `json:"author,omitempty"`
	AuthorEmail       string   `json:"author_email,omitempty"`
	Maintainer        string   `json:"maintainer,omitempty"`
	MaintainerEmail   string   `json:"maintainer_email,omitempty"`
	License           string   `json:"license,omitempty"`
	LicenseExpression string   `json:"license_expression,omitempty"`
	RequiresPython    string   `json:"requires_python,omitempty"`
	Platform          []string `json:"platform,omitempty"`
	LicenseFiles      []string `json:"license_files,omitempty"`
	Classifiers       []string `json:"classifiers,omitempty"`
	RequiresDist      []string `json:"requires_dist,omitempty"`
	ProvidesExtra     []string `json:"provides_extra,omitempty"`
	ProjectURLs       []string `json:"project_urls,omitempty"` // each "label, address"
	Dynamic           []string `json:"dynamic,omitempty"`

	// Recognized are licences that were recognised by a text among the files,
	// where no field names any.
	Recognized []string `json:"recognized_licenses,omitempty"`
}

// one and many lead from the name of a header field, in lower case, to where it
// goes. Other fields are passed over.
func (m *metadata) one(field string) *string {
	switch field {
	case "metadata-version":
		return &m.MetadataVersion
	case "name":
		return &m.Name
	case "version":
		return &m.Version
	case "summary":
		return &m.Summary
	case "description":
		return &m.Description
	case "description-content-type":
		return &m.ContentType
	case "keywords":
		return &m.Keywords
	case "home-page":
		return &m.HomePage
	case "download-url":
		return &m.DownloadURL
	case "author":
		return &m.Author
	case "author-email":
		return &m.AuthorEmail
	case "maintainer":
		return &m.Maintainer
	case "maintainer-email":
		return &m.MaintainerEmail
	case "license":
		return &m.License
	case "license-expression":
		return &m.LicenseExpression
	case "requires-python":
		return &m.RequiresPython
	}
	return nil
}

func (m *metadata) many(field string) *[]string {
	switch field {
	case "platform":
		return &m.Platform
	case "license-file":
		return &m.LicenseFiles
	case "classifier":
		return &m.Classifiers
	case "requires-dist":
		return &m.RequiresDist
	case "provides-extra":
		return &m.ProvidesExtra
	case "project-url":
		return &m.ProjectURLs
	case "dynamic":
		return &m.Dynamic
	}
	return nil
}

// parseMetadata reads what is shaped like the header of a message, and after an
// empty line the description. Old files are not held to more than that; what is
// no UTF-8 is replaced. ok is false when there is no name and version, or more
// of it than anybody has to say.
func parseMetadata(text []byte) (m *metadata, ok bool) {
	if len(text) > maxMetadata {
		return nil, false
	}
	m = &metadata{}
	size := 0
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	for len(text) > 0 {
		line, rest := cutLine(text)
		if len(line) == 0 {
			if len(bytes.TrimSpace(rest)) > 0 {
				m.Description = clean(rest)
			}
			break
		}
		text = rest
		name, value, isField := bytes.Cut(line, []byte(":"))
		folded := [][]byte{bytes.TrimSpace(value)}
		for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
			line, text = cutLine(text)
			folded = append(folded, unindent(line))
		}
		if !isField {
			continue
		}
		field := strings.ToLower(string(name))
		joined := bytes.Join(folded, []byte("\n"))
		if field != "description" {
			size += len(joined)
		}
		if size > maxFacts {
			return nil, false
		}
		said := clean(bytes.TrimSpace(joined))
		if said == "" || said == "UNKNOWN" { // what setuptools wrote for nothing
			continue
		}
		if to := m.one(field); to != nil && *to == "" {
			*to = said
		} else if to := m.many(field); to != nil {
			*to = append(*to, said)
		}
	}
	return m, m.Name != "" && m.Version != ""
}

func cutLine(text []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

// unindent takes off what a folded line is indented with: eight spaces, or
// seven and a bar.
func unindent(line []byte) []byte {
	for i := range len(line) {
		switch {
		case line[i] == '|' && i == 7:
			return line[i+1:]
		case i == 8 || line[i] != ' ' && line[i] != '\t':
			return line[i:]
		}
	}
	return nil
}

func clean(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }

// facts is m as it is stored.
func (m *metadata) facts() *metadata {
	short := *m
	short.Description = ""
	return &short
}

// requirement is one Requires-Dist (PEP 508).
type requirement struct {
	name   string // normalised
	rest   string // extras, versions or address as written
	marker string
}

// parseRequirement cuts a requirement into its parts; ok is false when it does
// not begin with a name.
func parseRequirement(text string) (r requirement, ok bool) {
	text = strings.TrimSpace(text)
	end := strings.IndexFunc(text, func(c rune) bool {
		return c > 0x7f || !alphanumeric(byte(c)) && c != '.' && c != '_' && c != '-'
	})
	if end < 0 {
		end = len(text)
	}
	name := text[:end]
	if !validName(name) {
		return r, false
	}
	r.name = normal(name)
	rest := strings.TrimSpace(text[end:])
	before := ";"
	if strings.HasPrefix(strings.TrimSpace(afterExtras(rest)), "@") {
		before = " ;" // an address may hold a semicolon
	}
	rest, marker, _ := strings.Cut(rest, before)
	rest = strings.TrimSpace(rest)
	if strings.HasPrefix(rest, "(") && strings.HasSuffix(rest, ")") {
		rest = strings.TrimSpace(rest[1 : len(rest)-1])
	}
	r.rest, r.marker = rest, strings.TrimSpace(marker)
	return r, true
}

func afterExtras(s string) string {
	if strings.HasPrefix(s, "[") {
		_, s, _ = strings.Cut(s, "]")
	}
	return s
}
