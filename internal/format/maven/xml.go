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
// entities of HTML, a missing end. No entity is ever expanded to more than one
// character, since a document type is passed over.
func readXML(doc []byte, root string, v any) error {
	if len(doc) > maxXML {
		return fmt.Errorf("%w: larger than %d bytes", errNotXML, maxXML)
	}
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

// charset reads the encodings documents were written in before all was UTF-8.
func charset(label string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return input, nil
	case "iso-8859-1", "iso-8859-15", "latin1", "windows-1252", "cp1252":
		return &latin1{r: input}, nil // the few signs they differ in matter to nobody
	}
	return nil, fmt.Errorf("encoding %.40q is not read here", label)
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
