package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"packhouse/internal/arn"
	"packhouse/internal/fault"
)

// Parse reads and compiles a document. It is as lenient as AWS about form (a
// string wherever a list may stand, operators in any case, numbers and
// booleans as condition values) and strict about sense: unknown or doubled
// elements, operators and versions, empty lists, and values an operator cannot
// compare are refused, because a statement that silently never matches is a
// hole when it is a Deny. Errors are fault.Invalid and name the statement (its
// index, and its Sid if it has one) and the element.
//
// What only some kinds of policy need is left to ValidateResourcePolicy and
// ValidateIdentityPolicy.
func Parse(text []byte) (*Document, error) {
	root, err := readJSON(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "policy document: %v", err)
	}
	d := &Document{size: utf8.RuneCount(text)}
	if err := d.parse(root, &ruler{text: text, at: Position{1, 1}}); err != nil {
		return nil, fault.New(fault.Invalid, "policy document: %v", err)
	}
	return d, nil
}

func (d *Document) parse(root node, places *ruler) error {
	if root.kind != nodeObject {
		return errors.New("want a JSON object")
	}
	var list *node
	for i := range root.members {
		m := &root.members[i]
		var err error
		switch m.name {
		case "Version":
			if d.version, err = m.value.str(); err == nil && d.version != Version2008 && d.version != Version2012 {
				err = fmt.Errorf("%q is not known; want %q", d.version, Version2012)
			}
		case "Id":
			d.id, err = m.value.str()
		case "Statement":
			list = &m.value
		default:
			err = errors.New("unknown element")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if list == nil {
		return errors.New("Statement: missing")
	}
	return d.parseStatements(list.orList(), places)
}

func (d *Document) parseStatements(list []node, places *ruler) error {
	if len(list) == 0 {
		return errors.New("Statement: must not be empty")
	}
	sids := make(map[string]bool, len(list))
	d.statements = make([]statement, len(list))
	for i := range list {
		s := &d.statements[i]
		s.ref.Index = i
		err := s.parse(list[i], d.version == Version2012)
		if err == nil && s.ref.Sid != "" && sids[s.ref.Sid] {
			err = errors.New("Sid: used twice")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.ref.where(), err)
		}
		s.ref.Start, s.ref.End = places.position(list[i].from), places.position(list[i].to)
		sids[s.ref.Sid] = true
		d.hasDeny = d.hasDeny || s.effect == Deny
	}
	return nil
}

// ruler turns offsets into positions; it is asked for growing ones.
type ruler struct {
	text []byte
	next int64
	at   Position // of next
}

func (r *ruler) position(offset int64) Position {
	for r.next < offset {
		_, size := utf8.DecodeRune(r.text[r.next:])
		if r.text[r.next] == '\n' {
			r.at = Position{r.at.Line + 1, 0}
		}
		r.at.Column++
		r.next += int64(size)
	}
	return r.at
}

// String names the statement and its document.
func (r StatementRef) String() string {
	if r.Document == "" {
		return r.where()
	}
	return r.where() + " of " + r.Document
}

// where names the statement in an error.
func (r StatementRef) where() string {
	if r.Sid == "" {
		return fmt.Sprintf("Statement[%d]", r.Index)
	}
	return fmt.Sprintf("Statement[%d] (Sid %q)", r.Index, r.Sid)
}

func (s *statement) parse(n node, variables bool) error {
	if n.kind != nodeObject {
		return errors.New("want a JSON object")
	}
	seen := map[string]bool{}
	for _, m := range n.members {
		seen[m.name] = true
		if m.name == "Sid" { // first, so that every later error can name it
			sid, err := m.value.str()
			if err != nil {
				return fmt.Errorf("Sid: %w", err)
			}
			s.ref.Sid = sid
		}
	}
	for _, name := range [...]string{"Principal", "Action", "Resource"} {
		if seen[name] && seen["Not"+name] {
			return fmt.Errorf("%s and Not%s exclude each other", name, name)
		}
	}
	for _, m := range n.members {
		if err := s.parseElement(m, variables); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	switch {
	case !seen["Effect"]:
		return errors.New("Effect: missing")
	case !seen["Action"] && !seen["NotAction"]:
		return errors.New("Action: missing")
	case s.principals != nil && s.principals.negated && s.effect == Allow:
		return errors.New("NotPrincipal: must not be used with Effect Allow")
	}
	return nil
}

func (s *statement) parseElement(m member, variables bool) error {
	var err error
	switch m.name {
	case "Sid":
	case "Effect":
		var text string
		if text, err = m.value.str(); err == nil && text != "Allow" && text != "Deny" {
			err = fmt.Errorf("%q is neither Allow nor Deny", text)
		}
		s.effect = text == "Allow"
	case "Principal", "NotPrincipal":
		s.principals, err = parsePrincipals(m.value, m.name == "NotPrincipal")
	case "Action", "NotAction":
		s.actions.negated = m.name == "NotAction"
		err = s.actions.parse(m.value)
	case "Resource", "NotResource":
		s.resources.present, s.resources.negated = true, m.name == "NotResource"
		err = s.resources.parse(m.value, variables)
	case "Condition":
		s.conditions, err = parseConditions(m.value, variables)
	default:
		err = errors.New("unknown element")
	}
	return err
}

func (a *actions) parse(n node) error {
	var err error
	if a.text, err = n.strs(); err != nil {
		return err
	}
	for _, text := range a.text {
		service, name, ok := strings.Cut(text, ":")
		if text != "*" && (!ok || service == "" || name == "" || strings.ContainsAny(text, " \t\r\n")) {
			return fmt.Errorf("%q is not an action: want \"*\" or service:Name", text)
		}
		a.patterns = append(a.patterns, newGlob(arn.Compile(strings.ToLower(text))))
	}
	return nil
}

func (rs *resources) parse(n node, variables bool) error {
	var err error
	if rs.text, err = n.strs(); err != nil {
		return err
	}
	for _, text := range rs.text {
		if text != "*" && !strings.HasPrefix(text, "arn:") {
			return fmt.Errorf("%q is neither \"*\" nor an arn", text)
		}
		t, err := parseTemplate(text, variables, true)
		if err != nil {
			return err
		}
		if t.isFixed() {
			rs.patterns = append(rs.patterns, newGlob(t.fixed))
			continue
		}
		rs.patterns = append(rs.patterns, glob{kind: globVariable, template: &t})
	}
	return nil
}

func parsePrincipals(n node, negated bool) (*principals, error) {
	ps := &principals{negated: negated}
	if n.kind == nodeString {
		if n.text != "*" {
			return nil, fmt.Errorf("%q: want \"*\" or an object such as {\"AWS\": ...}", n.text)
		}
		ps.star = true
		ps.entries = []principalEntry{{group: "AWS", kind: entryAnybody, text: "*"}}
		return ps, nil
	}
	if n.kind != nodeObject || len(n.members) == 0 {
		return nil, errors.New("want \"*\" or an object such as {\"AWS\": ...}")
	}
	for _, m := range n.members {
		texts, err := m.value.strs()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		for _, text := range texts {
			e, err := parsePrincipalEntry(m.name, text)
			if err != nil {
				return nil, err
			}
			ps.entries = append(ps.entries, e)
		}
	}
	return ps, nil
}

func parseConditions(n node, variables bool) ([]condition, error) {
	if n.kind != nodeObject {
		return nil, errors.New("want an object of operators")
	}
	var out []condition
	seen := map[string]bool{}
	for _, m := range n.members {
		head, err := parseOperator(m.name)
		if err != nil {
			return nil, err
		}
		if name := head.operatorText(); seen[name] {
			return nil, fmt.Errorf("operator %s used twice", name)
		}
		seen[head.operatorText()] = true
		if m.value.kind != nodeObject {
			return nil, fmt.Errorf("%s: want an object of condition keys", m.name)
		}
		for _, k := range m.value.members {
			c := head
			c.keyText, c.key = k.name, strings.ToLower(k.name)
			if c.values, err = k.value.scalars(); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", m.name, k.name, err)
			}
			if err := c.compile(variables); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
			out = append(out, c)
		}
	}
	return out, nil
}
