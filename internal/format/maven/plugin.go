package maven

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// A client that is told a goal as prefix:goal looks its plugin up in the
// metadata of groups: which artifactId has that prefix. Of an outside repository
// it is read under coordinates that no package can have: the group, and
// metadataFile as name.

func groupCoordinates(group string) artifact.Coordinates {
	return artifact.Coordinates{Format: artifact.Maven, Namespace: group, Name: metadataFile}
}

func isGroup(c artifact.Coordinates) bool { return c.Name == metadataFile }

// maxGroup bounds the packages of one group that are looked through for plugins.
const maxGroup = 500

// serveGroup answers with the plugins of a group: those that outside
// repositories tell of, and those published here.
func serveGroup(w http.ResponseWriter, r *format.Request, a address) error {
	plugins, err := pluginsOf(r.Context(), r, a.group)
	if err != nil {
		return err
	}
	if len(plugins) == 0 {
		return fault.New(fault.NotFound, "there is neither a package nor a group with plugins at this address")
	}
	doc, err := metadata{Plugins: plugins}.encode()
	if err != nil {
		return err
	}
	sums := digest.Of(doc)
	if a.sum != 0 {
		return respondText(w, r, sums.Hex(a.sum))
	}
	h := w.Header()
	setChecksums(h, sums)
	h.Set("Content-Type", xmlType)
	h.Set("Etag", `"`+sums.Hex(digest.SHA256)[:32]+`"`)
	h.Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r.Request, "", time.Time{}, bytes.NewReader(doc))
	return nil
}

func pluginsOf(ctx context.Context, r *format.Request, group string) ([]plugin, error) {
	var all []plugin
	l, err := r.Repo.Listing(ctx, groupCoordinates(group))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err == nil {
		for _, remote := range l.Remotes {
			if doc, ok := remote.Doc.(metadata); ok {
				all = joinPlugins(all, doc.Plugins)
			}
		}
	}
	own, err := ownPlugins(ctx, r, group, all)
	return joinPlugins(own, all), err
}

// ownPlugins finds the plugins of a group that were published here, besides
// those that are known.
func ownPlugins(ctx context.Context, r *format.Request, group string, known []plugin) (own []plugin, err error) {
	packages, err := r.Repo.Packages(ctx, artifact.Maven, &group)
	if err != nil {
		return nil, err
	}
	for _, c := range packages[:min(len(packages), maxGroup)] {
		if slices.ContainsFunc(known, func(p plugin) bool { return p.ArtifactID == c.Name }) {
			continue
		}
		l, err := r.Repo.Listing(ctx, c)
		if err != nil {
			continue // not visible, or its outside is down: it is no reason to know nothing
		}
		var newest *parsedVersion
		var found plugin
		for i := range l.Versions {
			v := &l.Versions[i]
			m, err := readManifest(v.Manifest)
			if err != nil || v.Status != artifact.Published || !m.isPlugin() {
				continue
			}
			if p := parseVersion(v.Number); newest == nil || compareParsed(p, *newest) > 0 {
				newest, found = &p, plugin{Prefix: m.Prefix, ArtifactID: c.Name}
				if m.POM != nil {
					found.Name = m.POM.Name
				}
			}
		}
		if newest == nil {
			continue
		}
		if found.Prefix == "" {
			found.Prefix = derivedPrefix(c.Name)
		}
		own = append(own, found)
	}
	return own, nil
}

// isPlugin tells whether a version is a Maven plugin: its POM says so, or its jar
// has the descriptor of one (deploy-file may put the POM of another packaging).
func (m *manifest) isPlugin() bool {
	return m.Prefix != "" || m.POM != nil && m.POM.Packaging == "maven-plugin"
}

// derivedPrefix is the prefix that Maven gives a plugin which says none:
// hello-maven-plugin and maven-hello-plugin are both called hello.
func derivedPrefix(artifactID string) string {
	if artifactID == "maven-plugin-plugin" {
		return "plugin"
	}
	if p, ok := strings.CutSuffix(artifactID, "-maven-plugin"); ok {
		return p
	}
	if p, ok := strings.CutSuffix(artifactID, "-plugin"); ok {
		if p, ok := strings.CutPrefix(p, "maven-"); ok {
			return p
		}
	}
	return artifactID
}

// joinPlugins adds the plugins whose artifactId have lacks, by artifactId.
func joinPlugins(have, more []plugin) []plugin {
	for _, p := range more {
		if p.ArtifactID != "" && p.Prefix != "" && !slices.ContainsFunc(have, func(h plugin) bool { return h.ArtifactID == p.ArtifactID }) {
			have = append(have, p)
		}
	}
	slices.SortFunc(have, func(a, b plugin) int { return strings.Compare(a.ArtifactID, b.ArtifactID) })
	return have
}

const (
	maxPlugins        = 2000    // of one group
	maxDescriptor     = 8 << 20 // bytes of a plugin's descriptor
	maxDescriptorRead = 8 << 20 // bytes, compressed
)

// goalPrefix reads the prefix in the descriptor of a Maven plugin's jar; empty
// for any other file. What it costs is bounded, whatever the archive says.
func goalPrefix(content io.ReaderAt, size int64) string {
	bounded := &boundedReaderAt{r: content, left: math.MaxInt64}
	z, err := format.OpenZip(bounded, size)
	if err != nil {
		return ""
	}
	at := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == "META-INF/maven/plugin.xml" })
	if at < 0 {
		return ""
	}
	bounded.left = maxDescriptorRead
	f, err := z.File[at].Open()
	if err != nil {
		return ""
	}
	defer f.Close()
	d := xml.NewDecoder(io.LimitReader(f, maxDescriptor))
	depth := 0
	for {
		t, err := d.Token()
		if err != nil {
			return ""
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth == 2 && t.Name.Local == "goalPrefix" {
				var prefix string
				if d.DecodeElement(&prefix, &t) != nil || !isID(strings.TrimSpace(prefix)) {
					return ""
				}
				return clip(strings.TrimSpace(prefix), maxValue)
			}
		case xml.EndElement:
			depth--
		}
	}
}

// boundedReaderAt fails once more than left bytes were read.
type boundedReaderAt struct {
	r    io.ReaderAt
	left int64
}

var errBounds = errors.New("archive beyond the bounds of what is looked at")

// ReadAt implements io.ReaderAt.
func (b *boundedReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errBounds
	}
	return b.r.ReadAt(p, off)
}

// putGroup takes the plugin prefixes that a client has put for a group: each is
// kept with the plugin, as far as it is here. The rest is what the client was
// told before: plugins of others, which it needs no permission for.
func putGroup(ctx context.Context, r *format.Request, group string, m metadata) error {
	packages, err := r.Repo.Packages(ctx, artifact.Maven, &group)
	if err != nil {
		return err
	}
	here := map[string]artifact.Coordinates{}
	for _, c := range packages {
		here[c.Name] = c
	}
	told, _ := pluginsOf(ctx, r, group) // what is not known is kept again
	plugins := m.Plugins[:min(len(m.Plugins), maxPlugins)]
	for _, p := range plugins {
		c, ok := here[p.ArtifactID]
		same := func(t plugin) bool { return t.ArtifactID == p.ArtifactID && t.Prefix == p.Prefix }
		if !ok || slices.ContainsFunc(told, same) || !isID(p.Prefix) || len(p.Prefix) > maxValue {
			continue
		}
		_, err := r.Repo.Amend(ctx, c, func(v artifact.Version) ([]byte, error) {
			held, err := readManifest(v.Manifest)
			if err != nil || !held.isPlugin() || held.Prefix == p.Prefix ||
				held.Prefix == "" && derivedPrefix(c.Name) == p.Prefix || v.Origin.Type == artifact.External {
				return nil, err
			}
			held.Prefix = p.Prefix
			return held.encode()
		})
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}
