package pypi

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// manifest is what is stored of a version, as JSON. What a remote lists of one
// has the same form, with nothing but files.
type manifest struct {
	Name     string    `json:"name,omitempty"`     // as its publisher spells it
	Version  string    `json:"version,omitempty"`  // likewise
	Metadata *metadata `json:"metadata,omitempty"` // of the file Source
	Source   string    `json:"source,omitempty"`
	Files    []file    `json:"files,omitempty"` // by name
	Yanked   yanked    `json:"yanked,omitzero"` // the whole version: for files that come to it later
}

// file is one file as the JSON index describes it (PEP 691, 700, 740), without
// its address.
type file struct {
	Name           string            `json:"filename"`
	Hashes         map[string]string `json:"hashes,omitempty"`
	RequiresPython string            `json:"requires-python,omitempty"`
	CoreMetadata   claim             `json:"core-metadata,omitzero"`
	Yanked         yanked            `json:"yanked,omitzero"`
	Size           int64             `json:"size,omitzero"`
	UploadTime     string            `json:"upload-time,omitempty"`
	Provenance     string            `json:"provenance,omitempty"` // where it is
}

// claim tells whether core metadata stand beside a file, and their SHA-256 in
// hex when known (PEP 714).
type claim struct {
	There  bool
	SHA256 string
}

// MarshalJSON implements json.Marshaler: a boolean or {"sha256": hex}.
func (c claim) MarshalJSON() ([]byte, error) {
	switch {
	case c.SHA256 != "":
		return []byte(`{"sha256":"` + c.SHA256 + `"}`), nil
	case c.There:
		return []byte("true"), nil
	}
	return []byte("false"), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *claim) UnmarshalJSON(b []byte) error {
	*c = claim{}
	switch jsontext.Value(b).Kind() {
	case 't':
		c.There = true
	case '{':
		var hashes map[string]string
		if json.Unmarshal(b, &hashes) == nil {
			c.SHA256 = hexOf(hashes["sha256"], digest.SHA256)
		}
		c.There = true
	default:
	}
	return nil
}

// yanked tells whether a file is withdrawn, and why (PEP 592).
type yanked struct {
	Yes    bool
	Reason string
}

// MarshalJSON implements json.Marshaler: the reason, or a boolean.
func (y yanked) MarshalJSON() ([]byte, error) {
	switch {
	case y.Reason != "":
		return jsontext.AppendQuote(nil, y.Reason)
	case y.Yes:
		return []byte("true"), nil
	}
	return []byte("false"), nil
}

// UnmarshalJSON implements json.Unmarshaler. An empty reason is one too.
func (y *yanked) UnmarshalJSON(b []byte) error {
	*y = yanked{}
	switch jsontext.Value(b).Kind() {
	case 't':
		y.Yes = true
	case '"':
		y.Yes = true
		return json.Unmarshal(b, &y.Reason, jsontext.AllowInvalidUTF8(true))
	default:
	}
	return nil
}

// hexOf is a digest in lower-case hex, empty when text is none.
func hexOf(text string, a digest.Algorithm) string {
	if b, err := hex.DecodeString(text); err != nil || len(b) != a.Size() {
		return ""
	}
	return strings.ToLower(text)
}

// knownHashes keeps the digests that can be verified here.
func knownHashes(hashes map[string]string) map[string]string {
	var known map[string]string
	for _, a := range []digest.Algorithm{digest.MD5, digest.SHA1, digest.SHA256, digest.SHA512} {
		if text := hexOf(hashes[a.String()], a); text != "" {
			if known == nil {
				known = map[string]string{}
			}
			known[a.String()] = text
		}
	}
	return known
}

func parseManifest(b []byte) (m manifest, err error) {
	if len(b) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(b, &m, jsontext.AllowInvalidUTF8(true)); err != nil {
		return m, fault.Wrap(fault.Internal, err, "a stored manifest cannot be read")
	}
	return m, nil
}

func (m *manifest) encode() ([]byte, error) {
	return json.Marshal(m, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
}

// file finds a file by name, nil when there is none.
func (m *manifest) file(name string) *file {
	at, ok := slices.BinarySearchFunc(m.Files, name, func(f file, name string) int { return strings.Compare(f.Name, name) })
	if !ok {
		return nil
	}
	return &m.Files[at]
}

// put adds a file in its place.
func (m *manifest) put(f file) {
	at, ok := slices.BinarySearchFunc(m.Files, f.Name, func(h file, name string) int { return strings.Compare(h.Name, name) })
	if ok {
		m.Files[at] = f
		return
	}
	m.Files = slices.Insert(m.Files, at, f)
}

// describe takes over the metadata of one file: those of a wheel rather than
// an sdist, and of the first by name, whatever order they come in.
func (m *manifest) describe(from string, said *metadata) {
	if said == nil || m.Metadata != nil && compareSources(m.Source, from) <= 0 {
		return
	}
	m.Metadata, m.Source = said, from
	m.Name, m.Version = said.Name, said.Version
}

func compareSources(a, b string) int {
	rank := func(name string) int {
		if isWheel(name) {
			return 0
		}
		return 1
	}
	return cmp.Or(rank(a)-rank(b), strings.Compare(a, b))
}

// facts is what the inspection of a file that comes from outside yields.
type facts struct {
	File     string    `json:"file"`
	SHA256   string    `json:"core-metadata,omitempty"` // of the core metadata of a wheel
	Metadata *metadata `json:"metadata"`
}

// merge adds facts to a manifest. It is a function of both alone.
func (m *manifest) merge(f facts) {
	m.describe(f.File, f.Metadata)
	if f.SHA256 == "" {
		return
	}
	held := m.file(f.File)
	if held == nil {
		m.put(file{Name: f.File, CoreMetadata: claim{There: true, SHA256: f.SHA256}, RequiresPython: f.Metadata.RequiresPython})
	} else if held.CoreMetadata.SHA256 == "" {
		held.CoreMetadata = claim{There: true, SHA256: f.SHA256}
	}
}
