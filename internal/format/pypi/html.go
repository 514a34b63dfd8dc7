package pypi

import (
	"bytes"
	"html"
	"net/url"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// element is a start tag with its attributes, names in lower case.
type element struct {
	name  string
	attrs map[string]string
}

// elements calls visit for each start tag of an HTML document. It follows as
// much of the grammar as an index of links needs: comments are passed over,
// attribute values may stand in quotes of both kinds or in none, and character
// references are resolved.
func elements(doc []byte, visit func(e element)) {
	for {
		at := bytes.IndexByte(doc, '<')
		if at < 0 {
			return
		}
		doc = doc[at+1:]
		if bytes.HasPrefix(doc, []byte("!--")) {
			end := bytes.Index(doc[len("!--"):], []byte("-->"))
			if end < 0 {
				return
			}
			doc = doc[len("!--")+end+len("-->"):]
			continue
		}
		if len(doc) == 0 || !alphanumeric(doc[0]) {
			continue
		}
		end := 0
		for end < len(doc) && !isSpace(doc[end]) && doc[end] != '>' && doc[end] != '/' {
			end++
		}
		e := element{name: strings.ToLower(string(doc[:end]))}
		e.attrs, doc = attributes(doc[end:], e.name == "a" || e.name == "base" || e.name == "meta")
		visit(e)
	}
}

// attributes reads up to the end of a tag; without keep it only finds that.
func attributes(doc []byte, keep bool) (attrs map[string]string, rest []byte) {
	for {
		for len(doc) > 0 && (isSpace(doc[0]) || doc[0] == '/') {
			doc = doc[1:]
		}
		if len(doc) == 0 {
			return attrs, nil
		}
		if doc[0] == '>' {
			return attrs, doc[1:]
		}
		end := 1 // a stray = is part of a name
		for end < len(doc) && !isSpace(doc[end]) && doc[end] != '=' && doc[end] != '>' && doc[end] != '/' {
			end++
		}
		name := doc[:end]
		doc = doc[end:]
		for len(doc) > 0 && isSpace(doc[0]) {
			doc = doc[1:]
		}
		var value []byte
		if len(doc) > 0 && doc[0] == '=' {
			value, doc = attributeValue(doc[1:])
		}
		if !keep {
			continue
		}
		if attrs == nil {
			attrs = map[string]string{}
		}
		if key := strings.ToLower(string(name)); len(attrs) < maxAttributes {
			if _, twice := attrs[key]; !twice {
				attrs[key] = html.UnescapeString(clean(value))
			}
		}
	}
}

const maxAttributes = 32

func attributeValue(doc []byte) (value, rest []byte) {
	for len(doc) > 0 && isSpace(doc[0]) {
		doc = doc[1:]
	}
	if len(doc) == 0 {
		return nil, nil
	}
	if quote := doc[0]; quote == '"' || quote == '\'' {
		value, rest, _ = bytes.Cut(doc[1:], []byte{quote})
		return value, rest
	}
	end := 0
	for end < len(doc) && !isSpace(doc[end]) && doc[end] != '>' {
		end++
	}
	return doc[:end], doc[end:]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

// readHTML reads the HTML form (PEP 503, 592, 629, 658, 714, 740, 792). A page
// that neither says it is an index nor links to a file of the project is taken
// for something else: a log-in page must not pass for a project without files.
func (p *page) readHTML(c artifact.Coordinates, body []byte) error {
	index, based := bytes.Contains(body, []byte("Links for ")), false
	var unsound error
	elements(body, func(e element) {
		switch e.name {
		case "base":
			if at, err := p.base.Parse(e.attrs["href"]); err == nil && e.attrs["href"] != "" && !based {
				p.base, based = at, true
			}
		case "meta":
			switch content := e.attrs["content"]; e.attrs["name"] {
			case "pypi:repository-version":
				index = true
				if major, _, _ := strings.Cut(content, "."); major != "1" {
					unsound = fault.New(fault.Upstream, "the remote's page about %s has version %q; 1 is understood", c.Name, clip(content))
				}
			case "pypi:project-status":
				p.status.Status = content
			case "pypi:project-status-reason":
				p.status.Reason = content
			}
		case "a":
			if p.link(c, e.attrs) {
				index = true
			}
		}
	})
	if unsound != nil {
		return unsound
	}
	if !index {
		return fault.New(fault.Upstream, "the remote's page about %s is not that of an index", c.Name)
	}
	return nil
}

// link takes an anchor and tells whether it leads to a file of the project.
func (p *page) link(c artifact.Coordinates, attrs map[string]string) bool {
	at, err := url.Parse(strings.TrimSpace(attrs["href"]))
	if err != nil || attrs["href"] == "" {
		return false
	}
	f := file{Name: fileNameOf(at), RequiresPython: attrs["data-requires-python"], Provenance: attrs["data-provenance"]}
	if _, ok := parseFileName(f.Name, c.Name); !ok {
		return false
	}
	for _, name := range []string{"data-core-metadata", "data-dist-info-metadata"} {
		if text, ok := attrs[name]; ok && text != "false" {
			f.CoreMetadata = claimOf(text)
			break
		}
	}
	if reason, ok := attrs["data-yanked"]; ok {
		f.Yanked = yanked{Yes: true, Reason: reason}
	}
	p.add(f, at.String())
	return true
}

// claimOf reads sha256=HEX, or true.
func claimOf(text string) claim {
	c := claim{There: true}
	if algorithm, sum, ok := strings.Cut(text, "="); ok && algorithm == "sha256" {
		c.SHA256 = knownHashes(map[string]string{"sha256": sum})["sha256"]
	}
	return c
}
