package policy

import (
	"encoding/base64"
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"packhouse/internal/arn"
)

// operator is one condition operator. The suffix IfExists and the prefixes
// ForAnyValue: and ForAllValues: are not part of it.
type operator struct {
	name      string
	negated   bool // true when no value may match, and when the key is missing
	presence  bool // Null: asks for the key, not for its values
	variables bool // policy variables are replaced in its values (string and ARN operators)
	compile   func(text string, variables bool) (comparison, error)
}

// comparison compares one value of the request with one value of the policy.
type comparison func(got string, ctx ConditionContext) verdict

// operators is the whole list (specification 6.4). A negated operator has the
// comparison of its positive twin.
var operators = [...]operator{
	{name: "StringEquals", variables: true, compile: stringEquals},
	{name: "StringNotEquals", variables: true, compile: stringEquals, negated: true},
	{name: "StringEqualsIgnoreCase", variables: true, compile: stringEqualsIgnoreCase},
	{name: "StringNotEqualsIgnoreCase", variables: true, compile: stringEqualsIgnoreCase, negated: true},
	{name: "StringLike", variables: true, compile: stringLike},
	{name: "StringNotLike", variables: true, compile: stringLike, negated: true},
	{name: "ArnEquals", variables: true, compile: arnLike}, // AWS: the same as ArnLike
	{name: "ArnNotEquals", variables: true, compile: arnLike, negated: true},
	{name: "ArnLike", variables: true, compile: arnLike},
	{name: "ArnNotLike", variables: true, compile: arnLike, negated: true},
	{name: "NumericEquals", compile: numeric(func(order int) bool { return order == 0 })},
	{name: "NumericNotEquals", compile: numeric(func(order int) bool { return order == 0 }), negated: true},
	{name: "NumericLessThan", compile: numeric(func(order int) bool { return order < 0 })},
	{name: "NumericLessThanEquals", compile: numeric(func(order int) bool { return order <= 0 })},
	{name: "NumericGreaterThan", compile: numeric(func(order int) bool { return order > 0 })},
	{name: "NumericGreaterThanEquals", compile: numeric(func(order int) bool { return order >= 0 })},
	{name: "DateEquals", compile: date(func(order int) bool { return order == 0 })},
	{name: "DateNotEquals", compile: date(func(order int) bool { return order == 0 }), negated: true},
	{name: "DateLessThan", compile: date(func(order int) bool { return order < 0 })},
	{name: "DateLessThanEquals", compile: date(func(order int) bool { return order <= 0 })},
	{name: "DateGreaterThan", compile: date(func(order int) bool { return order > 0 })},
	{name: "DateGreaterThanEquals", compile: date(func(order int) bool { return order >= 0 })},
	{name: "Bool", compile: boolean},
	{name: "BinaryEquals", compile: binaryEquals},
	{name: "IpAddress", compile: ipAddress},
	{name: "NotIpAddress", compile: ipAddress, negated: true},
	{name: "Null", compile: boolean, presence: true},
}

// findOperator knows names in any case, as AWS does.
func findOperator(name string) *operator {
	for i := range operators {
		if strings.EqualFold(operators[i].name, name) {
			return &operators[i]
		}
	}
	return nil
}

func stringEquals(text string, variables bool) (comparison, error) {
	return compareText(text, variables, func(got, want string) bool { return got == want })
}

func stringEqualsIgnoreCase(text string, variables bool) (comparison, error) {
	return compareText(text, variables, strings.EqualFold)
}

func compareText(text string, variables bool, equal func(got, want string) bool) (comparison, error) {
	t, err := parseTemplate(text, variables, false)
	if err != nil {
		return nil, err
	}
	return func(got string, ctx ConditionContext) verdict {
		want, ok := t.expand(ctx)
		if !ok {
			return unresolved
		}
		return verdictOf(equal(got, string(want)))
	}, nil
}

func stringLike(text string, variables bool) (comparison, error) {
	t, err := parseTemplate(text, variables, true)
	if err != nil {
		return nil, err
	}
	return func(got string, ctx ConditionContext) verdict {
		want, ok := t.expand(ctx)
		if !ok {
			return unresolved
		}
		return verdictOf(want.Match(got))
	}, nil
}

// arnLike replaces variables after the pattern is cut into its six parts, so
// that a value with a colon cannot move a part. A pattern of fewer parts, such
// as a lone variable that holds a whole ARN, is cut afterwards.
func arnLike(text string, variables bool) (comparison, error) {
	t, err := parseTemplate(text, variables, true)
	if err != nil {
		return nil, err
	}
	parts := splitTemplate(t)
	if t.isFixed() || len(parts) != 6 {
		return func(got string, ctx ConditionContext) verdict {
			want, ok := t.expand(ctx)
			if !ok {
				return unresolved
			}
			return verdictOf(arn.Like(want, got))
		}, nil
	}
	return func(got string, ctx ConditionContext) verdict {
		gotParts := strings.SplitN(got, ":", 6)
		result := verdictOf(len(gotParts) == 6)
		for i := range parts {
			want, ok := parts[i].expand(ctx)
			if !ok {
				return unresolved
			}
			if result == yes && !want.Match(gotParts[i]) {
				result = no
			}
		}
		return result
	}, nil
}

// splitTemplate cuts t at the first five colons of its literal text.
func splitTemplate(t template) []template {
	out := []template{{}}
	for _, p := range t.parts {
		for p.key == "" && len(out) < 6 {
			before, after, found := strings.Cut(string(p.literal), ":")
			if !found {
				break
			}
			last := &out[len(out)-1]
			last.parts = append(last.parts, part{literal: arn.Pattern(before)})
			out = append(out, template{})
			p.literal = arn.Pattern(after)
		}
		last := &out[len(out)-1]
		last.parts = append(last.parts, p)
	}
	return out
}

func numeric(holds func(order int) bool) func(string, bool) (comparison, error) {
	return func(text string, _ bool) (comparison, error) {
		want, ok := parseNumber(text)
		if !ok {
			return nil, errors.New("is not a number")
		}
		return func(got string, _ ConditionContext) verdict {
			n, ok := parseNumber(got)
			switch {
			case !ok:
				return no
			case n < want:
				return verdictOf(holds(-1))
			case n > want:
				return verdictOf(holds(1))
			}
			return verdictOf(holds(0))
		}, nil
	}
}

// parseNumber reads integers and decimals, and none of the other spellings
// (hexadecimal, infinity) the Go parser knows.
func parseNumber(s string) (float64, bool) {
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

func date(holds func(order int) bool) func(string, bool) (comparison, error) {
	return func(text string, _ bool) (comparison, error) {
		want, ok := parseDate(text)
		if !ok {
			return nil, errors.New("is neither an ISO 8601 date nor seconds since 1970")
		}
		return func(got string, _ ConditionContext) verdict {
			t, ok := parseDate(got)
			return verdictOf(ok && holds(t.Compare(want)))
		}, nil
	}
}

// parseDate reads the W3C profile of ISO 8601 in all its precisions, and
// seconds since 1970. Four digits are a year.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range [...]string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(seconds, 0), err == nil
}

func boolean(text string, _ bool) (comparison, error) {
	want := strings.EqualFold(text, "true")
	if !want && !strings.EqualFold(text, "false") {
		return nil, errors.New("is neither true nor false")
	}
	return func(got string, _ ConditionContext) verdict {
		if want {
			return verdictOf(strings.EqualFold(got, "true"))
		}
		return verdictOf(strings.EqualFold(got, "false"))
	}, nil
}

// binaryEquals compares the raw bytes of the request with base64 in the policy.
func binaryEquals(text string, _ bool) (comparison, error) {
	want, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	return func(got string, _ ConditionContext) verdict { return verdictOf(got == string(want)) }, nil
}

func ipAddress(text string, _ bool) (comparison, error) {
	want, ok := parseNetwork(text)
	if !ok {
		return nil, errors.New("is neither an IP address nor a CIDR block")
	}
	return func(got string, _ ConditionContext) verdict {
		addr, err := netip.ParseAddr(got)
		return verdictOf(err == nil && want.Contains(addr.Unmap().WithZone("")))
	}, nil
}

func parseNetwork(s string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
