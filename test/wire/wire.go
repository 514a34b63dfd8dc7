// Package wire keeps calls that a real client of the AWS API once made, so that
// they can be made again where the client is not at hand.
//
// A recording holds neither secrets nor dates nor host names. Of a request there
// is what a server reads; of an answer the status and every value, those that
// differ from one server to the next as "*". What an answer gives and a later
// request needs (the id of an access key, the revision of a policy) stands as
// {{Name.N}} in both.
package wire

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Call is one request and what came of it.
type Call struct {
	Service string   `json:"service"` // the request was signed for
	Method  string   `json:"method"`
	Path    string   `json:"path"`
	Query   string   `json:"query,omitempty"`
	Type    string   `json:"type,omitempty"` // Content-Type
	Body    string   `json:"body,omitempty"`
	Status  int      `json:"status"`
	Answer  []string `json:"answer"` // path=value, as Members gives them
}

// Operation names what is called: the action of IAM and STS, method and path of
// the others.
func (c Call) Operation() string {
	if form, err := url.ParseQuery(c.Body); err == nil && form.Get("Action") != "" {
		return form.Get("Action")
	}
	return c.Method + " " + c.Path
}

// Load reads a recording: a line of JSON for each call.
func Load(file string) ([]Call, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var calls []Call
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c Call
		if err := json.Unmarshal(lines.Bytes(), &c, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("%s, call %d: %w", file, len(calls)+1, err)
		}
		calls = append(calls, c)
	}
	return calls, lines.Err()
}

// Save writes a recording.
func Save(file string, calls []Call) error {
	var b bytes.Buffer
	for _, c := range calls {
		line, err := json.Marshal(c, jsontext.EscapeForHTML(false))
		if err != nil {
			return err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return os.WriteFile(file, b.Bytes(), 0o644) //nolint:gosec // nothing secret is in a recording
}

// changing are the members that no two servers give alike.
var changing = regexp.MustCompile(`(?i)(^|[./])(([a-z]*date|createdTime|expiration|[a-z]*time)|(user|role|group|policy|provider)Id|secretAccessKey|sessionToken|` +
	`authorizationToken|message|requestId|userUniqueId)$`)

// Members flattens an answer, in XML or JSON: "path=value" for each value, in
// the order of the answer, with the values of what changes from server to
// server as "*".
func Members(text []byte) ([]string, error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, nil
	}
	var m members
	var err error
	if text[0] == '<' {
		err = m.xml(text)
	} else {
		err = m.json(text)
	}
	return m, err
}

type members []string

func (m *members) add(path, value string) {
	if changing.MatchString(path) && value != "" {
		value = "*"
	}
	*m = append(*m, path+"="+value)
}

func (m *members) json(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	m.value("", v)
	return nil
}

func (m *members) value(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			m.add(path, "{}")
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			m.value(strings.TrimPrefix(path+"."+key, "."), v[key])
		}
	case []any:
		if len(v) == 0 {
			m.add(path, "[]")
		}
		for i, each := range v {
			m.value(fmt.Sprintf("%s.%d", path, i), each)
		}
	default:
		m.add(path, fmt.Sprint(v))
	}
}

// element is any element of XML.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

func (m *members) xml(text []byte) error {
	var root element
	if err := xml.Unmarshal(text, &root); err != nil {
		return err
	}
	m.children(root.XMLName.Local, root)
	return nil
}

func (m *members) children(path string, e element) {
	if len(e.Children) == 0 {
		m.add(path, e.Text)
	}
	for _, child := range e.Children {
		m.children(path+"."+child.XMLName.Local, child) // lists of IAM have no order: each element is "member"
	}
}

// named are the members whose values later requests hold.
var named = regexp.MustCompile(`(?:^|\.)(AccessKeyId|revision)$`)

// Names gives values of answers their names: the first id of an access key is
// {{AccessKeyId.1}}, and the address of the server is {{server}}. The zero value knows none.
type Names struct {
	values, names []string // values[i] is called names[i]
	count         map[string]int
}

// Server names the address of the server.
func (n *Names) Server(url string) { n.add(url, "{{server}}") }

func (n *Names) add(value, name string) {
	n.values, n.names = append(n.values, value), append(n.names, name)
}

// Learn takes what is to be named from the members of an answer.
func (n *Names) Learn(answer []string) {
	for _, member := range answer {
		path, value, _ := strings.Cut(member, "=")
		found := named.FindStringSubmatch(path)
		if found == nil || value == "" || slices.Contains(n.values, value) {
			continue
		}
		if n.count == nil {
			n.count = map[string]int{}
		}
		n.count[found[1]]++
		n.add(value, fmt.Sprintf("{{%s.%d}}", found[1], n.count[found[1]]))
	}
}

// Hide puts names for what has one.
func (n *Names) Hide(s string) string {
	for i, value := range n.values {
		s = strings.ReplaceAll(s, value, n.names[i])
	}
	return s
}

// Show puts back what the names stand for.
func (n *Names) Show(s string) string {
	for i, name := range n.names {
		s = strings.ReplaceAll(s, name, n.values[i])
	}
	return s
}

// Recorder is a proxy before a server that writes down what some clients send.
// Clients sign for the proxy's address, which is what the server is told as
// Host.
type Recorder struct {
	proxy *httputil.ReverseProxy
	agent *regexp.Regexp

	mu    sync.Mutex
	names Names
	calls []Call
	err   error
}

// NewRecorder makes a recorder before the server at target, of clients whose
// User-Agent matches. Others it lets pass.
func NewRecorder(target *url.URL, agent *regexp.Regexp) *Recorder {
	r := &Recorder{agent: agent}
	r.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host // it is signed
		},
		Transport: &http.Transport{DisableCompression: true},
	}
	return r
}

var scope = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request`)

// ServeHTTP passes a call on.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !r.agent.MatchString(req.UserAgent()) {
		r.proxy.ServeHTTP(w, req)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	call := Call{
		Method: req.Method, Path: req.URL.EscapedPath(), Query: req.URL.RawQuery,
		Type: req.Header.Get("Content-Type"), Body: string(body),
	}
	if found := scope.FindStringSubmatch(req.Header.Get("Authorization")); found != nil {
		call.Service = found[1]
	}
	answer := &copied{ResponseWriter: w, status: http.StatusOK}
	r.proxy.ServeHTTP(answer, req)
	r.keep("http://"+req.Host, call, answer)
}

func (r *Recorder) keep(self string, call Call, answer *copied) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) == 0 {
		r.names.Server(self)
	}
	list, err := Members(answer.text.Bytes())
	if err != nil {
		r.err = errors.Join(r.err, fmt.Errorf("the answer to %s: %w", call.Operation(), err))
	}
	r.names.Learn(list)
	call.Status = answer.status
	for _, s := range []*string{&call.Path, &call.Query, &call.Body} {
		*s = r.names.Hide(*s)
	}
	for _, member := range list {
		call.Answer = append(call.Answer, r.names.Hide(member))
	}
	r.calls = append(r.calls, call)
}

// Calls gives what has passed, in the order in which it was answered, without
// those that had the same answer as the last time.
func (r *Recorder) Calls() ([]Call, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var calls []Call
	last := map[string]string{}
	for _, c := range r.calls {
		request, answer := fmt.Sprint(c.Service, c.Method, c.Path, c.Query, c.Body), fmt.Sprint(c.Status, c.Answer)
		if last[request] != answer {
			calls = append(calls, c)
		}
		last[request] = answer
	}
	return calls, r.err
}

// copied keeps what is answered.
type copied struct {
	http.ResponseWriter
	status int
	text   bytes.Buffer
}

func (c *copied) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *copied) Write(p []byte) (int, error) {
	c.text.Write(p)
	return c.ResponseWriter.Write(p)
}
