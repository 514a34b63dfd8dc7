package npm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// packument is the Doc of a remote's listing: what its document says about the
// package itself, each member raw and in the document's order. The members the
// renderer makes anew are left out.
type packument struct {
	members []member
}

type member struct {
	name  string
	value []byte
}

// usualText is which part of a packument numbers, addresses and digests are, a
// little more than usual: it only saves growing a buffer.
const usualText = 4

// Parse implements upstream.Remote in one pass over doc. The document as a
// whole must be sound JSON, be about c, and say its name, its versions and each
// version once. A version that contradicts itself, or says no address to fetch
// it from, is left out: it could not be installed from here.
func (remote) Parse(c artifact.Coordinates, doc []byte) (*upstream.Listing, error) {
	p := parser{
		doc:  doc,
		text: make([]byte, 0, len(doc)/usualText),
		dec: jsontext.NewDecoder(bytes.NewBuffer(doc),
			jsontext.AllowInvalidUTF8(true),    // readmes are cut within surrogate pairs
			jsontext.AllowDuplicateNames(true), // checked where it matters: it would cost half as much again everywhere
		),
	}
	name := fullName(c)
	if err := p.document(name); err != nil {
		if _, ok := errors.AsType[*fault.Error](err); ok {
			return nil, err
		}
		return nil, fault.Wrap(fault.Upstream, err, "the remote's document about %s is not a packument", name)
	}
	return p.listing()
}

type parser struct {
	doc    []byte
	dec    *jsontext.Decoder
	drafts []draft
	text   []byte // numbers, URLs and integrities, made into one string at the end
	tags   map[string]string
	times  []byte
	rest   packument
	said   struct{ name, versions, tags, times bool }
	when   time.Time // the abbreviated form's modified
}

// draft is a version on its way: spans are in parser.text.
type draft struct {
	number, url, integrity span
	manifest               []byte
}

// value reads the next value and gives it as a slice of the document.
func (p *parser) value() ([]byte, error) {
	v, err := p.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(p.dec.InputOffset())
	return p.doc[end-len(v) : end : end], nil
}

func (p *parser) document(name string) error {
	if t, err := p.dec.ReadToken(); err != nil {
		return err
	} else if t.Kind() != '{' {
		return errors.New("not an object")
	}
	for p.dec.PeekKind() == '"' {
		raw, err := p.value()
		if err != nil {
			return err
		}
		key := string(unquoted(raw))
		if key == "versions" && p.dec.PeekKind() == '{' {
			if err := twice(&p.said.versions, key); err != nil {
				return err
			}
			if err := p.versions(name); err != nil {
				return err
			}
			continue
		}
		v, err := p.value()
		if err != nil {
			return err
		}
		if err := p.member(name, key, v); err != nil {
			return err
		}
	}
	if _, err := p.dec.ReadToken(); err != nil { // the closing brace, or what is wrong
		return err
	}
	if _, err := p.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

func (p *parser) member(name, key string, v []byte) error {
	switch key {
	case "name":
		if err := twice(&p.said.name, key); err != nil {
			return err
		}
		if string(unquoted(v)) != name {
			return fault.New(fault.Upstream, "the remote answered for %s with a document about another package", name)
		}
	case "dist-tags":
		if err := twice(&p.said.tags, key); err != nil {
			return err
		}
		c, ok := walk(v)
		if !ok {
			return nil
		}
		p.tags = map[string]string{}
		for m, more := c.next(); more; m, more = c.next() {
			if to := unquoted(m.value.of(v)); to != nil {
				p.tags[string(m.name)] = string(to)
			}
		}
	case "time":
		p.times = v
		return twice(&p.said.times, key)
	case "modified":
		p.when = parseTime(unquoted(v))
	case "_id", "_rev", "_attachments", "versions":
	default:
		p.rest.members = append(p.rest.members, member{key, v})
	}
	return nil
}

// twice refuses a member that has been said before.
func twice(said *bool, key string) error {
	if *said {
		return errors.New("two members " + key)
	}
	*said = true
	return nil
}

func (p *parser) versions(name string) error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	for p.dec.PeekKind() == '"' {
		number, err := p.value()
		if err != nil {
			return err
		}
		manifest, err := p.value()
		if err != nil {
			return err
		}
		p.version(name, number, manifest)
	}
	_, err := p.dec.ReadToken()
	return err
}

func (p *parser) version(name string, rawNumber, manifest []byte) {
	f, ok := inspect(manifest)
	if !ok || !bytes.Equal(f.version.of(manifest), rawNumber) && !bytes.Equal(unquoted(f.version.of(manifest)), unquoted(rawNumber)) {
		return
	}
	if f.name != (span{}) && string(unquoted(f.name.of(manifest))) != name {
		return
	}
	start := len(p.text)
	d := draft{manifest: manifest}
	d.number = p.keep(unquoted(rawNumber))
	d.url = p.keep(unquoted(f.tarball.of(manifest)))
	integrity, shasum := unquoted(f.integrity.of(manifest)), unquoted(f.shasum.of(manifest))
	if len(integrity) > 0 {
		d.integrity = p.keep(integrity)
	} else if sum, err := hex.DecodeString(string(shasum)); err == nil && len(sum) == digest.SHA1.Size() {
		var s digest.Set
		copy(s.SHA1[:], sum)
		d.integrity = p.keep([]byte(s.SRI(digest.SHA1)))
	}
	if !versionSafe(string(d.number.of(p.text))) || !absolute(d.url.of(p.text)) {
		p.text = p.text[:start]
		return
	}
	p.drafts = append(p.drafts, d)
}

func (p *parser) keep(s []byte) span {
	from := len(p.text)
	p.text = append(p.text, s...)
	return span{from, len(p.text)}
}

// absolute tells whether u is an address the remote's client could fetch.
func absolute(u []byte) bool {
	const plain, secure = "http://", "https://"
	return len(u) > len(secure) && (string(u[:len(plain)]) == plain || string(u[:len(secure)]) == secure)
}

// listing turns drafts into versions with one string and one array of assets
// for all of them.
func (p *parser) listing() (*upstream.Listing, error) {
	text := string(p.text)
	assets := make([]upstream.ListedAsset, len(p.drafts))
	l := &upstream.Listing{Versions: make([]upstream.ListedVersion, len(p.drafts)), Tags: p.tags, Modified: p.when, Doc: &p.rest}
	for i, d := range p.drafts {
		assets[i] = upstream.ListedAsset{
			Name:      assetName,
			URL:       text[d.url.from:d.url.to],
			Integrity: text[d.integrity.from:d.integrity.to],
		}
		l.Versions[i] = upstream.ListedVersion{
			Number:   text[d.number.from:d.number.to],
			Manifest: d.manifest,
			Assets:   assets[i : i+1 : i+1],
		}
	}
	index := make(map[string]int, len(l.Versions))
	for i := range l.Versions {
		index[l.Versions[i].Number] = i
	}
	if len(index) < len(l.Versions) {
		return nil, fault.New(fault.Upstream, "the remote's document says a version twice")
	}
	p.publishTimes(l, index)
	return l, nil
}

func (p *parser) publishTimes(l *upstream.Listing, index map[string]int) {
	c, _ := walk(p.times)
	for m, more := c.next(); more; m, more = c.next() {
		when := unquoted(m.value.of(p.times))
		if i, ok := index[string(m.name)]; ok {
			l.Versions[i].Published = parseTime(when)
		} else if string(m.name) == "modified" {
			l.Modified = parseTime(when)
		}
	}
}

// timeFormat is JavaScript's Date.toISOString.
const timeFormat = "2006-01-02T15:04:05.000Z"

// parseTime reads an RFC 3339 time, zero when it is none. The form JavaScript
// writes is read without allocating.
func parseTime(b []byte) time.Time {
	if len(b) == len(timeFormat) && b[4] == '-' && b[7] == '-' && b[10] == 'T' && b[13] == ':' && b[16] == ':' && b[19] == '.' && b[23] == 'Z' {
		year, month, day := decimal(b[0:4]), decimal(b[5:7]), decimal(b[8:10])
		hour, minute, second, milli := decimal(b[11:13]), decimal(b[14:16]), decimal(b[17:19]), decimal(b[20:23])
		if year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= 28 && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 60 && milli >= 0 {
			return time.Date(year, time.Month(month), day, hour, minute, second, milli*1e6, time.UTC)
		}
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// decimal reads digits, -1 when there is anything else.
func decimal(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// Locate implements upstream.Remote.
func (remote) Locate(c artifact.Coordinates, version, asset string, l *upstream.Listing) (upstream.ListedAsset, error) {
	if asset == assetName && l != nil {
		for i := range l.Versions {
			if v := &l.Versions[i]; v.Number == version && len(v.Assets) == 1 {
				return v.Assets[0], nil
			}
		}
	}
	return upstream.ListedAsset{}, fault.About(fault.NotFound, "asset", strings.Join([]string{fullName(c), version, asset}, "/"), "not_found")
}
