package nuget

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// Describe implements registry.Ecosystem (section 11.9). A package may have the
// same dependency for several frameworks; it is told once.
func (Format) Describe(c artifact.Coordinates, manifest []byte) (artifact.Details, error) {
	m, err := readMetadata(manifest)
	if err != nil {
		return artifact.Details{DisplayName: c.Name}, err
	}
	d := artifact.Details{
		DisplayName: displayID(c, &m),
		Summary:     string(m.Description),
		HomePage:    string(m.ProjectURL),
		Source:      string(m.Repository.Value.URL),
		Licenses:    m.licenses(),
	}
	if d.Summary == "" {
		d.Summary = string(m.Summary)
	}
	for _, g := range m.DependencyGroups {
		for _, one := range g.Dependencies {
			dep := artifact.Dependency{Package: strings.ToLower(string(one.ID)), Requirement: normalRange(string(one.Range))}
			if dep.Package != "" && !slices.Contains(d.Dependencies, dep) {
				d.Dependencies = append(d.Dependencies, dep)
			}
		}
	}
	return d, nil
}

// displayID is the ID as its publisher writes it.
func displayID(c artifact.Coordinates, m *metadata) string {
	if strings.EqualFold(string(m.ID), c.Name) {
		return string(m.ID)
	}
	return c.Name
}

// licenses are the licence a version names, or whose text it has.
func (m *metadata) licenses() []artifact.License {
	name := m.LicenseExpression
	if name == "" {
		name = m.LicenseFound
	}
	if name == "" && m.LicenseURL == "" {
		return nil
	}
	l := artifact.License{Name: string(name), URL: string(m.LicenseURL)}
	if m.LicenseFile != "" {
		l.URL = "" // tools put a page there that only says so
	}
	if l == (artifact.License{}) {
		return nil
	}
	return []artifact.License{l}
}

// maxReadme is how much of a readme is kept, in bytes.
const maxReadme = 1 << 20

// maxHeld bounds a package that is read into memory because it cannot be read
// at any place.
const maxHeld = 64 << 20

// Readme implements registry.Ecosystem: the file that the package names as its
// readme, at most one mebibyte of it.
func (Format) Readme(manifest []byte, assets []artifact.Asset, open func(name string) (io.ReadCloser, error)) (string, error) {
	none := fault.New(fault.NotFound, "the version has no readme")
	m, err := readMetadata(manifest)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(assets, func(a artifact.Asset) bool { return strings.HasSuffix(a.Name, packageExt) })
	if at < 0 || m.ReadmeFile == "" {
		return "", none
	}
	file, err := open(assets[at].Name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, ok := file.(io.ReaderAt)
	if !ok {
		b, err := io.ReadAll(io.LimitReader(file, maxHeld+1))
		if err != nil || len(b) > maxHeld {
			return "", none
		}
		content = bytes.NewReader(b)
	}
	a, err := openArchive(content, assets[at].Size)
	if err != nil {
		return "", none
	}
	entry := a.file(m.ReadmeFile)
	if entry == nil {
		return "", none
	}
	r, err := entry.Open()
	if err != nil {
		return "", none
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxReadme))
	if err != nil && len(b) == 0 {
		return "", none
	}
	return whole(b), nil
}

// whole drops a character that was cut through and replaces what is no text.
func whole(b []byte) string {
	for i := 0; i < utf8.UTFMax && len(b) > 0; i++ {
		if r, size := utf8.DecodeLastRune(b); r != utf8.RuneError || size != 1 {
			break
		}
		b = b[:len(b)-1]
	}
	return strings.ToValidUTF8(strings.TrimPrefix(string(b), "\uFEFF"), "\uFFFD")
}
