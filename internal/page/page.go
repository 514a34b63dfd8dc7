// Package page makes the opaque continuation tokens of keyset paging: a token
// holds the key of the last row a client has seen, so that the next page is
// "the rows after it" whatever was inserted or deleted meanwhile.
//
// A token belongs to one listing with one set of filters; anywhere else it is
// refused. The surprise: a token is not signed. A client that forges one can
// only choose where its own listing starts, because the query it is used in
// carries the same filters and the same authorisation as the first page. The
// checksum is there to tell a damaged token from a good one.
package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"packhouse/internal/fault"
)

const (
	version   = 1
	scopeSize = 8                     // bytes of the SHA-256 over the listing's name and filters
	headSize  = 1 + scopeSize + 4     // version, scope, CRC-32 of the key
	maxToken  = 8192                  // characters; longer ones are refused unread
	badToken  = "invalid next token"  // what the client reads, whatever is wrong with the token
	badKey    = "page: key of %T: %w" // a programming error: the key type cannot be written as JSON
	fieldName = "nextToken"           // the member the error names
)

// Listing is one paged query: its name, its filters and the type of its key.
// Make it with For.
type Listing[K any] struct {
	scope [scopeSize]byte
}

// For names a listing. Filters are all the values that decide which rows are
// listed (domain, repository, status, ...), in a fixed order; the page size is
// not one of them. K must survive a round trip through encoding/json.
func For[K any](name string, filters ...string) Listing[K] {
	h := sha256.New()
	for _, s := range append([]string{name}, filters...) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	var l Listing[K]
	copy(l.scope[:], h.Sum(nil))
	return l
}

// Token gives the token that continues after key. It uses the characters
// A-Za-z0-9-_ alone and is never empty. It panics when K cannot be written as
// JSON, which is a programming error.
func (l Listing[K]) Token(key K) string {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(key); err != nil {
		panic(fmt.Errorf(badKey, key, err))
	}
	body := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	out := make([]byte, 0, headSize+len(body))
	out = append(out, version)
	out = append(out, l.scope[:]...)
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
	return base64.RawURLEncoding.EncodeToString(append(out, body...))
}

// Key reads a token back. The empty token is the first page: ok is false.
// A damaged token, one of another listing or of other filters is a
// fault.Invalid.
func (l Listing[K]) Key(token string) (key K, ok bool, err error) {
	if token == "" {
		return key, false, nil
	}
	if len(token) > maxToken {
		return key, false, fault.Field(fieldName, badToken)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < headSize || raw[0] != version ||
		!bytes.Equal(raw[1:1+scopeSize], l.scope[:]) ||
		binary.BigEndian.Uint32(raw[1+scopeSize:]) != crc32.ChecksumIEEE(raw[headSize:]) {
		return key, false, fault.Field(fieldName, badToken)
	}
	dec := json.NewDecoder(bytes.NewReader(raw[headSize:]))
	dec.DisallowUnknownFields()
	var k K
	if err := dec.Decode(&k); err != nil {
		return key, false, fault.Field(fieldName, badToken)
	}
	if _, err := dec.Token(); err != io.EOF {
		return key, false, fault.Field(fieldName, badToken)
	}
	return k, true, nil
}

// Cut turns the rows of a query made with LIMIT limit+1 into a page: at most
// limit rows, and the token for the next page, empty when this one is the
// last. key gives the key of a row.
func Cut[T, K any](l Listing[K], rows []T, limit int, key func(T) K) (cut []T, token string) {
	if limit < 1 || len(rows) <= limit {
		return rows, ""
	}
	return rows[:limit], l.Token(key(rows[limit-1]))
}

// Turn is the part of a list that a caller asks for: the token it was given, if
// any, and how many rows it wants at most.
type Turn struct {
	Token  *string
	Limit  int
	Name   string   // of the listing
	Filter []string // see For
}

// Part gives a part of a list: load gives up to limit rows after a key, in the
// order of key. next is the token of the next part, nil at the end.
func Part[T, K any](t Turn, load func(after K, limit int) ([]T, error), key func(T) K) (rows []T, next *string, err error) {
	list := For[K](t.Name, t.Filter...)
	var after K
	if t.Token != nil {
		if after, _, err = list.Key(*t.Token); err != nil {
			return nil, nil, err
		}
	}
	all, err := load(after, t.Limit+1)
	if err != nil {
		return nil, nil, err
	}
	rows, token := Cut(list, all, t.Limit, key)
	if token != "" {
		next = &token
	}
	return rows, next, nil
}
