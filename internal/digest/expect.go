package digest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnsupported says that an integrity string names only algorithms this
// package does not compute (such as sha384).
var ErrUnsupported = errors.New("no supported digest algorithm")

// MismatchError says that content is not what was promised.
type MismatchError struct {
	Algorithm Algorithm
	Want      []string // hex, any of them would have done
	Got       string   // hex
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s is %s, promised was %s", e.Algorithm, e.Got, strings.Join(e.Want, " or "))
}

// Expectation is what a registry or client promised of a content. The strongest
// algorithm decides; of several digests of that algorithm any may match
// (Subresource Integrity, section 3.3.4). The zero value promises nothing.
type Expectation struct {
	sums []sum
}

type sum struct {
	algorithm Algorithm
	bytes     string
}

// Expect promises every digest known in s.
func Expect(s Set) Expectation {
	var e Expectation
	for _, a := range order {
		if s.has(a) {
			e.sums = append(e.sums, sum{a, string(s.field(a))})
		}
	}
	return e
}

// ExpectHex promises one digest given in hex, as in a .sha1 file or dist.shasum.
// An empty text promises nothing.
func ExpectHex(a Algorithm, text string) (Expectation, error) {
	var s Set
	if err := s.SetHex(a, text); err != nil {
		return Expectation{}, err
	}
	return Expect(s), nil
}

// ParseSRI reads Subresource Integrity metadata: tokens "algorithm-base64" with
// white space between and optional "?options" that are ignored. Unknown
// algorithms are passed over; when nothing else is there, the error is
// ErrUnsupported. A broken digest of a known algorithm is an error, other than
// in a browser: bytes are not accepted on a promise that cannot be read. An
// empty text promises nothing.
func ParseSRI(text string) (Expectation, error) {
	var e Expectation
	unknown := false
	for token := range strings.FieldsSeq(text) {
		name, rest, ok := strings.Cut(token, "-")
		if !ok {
			return Expectation{}, fmt.Errorf("integrity %q: no dash after the algorithm", clip(token))
		}
		a, err := ParseAlgorithm(name)
		if err != nil {
			unknown = true
			continue
		}
		encoded, _, _ := strings.Cut(rest, "?")
		raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || strings.ContainsAny(encoded, "\r\n") {
			return Expectation{}, fmt.Errorf("integrity %q: not base64", clip(token))
		}
		if len(raw) != a.Size() {
			return Expectation{}, fmt.Errorf("integrity %q: %d bytes where %d belong", clip(token), len(raw), a.Size())
		}
		e.add(sum{a, string(raw)})
	}
	if unknown && len(e.sums) == 0 {
		return Expectation{}, fmt.Errorf("integrity %q: %w", clip(text), ErrUnsupported)
	}
	return e, nil
}

func clip(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

func (e *Expectation) add(s sum) {
	if !slices.Contains(e.sums, s) {
		e.sums = append(e.sums, s)
	}
}

// And joins two promises; the strongest algorithm of both decides.
func (e Expectation) And(other Expectation) Expectation {
	both := Expectation{sums: slices.Clone(e.sums)}
	for _, s := range other.sums {
		both.add(s)
	}
	return both
}

// IsZero tells whether nothing is promised.
func (e Expectation) IsZero() bool { return len(e.sums) == 0 }

// Algorithm is the strongest promised one, which decides; 0 when nothing is promised.
func (e Expectation) Algorithm() Algorithm {
	var strongest Algorithm
	for _, s := range e.sums {
		strongest = max(strongest, s.algorithm)
	}
	return strongest
}

// Set gives what is promised as a Set (the first digest of each algorithm), for
// the digests of an asset that has not been fetched yet.
func (e Expectation) Set() Set {
	var s Set
	for _, one := range slices.Backward(e.sums) {
		copy(s.field(one.algorithm), one.bytes)
	}
	return s
}

// String is the promise as Subresource Integrity metadata.
func (e Expectation) String() string {
	tokens := make([]string, len(e.sums))
	for i, s := range e.sums {
		tokens[i] = s.algorithm.String() + "-" + base64.StdEncoding.EncodeToString([]byte(s.bytes))
	}
	return strings.Join(tokens, " ")
}

// Verify compares got with the promise: nil when the strongest promised
// algorithm matches or nothing is promised, *MismatchError when it differs. A
// digest that was promised and not computed is an error too, never a fall back
// to a weaker one.
func (e Expectation) Verify(got Set) error {
	a := e.Algorithm()
	if a == 0 {
		return nil
	}
	if !got.has(a) {
		return fmt.Errorf("%s was promised and not computed", a)
	}
	var want []string
	for _, s := range e.sums {
		if s.algorithm != a {
			continue
		}
		if bytes.Equal([]byte(s.bytes), got.field(a)) {
			return nil
		}
		want = append(want, hex.EncodeToString([]byte(s.bytes)))
	}
	return &MismatchError{Algorithm: a, Want: want, Got: got.Hex(a)}
}
