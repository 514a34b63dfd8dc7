package policy

import (
	"fmt"
	"strings"
)

// ConditionContext gives the values of condition keys. Keys arrive in lower
// case ("aws:sourceip", "aws:principaltag/team"). It is asked only for keys
// that a statement mentions whose other elements match. No values means the
// same as no key. Implementations must be safe for concurrent use if the
// Request is shared.
type ConditionContext interface {
	Value(key string) (values []string, ok bool)
}

func lookup(ctx ConditionContext, key string) ([]string, bool) {
	if ctx == nil {
		return nil, false
	}
	values, ok := ctx.Value(key)
	return values, ok && len(values) > 0
}

// setPrefix says how the values of a key that has many are combined.
type setPrefix uint8

const (
	single setPrefix = iota
	forAnyValue
	forAllValues
)

var setPrefixes = [...]string{single: "", forAnyValue: "ForAnyValue:", forAllValues: "ForAllValues:"}

// condition is one key under one operator.
type condition struct {
	op          *operator
	set         setPrefix
	ifExists    bool
	key         string // lower-case
	keyText     string // as written
	values      []string
	comparisons []comparison
}

// operatorText is the operator as a document spells it.
func (c *condition) operatorText() string {
	s := setPrefixes[c.set] + c.op.name
	if c.ifExists {
		s += "IfExists"
	}
	return s
}

// parseOperator reads an operator with its prefix and suffix.
func parseOperator(text string) (condition, error) {
	c := condition{}
	name := text
	for set := forAnyValue; set <= forAllValues; set++ {
		if p := setPrefixes[set]; len(name) > len(p) && strings.EqualFold(name[:len(p)], p) {
			c.set, name = set, name[len(p):]
			break
		}
	}
	if c.op = findOperator(name); c.op == nil {
		const suffix = "IfExists"
		if n := len(name) - len(suffix); n > 0 && strings.EqualFold(name[n:], suffix) {
			c.op, c.ifExists = findOperator(name[:n]), true
		}
	}
	switch {
	case c.op == nil:
		return condition{}, fmt.Errorf("unknown operator %q", text)
	case c.op.presence && (c.ifExists || c.set != single):
		return condition{}, fmt.Errorf("operator %s takes neither a set prefix nor IfExists", c.op.name)
	}
	return c, nil
}

func (c *condition) compile(variables bool) error {
	if c.key == "" {
		return fmt.Errorf("empty condition key")
	}
	c.comparisons = make([]comparison, 0, len(c.values))
	for _, v := range c.values {
		cmp, err := c.op.compile(v, variables && c.op.variables)
		if err != nil {
			return fmt.Errorf("%s: value %q: %w", c.keyText, v, err)
		}
		c.comparisons = append(c.comparisons, cmp)
	}
	return nil
}

// holds decides the condition. Several values in the policy are alternatives
// (for negated operators: none of them may match). Several values in the
// request without a set prefix, which AWS leaves undefined: one of them must
// match, and under a negated operator none of them may. A variable without a
// value is like nothing, which satisfies negated operators (IAM guide, "Policy
// variables with no value").
func (c *condition) holds(ctx ConditionContext) bool {
	got, present := lookup(ctx, c.key)
	if c.op.presence {
		missing := "true"
		if present {
			missing = "false"
		}
		return c.compare(missing, ctx) == yes
	}
	if !present {
		switch c.set {
		case forAnyValue:
			return false
		case forAllValues:
			return true
		case single:
		}
		return c.ifExists || c.op.negated
	}
	all := c.set == forAllValues || c.set == single && c.op.negated
	for _, g := range got {
		if satisfied := (c.compare(g, ctx) == yes) != c.op.negated; satisfied != all {
			return !all
		}
	}
	return all
}

// compare is yes when any value of the policy matches got, and unresolved when
// none does and one has a variable without a value.
func (c *condition) compare(got string, ctx ConditionContext) verdict {
	result := no
	for _, cmp := range c.comparisons {
		switch cmp(got, ctx) {
		case yes:
			return yes
		case unresolved:
			result = unresolved
		case no:
		}
	}
	return result
}
