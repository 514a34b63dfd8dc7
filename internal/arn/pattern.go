package arn

import (
	"strings"
	"unicode/utf8"
)

// Inside a Pattern these bytes stand for the wildcards. Neither can occur in
// valid UTF-8, so a literal "*" and a wildcard never look alike and patterns
// can be joined with + without any escaping.
const (
	anyRun = '\xff' // any characters, also none
	anyOne = '\xfe' // exactly one character
)

// Pattern is a compiled wildcard text; make one with Compile or Literal. Two
// patterns concatenate with +.
type Pattern string

// Compile makes a pattern in which "*" is any run of characters and "?" is any
// single one.
func Compile(glob string) Pattern {
	if !strings.ContainsAny(glob, "*?") {
		return Literal(glob)
	}
	b := []byte(strings.ToValidUTF8(glob, "\uFFFD"))
	for i, c := range b {
		switch c {
		case '*':
			b[i] = anyRun
		case '?':
			b[i] = anyOne
		}
	}
	return Pattern(b)
}

// Literal makes a pattern that matches s alone, whatever s contains.
func Literal(s string) Pattern { return Pattern(strings.ToValidUTF8(s, "\uFFFD")) }

// Cut divides p into the literal text before its first wildcard and the rest,
// which is empty when p has no wildcard.
func (p Pattern) Cut() (literal string, rest Pattern) {
	for i := range len(p) {
		if p[i] == anyRun || p[i] == anyOne {
			return string(p[:i]), p[i:]
		}
	}
	return string(p), ""
}

// IsAnyRun tells whether p is a lone "*".
func (p Pattern) IsAnyRun() bool { return len(p) == 1 && p[0] == anyRun }

// Match tells whether the whole of s matches. A colon is a character like any
// other, as in the Resource element of a policy. The cost is at most
// len(p)*len(s) steps: only the last run is ever widened.
func (p Pattern) Match(s string) bool { return p.match(s, false) }

// MatchFold is Match that ignores ASCII case; p must have been made from
// lower-case text.
func (p Pattern) MatchFold(s string) bool { return p.match(s, true) }

func (p Pattern) match(s string, fold bool) bool {
	var (
		pi, si  int
		run     = -1 // position behind the last run seen in p
		runFrom int  // where in s that run is taken to end
	)
	for si < len(s) {
		if pi < len(p) {
			c, got := p[pi], s[si]
			if fold {
				got = lower(got)
			}
			switch {
			case c == anyRun:
				pi++
				if pi == len(p) {
					return true
				}
				run, runFrom = pi, si
				continue
			case c == anyOne:
				_, n := utf8.DecodeRuneInString(s[si:])
				pi, si = pi+1, si+n
				continue
			case c == got:
				pi, si = pi+1, si+1
				continue
			}
		}
		if run < 0 {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[runFrom:])
		runFrom += n
		if c := p[run]; !fold && c != anyRun && c != anyOne {
			n := strings.IndexByte(s[runFrom:], c) // no run can end before what must follow it
			if n < 0 {
				return false
			}
			runFrom += n
		}
		pi, si = run, runFrom
	}
	for pi < len(p) && p[pi] == anyRun {
		pi++
	}
	return pi == len(p)
}

// Like compares an ARN with a pattern part by part, as the condition operators
// ArnEquals and ArnLike do: each of the six parts is matched by itself, so that
// a wildcard cannot reach over a colon, save in the last part, which may hold
// colons. A lone "*" matches every ARN. Text that is not an ARN matches nothing.
func Like(p Pattern, s string) bool {
	if strings.Count(s, ":") < 5 {
		return false
	}
	if p.IsAnyRun() {
		return true
	}
	pattern := string(p)
	for range 5 {
		want, restP, ok := strings.Cut(pattern, ":")
		got, restS, _ := strings.Cut(s, ":")
		if !ok || !Pattern(want).Match(got) {
			return false
		}
		pattern, s = restP, restS
	}
	return Pattern(pattern).Match(s)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
