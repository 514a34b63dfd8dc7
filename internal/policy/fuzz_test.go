package policy

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// seedDocuments are all documents of the tables and one of each condition.
func seedDocuments(f *testing.F) []string {
	f.Helper()
	var out []string
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".json") {
				out = append(out, string(file.Data))
			}
		}
	}
	for _, tt := range conditionCases {
		out = append(out, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotAction":"a:b","NotResource":"arn:aws:x:::${a:b, 'c'}","Condition":`+tt.condition+`}}`)
	}
	return out
}

// A document never breaks the parser, and its canonical form is a fixed point.
func FuzzParse(f *testing.F) {
	for _, text := range seedDocuments(f) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		_, _, _ = ValidateResourcePolicy(d), ValidateIdentityPolicy(d), ValidateTrustPolicy(d)
		once, err := json.Marshal(d)
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("canonical form %s: %v", once, err)
		}
		twice, err := json.Marshal(again)
		if err != nil {
			t.Fatalf("marshal again: %v", err)
		}
		if diff := cmp.Diff(string(once), string(twice)); diff != "" {
			t.Fatalf("canonical form changes (-once +twice):\n%s", diff)
		}
	})
}

// Whatever the documents: a Deny that matches wins wherever it stands, one more
// Deny never opens anything, the order of statements does not matter, IdentityOnly is the same as having no resource
// policy, and Trace agrees.
func FuzzEvaluate(f *testing.F) {
	docs := seedDocuments(f)
	for i, text := range docs {
		f.Add(text, docs[(i+1)%len(docs)], byte(i), "codeartifact:ReadFromRepository", "arn:aws:codeartifact:eu-west-1:111122223333:repository/acme/web", "aws:username=alice")
	}
	people := []string{"alice", "bob", "builder", "root", "eve", "mallory", "strangers-root", "anonymous", "events"}
	everything := mustParse(f, `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
	everybody := mustParse(f, `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`)
	f.Fuzz(func(t *testing.T, first, second string, who byte, action, resource, keys string) {
		a, err := Parse([]byte(first))
		if err != nil {
			return
		}
		b, err := Parse([]byte(second))
		if err != nil {
			return
		}
		r := Request{
			Principal: callers()[people[int(who)%len(people)]], Action: action, Resource: resource,
			ResourceAccount: home, Context: parseValues(keys),
		}
		p := Policies{Identity: []*Document{a}, Resource: []*Document{b}}
		if who&16 != 0 {
			p.Boundary = []*Document{b}
		}
		if who&32 != 0 {
			p.Session = []*Document{b}
		}
		base := Evaluate(r, p)
		if base.Allowed != (base.Reason == Allowed) {
			t.Fatalf("inconsistent decision %+v", base)
		}
		if diff := cmp.Diff(base, Trace(r, p).Decision); diff != "" {
			t.Fatalf("trace decides otherwise:\n%s", diff)
		}
		checkDenyWins(t, r, p, Trace(r, p))
		turned := Evaluate(r, Policies{Identity: []*Document{backwards(a)}, Resource: []*Document{backwards(b)}, Boundary: p.Boundary, Session: p.Session})
		if turned.Reason != base.Reason || turned.Kind != base.Kind {
			t.Fatalf("the order of statements turned %s into %s", summary(base), summary(turned))
		}
		for kind, deny := range map[Kind]*Document{Identity: everything, Boundary: everything, Session: everything, Resource: everybody} {
			if got := Evaluate(r, p.with(kind, deny)); got.Reason != ExplicitDeny {
				t.Fatalf("with a deny in the %v: %s", kind, summary(got))
			}
			narrower := Policies{Identity: p.Identity, Resource: p.Resource, Boundary: p.Boundary, Session: p.Session}
			narrower = narrower.with(kind, denials(b))
			if got := Evaluate(r, narrower); got.Allowed && !base.Allowed {
				t.Fatalf("more denials in the %v turned %s into %s", kind, summary(base), summary(got))
			}
		}
		r.IdentityOnly = true
		alone := Evaluate(r, p)
		p.Resource = nil
		if diff := cmp.Diff(alone, Evaluate(r, p)); diff != "" {
			t.Fatalf("identity only differs from no resource policy:\n%s", diff)
		}
	})
}

// checkDenyWins compares the decision with the trace of single statements.
func checkDenyWins(t *testing.T, r Request, p Policies, e Explanation) {
	t.Helper()
	matchedDeny := false
	for _, s := range e.Statements {
		matchedDeny = matchedDeny || s.Matched && s.Effect == Deny
	}
	if matchedDeny != (e.Decision.Reason == ExplicitDeny) {
		t.Fatalf("%+v with %+v: matched deny %v, decision %s", r, p, matchedDeny, summary(e.Decision))
	}
}

// backwards gives the statements of d in the other order.
func backwards(d *Document) *Document {
	c := *d
	c.statements = slices.Clone(d.statements)
	slices.Reverse(c.statements)
	return &c
}

// denials gives the Deny statements of d alone.
func denials(d *Document) *Document {
	c := *d
	c.statements = nil
	for _, s := range d.statements {
		if s.effect == Deny {
			c.statements = append(c.statements, s)
		}
	}
	return &c
}
