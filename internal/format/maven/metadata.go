package maven

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/registry"
)

// metadata is a maven-metadata.xml of any level (Maven's repository metadata
// model).
type metadata struct {
	XMLName    xml.Name    `xml:"metadata"`
	GroupID    string      `xml:"groupId,omitempty"`
	ArtifactID string      `xml:"artifactId,omitempty"`
	Version    string      `xml:"version,omitempty"`
	Versioning *versioning `xml:"versioning"`
	Plugins    []plugin    `xml:"plugins>plugin,omitempty"`
}

type versioning struct {
	Snapshot         *snapshotOf       `xml:"snapshot"`
	Latest           string            `xml:"latest,omitempty"`
	Release          string            `xml:"release,omitempty"`
	Versions         []string          `xml:"versions>version,omitempty"`
	LastUpdated      string            `xml:"lastUpdated,omitempty"`
	SnapshotVersions []snapshotVersion `xml:"snapshotVersions>snapshotVersion,omitempty"`
}

type snapshotOf struct {
	Timestamp   string `xml:"timestamp,omitempty"`
	BuildNumber int    `xml:"buildNumber"`
}

type snapshotVersion struct {
	Classifier string `xml:"classifier,omitempty"`
	Extension  string `xml:"extension"`
	Value      string `xml:"value"`
	Updated    string `xml:"updated"`
}

type plugin struct {
	Name       string `xml:"name,omitempty"`
	Prefix     string `xml:"prefix"`
	ArtifactID string `xml:"artifactId"`
}

// readMetadata reads a document; errNotXML when it is none.
func readMetadata(doc []byte) (metadata, error) {
	var m metadata
	err := readXML(doc, "metadata", &m)
	m.trim()
	return m, err
}

// trim takes white space off what is compared.
func (m *metadata) trim() {
	fields := []*string{&m.GroupID, &m.ArtifactID, &m.Version}
	if v := m.Versioning; v != nil {
		fields = append(fields, &v.LastUpdated)
		for i := range v.Versions {
			fields = append(fields, &v.Versions[i])
		}
		if v.Snapshot != nil {
			fields = append(fields, &v.Snapshot.Timestamp)
		}
	}
	for i := range m.Plugins {
		fields = append(fields, &m.Plugins[i].Prefix, &m.Plugins[i].ArtifactID, &m.Plugins[i].Name)
	}
	for _, f := range fields {
		*f = strings.TrimSpace(*f)
	}
}

func (m metadata) write(w io.Writer) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(m); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (m metadata) encode() ([]byte, error) {
	var b bytes.Buffer
	err := m.write(&b)
	return b.Bytes(), err
}

// updatedLayout is the form of lastUpdated, in UTC.
const updatedLayout = "20060102150405"

// renderPackage writes the metadata of a package: its Published versions in
// Maven's order, of which latest is the last and release the last that is no
// snapshot. Nothing in it depends on the clock, so that its checksum holds.
func renderPackage(_ context.Context, l *registry.Listing, w io.Writer) error {
	m := metadata{GroupID: l.Coordinates.Namespace, ArtifactID: l.Coordinates.Name, Versioning: &versioning{}}
	v := m.Versioning
	var all []parsedVersion
	for i := range l.Versions {
		if l.Versions[i].Status == artifact.Published {
			all = append(all, parseVersion(l.Versions[i].Number))
		}
	}
	if len(all) == 0 {
		return fault.About(fault.NotFound, "package", l.Coordinates.String(), "no version of %s is published", l.Coordinates)
	}
	slices.SortFunc(all, compareParsed)
	for _, one := range all {
		v.Versions = append(v.Versions, one.text)
		v.Latest = one.text
		if !isSnapshot(one.text) {
			v.Release = one.text
		}
	}
	if !l.Modified.IsZero() {
		v.LastUpdated = l.Modified.UTC().Format(updatedLayout)
	}
	for _, r := range l.Remotes { // such a folder may be a group as well
		if doc, ok := r.Doc.(metadata); ok {
			m.Plugins = joinPlugins(m.Plugins, doc.Plugins)
		}
	}
	return m.write(w)
}

// renderSnapshot writes the metadata of one snapshot. Of each kind of file it
// names the newest build that has one: several jobs may deploy files of one
// snapshot, each as a build of its own.
func renderSnapshot(version string) registry.Render {
	return func(_ context.Context, l *registry.Listing, w io.Writer) error {
		builds := buildsOf(l, version)
		if len(builds) == 0 || builds[0].Number != version {
			return fault.About(fault.NotFound, "package-version", version, "version %s of %s is not published here", version, l.Coordinates)
		}
		m := metadata{GroupID: l.Coordinates.Namespace, ArtifactID: l.Coordinates.Name, Version: version, Versioning: &versioning{}}
		v := m.Versioning
		seen := map[string]bool{}
		newest := build{}
		for _, one := range builds {
			updated := one.Published.UTC().Format(updatedLayout)
			for _, a := range one.Assets {
				f, ok := cutBuild(l.Coordinates, version, a.Name)
				if !ok || seen[f.rest] {
					continue
				}
				seen[f.rest] = true
				e := snapshotVersion{Value: version, Updated: updated}
				e.Classifier, e.Extension = split(f.rest)
				if f.build != (build{}) {
					e.Value, e.Updated = base(version)+f.build.String(), strings.Replace(f.build.time, ".", "", 1)
				}
				if one.Number == version && f.build.compare(newest) > 0 {
					newest = f.build
				}
				v.LastUpdated = max(v.LastUpdated, e.Updated)
				v.SnapshotVersions = append(v.SnapshotVersions, e)
			}
		}
		if newest != (build{}) {
			v.Snapshot = &snapshotOf{newest.time, newest.number}
		}
		return m.write(w)
	}
}

// buildsOf gives a snapshot, when it is Published, and after it the earlier
// builds that can still be had, newest first.
func buildsOf(l *registry.Listing, version string) []registry.Listed {
	var all []registry.Listed
	for _, v := range l.Versions {
		b, _, ok := cutVersion(v.Number)
		if v.Number == version && v.Status == artifact.Published || ok && b == base(version) {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b registry.Listed) int {
		switch {
		case a.Number == version:
			return -1
		case b.Number == version:
			return 1
		}
		_, x, _ := cutVersion(a.Number)
		_, y, _ := cutVersion(b.Number)
		return y.compare(x)
	})
	return all
}

// parseUpdated reads lastUpdated; zero when it is none.
func parseUpdated(s string) time.Time {
	t, err := time.Parse(updatedLayout, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// forPackage refuses a document that is about another package.
func (m metadata) forPackage(c artifact.Coordinates) error {
	if m.GroupID != "" && m.GroupID != c.Namespace || m.ArtifactID != "" && m.ArtifactID != c.Name {
		return fault.New(fault.Invalid, "the metadata is about %s:%s, its address about %s:%s", m.GroupID, m.ArtifactID, c.Namespace, c.Name)
	}
	return nil
}

func badMetadata(err error) error {
	return fault.Wrap(fault.Invalid, err, "the body is not a %s: %s", metadataFile, fmt.Sprint(err))
}
