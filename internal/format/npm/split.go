package npm

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// splitter reads a publish request once: the base64 text of
// _attachments.<file>.data goes to attach as decoded bytes, whatever its size
// and wherever it stands; all the rest is kept, with "" in its place, for a
// proper parser. The splitter follows only as much of the grammar as it needs
// to find its way.
type splitter struct {
	r      *bufio.Reader
	rest   []byte
	blank  int // bytes of white space passed over
	limit  int // bytes of rest, and of blank
	attach func(file string, data io.Reader) error
}

// maxDocument bounds a publish or deprecate request without its attachment, in
// bytes.
const maxDocument = 16 << 20

// split reads body to its end and gives what is not attachment data. attach is
// called during it; when it has left data unread, the rest is passed over.
func split(body io.Reader, limit int, attach func(file string, data io.Reader) error) ([]byte, error) {
	s := splitter{r: bufio.NewReaderSize(body, 64<<10), limit: limit, attach: attach}
	err := s.object(func(key string) error {
		if key != "_attachments" {
			return s.value()
		}
		return s.objectOr(s.attachment)
	})
	if err == nil {
		if _, err = s.peek(); errors.Is(err, io.EOF) {
			return s.rest, nil
		}
		if err == nil {
			err = malformed()
		}
	}
	if errors.Is(err, io.EOF) {
		err = fault.Wrap(fault.Invalid, io.ErrUnexpectedEOF, "the document ends early")
	}
	return nil, format.BodyError(err)
}

func malformed() error { return fault.New(fault.Invalid, "the document is not JSON") }

func (s *splitter) attachment(file string) error {
	return s.objectOr(func(key string) error {
		c, err := s.peek()
		if err != nil {
			return err
		}
		if key != "data" || c != '"' {
			return s.value()
		}
		if err := s.keep('"', '"'); err != nil {
			return err
		}
		_, _ = s.r.Discard(1)
		text := &stringReader{r: s.r}
		data := newBase64(text)
		if err := s.attach(file, data); err != nil {
			if data.err != nil && !errors.Is(data.err, io.EOF) {
				return data.err // the cause rather than what attach made of it
			}
			return err
		}
		if data.err != nil && !errors.Is(data.err, io.EOF) {
			return data.err
		}
		_, err = io.Copy(io.Discard, text)
		return err
	})
}

// peek gives the next byte that is not white space without taking it.
func (s *splitter) peek() (byte, error) {
	for {
		b, err := s.r.Peek(1)
		if err != nil {
			return 0, err
		}
		switch b[0] {
		case ' ', '\n', '\r', '\t':
			_, _ = s.r.Discard(1)
			if s.blank++; s.blank > s.limit { // a small compressed body may unfold to any number of them
				return 0, s.tooLarge()
			}
		default:
			return b[0], nil
		}
	}
}

// take takes the next byte, which must be want.
func (s *splitter) take(want byte) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != want {
		return malformed()
	}
	_, _ = s.r.Discard(1)
	return s.keep(c)
}

func (s *splitter) keep(b ...byte) error {
	if len(s.rest)+len(b) > s.limit {
		return s.tooLarge()
	}
	s.rest = append(s.rest, b...)
	return nil
}

func (s *splitter) tooLarge() error {
	return fault.New(fault.TooLarge, "the document without its attachment is larger than %d bytes", s.limit)
}

// objectOr is object where another value may stand.
func (s *splitter) objectOr(member func(key string) error) error {
	if c, err := s.peek(); err != nil || c != '{' {
		if err != nil {
			return err
		}
		return s.value()
	}
	return s.object(member)
}

// object reads an object; member reads each member's value.
func (s *splitter) object(member func(key string) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	if c, err := s.peek(); err != nil {
		return err
	} else if c == '}' {
		return s.take('}')
	}
	for {
		c, err := s.peek()
		if err != nil {
			return err
		}
		if c != '"' {
			return malformed()
		}
		start := len(s.rest)
		if err := s.value(); err != nil {
			return err
		}
		key, err := jsontext.AppendUnquote(nil, s.rest[start:])
		if err != nil && !utf8.Valid(s.rest[start:]) {
			return malformed()
		}
		if err := s.take(':'); err != nil {
			return err
		}
		if err := member(string(key)); err != nil {
			return err
		}
		if c, err = s.peek(); err != nil {
			return err
		}
		if c != ',' {
			return s.take('}')
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}

// value keeps one value of any kind.
func (s *splitter) value() error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	quoted, escaped, depth := false, false, 0
	scalar := c != '{' && c != '[' && c != '"'
	for first := true; ; first = false {
		chunk, err := s.chunk()
		if err != nil {
			return err
		}
		for i, c := range chunk {
			switch {
			case escaped:
				escaped = false
				continue
			case quoted:
				if c == '\\' {
					escaped = true
				}
				if c != '"' {
					continue
				}
				quoted = false
			case scalar:
				switch c {
				case ',', '}', ']', ':', '"', ' ', '\n', '\r', '\t':
					if first && i == 0 {
						return malformed()
					}
					return s.advance(chunk[:i])
				}
				continue
			case c == '"':
				quoted = true
				continue
			case c == '{', c == '[':
				depth++
				continue
			case c == '}', c == ']':
				depth--
			default:
				continue
			}
			if depth == 0 {
				return s.advance(chunk[:i+1])
			}
		}
		if err := s.advance(chunk); err != nil {
			return err
		}
	}
}

// chunk shows what is buffered, at least one byte.
func (s *splitter) chunk() ([]byte, error) { return buffered(s.r) }

func (s *splitter) advance(chunk []byte) error {
	if err := s.keep(chunk...); err != nil {
		return err
	}
	_, _ = s.r.Discard(len(chunk))
	return nil
}

func buffered(r *bufio.Reader) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	return r.Peek(r.Buffered())
}

// stringReader reads the text of a JSON string up to its closing quote and
// takes that too. Escapes are those of ASCII characters, which is all base64
// needs: some encoders write \/ or \u003d.
type stringReader struct {
	r    *bufio.Reader
	done bool
}

func (t *stringReader) Read(p []byte) (int, error) {
	if t.done {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	chunk, err := buffered(t.r)
	if err != nil {
		return 0, endsEarly(err)
	}
	chunk = chunk[:min(len(chunk), len(p))]
	if quote := bytes.IndexByte(chunk, '"'); quote >= 0 {
		chunk = chunk[:quote]
		t.done = bytes.IndexByte(chunk, '\\') < 0
	}
	if slash := bytes.IndexByte(chunk, '\\'); slash >= 0 {
		chunk = chunk[:slash]
		if slash == 0 {
			return t.escape(p)
		}
	}
	n := copy(p, chunk)
	_, _ = t.r.Discard(n)
	if t.done {
		_, _ = t.r.Discard(1)
		if n == 0 {
			return 0, io.EOF
		}
	}
	return n, nil
}

func (t *stringReader) escape(p []byte) (int, error) {
	b, err := t.r.Peek(2)
	if err != nil {
		return 0, endsEarly(err)
	}
	size := 2
	switch b[1] {
	case '/':
		p[0] = '/'
	case 'n':
		p[0] = '\n'
	case 'r':
		p[0] = '\r'
	case 'u':
		size = 6
		if b, err = t.r.Peek(size); err != nil {
			return 0, endsEarly(err)
		}
		text, err := jsontext.AppendUnquote(nil, []byte{'"', '\\', 'u', b[2], b[3], b[4], b[5], '"'})
		if err != nil || len(text) != 1 {
			return 0, notBase64(nil)
		}
		p[0] = text[0]
	default:
		return 0, notBase64(nil)
	}
	_, _ = t.r.Discard(size)
	return 1, nil
}

func endsEarly(err error) error {
	if errors.Is(err, io.EOF) {
		return fault.Wrap(fault.Invalid, io.ErrUnexpectedEOF, "the document ends early")
	}
	return format.BodyError(err)
}

func notBase64(cause error) error {
	return fault.Wrap(fault.Invalid, cause, "the attachment's data is not base64")
}

// base64Reader decodes and remembers what went wrong, as a fault.
type base64Reader struct {
	r   io.Reader
	err error
}

func newBase64(text io.Reader) *base64Reader {
	return &base64Reader{r: base64.NewDecoder(base64.StdEncoding, text)}
}

func (b *base64Reader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	if err == nil {
		return n, nil
	}
	if _, ok := errors.AsType[*fault.Error](err); !ok && !errors.Is(err, io.EOF) {
		err = notBase64(err)
	}
	b.err = err
	return n, err
}
