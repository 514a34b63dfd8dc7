package ops

import (
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Request is what is said of one request when it has been answered. Nothing in
// it may be secret: the path is without query, and there are no headers but the
// user agent.
type Request struct {
	Start      time.Time
	Duration   time.Duration
	ID         string
	Method     string
	Path       string // escaped, without query
	Status     int
	In, Out    int64 // bytes of the bodies
	Client     netip.Addr
	UserAgent  string
	Principal  string // ARN; empty when nobody is known
	Format     string // npm, ...; api for the AWS API; empty for the rest
	Operation  string // a word of a small fixed set
	Repository string // owner/domain/name
	Cache      string // hit, miss or empty
	Error      string // kind of the failure; the log has the text under the same id
}

const (
	flushEvery = 100 * time.Millisecond
	flushBytes = 64 << 10 // a buffer this full is written at once
	bufferMax  = 8 << 20  // more than this waiting for a stuck writer is dropped, and counted
	keepBytes  = 1 << 20  // of a buffer kept for the next turn
	maxLogged  = 1024     // bytes of a path or user agent
)

// RequestLog writes one JSON line per request, slog-shaped, from its own
// goroutine: a request only appends to a buffer, without making garbage.
type RequestLog struct {
	w       io.Writer
	log     *slog.Logger // hears of a broken writer
	dropped atomic.Int64

	mu     sync.Mutex
	buf    []byte
	spare  []byte
	lost   int64 // dropped lines that no line has told of yet
	second int64
	stamp  [len("2006-01-02T15:04:05")]byte

	wake     chan struct{}
	stop     chan struct{}
	finished chan struct{}
}

// NewRequestLog starts the writing goroutine; Close ends it.
func NewRequestLog(w io.Writer, log *slog.Logger) *RequestLog {
	l := &RequestLog{
		w: w, log: log, second: -1,
		buf: make([]byte, 0, 2*flushBytes), spare: make([]byte, 0, 2*flushBytes),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), finished: make(chan struct{}),
	}
	go l.run()
	return l
}

// Write appends the line of a request.
func (l *RequestLog) Write(r *Request) {
	l.mu.Lock()
	if len(l.buf) > bufferMax {
		l.lost++
		l.mu.Unlock()
		l.dropped.Add(1)
		return
	}
	l.buf = l.appendLine(l.buf, r)
	full := len(l.buf) > flushBytes
	l.mu.Unlock()
	if full {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Dropped is how many lines were lost because the writer did not keep up.
func (l *RequestLog) Dropped() int64 { return l.dropped.Load() }

// Close writes what is left and ends the goroutine. Write must not be called
// afterwards.
func (l *RequestLog) Close() {
	close(l.stop)
	<-l.finished
}

func (l *RequestLog) run() {
	defer close(l.finished)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.wake:
		case <-l.stop:
			l.flush()
			return
		}
		l.flush()
	}
}

func (l *RequestLog) flush() {
	l.mu.Lock()
	out, lost := l.buf, l.lost
	l.buf, l.spare = l.spare[:0], nil
	l.lost = 0
	l.mu.Unlock()
	if lost > 0 {
		out = append(out, `{"level":"WARN","msg":"request lines dropped","count":`...)
		out = append(strconv.AppendInt(out, lost, 10), "}\n"...)
	}
	if len(out) > 0 {
		if _, err := l.w.Write(out); err != nil {
			l.log.Error("write the request log", slog.Any("error", err))
		}
	}
	if cap(out) > keepBytes {
		out = make([]byte, 0, 2*flushBytes) // a burst does not keep its memory
	}
	l.mu.Lock()
	l.spare = out[:0]
	l.mu.Unlock()
}

// appendLine is the encoder; l.mu is held for the cached time stamp.
func (l *RequestLog) appendLine(b []byte, r *Request) []byte {
	b = append(b, `{"time":"`...)
	b = l.appendTime(b, r.Start)
	b = append(b, `","level":"INFO","msg":"request","id":`...)
	b = appendString(b, r.ID)
	b = append(b, `,"method":`...)
	b = appendString(b, r.Method)
	b = append(b, `,"path":`...)
	b = appendString(b, r.Path)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, `,"ms":`...)
	b = appendMillis(b, r.Duration)
	b = append(b, `,"out":`...)
	b = strconv.AppendInt(b, r.Out, 10)
	if r.In > 0 {
		b = append(b, `,"in":`...)
		b = strconv.AppendInt(b, r.In, 10)
	}
	if r.Client.IsValid() {
		b = append(b, `,"client":"`...)
		b = r.Client.AppendTo(b)
		b = append(b, '"')
	}
	for _, f := range [...]struct{ key, value string }{
		{`,"principal":`, r.Principal},
		{`,"format":`, r.Format},
		{`,"operation":`, r.Operation},
		{`,"repository":`, r.Repository},
		{`,"cache":`, r.Cache},
		{`,"error":`, r.Error},
		{`,"agent":`, r.UserAgent},
	} {
		if f.value != "" {
			b = append(b, f.key...)
			b = appendString(b, f.value)
		}
	}
	return append(b, "}\n"...)
}

// appendTime writes UTC with milliseconds. The calendar is asked once a second.
func (l *RequestLog) appendTime(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != l.second {
		l.second = s
		t.UTC().AppendFormat(l.stamp[:0], "2006-01-02T15:04:05")
	}
	b = append(b, l.stamp[:]...)
	ms := t.Nanosecond() / 1e6
	return append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

// appendMillis writes a duration in milliseconds with three decimals.
func appendMillis(b []byte, d time.Duration) []byte {
	us := max(0, d.Microseconds())
	b = strconv.AppendInt(b, us/1000, 10)
	us %= 1000
	return append(b, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string of at most maxLogged bytes.
func appendString(b []byte, s string) []byte {
	if len(s) > maxLogged {
		s = s[:maxLogged]
	}
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		b = append(b, s[start:i]...)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= utf8.RuneSelf:
			b = append(b, `\ufffd`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
