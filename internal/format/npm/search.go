package npm

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// Bounds of a search page, as npm's own registry has them.
const (
	defaultPage = 20
	largestPage = 250
)

// results is the answer of -/v1/search (REGISTRY-API.md). The scores are
// there because clients read them; the order is the registry's.
type results struct {
	Objects []hit  `json:"objects"`
	Total   int    `json:"total"`
	Time    string `json:"time"`
}

type hit struct {
	Package     hitPackage `json:"package"`
	Score       score      `json:"score"`
	SearchScore float64    `json:"searchScore"`
}

type score struct {
	Final  float64            `json:"final"`
	Detail map[string]float64 `json:"detail"`
}

type hitPackage struct {
	Name        string            `json:"name"`
	Scope       string            `json:"scope"`
	Version     string            `json:"version"`
	Description string            `json:"description,omitempty"`
	Keywords    []string          `json:"keywords"`
	Date        string            `json:"date,omitempty"`
	License     string            `json:"license,omitempty"`
	Links       map[string]string `json:"links"`
	Author      jsontext.Value    `json:"author,omitempty"`
	Publisher   person            `json:"publisher"`
	Maintainers []person          `json:"maintainers"`
}

type person struct {
	Username string `json:"username,omitempty"`
	Email    string `json:"email,omitempty"`
}

func search(w http.ResponseWriter, r *format.Request) error {
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the query cannot be read")
	}
	size, err := count(query, "size", defaultPage)
	if err != nil {
		return err
	}
	from, err := count(query, "from", 0)
	if err != nil {
		return err
	}
	found, total, err := r.Repo.Search(r.Context(), artifact.NPM, query.Get("text"), from, min(size, largestPage))
	if err != nil {
		return err
	}
	answer := results{Objects: make([]hit, 0, len(found)), Total: total}
	for i := range found {
		answer.Objects = append(answer.Objects, hitOf(&found[i]))
		if at := found[i].Published.UTC().Format(timeFormat); at > answer.Time && !found[i].Published.IsZero() {
			answer.Time = at
		}
	}
	body, err := json.Marshal(answer, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return err
	}
	return format.Respond(w, http.StatusOK, jsonType, body)
}

// count reads a whole number of the query that is not negative.
func count(query url.Values, name string, otherwise int) (int, error) {
	text := query.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fault.Field(name, "not a number of results: %q", clip(text))
	}
	return n, nil
}

func hitOf(f *registry.Found) hit {
	p := hitPackage{
		Name:        fullName(f.Coordinates),
		Scope:       f.Coordinates.Namespace,
		Version:     f.Version,
		Keywords:    []string{},
		Links:       map[string]string{},
		Maintainers: []person{},
	}
	if p.Scope == "" {
		p.Scope = "unscoped"
	}
	if !f.Published.IsZero() {
		p.Date = f.Published.UTC().Format(timeFormat)
	}
	c, _ := walk(f.Manifest)
	for m, more := c.next(); more; m, more = c.next() {
		v := m.value.of(f.Manifest)
		switch string(m.name) {
		case "description":
			p.Description = string(unquoted(v))
		case "license":
			p.License = textOr(v, "type")
		case "homepage":
			p.link("homepage", string(unquoted(v)))
		case "repository":
			p.link("repository", textOr(v, "url"))
		case "bugs":
			p.link("bugs", textOr(v, "url"))
		case "author":
			if v[0] == '{' {
				p.Author = v
			}
		case "_npmUser":
			p.Publisher = personOf(v)
		case "keywords":
			for _, item := range items(v) {
				if word := string(unquoted(item)); word != "" {
					p.Keywords = append(p.Keywords, word)
				}
			}
		case "maintainers":
			for _, item := range items(v) {
				if who := personOf(item); who != (person{}) {
					p.Maintainers = append(p.Maintainers, who)
				}
			}
		}
	}
	return hit{Package: p, Score: score{Final: 1, Detail: map[string]float64{"quality": 1, "popularity": 1, "maintenance": 1}}, SearchScore: 1}
}

func (p *hitPackage) link(kind, url string) {
	if url != "" {
		p.Links[kind] = url
	}
}

func personOf(v []byte) person {
	if text := unquoted(v); text != nil {
		return person{Username: string(text)}
	}
	return person{Username: stringMember(v, "name"), Email: stringMember(v, "email")}
}

// items are the elements of an array; none for anything else.
func items(v []byte) []jsontext.Value {
	var list []jsontext.Value
	if json.Unmarshal(v, &list, jsontext.AllowInvalidUTF8(true)) != nil {
		return nil
	}
	return list
}
