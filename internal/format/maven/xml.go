package maven

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxXML bounds POMs and metadata that are looked into, in bytes. The largest
// public ones have some hundred kilobytes.
const maxXML = 4 << 20

// errNotXML says that bytes are not the document they were taken for.
var errNotXML = errors.New("not a well-formed document")

// readXML decodes a document whose root is called root into v. Old public POMs
// are not strict XML, so what Maven's own reader lets pass is let pass here:
// entities of HTML, a missing end, bytes that are not of the encoding. No entity
// is ever expanded to more than one character, since a document type is passed
// over.
func readXML[T any](doc []byte, root string, v *T) error {
	if len(doc) > maxXML {
		return fmt.Errorf("%w: larger than %d bytes", errNotXML, maxXML)
	}
	err := decodeXML(doc, root, v)
	if err == nil {
		return nil
	}
	if mended := bytes.Map(legible, doc); !bytes.Equal(mended, doc) {
		var again T
		if decodeXML(mended, root, &again) == nil {
			*v = again
			return nil
		}
	}
	return err
}

// legible replaces what no XML document may hold; bytes that are not UTF-8 come
// as U+FFFD already.
func legible(r rune) rune {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return r
	case r < ' ', r == 0xFFFE, r == 0xFFFF:
		return ' '
	}
	return r
}

func decodeXML(doc []byte, root string, v any) error {
	d := xml.NewDecoder(bytes.NewReader(doc))
	d.Strict = false
	d.Entity = xml.HTMLEntity
	d.CharsetReader = charset
	for {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: no element %s in it", errNotXML, root)
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name.Local != root {
			return fmt.Errorf("%w: its root is %.40q where %s belongs", errNotXML, start.Name.Local, root)
		}
		if err := d.DecodeElement(v, &start); err != nil {
			return fmt.Errorf("%w: %w", errNotXML, err)
		}
		return nil
	}
}

// charset reads the encodings documents were written in before all was UTF-8. All
// of them have ASCII where XML has its signs: of those that are not known, names
// and texts come out wrong and nothing else.
func charset(label string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return input, nil
	}
	return &latin1{r: input}, nil
}

// latin1 turns bytes into the characters of the same numbers.
type latin1 struct {
	r    io.Reader
	rest []byte
}

// Read implements io.Reader.
func (l *latin1) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		var raw [1024]byte
		n, err := l.r.Read(raw[:])
		for _, c := range raw[:n] {
			l.rest = append(l.rest, string(rune(c))...)
		}
		if n == 0 {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
