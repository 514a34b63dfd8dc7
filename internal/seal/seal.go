// Package seal encrypts the secrets that are kept in the database, under a
// master key that is not in it.
//
// What is sealed is text of the form s1.KEYID.DATA: AES-256-GCM under the key
// of that id, with a random nonce. Where a secret is kept (table and row) is
// authenticated along with it, so that one row's secret is none in another.
//
// A Ring holds several keys so that they can be changed: the first seals, all
// of them open. The id of a key is a digest of it; nobody gives it a name.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// KeyBytes is the length of a master key.
const KeyBytes = 32

// Key is one master key. It shows no more than its id, not even inside other
// values: those are printed without the methods of their parts, but pointers
// are not followed.
type Key struct{ *material }

type material struct {
	id     string
	secret [KeyBytes]byte
	aead   cipher.AEAD
}

// NewKey makes a key.
func NewKey() Key {
	var secret [KeyBytes]byte
	rand.Read(secret[:]) // never fails
	k, err := newKey(secret)
	if err != nil { // only for a length that AES does not know
		panic(err)
	}
	return k
}

func newKey(secret [KeyBytes]byte) (Key, error) {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		return Key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Key{}, err
	}
	sum := sha256.Sum256(append([]byte("packhouse master key\x00"), secret[:]...))
	return Key{&material{id: hex.EncodeToString(sum[:idBytes]), secret: secret, aead: aead}}, nil
}

const idBytes = 4

// IsKey tells whether text is a key as ParseKey takes it: 44 characters of
// base64, of which the last is "=".
func IsKey(text string) bool {
	return len(text) == base64.StdEncoding.EncodedLen(KeyBytes) && strings.HasSuffix(text, "=")
}

// ParseKey reads a key: 32 bytes in base64, as Text gives them and "openssl
// rand -base64 32" prints them. The error does not repeat the text.
func ParseKey(text string) (Key, error) {
	var secret [KeyBytes]byte
	if !IsKey(text) {
		return Key{}, errKey
	}
	decode := base64.StdEncoding
	if strings.ContainsAny(text, "-_") {
		decode = base64.URLEncoding
	}
	b, err := decode.Strict().DecodeString(text)
	if err != nil || len(b) != KeyBytes {
		return Key{}, errKey
	}
	copy(secret[:], b)
	return newKey(secret)
}

var errKey = errors.New("want 32 bytes in base64, 44 characters of which the last is =")

// ParseKeys reads a file of keys, one a line; the first seals. Empty lines and
// those that begin with # are left out.
func ParseKeys(text []byte) ([]Key, error) {
	var keys []Key
	n := 0
	for line := range bytes.Lines(text) {
		n++
		word := strings.TrimSpace(string(line))
		if word == "" || word[0] == '#' {
			continue
		}
		k, err := ParseKey(word)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return keys, nil
}

// ID tells keys apart: 8 hexadecimal digits.
func (k Key) ID() string { return k.id }

// Text is the key itself, for whoever keeps it.
func (k Key) Text() string { return base64.StdEncoding.EncodeToString(k.secret[:]) }

// String shows the id alone.
func (k Key) String() string { return "master key " + k.id }

// GoString shows the id alone.
func (k Key) GoString() string { return k.String() }

// Format shows the id alone, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue shows the id alone.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.id) }

// Ring is the keys in use. It is safe for concurrent use; the zero value seals
// and opens nothing.
type Ring struct{ keys []Key }

// NewRing makes a ring; the first key seals.
func NewRing(keys ...Key) Ring { return Ring{keys} }

// IDs lists the ids of the keys in their order.
func (r Ring) IDs() []string {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return ids
}

func (r Ring) find(id string) (Key, bool) {
	for _, k := range r.keys {
		if k.id == id {
			return k, true
		}
	}
	return Key{}, false
}

// Has tells whether a key of that id is in the ring.
func (r Ring) Has(id string) bool {
	_, ok := r.find(id)
	return ok
}

const prefix = "s1."

// Seal encrypts a secret that is kept at place ("access_key/AKIA...") with the
// first key. The result is of letters, digits and ".-_".
func (r Ring) Seal(place string, secret []byte) (string, error) {
	if len(r.keys) == 0 {
		return "", errors.New("there is no master key to seal a secret with")
	}
	k := r.keys[0]
	data := k.aead.Seal(nil, nil, secret, []byte(place)) //nolint:gosec // this one makes its nonces itself
	return prefix + k.id + "." + base64.RawURLEncoding.EncodeToString(data), nil
}

// KeyID is the id of the key that sealed a text; ok is false when it is not of
// the form of a sealed one.
func KeyID(sealed string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(sealed, prefix)
	if !ok {
		return "", false
	}
	id, _, ok = strings.Cut(rest, ".")
	if _, err := hex.DecodeString(id); err != nil || len(id) != 2*idBytes {
		return "", false
	}
	return id, ok
}

// Current tells whether the first key sealed a text.
func (r Ring) Current(sealed string) bool {
	id, ok := KeyID(sealed)
	return ok && len(r.keys) > 0 && r.keys[0].id == id
}

// Open decrypts what Seal gave for the same place. Errors do not repeat the
// text.
func (r Ring) Open(place, sealed string) ([]byte, error) {
	id, ok := KeyID(sealed)
	if !ok {
		return nil, fmt.Errorf("the secret of %s is not sealed", place)
	}
	k, ok := r.find(id)
	if !ok {
		return nil, fmt.Errorf("the secret of %s is sealed with master key %s, which is not among those given", place, id)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(sealed[len(prefix)+len(id)+1:])
	if err != nil {
		return nil, damaged(place)
	}
	secret, err := k.aead.Open(nil, nil, data, []byte(place))
	if err != nil {
		return nil, damaged(place)
	}
	return secret, nil
}

func damaged(place string) error {
	return fmt.Errorf("the secret of %s has been changed, or was moved there from another row", place)
}
