// Package digest computes MD5, SHA-1, SHA-256 and SHA-512 of a stream in one
// pass and checks them against what a registry or a client promised.
//
// It is used wherever bytes enter the house: publishing and fetching. An
// all-zero value means "not known", so a Set is a plain comparable value
// without presence flags (the chance that a real digest is all zeros is nil).
package digest

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // package formats still publish MD5; it decides nothing when a stronger one is known
	"crypto/sha1" //nolint:gosec // npm shasum and Maven .sha1; see md5
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strings"
)

// Algorithm is one digest algorithm, or several or-ed together. A larger
// single value is the stronger one.
type Algorithm uint8

// The algorithms of AWS CodeArtifact's AssetHashes.
const (
	MD5 Algorithm = 1 << iota
	SHA1
	SHA256
	SHA512
	All = MD5 | SHA1 | SHA256 | SHA512
)

var order = [...]Algorithm{SHA512, SHA256, SHA1, MD5} // strongest first

// String is the lower-case name without dash (sha256), as in SRI and in file
// suffixes; several are joined by commas.
func (a Algorithm) String() string {
	switch a { //nolint:exhaustive // All is several
	case MD5:
		return "md5"
	case SHA1:
		return "sha1"
	case SHA256:
		return "sha256"
	case SHA512:
		return "sha512"
	}
	var names []string
	for _, one := range order {
		if a&one != 0 {
			names = append(names, one.String())
		}
	}
	return strings.Join(names, ",")
}

// Size is the length of a digest in bytes; 0 for several or none.
func (a Algorithm) Size() int {
	switch a { //nolint:exhaustive // All is several
	case MD5:
		return md5.Size
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	case SHA512:
		return sha512.Size
	}
	return 0
}

// ParseAlgorithm reads md5, sha1, sha-1, sha256, sha-256, sha512 or sha-512 in
// any case.
func ParseAlgorithm(name string) (Algorithm, error) {
	switch strings.ToLower(name) {
	case "md5":
		return MD5, nil
	case "sha1", "sha-1":
		return SHA1, nil
	case "sha256", "sha-256":
		return SHA256, nil
	case "sha512", "sha-512":
		return SHA512, nil
	}
	return 0, fmt.Errorf("unknown digest algorithm %q", name)
}

// Set holds the digests of one content; an all-zero one is not known.
type Set struct {
	MD5    [md5.Size]byte
	SHA1   [sha1.Size]byte
	SHA256 [sha256.Size]byte
	SHA512 [sha512.Size]byte
}

// Of digests b with every algorithm.
func Of(b []byte) Set {
	return Set{MD5: md5.Sum(b), SHA1: sha1.Sum(b), SHA256: sha256.Sum256(b), SHA512: sha512.Sum512(b)} //nolint:gosec // see the imports
}

// field is the array of one algorithm; nil for several or none.
func (s *Set) field(a Algorithm) []byte {
	switch a { //nolint:exhaustive // All is several
	case MD5:
		return s.MD5[:]
	case SHA1:
		return s.SHA1[:]
	case SHA256:
		return s.SHA256[:]
	case SHA512:
		return s.SHA512[:]
	}
	return nil
}

// Known tells which digests are present.
func (s *Set) Known() Algorithm {
	var known Algorithm
	for _, a := range order {
		if s.has(a) {
			known |= a
		}
	}
	return known
}

func (s *Set) has(a Algorithm) bool {
	for _, b := range s.field(a) {
		if b != 0 {
			return true
		}
	}
	return false
}

// Hex is one digest in lower-case hex; empty when it is not known.
func (s Set) Hex(a Algorithm) string {
	if !s.has(a) {
		return ""
	}
	return hex.EncodeToString(s.field(a))
}

// Shasum is npm's dist.shasum: the SHA-1 in hex.
func (s Set) Shasum() string { return s.Hex(SHA1) }

// Integrity is npm's dist.integrity: the strongest known digest as one
// Subresource Integrity token, such as "sha512-base64"; empty when none is
// known.
func (s Set) Integrity() string {
	for _, a := range order {
		if s.has(a) {
			return s.SRI(a)
		}
	}
	return ""
}

// SRI is one digest as a Subresource Integrity token; empty when it is not known.
func (s Set) SRI(a Algorithm) string {
	if !s.has(a) {
		return ""
	}
	return a.String() + "-" + base64.StdEncoding.EncodeToString(s.field(a))
}

// SetHex records one digest given in hex. An empty string leaves it unknown.
func (s *Set) SetHex(a Algorithm, text string) error {
	if text == "" {
		return nil
	}
	dst := s.field(a)
	if dst == nil {
		return fmt.Errorf("not one digest algorithm: %q", a)
	}
	if len(text) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("%s: %d characters where %d hex digits belong", a, len(text), hex.EncodedLen(len(dst)))
	}
	sum, err := hex.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%s: not hex: %w", a, err)
	}
	copy(dst, sum)
	return nil
}

// FromHex makes a Set of hex digests; empty strings are unknown ones.
func FromHex(md5, sha1, sha256, sha512 string) (Set, error) {
	var s Set
	for a, text := range map[Algorithm]string{MD5: md5, SHA1: sha1, SHA256: sha256, SHA512: sha512} {
		if err := s.SetHex(a, text); err != nil {
			return Set{}, err
		}
	}
	return s, nil
}

// setJSON is the JSON form: {"md5":"hex",...} with unknown ones left out.
type setJSON struct {
	MD5    string `json:"md5,omitempty"`
	SHA1   string `json:"sha1,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	SHA512 string `json:"sha512,omitempty"`
}

// MarshalJSON writes {"md5":hex,"sha1":hex,"sha256":hex,"sha512":hex} without
// the unknown ones.
func (s Set) MarshalJSON() ([]byte, error) {
	return json.Marshal(setJSON{s.Hex(MD5), s.Hex(SHA1), s.Hex(SHA256), s.Hex(SHA512)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Set) UnmarshalJSON(b []byte) error {
	var j setJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	got, err := FromHex(j.MD5, j.SHA1, j.SHA256, j.SHA512)
	if err != nil {
		return err
	}
	*s = got
	return nil
}

// Hasher digests what is written to it. It never fails. Not for concurrent use.
type Hasher struct {
	algorithms Algorithm
	hashes     [len(order)]hash.Hash // parallel to order; nil when not chosen
	written    int64
}

// NewHasher computes the chosen algorithms; all four when none is named. Over
// 20 MB on one core SHA-512 and MD5 take some 30 ms each, SHA-1 and SHA-256 some
// 12 ms, so ask for what is needed.
func NewHasher(algorithms ...Algorithm) *Hasher {
	h := &Hasher{}
	for _, a := range algorithms {
		h.algorithms |= a
	}
	if h.algorithms == 0 {
		h.algorithms = All
	}
	for i, a := range order {
		if h.algorithms&a != 0 {
			h.hashes[i] = newHash(a)
		}
	}
	return h
}

func newHash(a Algorithm) hash.Hash {
	switch a {
	case MD5:
		return md5.New() //nolint:gosec // see the imports
	case SHA1:
		return sha1.New() //nolint:gosec // see the imports
	case SHA256:
		return sha256.New()
	default:
		return sha512.New()
	}
}

// slice keeps one piece of input in the L1 cache while every algorithm reads it.
const slice = 16 << 10

// Write digests p; the error is always nil.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	h.written += int64(n)
	for len(p) > 0 {
		part := p[:min(len(p), slice)]
		for _, one := range h.hashes {
			if one != nil {
				one.Write(part)
			}
		}
		p = p[len(part):]
	}
	return n, nil
}

// Written is the number of bytes digested so far.
func (h *Hasher) Written() int64 { return h.written }

// Sum gives the digests of everything written so far; more may follow.
func (h *Hasher) Sum() Set {
	var s Set
	for i, one := range h.hashes {
		if one != nil {
			one.Sum(s.field(order[i])[:0])
		}
	}
	return s
}

// Reset starts over with the same algorithms.
func (h *Hasher) Reset() {
	h.written = 0
	for _, one := range h.hashes {
		if one != nil {
			one.Reset()
		}
	}
}

// Equal tells whether the digests known in both are the same and at least one
// is known in both.
func (s Set) Equal(other Set) bool {
	common := s.Known() & other.Known()
	for _, a := range order {
		if common&a != 0 && !bytes.Equal(s.field(a), other.field(a)) {
			return false
		}
	}
	return common != 0
}
