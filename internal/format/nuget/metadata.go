package nuget

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/fault"
)

// metadata is what is known of a version, in the words of a registration's
// catalogEntry. Sources differ in the shape of members, so reading is lenient:
// what has an unexpected shape is left out.
type metadata struct {
	ID                       text                  `json:"id"`
	Version                  text                  `json:"version"` // as the publisher wrote it, build metadata included
	Title                    text                  `json:"title,omitzero"`
	Authors                  text                  `json:"authors,omitzero"`
	Description              text                  `json:"description,omitzero"`
	Summary                  text                  `json:"summary,omitzero"`
	ReleaseNotes             text                  `json:"releaseNotes,omitzero"`
	Copyright                text                  `json:"copyright,omitzero"`
	Language                 text                  `json:"language,omitzero"`
	Tags                     words                 `json:"tags,omitempty"`
	ProjectURL               text                  `json:"projectUrl,omitzero"`
	IconURL                  text                  `json:"iconUrl,omitzero"`
	IconFile                 text                  `json:"iconFile,omitzero"`
	LicenseURL               text                  `json:"licenseUrl,omitzero"`
	LicenseExpression        text                  `json:"licenseExpression,omitzero"`
	LicenseFile              text                  `json:"licenseFile,omitzero"`
	LicenseFound             text                  `json:"licenseFound,omitzero"` // ours: the SPDX name the licence file was recognised as
	ReadmeFile               text                  `json:"readmeFile,omitzero"`
	RequireLicenseAcceptance flag                  `json:"requireLicenseAcceptance,omitzero"`
	DevelopmentDependency    flag                  `json:"developmentDependency,omitzero"`
	MinClientVersion         text                  `json:"minClientVersion,omitzero"`
	Repository               optional[source]      `json:"repository,omitzero"`
	PackageTypes             list[packageType]     `json:"packageTypes,omitempty"`
	DependencyGroups         list[dependencyGroup] `json:"dependencyGroups,omitempty"`
	Deprecation              jsontext.Value        `json:"deprecation,omitempty"`     // a remote's, passed through
	Vulnerabilities          jsontext.Value        `json:"vulnerabilities,omitempty"` // likewise
	Listed                   *flag                 `json:"listed,omitempty"`          // a remote's; never stored
}

type source struct {
	Type   text `json:"type,omitzero"`
	URL    text `json:"url,omitzero"`
	Commit text `json:"commit,omitzero"`
	Branch text `json:"branch,omitzero"`
}

type packageType struct {
	Name    text `json:"name"`
	Version text `json:"version,omitzero"`
}

type dependencyGroup struct {
	TargetFramework text             `json:"targetFramework,omitzero"`
	Dependencies    list[dependency] `json:"dependencies,omitempty"`
}

type dependency struct {
	ID      text `json:"id"`
	Range   text `json:"range"`
	Exclude text `json:"exclude,omitzero"`
}

// lenient are the options manifests and remote documents are read with.
func lenient() json.Options {
	return json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// readMetadata reads a manifest; Internal when it is not an object, which none
// that is stored can be.
func readMetadata(manifest []byte) (metadata, error) {
	var m metadata
	if err := json.Unmarshal(manifest, &m, lenient()); err != nil {
		return metadata{}, fault.Wrap(fault.Internal, err, "the manifest cannot be read")
	}
	return m, nil
}

// needsSemVer2 tells whether clients that do not know Semantic Versioning 2.0.0
// must not see the version.
func (m *metadata) needsSemVer2() bool {
	if semVer2(string(m.Version)) {
		return true
	}
	for _, g := range m.DependencyGroups {
		for _, d := range g.Dependencies {
			if rangeNeedsSemVer2(string(d.Range)) {
				return true
			}
		}
	}
	return false
}

// isType tells whether a package is of a type; one that names none is a
// Dependency.
func (m *metadata) isType(name string) bool {
	if len(m.PackageTypes) == 0 {
		return strings.EqualFold(name, "Dependency")
	}
	for _, t := range m.PackageTypes {
		if strings.EqualFold(string(t.Name), name) {
			return true
		}
	}
	return false
}

// text is a string, or words in a list; anything else is left out.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	if jsontext.Value(b).Kind() == '"' {
		return json.Unmarshal(b, (*string)(t), lenient())
	}
	var w words
	err := w.UnmarshalJSON(b)
	*t = text(strings.Join(w, ", "))
	return err
}

// words are strings in a list, or in one string with white space or commas
// between them.
type words []string

// UnmarshalJSON implements json.Unmarshaler.
func (w *words) UnmarshalJSON(b []byte) error {
	*w = nil
	switch b[0] {
	case '"':
		var s string
		if err := json.Unmarshal(b, &s, lenient()); err != nil {
			return err
		}
		*w = splitWords(s)
	case '[':
		var items []jsontext.Value
		if err := json.Unmarshal(b, &items, lenient()); err != nil {
			return err
		}
		for _, item := range items { // lists in lists are left out, or their depth would cost its square
			var s string
			if item.Kind() == '"' && json.Unmarshal(item, &s, lenient()) == nil && s != "" {
				*w = append(*w, s)
			}
		}
	}
	return nil
}

func splitWords(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

// flag is a truth value, also one in quotes.
type flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(b []byte) error {
	*f = flag(strings.EqualFold(strings.Trim(string(b), `"`), "true"))
	return nil
}

// list is an array, or its one element alone, as JSON-LD may write it.
type list[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	switch b[0] {
	case '[':
		var items []jsontext.Value
		if err := json.Unmarshal(b, &items, lenient()); err != nil {
			return err
		}
		for _, item := range items {
			var one T
			if json.Unmarshal(item, &one, lenient()) == nil {
				*l = append(*l, one)
			}
		}
	case '{':
		var one T
		if json.Unmarshal(b, &one, lenient()) == nil {
			*l = list[T]{one}
		}
	}
	return nil
}

// optional is an object, or nothing where something else stands.
type optional[T comparable] struct{ Value T }

// IsZero tells json to leave it out.
func (o optional[T]) IsZero() bool { var none T; return o.Value == none }

// MarshalJSON implements json.Marshaler.
func (o optional[T]) MarshalJSON() ([]byte, error) { return json.Marshal(o.Value, lenient()) }

// UnmarshalJSON implements json.Unmarshaler.
func (o *optional[T]) UnmarshalJSON(b []byte) error {
	*o = optional[T]{}
	if jsontext.Value(b).Kind() == '{' {
		return json.Unmarshal(b, &o.Value, lenient())
	}
	return nil
}

// parseTime reads the time of a source, zero when it is none. A year up to 1900
// is how sources mark what is unlisted.
func parseTime(s string) (at time.Time, unlisted bool) {
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if at, err = time.Parse("2006-01-02T15:04:05.999999999", s); err != nil {
			return time.Time{}, false
		}
	}
	if at.Year() <= 1900 {
		return time.Time{}, true
	}
	return at.UTC(), false
}
