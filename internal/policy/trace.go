package policy

import (
	"fmt"
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
	Statement StatementRef
	Effect    Effect
	Matched   bool
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
		for _, d := range k.docs {
			if d == nil {
				continue
			}
			for i := range d.statements {
				e.Statements = append(e.Statements, d.statements[i].trace(&r, k.kind))
			}
		}
	}
	return e
}

func (s *statement) trace(r *Request, kind Kind) StatementTrace {
	t := StatementTrace{Kind: kind, Statement: s.ref, Effect: s.effect}
	if kind == Resource && r.IdentityOnly {
		t.Why = "resource policies do not count for this action"
		return t
	}
	g, m := s.match(r, kind)
	t.Matched = m.part == matched
	switch m.part {
	case matched:
		t.Why = "every element matches"
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
