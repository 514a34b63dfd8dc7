package policy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The reference simulator is @cloud-copilot/iam-simulate, a program of its own
// licence that runs in a process of its own and is part of nothing here;
// ./test.sh installs it. Generated cases are decided by both.

const (
	simulatorSeed = 20261123
	// simulatorCases is how many are made; the variable asks for more.
	simulatorCases    = 4000
	simulatorCasesVar = "PACKHOUSE_TEST_SIMULATOR_CASES"
)

// simulatorCase is the argument of runSimulation.
type simulatorCase struct {
	Name           string          `json:"name,omitempty"` // of kept cases: what they are about
	Request        simulatorAsk    `json:"request"`
	Session        json.RawMessage `json:"sessionPolicy,omitempty"`
	Identity       []simulatorDoc  `json:"identityPolicies"`
	ServiceControl []simulatorDoc  `json:"serviceControlPolicies"`
	ResourceContr  []simulatorDoc  `json:"resourceControlPolicies"`
	Resource       json.RawMessage `json:"resourcePolicy,omitempty"`
	Boundary       []simulatorDoc  `json:"permissionBoundaryPolicies,omitempty"`
}

type simulatorAsk struct {
	Principal any                 `json:"principal"` // an ARN, or {"type":"Anonymous"}
	Action    string              `json:"action"`
	Resource  simulatorResource   `json:"resource"`
	Context   map[string][]string `json:"contextVariables"`
}

type simulatorResource struct {
	Resource  string `json:"resource"`
	AccountID string `json:"accountId"`
}

type simulatorDoc struct {
	Name   string          `json:"name"`
	Policy json.RawMessage `json:"policy"`
}

// simulatedPeople are the callers of cases, by ARN.
func simulatedPeople() map[string]Principal {
	people := map[string]Principal{}
	for _, name := range []string{"alice", "eve"} {
		people[callers()[name].ARN] = callers()[name]
	}
	for account, role := range map[string]string{home: "builder", abroad: "visitor"} {
		p := Principal{
			Type: AssumedRole, Account: account, ARN: "arn:aws:sts::" + account + ":assumed-role/" + role + "/job",
			RoleARN: "arn:aws:iam::" + account + ":role/" + role, UserID: "AROA:job",
		}
		people[p.ARN] = p
	}
	people["arn:aws:iam::"+home+":root"] = callers()["root"]
	for name, p := range people {
		p.Groups = nil // unknown to the simulator
		people[name] = p
	}
	return people
}

// decide is our decision.
func (c *simulatorCase) decide() (Decision, error) {
	var r Request
	switch who := c.Request.Principal.(type) {
	case string:
		p, known := simulatedPeople()[who]
		if !known {
			return Decision{}, fmt.Errorf("who is %s?", who)
		}
		r.Principal = p
	default: // anonymous
	}
	keys := values{}
	for key, v := range c.Request.Context {
		keys[strings.ToLower(key)] = v
	}
	r.Action, r.Resource, r.ResourceAccount, r.Context = c.Request.Action, c.Request.Resource.Resource, c.Request.Resource.AccountID, keys
	var p Policies
	for _, d := range c.Identity {
		doc, err := Parse(d.Policy)
		if err != nil {
			return Decision{}, err
		}
		p.Identity = append(p.Identity, doc)
	}
	for _, d := range c.Boundary {
		doc, err := Parse(d.Policy)
		if err != nil {
			return Decision{}, err
		}
		p.Boundary = append(p.Boundary, doc)
	}
	for text, list := range map[*json.RawMessage]*[]*Document{&c.Session: &p.Session, &c.Resource: &p.Resource} {
		if *text == nil {
			continue
		}
		doc, err := Parse(*text)
		if err != nil {
			return Decision{}, err
		}
		*list = []*Document{doc}
	}
	return Evaluate(r, p), nil
}

// simulatorWord is a decision as the simulator calls it.
func simulatorWord(d Decision) string {
	return map[Reason]string{Allowed: "Allowed", ExplicitDeny: "ExplicitlyDenied", ImplicitDeny: "ImplicitlyDenied"}[d.Reason]
}

// simulatorAnswer is what the driver says of a case.
type simulatorAnswer struct {
	Result  string          `json:"result"`
	Ignored []string        `json:"ignored"`
	Error   json.RawMessage `json:"error"`
}

// findSimulator gives the program and the folder that holds the simulator.
func findSimulator(t *testing.T) (node, folder string) {
	t.Helper()
	leaveOut := func(why string) {
		if os.Getenv("PACKHOUSE_TEST_REQUIRE") != "" {
			t.Fatalf("%s; ./test.sh installs it", why)
		}
		t.Skipf("%s; ./test.sh installs it", why)
	}
	clients := os.Getenv("PACKHOUSE_TEST_CLIENTS")
	if clients == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			leaveOut("no cache folder")
		}
		clients = filepath.Join(cache, "packhouse-test", "clients")
	}
	folder = filepath.Join(clients, "iam-simulate")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "@cloud-copilot", "iam-simulate")); err != nil {
		leaveOut("the reference simulator is not there")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		leaveOut("node is not on PATH")
	}
	return node, folder
}

// simulate asks the simulator about cases, in their order.
func simulate(t *testing.T, cases []simulatorCase) []simulatorAnswer {
	t.Helper()
	node, folder := findSimulator(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, filepath.Join("testdata", "simulator", "driver.mjs"), folder)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fed := make(chan error, 1)
	go func() {
		w := bufio.NewWriter(in)
		for i := range cases {
			text, err := json.Marshal(&cases[i])
			if err == nil {
				_, err = w.Write(append(text, '\n'))
			}
			if err != nil {
				fed <- err
				return
			}
		}
		if err := w.Flush(); err != nil {
			fed <- err
			return
		}
		fed <- in.Close()
	}()
	answers := make([]simulatorAnswer, 0, len(cases))
	for dec := json.NewDecoder(out); ; {
		var a simulatorAnswer
		if err := dec.Decode(&a); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("after %d answers: %v\n%s", len(answers), err, &complaints)
		}
		answers = append(answers, a)
	}
	if err := <-fed; err != nil {
		t.Errorf("feeding the simulator: %v", err)
	}
	if err := cmd.Wait(); err != nil || len(answers) != len(cases) {
		t.Fatalf("%d answers to %d cases: %v\n%s", len(answers), len(cases), err, &complaints)
	}
	return answers
}

// explained are the differences we mean: what the generator does not make, and
// why. Each has a kept case of its name, which has to differ.
var explained = map[string]string{
	"root user": "the simulator does not know that the root user may do everything in its own account; it says so itself",
	"wildcard in the resource type": "the simulator refuses wildcards before the first slash of a resource, where the IAM guide warns of them; " +
		"its own examples for EC2 use */*, and AWS matches them",
	"variables in the older version":                     "the simulator replaces policy variables whatever the Version; the IAM guide has them as plain text in 2008-10-17",
	"a variable without a value and a negated operator":  "the simulator does not let it match; the IAM guide (policy variables with no value) says it does",
	"a variable without a value in NotResource":          "the simulator leaves the statement out; we let it deny, and not allow: AWS says nothing, and a hole would be worse",
	"an escaped star where there are no wildcards":       "the simulator takes ${*} of StringEquals and its like for text; it is a star",
	"many values without a set operator":                 "AWS leaves it undefined; the simulator never matches, we match when any value does (a Deny holds)",
	"everybody is granted, a session policy is silent":   "what a resource policy grants to * is not limited by session policies (IAM guide, Principal element)",
	"a session is granted, its session policy is silent": "the same for a grant to the ARN of the session",
	"a lone star for an ARN":                             "the simulator wants six parts; we let it match every ARN",
	"seconds against ISO 8601":                           "the simulator takes seconds since 1970 for milliseconds when the other side is written out",
	"NotIpAddress, one address of the other family":      "the simulator says that an IPv4 caller is not outside an IPv6 address; of networks it says so rightly",
	"0.0.0.0/0":                      "the simulator shifts by 32 bits, which in its language is none",
	"NotPrincipal names the account": "the simulator exempts every principal of the account; the IAM guide has an example where all but the named user are denied",
}

func TestEvaluate_AgreesWithTheReferenceSimulator(t *testing.T) {
	findSimulator(t)
	kept := keptCases(t)
	cases := kept
	count := simulatorCases
	if text := os.Getenv(simulatorCasesVar); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", simulatorCasesVar, err)
		}
		count = n
	}
	for i := range count {
		cases = append(cases, makeCase(rand.New(rand.NewPCG(simulatorSeed, uint64(i)))))
	}
	answers := simulate(t, cases)
	counts, differences := map[string]int{}, map[string]int{}
	var wrong []simulatorCase
	for i := range cases {
		word, theirs := compare(&cases[i], answers[i])
		counts[theirs]++
		if word == theirs {
			continue
		}
		if _, meant := explained[cases[i].Name]; meant {
			differences[cases[i].Name]++
			continue
		}
		wrong = append(wrong, cases[i])
	}
	if len(wrong) > 0 {
		t.Errorf("%d of %d cases are decided otherwise; the smallest forms of some, to be kept in kept.jsonl:", len(wrong), len(cases))
		for _, c := range shrink(t, wrong[:min(len(wrong), 12)]) {
			text, _ := json.Marshal(c)
			word, theirs := compare(&c, simulate(t, []simulatorCase{c})[0])
			t.Errorf("we say %s, the simulator %s:\n%s", word, theirs, text)
		}
	}
	for name := range explained {
		if differences[name] == 0 {
			t.Errorf("%s: no kept case shows this difference: take it off the list", name)
		}
	}
	for _, word := range []string{"Allowed", "ExplicitlyDenied", "ImplicitlyDenied"} {
		if counts[word] < count/20 {
			t.Errorf("only %d of %d cases are %s: the generator makes too few", counts[word], count, word)
		}
	}
	t.Logf("%d kept and %d generated cases: %v, explained: %v", len(kept), count, counts, differences)
}

// compare gives both decisions.
func compare(c *simulatorCase, a simulatorAnswer) (ours, theirs string) {
	d, err := c.decide()
	ours, theirs = simulatorWord(d), a.Result
	if err != nil {
		ours = err.Error()
	}
	if a.Error != nil {
		theirs = string(a.Error)
	}
	return ours, theirs
}

// shrink makes cases smaller for as long as they are decided otherwise, taking
// away one part at a time.
func shrink(t *testing.T, cases []simulatorCase) []simulatorCase {
	t.Helper()
	cases = slices.Clone(cases)
	for range 60 {
		var all []simulatorCase
		var of []int
		for i := range cases {
			text, err := json.Marshal(&cases[i])
			if err != nil {
				t.Fatal(err)
			}
			for _, smaller := range withoutOnePart(text) {
				var c simulatorCase
				if json.Unmarshal(smaller, &c) != nil {
					continue
				}
				if again, _ := json.Marshal(&c); bytes.Equal(again, text) {
					continue // what was taken away is there by itself
				}
				if _, err := c.decide(); err == nil {
					all, of = append(all, c), append(of, i)
				}
			}
		}
		changed := map[int]bool{}
		for j, a := range simulate(t, all) {
			ours, theirs := compare(&all[j], a)
			if !changed[of[j]] && a.Error == nil && ours != theirs {
				cases[of[j]], changed[of[j]] = all[j], true
			}
		}
		if len(changed) == 0 {
			break
		}
	}
	return cases
}

// withoutOnePart gives text without one member or element, for each there is.
func withoutOnePart(text []byte) (all [][]byte) {
	var root any
	if json.Unmarshal(text, &root) != nil {
		return nil
	}
	emit := func() {
		smaller, _ := json.Marshal(root)
		all = append(all, smaller)
	}
	var walk func(v any, set func(any))
	walk = func(v any, set func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				held := v[name]
				if name == "Version" || name == "accountId" || name == "Resource" || name == "Action" {
					walk(held, func(other any) { v[name] = other })
					continue // means something else when it is not there
				}
				delete(v, name)
				emit()
				v[name] = held
				walk(held, func(other any) { v[name] = other })
			}
		case []any:
			for i := range v {
				if len(v) == 1 {
					walk(v[i], func(other any) { v[i] = other })
					continue
				}
				set(slices.Delete(slices.Clone(v), i, i+1))
				emit()
				set(v)
				walk(v[i], func(other any) { v[i] = other })
			}
		}
	}
	walk(root, nil)
	return all
}

// keptCases are those that were decided otherwise once, and those that show an
// explained difference: testdata/simulator/kept.jsonl.
func keptCases(t *testing.T) (cases []simulatorCase) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "simulator", "kept.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var c simulatorCase
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		cases = append(cases, c)
	}
	return cases
}

// The generator. A case is about one action on one resource; what statements
// are made of fits it more often than not.

type maker struct {
	*rand.Rand
	action, resource string
	limited          bool // the caller has a session policy
}

func pick[T any](m *maker, list ...T) T { return list[m.IntN(len(list))] }

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

func simulatedRequests() [][2]string {
	const prefix = "arn:aws:codeartifact:eu-west-1:" + home + ":"
	return [][2]string{
		{"codeartifact:ReadFromRepository", prefix + "repository/acme/web"},
		{"codeartifact:ListPackages", prefix + "repository/acme/web"},
		{"codeartifact:DeleteRepository", prefix + "repository/acme/api"},
		{"codeartifact:DescribeDomain", prefix + "domain/acme"},
		{"codeartifact:GetAuthorizationToken", prefix + "domain/acme"},
		{"codeartifact:PublishPackageVersion", prefix + "package/acme/web/npm/scope/lodash"},
		{"codeartifact:DescribePackageVersion", prefix + "package/acme/web/pypi/alice/requests"},
		{"codeartifact:ListDomains", "*"},
	}
}

func makeCase(r *rand.Rand) simulatorCase {
	m := &maker{Rand: r}
	request := pick(m, simulatedRequests()...)
	m.action, m.resource = request[0], request[1]
	c := simulatorCase{
		Request: simulatorAsk{
			Principal: map[string]string{"type": "Anonymous"}, Action: m.action, Context: m.context(),
			Resource: simulatorResource{m.resource, home},
		},
		Identity: []simulatorDoc{}, ServiceControl: []simulatorDoc{}, ResourceContr: []simulatorDoc{},
	}
	session := false
	if !m.chance(7) {
		names := slices.Sorted(maps.Keys(simulatedPeople()))
		names = slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, ":root") })
		who := pick(m, names...)
		session = strings.Contains(who, ":assumed-role/")
		c.Request.Principal = who
		for i := range m.IntN(3) {
			c.Identity = append(c.Identity, simulatorDoc{fmt.Sprintf("identity%d", i), m.document(false)})
		}
		if m.chance(25) {
			c.Boundary = []simulatorDoc{{"boundary", m.document(false)}}
		}
	}
	if session && m.chance(35) {
		c.Session, m.limited = m.document(false), true
	}
	if m.chance(60) {
		c.Resource = m.document(true)
	}
	return c
}

func (m *maker) document(resource bool) json.RawMessage {
	var list []any
	for range 1 + m.IntN(3) {
		list = append(list, m.statement(resource))
	}
	doc := map[string]any{"Version": Version2012, "Statement": list}
	if text, _ := json.Marshal(list); m.chance(20) && !bytes.Contains(text, []byte("${")) {
		doc["Version"] = Version2008 // variables are for the newer version: see explained
	}
	if len(list) == 1 && m.chance(50) {
		doc["Statement"] = list[0]
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return text
}

// some gives one of the values or a list of up to three, which never has one twice.
func (m *maker) some(value func() string) any {
	if m.chance(60) {
		return value()
	}
	var list []string
	for range 1 + m.IntN(3) {
		if v := value(); !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

func (m *maker) statement(resource bool) map[string]any {
	s := map[string]any{"Effect": "Allow"}
	if m.chance(25) {
		s["Effect"] = "Deny"
	}
	element := func(name string, percentNot int, value any) {
		if m.chance(percentNot) {
			name = "Not" + name
		}
		s[name] = value
	}
	element("Action", 12, m.some(m.actionText))
	where := m.some(m.resourceText)
	not := 12
	if text, _ := json.Marshal(where); bytes.Contains(text, []byte("${aws:")) && !bytes.Contains(text, []byte("'")) {
		not = 0 // see explained
	}
	element("Resource", not, where)
	if resource {
		not = 0
		if s["Effect"] == "Deny" {
			not = 25
		}
		value := m.principal()
		if names, err := json.Marshal(value); err == nil && (bytes.Contains(names, []byte(":root")) || bytes.Contains(names, []byte(`"`+home+`"`)) || bytes.Contains(names, []byte(`"`+abroad+`"`))) {
			not = 0 // see explained
		}
		element("Principal", not, value)
	}
	if m.chance(45) {
		condition := map[string]any{}
		for range 1 + m.IntN(2) {
			operator, key, value := m.condition()
			if condition[operator] == nil {
				condition[operator] = map[string]any{}
			}
			condition[operator].(map[string]any)[key] = value
		}
		s["Condition"] = condition
	}
	return s
}

func (m *maker) actionText() string {
	_, name, _ := strings.Cut(m.action, ":")
	return pick(m, m.action, m.action, "*", "codeartifact:*", "codeartifact:"+name[:4]+"*", "codeartifact:?"+name[1:], "codeartifact:*"+name[len(name)-5:],
		strings.ToUpper(m.action), strings.ToLower(m.action), "codeartifact:"+name[:2]+"*"+name[len(name)-3:], "codeartifact:"+name+"?", "s3:GetObject", "codeartifact:CreateDomain", "s3:*")
}

func (m *maker) resourceText() string {
	const anywhere = "arn:aws:codeartifact:*:*:"
	if m.resource == "*" {
		return pick(m, "*", "*", "*", anywhere+"domain/acme")
	}
	kind := m.resource[strings.LastIndex(m.resource, ":")+1:]
	head := strings.TrimSuffix(m.resource, kind)
	return pick(m, "*", "*", m.resource, m.resource, m.resource[:len(m.resource)-2]+"*", head+"*", anywhere+kind, head+kind[:strings.Index(kind, "/")]+"/*",
		head+kind[:strings.Index(kind, "/")]+"/*/"+kind[strings.LastIndex(kind, "/")+1:], head+"repository/other/*", m.resource[:len(m.resource)-1]+"?", m.resource+"?",
		head+strings.Replace(kind, "acme", "${aws:PrincipalTag/team}", 1), head+strings.Replace(kind, "web", "${aws:ResourceTag/env}", 1),
		strings.Replace(m.resource, "alice", "${aws:username}", 1), strings.Replace(m.resource, home, "*", 1), strings.Replace(m.resource, "eu-west-1", "eu-*", 1),
		head+strings.Replace(kind, "acme", "${aws:PrincipalTag/none, 'acme'}", 1), head+strings.Replace(kind, "me", "${*}", 1), "arn:aws:codeartifact:us-east-1:"+abroad+":"+kind)
}

func (m *maker) principal() any {
	if m.chance(25) && !m.limited { // see explained
		return "*"
	}
	aws := func() string {
		people := slices.Sorted(maps.Keys(simulatedPeople()))
		if m.limited {
			people = slices.DeleteFunc(people, func(n string) bool { return strings.Contains(n, ":assumed-role/") })
		} else {
			people = append(people, "*")
		}
		return pick(m, append(people, home, abroad, "arn:aws:iam::"+home+":root", "arn:aws:iam::"+abroad+":root",
			"arn:aws:iam::"+home+":role/builder", "arn:aws:iam::"+abroad+":role/visitor", "arn:aws:iam::"+home+":user/bob")...)
	}
	if m.chance(4) {
		return map[string]any{"Service": "events.amazonaws.com"}
	}
	return map[string]any{"AWS": m.some(aws)}
}

// simulatedKey is a condition key: values that requests have, values and
// patterns that policies have.
type simulatedKey struct {
	name   string
	kind   string // text, arn, ip, date, number, bool
	many   bool
	has    []string
	wanted []string
}

func simulatedKeys() []simulatedKey {
	names := []string{"web", "ops", "Web", "", "*", "w*", "?eb", "${aws:PrincipalTag/team}", "${aws:username}", "${aws:PrincipalTag/none, 'web'}", "${*}", "x${aws:userid}", "web${?}"}
	return []simulatedKey{
		{name: "aws:username", kind: "text", has: []string{"alice", "bob", "web"}, wanted: []string{"alice", "bob", "ALICE", "al*", "*", "${aws:PrincipalTag/team}"}},
		{name: "aws:userid", kind: "text", has: []string{"AIDAALICE", "AROA:job"}, wanted: []string{"AIDA*", "*:job", "AIDAALICE"}},
		{name: "aws:PrincipalTag/team", kind: "text", has: []string{"web", "ops", "Web", "acme", "*", "w*b"}, wanted: names},
		{name: "aws:ResourceTag/env", kind: "text", has: []string{"web", "prod", ""}, wanted: names},
		{name: "aws:RequestTag/env", kind: "text", has: []string{"web", "prod"}, wanted: names},
		{name: "aws:UserAgent", kind: "text", has: []string{"npm/11.0 node/24", "pip/24", "Web"}, wanted: []string{"npm/*", "*node*", "pip/24", "PIP/24"}},
		{name: "aws:RequestedRegion", kind: "text", has: []string{"eu-west-1", "us-east-1"}, wanted: []string{"eu-*", "us-east-1", "EU-WEST-1"}},
		{name: "aws:PrincipalAccount", kind: "text", has: []string{home, abroad}, wanted: []string{home, abroad, "1111*"}},
		{
			name: "aws:PrincipalArn", kind: "arn", has: []string{"arn:aws:iam::" + home + ":user/alice", "arn:aws:iam::" + home + ":role/builder", "arn:aws:iam::" + abroad + ":user/eve"},
			wanted: []string{"arn:aws:iam::" + home + ":user/alice", "arn:aws:iam::*:user/*", "arn:aws:iam::" + home + ":*", "arn:*:iam::*:role/b*", "arn:aws:iam::" + home + ":user/${aws:username}"},
		},
		{name: "aws:SourceArn", kind: "arn", has: []string{"arn:aws:events:eu-west-1:" + home + ":rule/a:b"}, wanted: []string{"arn:aws:events:*:*:rule/*", "arn:aws:events:eu-west-1:" + home + ":rule/a:b", "arn:aws:s3:::*"}},
		{
			name: "aws:SourceIp", kind: "ip", has: []string{"10.1.2.3", "203.0.113.9", "2001:db8::1", "192.168.255.255"},
			wanted: []string{"10.0.0.0/8", "10.1.2.3/32", "203.0.113.0/29", "203.0.113.8/29", "128.0.0.0/1", "2001:db8::/32", "2001:db8::1/128", "2001:db8::/127", "192.168.0.0/16", "10.1.2.128/25", "192.168.255.254/31"},
		},
		{name: "aws:CurrentTime", kind: "date", has: []string{"2026-03-01T12:00:00Z", "2026-03-01T23:59:59Z"}, wanted: []string{"2026-03-01T12:00:00Z", "2026-03-01", "2027-01-01T00:00:00Z", "2026-03-01T13:00:00+01:00", "2026-03-01T12:00:01Z", "2026"}},
		{name: "aws:TokenIssueTime", kind: "date", has: []string{"2026-03-01T11:00:00Z"}, wanted: []string{"2026-03-01T11:00:00Z", "2026-01-01T00:00:00Z"}},
		{name: "aws:EpochTime", kind: "date", has: []string{"1772366400", "1772366401"}, wanted: []string{"1772366400", "1772366401", "1700000000"}},
		{name: "aws:MultiFactorAuthAge", kind: "number", has: []string{"60", "3600", "0"}, wanted: []string{"60", "3600", "3599", "0", "60.0"}},
		{name: "aws:SecureTransport", kind: "bool", has: []string{"true", "false"}, wanted: []string{"true", "false", "True"}},
		{name: "aws:MultiFactorAuthPresent", kind: "bool", has: []string{"true", "false"}, wanted: []string{"true", "false"}},
		{name: "aws:TagKeys", kind: "text", many: true, has: []string{"env", "team", "Cost"}, wanted: []string{"env", "team", "ENV", "e*", "*", "cost"}},
		{name: "aws:CalledVia", kind: "text", many: true, has: []string{"athena.amazonaws.com", "cloudformation.amazonaws.com"}, wanted: []string{"athena.amazonaws.com", "*.amazonaws.com", "cloudformation.amazonaws.com"}},
		{name: "aws:PrincipalOrgPaths", kind: "text", many: true, has: []string{"o-1/r-1/ou-1/", "o-1/r-1/ou-2/"}, wanted: []string{"o-1/*", "o-1/r-1/ou-1/", "o-2/*"}},
	}
}

func (m *maker) context() map[string][]string {
	keys := map[string][]string{}
	for _, k := range simulatedKeys() {
		switch {
		case m.chance(45):
		case k.many:
			list := slices.Clone(k.has)
			m.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			keys[k.name] = list[:1+m.IntN(len(list))]
		default:
			keys[k.name] = []string{pick(m, k.has...)}
		}
	}
	return keys
}

func (m *maker) condition() (operator, key string, value any) {
	k := pick(m, simulatedKeys()...)
	if m.chance(6) {
		return "Null", k.name, pick(m, "true", "false")
	}
	texts := []string{"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"}
	operator = pick(m, texts...)
	switch kind := k.kind; {
	case m.chance(5): // text will do for everything
	case kind == "arn":
		operator = pick(m, "ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike")
	case kind == "ip":
		operator = pick(m, "IpAddress", "NotIpAddress")
	case kind == "date":
		operator = pick(m, "DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals")
	case kind == "number":
		operator = pick(m, "NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals")
	case kind == "bool":
		operator = "Bool"
	}
	if m.chance(25) {
		operator += "IfExists"
	}
	if k.many || m.chance(6) { // many values without a prefix: see explained
		operator = pick(m, "ForAnyValue:", "ForAllValues:") + operator
	}
	wanted := slices.DeleteFunc(slices.Clone(k.wanted), func(v string) bool { // see explained
		return strings.Contains(operator, "Not") && strings.Contains(v, "${aws:") && !strings.Contains(v, "'") ||
			!strings.Contains(operator, "Like") && (strings.Contains(v, "${*}") || strings.Contains(v, "${?}"))
	})
	return operator, k.name, m.some(func() string { return pick(m, wanted...) })
}
