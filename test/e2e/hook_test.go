package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// hook is a receiver of webhooks on loopback.
type hook struct {
	mu     sync.Mutex
	server *http.Server
	status int
	away   bool
	got    []received
	news   chan struct{}
}

// received is one request to a hook.
type received struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Header http.Header     `json:"header"`
	Body   json.RawMessage `json:"body"`
	raw    []byte
}

// cmdHook is
//
//	hook start                 listen, or answer again; sets $HOOK
//	hook stop                  break off all connections; the port stays taken, or another story may get it
//	hook answer STATUS         with this from now on
//	hook await N FILE          wait for the first N requests and write them down, as a JSON array
//	hook verify SECRET         check the signatures of all requests, as Standard Webhooks says
func (s *story) cmdHook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hook start | stop | answer STATUS | await N FILE | verify SECRET")
	}
	if s.hook == nil {
		s.hook = &hook{status: http.StatusOK, news: make(chan struct{}, 1000)}
		ts.Defer(s.hook.close)
	}
	h := s.hook
	switch args[0] + " " + fmt.Sprint(len(args)) {
	case "start 1":
		h.leave(false)
		if h.server != nil {
			return
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		h.server = &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
		go func(server *http.Server) { _ = server.Serve(l) }(h.server) // it ends with the story
		ts.Setenv("HOOK", "http://"+l.Addr().String())
	case "stop 1":
		h.leave(true)
	case "answer 2":
		status, err := strconv.Atoi(args[1])
		ts.Check(err)
		h.mu.Lock()
		h.status = status
		h.mu.Unlock()
	case "await 3":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		list := h.await(ts, n)
		text, err := json.MarshalIndent(list, "", "\t")
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o644))
	case "verify 2":
		h.verify(ts, args[1])
	default:
		ts.Fatalf("hook: cannot read %q", args)
	}
}

// leave has the hook break off all requests from now on, or answer them again.
func (h *hook) leave(away bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = away
}

func (h *hook) close() {
	if h.server != nil {
		_ = h.server.Close() // nothing can be done about it
	}
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	q := received{Method: r.Method, Path: r.URL.RequestURI(), Header: r.Header, raw: body, Body: body}
	if !json.Valid(body) {
		q.Body, _ = json.Marshal(string(body)) // strings always marshal
	}
	h.mu.Lock()
	away, status := h.away, h.status
	if !away {
		h.got = append(h.got, q)
	}
	h.mu.Unlock()
	if away {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	h.news <- struct{}{}
}

func (h *hook) await(ts *testscript.TestScript, n int) []received {
	// A server that was killed holds its messages for a minute.
	late := time.After(3 * time.Minute)
	for {
		h.mu.Lock()
		list := h.got
		h.mu.Unlock()
		if len(list) >= n {
			return list[:n]
		}
		select {
		case <-h.news:
		case <-late:
			ts.Fatalf("%d of %d requests have come", len(list), n)
		}
	}
}

func (h *hook) verify(ts *testscript.TestScript, secret string) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(secret), "whsec_"))
	ts.Check(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, q := range h.got {
		mac := hmac.New(sha256.New, key)
		mac.Write(bytes.Join([][]byte{[]byte(q.Header.Get("webhook-id")), []byte(q.Header.Get("webhook-timestamp")), q.raw}, []byte(".")))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); q.Header.Get("webhook-signature") != want {
			ts.Fatalf("the signature of %s is %q, want %q", q.Header.Get("webhook-id"), q.Header.Get("webhook-signature"), want)
		}
	}
}
