package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation is a decision with everything that went into it.
type Explanation struct {
	Decision   Decision
	Statements []StatementTrace // every statement of every document, in order of evaluation
}

// StatementTrace says what one statement had to say about the request.
type StatementTrace struct {
	Kind      Kind
	Policy    int // index of the document among those of its kind
	Statement StatementRef
	Effect    Effect
	Matched   bool
	// Missing are the condition keys, as written, that the statement asks for
	// and the request has no value of. Empty when it is about another action.
	Missing []string
	// Why is a sentence for people: the element that did not match, or for a
	// resource policy how it names the caller.
	Why string
}

// Trace decides as Evaluate does and explains. It is for people who ask why,
// not for the hot path.
func Trace(r Request, p Policies) Explanation {
	e := Explanation{Decision: Evaluate(r, p)}
	kinds := [...]struct {
		kind Kind
		docs []*Document
	}{{Identity, p.Identity}, {Boundary, p.Boundary}, {Session, p.Session}, {Resource, p.Resource}}
	for _, k := range kinds {
		for at, d := range k.docs {
			if d == nil {
				continue
			}
			for i := range d.statements {
				s := &d.statements[i]
				t := s.trace(&r, k.kind, p.Boundary != nil)
				t.Policy, t.Missing = at, s.missing(&r, d.version == Version2012)
				e.Statements = append(e.Statements, t)
			}
		}
	}
	return e
}

func (s *statement) trace(r *Request, kind Kind, bounded bool) StatementTrace {
	t := StatementTrace{Kind: kind, Statement: s.ref, Effect: s.effect}
	if kind == Resource && r.IdentityOnly {
		t.Why = "resource policies do not count for this action"
		return t
	}
	g, m := s.match(r, kind, bounded)
	t.Matched = m.part == matched
	switch m.part {
	case matched:
		t.Why = "every element matches"
		if kind == Resource && bounded && s.principals != nil && s.principals.negated {
			t.Why += "; NotPrincipal exempts nobody who has a permissions boundary"
		}
		if kind == Resource && s.effect == Allow {
			t.Why = g.explain(&r.Principal)
		}
	case missedAction:
		t.Why = fmt.Sprintf("%s [%s] does not cover %s",
			notIf(s.actions.negated, "Action"), strings.Join(s.actions.text, ", "), r.Action)
	case missedResource:
		t.Why = "the statement has no Resource"
		if s.resources.present {
			t.Why = fmt.Sprintf("%s [%s] does not cover %s",
				notIf(s.resources.negated, "Resource"), strings.Join(s.resources.text, ", "), r.Resource)
		}
	case missedPrincipal:
		t.Why = "the statement has no Principal"
		if s.principals != nil {
			t.Why = fmt.Sprintf("%s does not cover %s", notIf(s.principals.negated, "Principal"), r.Principal.String())
		}
	case missedCondition:
		t.Why = s.conditions[m.condition].explain(r.Context)
	}
	return t
}

// missing gives the keys without a value that decide about the resource and,
// when that matches, about the conditions.
func (s *statement) missing(r *Request, variables bool) []string {
	if !s.actions.match(r.Action) {
		return nil
	}
	keys := s.resourceKeys(nil)
	if !s.resources.present || s.resources.match(s.effect, r.Resource, r.Context) {
		keys = s.conditionKeys(keys, variables)
	}
	return slices.DeleteFunc(distinctKeys(keys), func(key string) bool {
		_, present := lookup(r.Context, strings.ToLower(key))
		return present
	})
}

// ContextKeys are the condition keys that the document asks for, in conditions
// and policy variables, as first written and in that order.
func (d *Document) ContextKeys() []string {
	var keys []string
	for i := range d.statements {
		s := &d.statements[i]
		keys = s.conditionKeys(s.resourceKeys(keys), d.version == Version2012)
	}
	return distinctKeys(keys)
}

func (s *statement) resourceKeys(keys []string) []string {
	for i := range s.resources.patterns {
		if t := s.resources.patterns[i].template; t != nil {
			keys = t.keys(keys)
		}
	}
	return keys
}

func (s *statement) conditionKeys(keys []string, variables bool) []string {
	for i := range s.conditions {
		c := &s.conditions[i]
		keys = append(keys, c.keyText)
		for _, v := range c.values {
			if t, err := parseTemplate(v, variables && c.op.variables, true); err == nil { // it was read before
				keys = t.keys(keys)
			}
		}
	}
	return keys
}

func (t *template) keys(keys []string) []string {
	for i := range t.parts {
		if t.parts[i].key != "" && !t.parts[i].hasDefault {
			keys = append(keys, t.parts[i].keyText)
		}
	}
	return keys
}

// distinctKeys leaves out keys that differ from an earlier one in case alone.
func distinctKeys(keys []string) []string {
	seen := make(map[string]bool, len(keys))
	return slices.DeleteFunc(keys, func(key string) bool {
		known := seen[strings.ToLower(key)]
		seen[strings.ToLower(key)] = true
		return known
	})
}

func (g grant) explain(p *Principal) string {
	switch g {
	case grantAccount:
		return "names the account " + p.Account + ": its identity policies decide"
	case grantLimited:
		return "names a role or group of " + p.String() + ": permissions boundary and session policies limit it"
	case grantNone, grantDirect:
	}
	return "names " + p.String() + " or everybody"
}

func (c *condition) explain(ctx ConditionContext) string {
	got, present := lookup(ctx, c.key)
	value := "has no value"
	if present {
		value = fmt.Sprintf("is [%s]", strings.Join(got, ", "))
	}
	return fmt.Sprintf("condition %s %s [%s] does not hold: the key %s",
		c.operatorText(), c.keyText, strings.Join(c.values, ", "), value)
}
