package nuget

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"io"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"

	"packhouse/internal/fault"
)

// nuspec is the manifest inside a package (nuspec.md). Element names are taken
// in any of the namespaces NuGet has used. What must be there once is read as a
// list, so that a second one shows.
type nuspec struct {
	XMLName  xml.Name         `xml:"package"`
	Metadata []nuspecMetadata `xml:"metadata"`
}

type nuspecMetadata struct {
	MinClientVersion string   `xml:"minClientVersion,attr"`
	ID               []string `xml:"id"`
	Version          []string `xml:"version"`
	Title            string   `xml:"title"`
	Authors          string   `xml:"authors"`
	Description      string   `xml:"description"`
	Summary          string   `xml:"summary"`
	ReleaseNotes     string   `xml:"releaseNotes"`
	Copyright        string   `xml:"copyright"`
	Language         string   `xml:"language"`
	Tags             string   `xml:"tags"`
	ProjectURL       string   `xml:"projectUrl"`
	IconURL          string   `xml:"iconUrl"`
	Icon             string   `xml:"icon"`
	LicenseURL       string   `xml:"licenseUrl"`
	License          struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	} `xml:"license"`
	Readme                   string `xml:"readme"`
	RequireLicenseAcceptance string `xml:"requireLicenseAcceptance"`
	DevelopmentDependency    string `xml:"developmentDependency"`
	Repository               struct {
		Type   string `xml:"type,attr"`
		URL    string `xml:"url,attr"`
		Commit string `xml:"commit,attr"`
		Branch string `xml:"branch,attr"`
	} `xml:"repository"`
	PackageTypes []struct {
		Name    string `xml:"name,attr"`
		Version string `xml:"version,attr"`
	} `xml:"packageTypes>packageType"`
	Groups []struct {
		TargetFramework string             `xml:"targetFramework,attr"`
		Dependencies    []nuspecDependency `xml:"dependency"`
	} `xml:"dependencies>group"`
	Ungrouped []nuspecDependency `xml:"dependencies>dependency"`
}

type nuspecDependency struct {
	ID      string `xml:"id,attr"`
	Version string `xml:"version,attr"`
	Exclude string `xml:"exclude,attr"`
}

// maxNuspec bounds a nuspec, in bytes after unpacking.
const maxNuspec = 1 << 20

// parseNuspec reads a nuspec. Invalid when it is not one, or does not say once
// what package and version it is about. The decoder knows no entities but XML's
// own five, so nothing in it expands.
func parseNuspec(b []byte) (metadata, error) {
	b, err := utf8Text(b)
	if err != nil {
		return metadata{}, err
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = charsetReader
	var doc nuspec
	if err := d.Decode(&doc); err != nil {
		return metadata{}, fault.Wrap(fault.Invalid, err, "the nuspec is not the XML document it should be")
	}
	if len(doc.Metadata) != 1 || len(doc.Metadata[0].ID) != 1 || len(doc.Metadata[0].Version) != 1 {
		return metadata{}, fault.New(fault.Invalid, "the nuspec must have one metadata element with one id and one version")
	}
	s := &doc.Metadata[0]
	id, number := strings.TrimSpace(s.ID[0]), strings.TrimSpace(s.Version[0])
	if !validID(strings.ToLower(id)) {
		return metadata{}, fault.New(fault.Invalid, "the nuspec's id %q is not one: %s", clip(id), fault.Message(errID))
	}
	if _, ok := parseVersion(number); !ok {
		return metadata{}, fault.New(fault.Invalid, "the nuspec's version %q is not one: write MAJOR.MINOR.PATCH, or with a label as in 1.0.0-beta.1", clip(number))
	}
	return s.metadata(id, number), nil
}

func clip(s string) string {
	const most = 120
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

func (s *nuspecMetadata) metadata(id, number string) metadata {
	trimmed := func(v string) text { return text(strings.TrimSpace(v)) }
	isTrue := func(v string) flag { return flag(strings.EqualFold(strings.TrimSpace(v), "true")) }
	m := metadata{
		ID: text(id), Version: text(number), Title: trimmed(s.Title), Authors: trimmed(s.Authors),
		Description: trimmed(s.Description), Summary: trimmed(s.Summary), ReleaseNotes: trimmed(s.ReleaseNotes),
		Copyright: trimmed(s.Copyright), Language: trimmed(s.Language), Tags: splitWords(s.Tags),
		ProjectURL: trimmed(s.ProjectURL), IconURL: trimmed(s.IconURL), IconFile: trimmed(s.Icon), LicenseURL: trimmed(s.LicenseURL),
		ReadmeFile: trimmed(s.Readme), RequireLicenseAcceptance: isTrue(s.RequireLicenseAcceptance),
		DevelopmentDependency: isTrue(s.DevelopmentDependency), MinClientVersion: trimmed(s.MinClientVersion),
	}
	m.Repository.Value = source{trimmed(s.Repository.Type), trimmed(s.Repository.URL), trimmed(s.Repository.Commit), trimmed(s.Repository.Branch)}
	switch license := trimmed(s.License.Text); strings.ToLower(s.License.Type) {
	case "expression":
		m.LicenseExpression = license
	case "file":
		m.LicenseFile = license
	}
	for _, t := range s.PackageTypes {
		m.PackageTypes = append(m.PackageTypes, packageType{trimmed(t.Name), trimmed(t.Version)})
	}
	if len(s.Ungrouped) > 0 {
		m.DependencyGroups = append(m.DependencyGroups, dependencyGroup{Dependencies: dependencies(s.Ungrouped)})
	}
	for _, g := range s.Groups {
		m.DependencyGroups = append(m.DependencyGroups, dependencyGroup{TargetFramework: trimmed(g.TargetFramework), Dependencies: dependencies(g.Dependencies)})
	}
	return m
}

func dependencies(all []nuspecDependency) (out list[dependency]) {
	for _, d := range all {
		if id := strings.TrimSpace(d.ID); validID(strings.ToLower(id)) {
			out = append(out, dependency{ID: text(id), Range: text(normalRange(d.Version)), Exclude: text(strings.TrimSpace(d.Exclude))})
		}
	}
	return out
}

// utf8Text decodes UTF-16, which a byte order mark tells of.
func utf8Text(b []byte) ([]byte, error) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return bytes.TrimPrefix(b, []byte{0xef, 0xbb, 0xbf}), nil
	}
	if len(b)%2 != 0 {
		return nil, fault.New(fault.Invalid, "the nuspec breaks off within a character")
	}
	units := make([]uint16, 0, len(b)/2)
	for b = b[2:]; len(b) > 0; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return []byte(string(utf16.Decode(units))), nil
}

// charsetReader takes the encodings nuspecs are found in besides UTF-8.
func charsetReader(name string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-8", "utf-16", "us-ascii", "ascii": // UTF-16 has been decoded
		return r, nil
	case "iso-8859-1", "latin1", "windows-1252":
		return charmap.Windows1252.NewDecoder().Reader(r), nil
	}
	return nil, fault.New(fault.Invalid, "the nuspec's encoding %q is not known; use UTF-8", clip(name))
}
