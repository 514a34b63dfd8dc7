package lane

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// parse reads the head of a plain request into c.request, and tells whether it
// is plain.
//
// Plain is: GET or HEAD, a target that begins with a slash, HTTP/1.1, lines
// ended by CRLF, header fields of the RFC 9110 grammar without folding, exactly
// one Host, and none of the fields that announce a body, an upgrade or a
// connection option other than keep-alive.
func (c *conn) parse(head []byte) bool {
	end := bytes.Index(head, crlf2[:2])
	line, header := head[:end], head[end+2:]
	r := c.request
	switch {
	case bytes.HasPrefix(line, []byte("GET /")):
		r.Method, line = http.MethodGet, line[len("GET "):]
	case bytes.HasPrefix(line, []byte("HEAD /")):
		r.Method, line = http.MethodHead, line[len("HEAD "):]
	default:
		return false
	}
	line, ok := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if !ok || !c.parseTarget(line) {
		return false
	}
	// Clients repeat themselves: on one connection the header fields are
	// usually the same from request to request.
	if r.Header != nil && bytes.Equal(header, c.header) {
		return true
	}
	if !c.parseHeader(header) {
		return false
	}
	c.header = append(c.header[:0], header...)
	return true
}

// targetByte tells which bytes a target may have: those that need no escaping
// in a URL's path or query, and the percent sign.
func targetByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return strings.IndexByte("/-._~@%!$&'()*+,;=:?", b) >= 0
}

func (c *conn) parseTarget(target []byte) bool {
	r := c.request
	if string(target) == c.target { // does not allocate
		return true
	}
	simple := true
	for _, b := range target {
		if !targetByte(b) {
			return false
		}
		// These change between a path and how net/url writes it.
		simple = simple && b != '%' && b != '?' && strings.IndexByte("!$&'()*+,;=:", b) < 0
	}
	if len(target) > 1 && target[1] == '/' { // net/url reads a host there
		return false
	}
	text := string(target)
	if simple {
		*r.URL = url.URL{Path: text}
	} else {
		u, err := url.ParseRequestURI(text)
		if err != nil {
			return false
		}
		*r.URL = *u
	}
	c.target, r.RequestURI = text, text
	return true
}

// parseHeader reads the header lines, which end with an empty one, into a new
// map: the handler of an earlier request may still hold the old one.
func (c *conn) parseHeader(lines []byte) bool {
	r := c.request
	h := make(http.Header, 8)
	host := ""
	c.header = c.header[:0]
	r.Header = nil
	for {
		line, rest, ok := bytes.Cut(lines, crlf2[:2])
		if !ok {
			return false
		}
		if len(line) == 0 {
			break
		}
		lines = rest
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 {
			return false
		}
		for _, b := range name {
			if !tokenByte(b) {
				return false
			}
		}
		value = bytes.Trim(value, " \t")
		for _, b := range value {
			if b < ' ' && b != '\t' || b >= 0x7f {
				return false
			}
		}
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		text := string(value)
		switch key {
		case "Host":
			if host != "" || !plainHost(text) {
				return false
			}
			host = text
			continue // net/http moves it out of the map
		case "Content-Length", "Transfer-Encoding", "Upgrade", "Expect", "Trailer", "Te", "Proxy-Connection", "Http2-Settings", "Pragma":
			return false
		case "Connection":
			if !strings.EqualFold(text, "keep-alive") {
				return false
			}
		}
		h[key] = append(h[key], text)
	}
	if host == "" {
		return false
	}
	r.Host, r.Header = host, h
	return true
}

// plainHost tells whether a Host is a name or an address, with or without port.
// What else net/http may take or refuse is its to decide.
func plainHost(host string) bool {
	for _, b := range []byte(host) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '.', b == '-', b == '_', b == ':', b == '[', b == ']':
		default:
			return false
		}
	}
	return host != ""
}

// tokenByte is tchar of RFC 9110 section 5.6.2.
func tokenByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}
