package lane

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// writer is the response writer of a plain request. Head and body leave together
// when the body is small or comes in one piece.
type writer struct {
	conn   *conn
	header http.Header
	isHead bool // the request is a HEAD

	status  int
	length  int64 // declared Content-Length, -1 when none
	written int64 // body bytes taken
	sent    bool  // the head has left
	chunked bool
	noBody  bool // the status has none, or isHead
	broken  bool // the connection cannot go on
	closing bool // the handler asked to close

	out  []byte // what is put together to be sent
	body []byte // body held back until its length is known
}

// holdLimit is how many bytes of body are held back or copied to leave in one
// piece with the head.
const holdLimit = 16 << 10

var outs = sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool is shared by nature
	b := make([]byte, 0, holdLimit+2<<10)
	return &b
}}

func (w *writer) reset(isHead bool, out []byte) {
	clear(w.header)
	*w = writer{conn: w.conn, header: w.header, isHead: isHead, length: -1, out: out}
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter; only its first call counts, and
// informational statuses are not sent.
func (w *writer) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status = status
	w.noBody = w.isHead || status == http.StatusNoContent || status == http.StatusNotModified
	if text := w.header["Content-Length"]; len(text) == 1 {
		if n, err := strconv.ParseInt(text[0], 10, 64); err == nil && n >= 0 {
			w.length = n
		}
	}
	if w.length < 0 {
		delete(w.header, "Content-Length")
	}
	if c := w.header["Connection"]; len(c) > 0 {
		w.closing = strings.EqualFold(c[0], "close")
		delete(w.header, "Connection")
	}
	delete(w.header, "Transfer-Encoding") // ours to decide
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch {
	case w.isHead:
		return len(p), nil
	case w.noBody:
		return 0, http.ErrBodyNotAllowed
	case w.broken:
		return 0, net.ErrClosed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		w.broken = true
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if !w.sent && w.length < 0 && len(w.body)+len(p) <= holdLimit {
		w.body = append(w.body, p...)
		return len(p), nil
	}
	if err := w.send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send sends the head, if it is still here, what is held back, and p.
func (w *writer) send(p []byte) error {
	if !w.sent {
		w.chunked = w.length < 0 && !w.noBody
		w.head(-1)
		w.chunk(w.body)
		w.body = nil
	}
	err := w.conn.out.renew()
	switch {
	case err != nil:
	case w.chunked || len(w.out)+len(p) <= cap(w.out):
		w.chunk(p)
		_, err = w.conn.net.Write(w.out)
	case len(w.out) == 0:
		_, err = w.conn.net.Write(p)
	default:
		pieces := net.Buffers{w.out, p}
		_, err = pieces.WriteTo(w.conn.net)
	}
	w.out = w.out[:0]
	w.broken = w.broken || err != nil
	return err
}

// chunk puts a piece of body behind what is to be sent.
func (w *writer) chunk(p []byte) {
	if len(p) == 0 { // an empty chunk would end the body
		return
	}
	if !w.chunked {
		w.out = append(w.out, p...)
		return
	}
	w.out = strconv.AppendInt(w.out, int64(len(p)), 16)
	w.out = append(w.out, crlf2[:2]...)
	w.out = append(w.out, p...)
	w.out = append(w.out, crlf2[:2]...)
}

// ReadFrom lets the kernel send files.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	w.WriteHeader(http.StatusOK)
	if w.noBody || w.length < 0 || w.conn.out.tcp == nil || w.broken {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	if !w.sent {
		if err := w.send(nil); err != nil {
			return 0, err
		}
	}
	left := w.length - w.written
	if limited, ok := src.(*io.LimitedReader); !ok || limited.N > left { // sendfile looks through one limit, not two
		src = io.LimitReader(src, left)
	}
	n, err := w.conn.out.ReadFrom(src)
	w.written += n
	w.broken = w.broken || err != nil
	return n, err
}

// FlushError sends what is held back; http.ResponseController looks for it.
func (w *writer) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.sent || w.broken {
		return nil
	}
	return w.send(nil)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// finish sends what is left and tells whether the connection may go on.
func (w *writer) finish() bool {
	w.WriteHeader(http.StatusOK)
	if w.broken {
		return false
	}
	if !w.sent {
		if w.length < 0 && !w.noBody {
			w.length = int64(len(w.body))
		}
		w.head(w.length)
		w.out = append(w.out, w.body...)
		if _, err := w.conn.out.Write(w.out); err != nil {
			return false
		}
	} else if w.chunked {
		if _, err := io.WriteString(w.conn.out, "0\r\n\r\n"); err != nil {
			return false
		}
	}
	// Less than declared: the client must not take it for complete.
	return !w.closing && (w.noBody || w.chunked || w.written == w.length)
}

// head puts the status line and header in front of what is to be sent. length
// is declared where the handler has not; -1 leaves it out.
func (w *writer) head(length int64) {
	w.sent = true
	b := append(w.out[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(w.status)...)
	b = append(b, "\r\nDate: "...)
	b = append(b, date()...)
	for name, values := range w.header {
		if name == "Date" {
			continue
		}
		for _, v := range values {
			b = append(b, crlf2[:2]...)
			b = append(b, name...)
			b = append(b, ": "...)
			b = appendValue(b, v)
		}
	}
	_, declared := w.header["Content-Length"]
	switch {
	case w.chunked:
		b = append(b, "\r\nTransfer-Encoding: chunked"...)
	case !declared && length >= 0 && !w.noBody:
		b = append(b, "\r\nContent-Length: "...)
		b = strconv.AppendInt(b, length, 10)
	}
	if w.closing {
		b = append(b, "\r\nConnection: close"...)
	}
	w.out = append(b, crlf2...)
}

// appendValue keeps a value from ending its line.
func appendValue(b []byte, v string) []byte {
	if strings.IndexByte(v, '\n') < 0 && strings.IndexByte(v, '\r') < 0 {
		return append(b, v...)
	}
	for _, c := range []byte(v) {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		b = append(b, c)
	}
	return b
}

// stamp is the text of the current second.
type stamp struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[stamp] //nolint:gochecknoglobals // a clock is one

func date() string {
	now := time.Now()
	if s := lastDate.Load(); s != nil && s.second == now.Unix() {
		return s.text
	}
	s := &stamp{now.Unix(), now.UTC().Format(http.TimeFormat)}
	lastDate.Store(s)
	return s.text
}
