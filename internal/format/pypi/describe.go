package pypi

import (
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// dependencyType is what every dependency is of (section 11.2); which extra asks
// for it stands in the marker.
const dependencyType = "Requires-Dist"

// Describe implements registry.Ecosystem (section 11.9).
func (Format) Describe(c artifact.Coordinates, stored []byte) (artifact.Details, error) {
	d := artifact.Details{DisplayName: c.Name}
	m, err := parseManifest(stored)
	if err != nil {
		return d, err
	}
	if m.Name != "" {
		d.DisplayName = m.Name
	}
	said := m.Metadata
	if said == nil {
		return d, nil
	}
	d.Summary = said.Summary
	d.HomePage, d.Source = links(said)
	d.Licenses = licenses(said)
	for _, text := range said.RequiresDist {
		r, ok := parseRequirement(text)
		if !ok {
			continue
		}
		needs := r.rest
		if r.marker != "" {
			needs = strings.TrimSpace(needs + "; " + r.marker)
		}
		d.Dependencies = append(d.Dependencies, artifact.Dependency{Package: r.name, Type: dependencyType, Requirement: needs})
	}
	return d, nil
}

// links finds the addresses of the home page and of the source among the fields
// and the labels that the specification of well-known project URLs gives.
func links(m *metadata) (home, source string) {
	home = m.HomePage
	for _, text := range m.ProjectURLs {
		label, address, ok := strings.Cut(text, ",")
		if !ok {
			continue
		}
		address = strings.TrimSpace(address)
		switch label = plain(label); {
		case home == "" && label == "homepage":
			home = address
		case source == "" && slices.Contains([]string{"source", "repository", "sourcecode", "github", "code"}, label):
			source = address
		}
	}
	return home, source
}

// plain is a label without punctuation and white space, in lower case.
func plain(label string) string {
	return strings.Map(func(r rune) rune {
		if r > 0x7f || alphanumeric(byte(r)) {
			return r
		}
		return -1
	}, strings.ToLower(label))
}

// shortLicense is the longest License field that can be a name, in bytes.
const shortLicense = 100

const licenseClassifier = "License ::"

func isLicense(classifier string) bool { return strings.HasPrefix(classifier, licenseClassifier) }

// licenses are those of the expression, else of the License field, whether it
// holds a name or a text that is known, else of the classifiers, else those
// recognised among the files.
func licenses(m *metadata) (all []artifact.License) {
	add := func(names ...string) {
		for _, name := range names {
			all = append(all, artifact.License{Name: name})
		}
	}
	switch field := strings.TrimSpace(m.License); {
	case m.LicenseExpression != "":
		add(m.LicenseExpression)
	case field != "" && len(field) <= shortLicense && !strings.Contains(field, "\n"):
		add(field)
	case field != "":
		add(format.RecognizeLicenses([]byte(field))...)
	}
	if len(all) > 0 {
		return all
	}
	for _, c := range m.Classifiers {
		if isLicense(c) && c != "License :: OSI Approved" {
			add(strings.TrimSpace(c[strings.LastIndex(c, "::")+2:]))
		}
	}
	if len(all) == 0 {
		add(m.Recognized...)
	}
	return all
}

// maxReadme is how much of a readme is given, in bytes.
const maxReadme = 1 << 20

// Readme implements registry.Ecosystem: the description of a wheel, else of an
// sdist. At most one mebibyte is given.
func (Format) Readme(_ []byte, assets []artifact.Asset, open func(name string) (io.ReadCloser, error)) (string, error) {
	names := make([]string, len(assets))
	for i, a := range assets {
		names[i] = a.Name
	}
	slices.SortFunc(names, compareSources)
	for i, name := range names {
		if i == maxCandidates {
			break
		}
		text, err := description(name, open)
		if err != nil {
			return "", err
		}
		if text != "" {
			return cut(text), nil
		}
	}
	return "", fault.New(fault.NotFound, "the version has no readme")
}

var errNoReaderAt = errors.New("a stored asset that cannot be read at an offset")

func description(name string, open func(name string) (io.ReadCloser, error)) (string, error) {
	d, ok := parseFileName(name, "")
	if !ok {
		return "", nil
	}
	content, err := open(name)
	if err != nil {
		return "", err
	}
	defer content.Close()
	at, ok := content.(interface {
		io.ReaderAt
		Size() int64
	})
	if !ok {
		return "", errNoReaderAt
	}
	c, err := readDistribution(d, at, at.Size())
	if err != nil || c.metadata == nil {
		return "", err
	}
	return c.metadata.Description, nil
}

// cut bounds a text without cutting through a character.
func cut(text string) string {
	if len(text) <= maxReadme {
		return text
	}
	text = text[:maxReadme]
	for len(text) > 0 && !utf8.RuneStart(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	if len(text) > 0 && text[len(text)-1] >= utf8.RuneSelf {
		text = text[:len(text)-1]
	}
	return text
}
