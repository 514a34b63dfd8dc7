package npm

import (
	"bufio"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/registry"
)

// renderFull makes the full packument. What it writes before and after a
// version's tarball address is the manifest byte for byte.
func renderFull(base string) registry.Render {
	return func(_ context.Context, l *registry.Listing, w io.Writer) error {
		return render(l, base, w, true)
	}
}

// renderAbbreviated makes the form with what an install needs
// (package-metadata.md, application/vnd.npm.install-v1+json).
func renderAbbreviated(base string) registry.Render {
	return func(_ context.Context, l *registry.Listing, w io.Writer) error {
		return render(l, base, w, false)
	}
}

const renderBuffer = 32 << 10 // bytes; larger pieces are written straight through

func render(l *registry.Listing, base string, w io.Writer, full bool) error {
	out := newPrinter(bufio.NewWriterSize(w, renderBuffer), base, l.Coordinates)
	out.full = full
	name := fullName(l.Coordinates)
	if full {
		out.key('{', "_id").text(name)
		out.key(',', "_rev").text(revision(l))
		out.key(',', "name").text(name)
	} else {
		out.key('{', "name").text(name)
	}
	out.key(',', "dist-tags").tags(distTags(l))
	out.key(',', "versions")
	if !out.versions(l) {
		return notFound(l.Coordinates)
	}
	if full {
		out.key(',', "time").times(l)
		out.about(l)
	} else if !modified(l).IsZero() {
		out.key(',', "modified").time(modified(l))
	}
	out.byte('}')
	if err := out.Flush(); err != nil {
		return fmt.Errorf("packument of %s: %w", name, err)
	}
	return nil
}

func notFound(c artifact.Coordinates) error {
	return fault.About(fault.NotFound, "package", fullName(c), "not_found")
}

// tarballAddress is what all of a package's tarball URLs begin with, as the
// beginning of a JSON string.
func tarballAddress(base string, c artifact.Coordinates) []byte {
	quoted := quote(nil, base+fullName(c)+"/-/"+c.Name+"-")
	return quoted[:len(quoted)-1]
}

// attestationsAddress is the same for the addresses of attestations. npm takes
// the path of what the manifest names and asks the registry's host for it:
// version 11 as it is, up to 10 below the registry (see repeated).
func attestationsAddress(base string, c artifact.Coordinates) []byte {
	quoted := quote(nil, base+"-/"+attestationsPath+escapedName(c)+"@")
	return quoted[:len(quoted)-1]
}

// revision names the state of the whole listing, for the requests that send a
// changed copy of it back (unpublish). It tells apart, it proves nothing.
func revision(l *registry.Listing) string {
	table := crc32.MakeTable(crc32.Castagnoli)
	var sum uint32
	var size int
	var text []byte
	add := func(s string) {
		text = append(append(text[:0], s...), 0)
		sum = crc32.Update(sum, table, text)
		size += len(text)
	}
	for i := range l.Versions {
		v := &l.Versions[i]
		add(v.Number)
		add(string(v.Status))
		sum = crc32.Update(sum, table, v.Manifest)
		size += len(v.Manifest)
	}
	tags := distTags(l)
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		add(tag)
		add(tags[tag])
	}
	return fmt.Sprintf("%d-%08x%08x", len(l.Versions), sum, size)
}

// distTags are the tags to show: latest always names a Published version, the
// highest when none is set or the one it named is gone (section 8). Releases
// come before prereleases.
func distTags(l *registry.Listing) map[string]string {
	tags := make(map[string]string, len(l.Tags)+1)
	published, best := make(map[string]bool, len(l.Versions)), ""
	for i := range l.Versions {
		if v := &l.Versions[i]; v.Status == artifact.Published {
			published[v.Number] = true
		}
	}
	for tag, version := range l.Tags {
		if published[version] {
			tags[tag] = version
		}
	}
	if tags["latest"] != "" {
		return tags
	}
	for i := range l.Versions {
		number := l.Versions[i].Number
		if !published[number] {
			continue
		}
		if best == "" || stable(number) && !stable(best) || stable(number) == stable(best) && compare(number, best) > 0 {
			best = number
		}
	}
	if best != "" {
		tags["latest"] = best
	}
	return tags
}

func stable(version string) bool {
	version, _, _ = strings.Cut(version, "+")
	return strings.IndexByte(version, '-') < 0
}

// modified is when the package changed last; zero when nothing says.
func modified(l *registry.Listing) time.Time {
	last := l.Modified
	for i := range l.Versions {
		if at := l.Versions[i].Published; at.After(last) {
			last = at
		}
	}
	return last
}

// printer writes one packument. Errors stick in the bufio.Writer.
type printer struct {
	*bufio.Writer
	address  []byte // tarballAddress
	attested []byte // attestationsAddress
	full     bool
	scratch  []byte
}

func newPrinter(w *bufio.Writer, base string, c artifact.Coordinates) printer {
	return printer{Writer: w, address: tarballAddress(base, c), attested: attestationsAddress(base, c)}
}

func (p *printer) byte(c byte)    { _ = p.WriteByte(c) }
func (p *printer) bytes(b []byte) { _, _ = p.Write(b) }

// key writes sep and a name that needs no escaping.
func (p *printer) key(sep byte, name string) *printer {
	p.byte(sep)
	p.byte('"')
	_, _ = p.WriteString(name)
	_, _ = p.WriteString(`":`)
	return p
}

func (p *printer) text(s string) {
	p.scratch = quote(p.scratch[:0], s)
	p.bytes(p.scratch)
}

func (p *printer) time(t time.Time) {
	p.scratch = append(p.scratch[:0], '"')
	p.scratch = t.UTC().AppendFormat(p.scratch, timeFormat)
	p.scratch = append(p.scratch, '"')
	p.bytes(p.scratch)
}

func (p *printer) tags(tags map[string]string) {
	p.byte('{')
	for i, tag := range slices.Sorted(maps.Keys(tags)) {
		if i > 0 {
			p.byte(',')
		}
		p.text(tag)
		p.byte(':')
		p.text(tags[tag])
	}
	p.byte('}')
}

// versions writes the Published versions in the listing's order and tells
// whether there is any. One whose manifest is not an object, or whose number
// has no place in an address, cannot be shown.
func (p *printer) versions(l *registry.Listing) bool {
	sep := byte('{')
	for i := range l.Versions {
		v := &l.Versions[i]
		if v.Status != artifact.Published {
			continue
		}
		f, ok := inspect(v.Manifest)
		if !ok || !versionSafe(v.Number) {
			continue
		}
		p.byte(sep)
		sep = ','
		p.text(v.Number)
		p.byte(':')
		switch {
		case !p.full:
			p.abbreviated(v.Manifest, f, v.Number)
		case len(v.Remote) == 0:
			p.without(v.Manifest, f, v.Number, "readme")
		default:
			p.whole(v.Manifest, f, v.Number)
		}
	}
	if sep == '{' {
		return false
	}
	p.byte('}')
	return true
}

func (p *printer) tarball(number string) {
	p.bytes(p.address)
	_, _ = p.WriteString(number)
	_, _ = p.WriteString(`.tgz"`)
}

// part writes s of the manifest with the addresses that lie within leading
// here: the tarball's, added where there is none, and that of attestations. s
// must not cut through dist.
func (p *printer) part(m []byte, f facts, number string, s span) {
	if f.dist == (span{}) || f.dist.from < s.from || f.dist.to > s.to {
		p.bytes(s.of(m))
		return
	}
	at := s.from
	if f.tarball == (span{}) {
		brace := f.dist.from + 1
		p.bytes(m[at:brace])
		_, _ = p.WriteString(`"tarball":`)
		p.tarball(number)
		if m[skipSpace(m, brace)] != '}' {
			p.byte(',')
		}
		at = brace
	}
	if f.attested != (span{}) && f.attested.from < f.tarball.from {
		at = p.attestations(m, at, f.attested, number)
	}
	if f.tarball != (span{}) {
		p.bytes(m[at:f.tarball.from])
		p.tarball(number)
		at = f.tarball.to
	}
	if f.attested.from > at {
		at = p.attestations(m, at, f.attested, number)
	}
	p.bytes(m[at:s.to])
}

// attestations writes the manifest from at on with the address at old
// replaced, and tells where it goes on.
func (p *printer) attestations(m []byte, at int, old span, number string) int {
	p.bytes(m[at:old.from])
	p.bytes(p.attested)
	_, _ = p.WriteString(number)
	p.byte('"')
	return old.to
}

func (p *printer) whole(m []byte, f facts, number string) {
	p.part(m, f, number, span{0, len(m)})
}

// without writes a manifest without one member: versions published here carry
// their readme, which a packument shows once.
func (p *printer) without(m []byte, f facts, number, name string) {
	sep := byte('{')
	c, _ := walk(m)
	for at, more := c.next(); more; at, more = c.next() {
		if string(at.name) == name {
			continue
		}
		p.byte(sep)
		sep = ','
		p.part(m, f, number, at.whole)
	}
	if sep == '{' {
		p.byte('{')
	}
	p.byte('}')
}

func (p *printer) abbreviated(m []byte, f facts, number string) {
	sep := byte('{')
	known, scripted := false, false
	c, _ := walk(m)
	for at, more := c.next(); more; at, more = c.next() {
		switch string(at.name) {
		case "scripts":
			scripted = installs(at.value.of(m))
			continue
		case "hasInstallScript":
			known = true
		case "name", "version", "deprecated", "dependencies", "optionalDependencies", "devDependencies",
			"bundleDependencies", "bundledDependencies", "peerDependencies", "peerDependenciesMeta", "bin",
			"directories", "dist", "engines", "funding", "cpu", "os", "libc", "_hasShrinkwrap":
		default:
			continue
		}
		p.byte(sep)
		sep = ','
		p.part(m, f, number, at.whole)
	}
	if scripted && !known {
		p.key(sep, "hasInstallScript")
		_, _ = p.WriteString("true")
		sep = ','
	}
	if sep == '{' {
		p.byte('{')
	}
	p.byte('}')
}

// installs tells whether scripts has one that runs on installation.
func installs(scripts []byte) bool {
	c, ok := walk(scripts)
	if !ok {
		return false
	}
	for m, more := c.next(); more; m, more = c.next() {
		switch string(m.name) {
		case "preinstall", "install", "postinstall":
			if len(unquoted(m.value.of(scripts))) > 0 {
				return true
			}
		}
	}
	return false
}

func (p *printer) times(l *registry.Listing) {
	sep := byte('{')
	var created time.Time
	for i := range l.Versions {
		if at := l.Versions[i].Published; l.Versions[i].Status == artifact.Published && !at.IsZero() && (created.IsZero() || at.Before(created)) {
			created = at
		}
	}
	if !created.IsZero() {
		p.key(sep, "created").time(created)
		sep = ','
	}
	if at := modified(l); !at.IsZero() {
		p.key(sep, "modified").time(at)
		sep = ','
	}
	for i := range l.Versions {
		v := &l.Versions[i]
		if v.Status != artifact.Published || v.Published.IsZero() {
			continue
		}
		p.byte(sep)
		sep = ','
		p.text(v.Number)
		p.byte(':')
		p.time(v.Published)
	}
	if sep == '{' {
		p.byte('{')
	}
	p.byte('}')
}

// about writes the members about the package itself: the first remote's, or
// what the newest version published here says.
func (p *printer) about(l *registry.Listing) {
	for _, r := range l.Remotes {
		doc, ok := r.Doc.(*packument)
		if !ok {
			continue
		}
		for _, m := range doc.members {
			p.byte(',')
			p.text(m.name)
			p.byte(':')
			p.bytes(m.value)
		}
		return
	}
	var newest *registry.Listed
	for i := range l.Versions {
		v := &l.Versions[i]
		if v.Status == artifact.Published && (newest == nil || v.Published.After(newest.Published)) {
			newest = v
		}
	}
	if newest == nil {
		return
	}
	c, _ := walk(newest.Manifest)
	for m, more := c.next(); more; m, more = c.next() {
		switch string(m.name) {
		case "description", "readme", "readmeFilename", "maintainers", "author", "contributors", "license", "licenses",
			"keywords", "homepage", "repository", "bugs":
			p.byte(',')
			p.bytes(m.whole.of(newest.Manifest))
		}
	}
}

// appendManifest appends one version's manifest as a client gets it alone.
func appendManifest(dst []byte, base string, c artifact.Coordinates, v *registry.Listed) ([]byte, error) {
	f, ok := inspect(v.Manifest)
	if !ok {
		return nil, fmt.Errorf("manifest of %s@%s is not an object", fullName(c), v.Number)
	}
	w := sliceWriter{dst}
	p := newPrinter(bufio.NewWriter(&w), base, c)
	p.whole(v.Manifest, f, v.Number)
	err := p.Flush()
	return w.b, err
}

type sliceWriter struct{ b []byte }

func (s *sliceWriter) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}
