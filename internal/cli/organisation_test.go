package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"packhouse/internal/organisation"
)

// write puts a file into the home folder.
func (h *house) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.home, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

func (h *house) apply(text string, args ...string) string {
	h.t.Helper()
	return h.must(append([]string{"apply", "-f", h.write("organisation.yaml", text)}, args...)...)
}

const acme = `
domains:
  - name: acme
    tags: {team: platform}
    policy:
      Version: 2012-10-17
      Statement:
        Effect: Allow
        Principal: {AWS: "arn:aws:iam::123456789012:root"}
        Action: codeartifact:DescribeDomain
        Resource: "*"
    quota: {maxBytes: 10GiB, maxVersions: 1000}
    repositories:
      - name: app
        description: what is built
        upstreams: [lib, public]
        policy: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["codeartifact:ReadFromRepository"],"Resource":["*"]}]}'
        tags: {stage: test}
      - name: public
        format: npm
        externalConnection: public:npmjs
        quota: {maxAssetBytes: 1MB}
      - {name: lib, versionPolicy: RELEASE}
    packageGroups:
      - pattern: /npm/acme/kit~
        contactInfo: kit@acme.test
      - pattern: /npm/acme/*
        description: ours
        originRestrictions: {PUBLISH: ALLOW_SPECIFIC_REPOSITORIES, EXTERNAL_UPSTREAM: BLOCK}
        allowedRepositories: {PUBLISH: [lib]}
policies:
  - name: deploy
    document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "codeartifact:*", Resource: "*"}]}
groups:
  - name: developers
    attachedPolicies: [deploy, "arn:aws:iam::aws:policy/AWSCodeArtifactReadOnlyAccess"]
users:
  - name: ada
    path: /staff/
    groups: [developers]
    tags: {floor: "2"}
    inlinePolicies:
      own: {Version: "2012-10-17", Statement: [{Effect: Deny, Action: ["codeartifact:DeleteDomain"], Resource: "*"}]}
roles:
  - name: ci
    description: builds
    maxSessionDuration: 7200
    trustPolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::123456789012:root"}, Action: "sts:AssumeRole"}]}
    attachedPolicies: [deploy]
`

func TestApply_MakesWhatTheFileSaysOnce(t *testing.T) {
	h := open(t)
	if out := h.apply(acme, "--plan"); !strings.Contains(out, "+ repository acme/app") || !strings.Contains(out, "14 to create, 0 to change") {
		t.Errorf("plan:\n%s", out)
	}
	if got := h.must("list-domains", "--query", "length(domains)"); got != "0\n" {
		t.Error("--plan did something")
	}
	if out := h.apply(acme); !strings.HasSuffix(out, "done\n") {
		t.Errorf("apply:\n%s", out)
	}
	for range 2 {
		if out := h.apply(acme); !strings.Contains(out, "nothing to do") || strings.Contains(out, "done") {
			t.Errorf("once more:\n%s", out)
		}
	}
	for _, c := range []struct{ query, want string }{
		{"describe-repository --domain acme --repository app --query repository.upstreams[].repositoryName", "lib\tpublic"},
		{"describe-repository --domain acme --repository public --query repository.[format,externalConnections[0].externalConnectionName]", "npm\tpublic:npmjs"},
		{"list-allowed-repositories-for-group --domain acme --package-group /npm/acme/* --origin-restriction-type PUBLISH --query allowedRepositories", "lib"},
		{"describe-package-group --domain acme --package-group /npm/acme/kit~ --query packageGroup.parent.pattern", "/npm/acme/*"},
		{"get-domain-quota --domain acme --query quota.maxBytes", "10737418240"},
		{"list-groups-for-user --user-name ada --query Groups[].GroupName", "developers"},
		{"get-user --user-name ada --query User.Path", "/staff/"},
		{"list-attached-group-policies --group-name developers --query length(AttachedPolicies)", "2"},
		{"get-role --role-name ci --query Role.MaxSessionDuration", "7200"},
	} {
		if got := strings.TrimSpace(h.must(append(strings.Fields(c.query), "--output", "text")...)); got != c.want {
			t.Errorf("%s: %q, want %q", c.query, got, c.want)
		}
	}
}

func TestDiff_TellsOfDrift(t *testing.T) {
	h := open(t)
	h.apply(acme)
	file := h.write("organisation.yaml", acme)
	// The administrator is in no file, and is who asks.
	if r := h.run("diff", "-f", file); r.code != exitOK || !strings.Contains(r.stdout, "user admin is not in the file") {
		t.Errorf("%+v", r)
	}
	h.must("update-repository", "--domain", "acme", "--repository", "app", "--upstreams", "repositoryName=public", "--description", "other")
	h.must("create-repository", "--domain", "acme", "--repository", "legacy")
	h.must("remove-user-from-group", "--user-name", "ada", "--group-name", "developers")
	r := h.run("diff", "-f", file)
	for _, want := range []string{
		"~ repository acme/app", `description: "other" -> "what is built"`, `upstreams: ["public"] -> ["lib","public"]`,
		"~ user ada", "? repository acme/legacy is not in the file", "0 to create, 2 to change, 0 to delete",
	} {
		if r.code != exitFailed || !strings.Contains(r.stdout, want) {
			t.Errorf("exit %d, lacks %q:\n%s%s", r.code, want, r.stdout, r.stderr)
		}
	}
	r = h.run("diff", "-f", file, "--output", "json")
	var plan organisation.Plan
	if err := json.Unmarshal([]byte(r.stdout), &plan); err != nil || len(plan.Changes) != 2 || len(plan.Extra) != 1 || plan.Changes[0].Calls[0].Operation != "UpdateRepository" {
		t.Errorf("%v\n%s", err, r.stdout)
	}
	h.apply(acme)
	if r := h.run("diff", "-f", file); r.code != exitFailed || !strings.Contains(r.stdout, "nothing to do\n") {
		t.Errorf("what is not in the file is no longer told: %+v", r)
	}
	h.apply(acme, "--prune")
	if r := h.run("diff", "-f", file); r.code != exitOK {
		t.Errorf("%+v", r)
	}
}

func TestApply_PackagesGoOnlyByForce(t *testing.T) {
	h := open(t)
	h.domainWith("keep", "full")
	h.publish("full", "hello", "1.0.0")
	file := "domain: my-domain\nrepositories: [{name: keep}]\n"
	r := h.run("apply", "-f", h.write("o.yaml", file), "--prune")
	if r.code != exitFailed || !strings.Contains(r.stderr, "it holds packages") || !strings.Contains(r.stdout, "needs --force") {
		t.Errorf("%+v", r)
	}
	h.must("describe-repository", "--domain", "my-domain", "--repository", "full")
	h.apply(file, "--prune", "--force")
	if r := h.run("describe-repository", "--domain", "my-domain", "--repository", "full"); r.code == exitOK {
		t.Error("it is there still")
	}
}

func TestApply_WhatIsNotDeclaredIsLeftAlone(t *testing.T) {
	h := open(t)
	h.apply(acme)
	out := h.apply("domain: acme\nrepositories:\n  - {name: app, description: new}\n  - name: lib\n  - name: public\n", "--prune")
	if !strings.Contains(out, "0 to create, 1 to change, 0 to delete") {
		t.Errorf("%s", out)
	}
	// An empty value asks for nothing to be there.
	out = h.apply("domain: acme\npolicy: null\nquota: {}\ntags: {}\nrepositories:\n  - {name: app, upstreams: [], policy: , tags: {}}\n  - name: lib\n  - {name: public, externalConnection: null, quota: }\n")
	if !strings.Contains(out, "- domain policy acme") || !strings.Contains(out, "0 to create, 3 to change, 4 to delete") {
		t.Errorf("%s", out)
	}
}

func TestApply_UpstreamsTurnRound(t *testing.T) {
	h := open(t)
	file := func(order ...string) string {
		text := "domain: acme\nrepositories:\n"
		for i, name := range order {
			up := ""
			if i+1 < len(order) {
				up = order[i+1]
			}
			text += fmt.Sprintf("  - {name: %s, upstreams: [%s]}\n", name, up)
		}
		return text
	}
	h.apply(file("aa", "bb", "cc"))
	h.apply(file("cc", "bb", "aa"))
	h.apply(file("bb", "aa", "cc"))
	if out := h.apply(file("bb", "aa", "cc")); !strings.Contains(out, "nothing to do") {
		t.Errorf("%s", out)
	}
}

func TestApply_WrongFile(t *testing.T) {
	home := isolate(t)
	path := filepath.Join(home, "o.yaml")
	if err := os.WriteFile(path, []byte("domain: acme\nrepositories:\n  - name: app\n    upstreem: [lib]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"apply", "diff"} {
		r := runCommand(t.Context(), home, command, "-f", path)
		if r.code != exitUsage || !strings.Contains(r.stderr, `o.yaml:4:5: unknown key "upstreem"; did you mean "upstreams"?`) {
			t.Errorf("%s: %+v", command, r)
		}
	}
	if r := runCommand(t.Context(), home, "apply"); r.code != exitUsage || !strings.Contains(r.stderr, "--file") {
		t.Errorf("%+v", r)
	}
}

func TestApply_SaysHowFarItCame(t *testing.T) {
	h := open(t)
	r := h.run("apply", "-f", h.write("o.yaml", "domain: acme\nrepositories:\n  - {name: app, externalConnection: public:nowhere}\n"))
	if r.code != exitFailed {
		t.Errorf("exit %d", r.code)
	}
	for _, want := range []string{"packhouse: 1 of 2 changes were made", "create repository acme/app: ", "An error occurred (ValidationException) when calling the AssociateExternalConnection operation"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("lacks %q: %s", want, r.stderr)
		}
	}
}

func TestApply_SomebodyElseWasFaster(t *testing.T) {
	h := open(t)
	h.apply("domain: acme\npolicy: {Version: '2012-10-17', Statement: [{Effect: Allow, Principal: '*', Action: 'codeartifact:DescribeDomain', Resource: '*'}]}\n")
	f, err := organisation.Parse("o", []byte(strings.Replace(acme, "codeartifact:DescribeDomain", "codeartifact:ListRepositoriesInDomain", 1)))
	if err != nil {
		t.Fatal(err)
	}
	api := newOperationCaller(&Env{Services: Services(), LookupEnv: os.LookupEnv, Home: h.home, Stderr: os.Stderr, Version: "test"}, clientFlags{})
	options, err := api.options(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := organisation.Make(t.Context(), api, f, options)
	if err != nil {
		t.Fatal(err)
	}
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"codeartifact:DeleteDomain","Resource":"*"}]}`
	h.must("put-domain-permissions-policy", "--domain", "acme", "--policy-document", policy)
	if err := plan.Apply(t.Context(), api, false, nil); err == nil || !strings.Contains(err.Error(), "changed since the plan was made") {
		t.Errorf("a policy of somebody else is overwritten: %v", err)
	}
	if got := h.must("get-domain-permissions-policy", "--domain", "acme", "--query", "policy.document"); !strings.Contains(got, "DeleteDomain") {
		t.Error(got)
	}
}

// A role that applies a file which does not have it would else lose its own
// policies first and then be denied all the rest, for good.
func TestApply_RoleThatAsksIsNotDeleted(t *testing.T) {
	h := open(t)
	const two = `
roles:
  - name: deployer
    trustPolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::123456789012:root"}, Action: "sts:AssumeRole"}]}
    inlinePolicies: {all: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "*", Resource: "*"}]}}
  - name: other
    trustPolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::123456789012:root"}, Action: "sts:AssumeRole"}]}
`
	h.apply(two)
	session := strings.Fields(h.get("Credentials.[AccessKeyId,SecretAccessKey,SessionToken]",
		"assume-role", "--role-arn", "arn:aws:iam::123456789012:role/deployer", "--role-session-name", "ci"))
	for i, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, session[i])
	}
	out := h.apply("roles: []\n", "--prune", "--force")
	if !strings.Contains(out, "- role other\n") || !strings.Contains(out, "note: role deployer is not in the file, and is not deleted because it is who asks\n") {
		t.Errorf("%s", out)
	}
	if got := h.get("Roles[].RoleName", "list-roles"); got != "deployer" {
		t.Error(got)
	}
}

// What is attached is found where it is, though the file does not say where.
func TestApply_PathOfAPolicyMayBeLeftOut(t *testing.T) {
	h := open(t)
	h.must("create-policy", "--policy-name", "publish", "--path", "/ops/", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["codeartifact:*"],"Resource":["*"]}]}`)
	const file = `
policies:
  - name: publish
    document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "codeartifact:*", Resource: "*"}]}
groups:
  - {name: developers, attachedPolicies: [publish]}
`
	h.apply(file)
	if got := h.get("AttachedPolicies[].PolicyArn", "list-attached-group-policies", "--group-name", "developers"); got != "arn:aws:iam::123456789012:policy/ops/publish" {
		t.Error(got)
	}
	if out := h.apply(file); !strings.Contains(out, "nothing to do") {
		t.Errorf("%s", out)
	}
}

// A group goes with its members, also where the file says nothing of users.
func TestApply_GroupOfUsersThatAreNotDeclared(t *testing.T) {
	h := open(t)
	h.must("create-user", "--user-name", "ada")
	h.must("create-group", "--group-name", "old")
	h.must("add-user-to-group", "--group-name", "old", "--user-name", "ada")
	if out := h.apply("groups: []\n", "--prune"); !strings.Contains(out, "- group old\n") {
		t.Errorf("%s", out)
	}
	if got := h.get("[length(Groups), 'users']", "list-groups"); got != "0\tusers" {
		t.Error(got)
	}
	if got := h.get("Users[].UserName", "list-users"); got != "ada\tadmin" {
		t.Error(got)
	}
}

func TestApply_PackagesThatCameMeanwhileStay(t *testing.T) {
	h := open(t)
	h.apply("domain: acme\nrepositories: [{name: lib}]\n")
	api, options := h.caller()
	options.Prune = true
	f, err := organisation.Parse("o", []byte("domain: acme\nrepositories: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := organisation.Make(t.Context(), api, f, options)
	if err != nil {
		t.Fatal(err)
	}
	h.must("upload", "--domain", "acme", "--repository", "lib", "--namespace", "n", "--package", "kit", "--package-version", "1", h.write("kit.txt", "kit"))
	if err := plan.Apply(t.Context(), api, false, nil); err == nil || !strings.Contains(err.Error(), "packages have come to it since the plan was made") {
		t.Errorf("a repository with packages is deleted without force: %v", err)
	}
	if got := h.get("packages[].package", "list-packages", "--domain", "acme", "--repository", "lib"); got != "kit" {
		t.Error(got)
	}
}

// watched is a file with retention of every kind, and alarms.
func watched(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "organisation", "testdata", "watched.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestApply_RetentionAndAlarms(t *testing.T) {
	h := open(t)
	file := watched(t)
	if out := h.apply(file); !strings.Contains(out, "9 to create, 0 to change") {
		t.Errorf("%s", out)
	}
	nothingToDo := func(text string) {
		t.Helper()
		if out := h.apply(text, "--plan", "--prune"); !strings.Contains(out, "nothing to do") {
			t.Errorf("%s", out)
		}
	}
	nothingToDo(file)
	for _, c := range []struct{ query, want string }{
		{"get-domain-retention-configuration --domain acme --origin-type INTERNAL --query retentionConfiguration.[retentionDays,maxVersionsRetained,schedule,trashDays,length(rules)]", "90\t20\t30 4 * * SUN\t14\t3"},
		{"get-domain-retention-configuration --domain acme --origin-type INTERNAL --query retentionConfiguration.rules[1].[name,kind,retentionDays,maxVersionsRetained,ageFrom]", "candidates\tPRERELEASE\t14\t3\tPUBLISH"},
		{"get-domain-retention-configuration --domain acme --origin-type EXTERNAL --query retentionConfiguration.rules[0].[notDownloadedForDays,remove]", "60\tTrue"},
		{"get-repository-retention-configuration --domain acme --repository app --query retentionConfiguration.retentionDays", "7"},
		{"describe-alarms --query MetricAlarms[0].[AlarmName,Threshold,AlarmActions[0],EvaluationPeriods]", "storage-high\t107374182400\tarn:aws:sns:us-east-1:123456789012:alerts\t1"},
		{"list-subscriptions --query Subscriptions[0].[Protocol,Endpoint]", "https\thttps://hooks.test/a"},
	} {
		if got := strings.TrimSpace(h.must(append(strings.Fields(c.query), "--output", "text")...)); got != c.want {
			t.Errorf("%s: %q, want %q", c.query, got, c.want)
		}
	}

	// What is exported asks for the same, also where it is shortened to one domain.
	exported := h.must("export-organisation")
	for _, want := range []string{"alarmActions: [alerts]", "schedule: 30 4 * * SUN", "trashDays: 14", "endpoint: https://hooks.test/a"} {
		if !strings.Contains(exported, want) {
			t.Errorf("lacks %q:\n%s", want, exported)
		}
	}
	nothingToDo(exported)
	nothingToDo(h.must("export-organisation", "--domain", "acme"))

	// Drift
	h.must("put-domain-retention-configuration", "--domain", "acme", "--origin-type", "EXTERNAL", "--max-versions-retained", "3", "--schedule", "@weekly")
	h.must("delete-repository-retention-configuration", "--domain", "acme", "--repository", "app")
	h.must("disable-alarm-actions", "--alarm-names", "storage-high")
	h.must("put-metric-alarm", "--alarm-name", "by-hand", "--namespace", "AWS/CodeArtifact", "--metric-name", "Errors", "--statistic", "Sum", "--period", "60", "--threshold", "1",
		"--comparison-operator", "GreaterThanThreshold")
	r := h.run("diff", "-f", h.write("o.yaml", exported))
	for _, want := range []string{
		"~ retention acme EXTERNAL", "    retentionDays: 30\n", "maxVersionsRetained: 3 -> nothing", "~ retention acme settings", `schedule: "@weekly" -> "30 4 * * SUN"`,
		"+ retention acme/app", "~ alarm storage-high", "actionsEnabled: false -> true", "? alarm by-hand is not in the file",
	} {
		if r.code != exitFailed || !strings.Contains(r.stdout, want) {
			t.Errorf("exit %d, lacks %q:\n%s%s", r.code, want, r.stdout, r.stderr)
		}
	}
	h.apply(exported, "--prune")
	nothingToDo(exported)

	// Less, and nothing at all.
	less := strings.NewReplacer("    keepVersions: 20\n", "", "hooks.test/a", "hooks.test/b", "app, retention: {keepDays: 7}", "app, retention: ").Replace(file)
	less = less[:strings.Index(less, "alarms:")] + "alarms: []\n"
	if out := h.apply(less, "--prune"); !strings.Contains(out, "- retention acme/app") || !strings.Contains(out, "- alarm storage-high") || !strings.Contains(out, "0 to create, 2 to change, 2 to delete") {
		t.Errorf("%s", out)
	}
	nothingToDo(less)
	h.apply("domain: acme\nretention: {published: null, ingested: {}}\ntopics: []\n", "--prune")
	if r := h.run("get-domain-retention-configuration", "--domain", "acme"); r.code != exitFailed || !strings.Contains(r.stderr, "ResourceNotFoundException") {
		t.Errorf("%+v", r)
	}
	if got := h.must("list-topics", "--query", "length(Topics)"); got != "0\n" {
		t.Error(got)
	}
}

// Null asks for nothing to be there, which for some keys is a value of its own.
func TestApply_NullIsWhatThereIsWithoutTheKey(t *testing.T) {
	h := open(t)
	const alarm = "  - {name: a, namespace: n, metricName: m, statistic: Sum, period: 60, threshold: 1, comparisonOperator: LessThanThreshold"
	h.apply("domain: acme\nretention: {keepDays: 9, keepVersions: 3, schedule: '@daily'}\nquota: {maxBytes: 5, maxVersions: 1}\nrepositories:\n  - {name: app, versionPolicy: RELEASE}\n" +
		"users:\n  - {name: admin}\n  - {name: ada, path: /staff/}\nalarms:\n" + alarm + ", evaluationPeriods: 3, treatMissingData: ignore, actionsEnabled: false, unit: Bytes}\n")
	nulls := "domain: acme\nretention: {keepDays: 9, keepVersions: null, rules: , schedule: null}\nquota: {maxBytes: 5, maxVersions: null}\nrepositories:\n  - {name: app, versionPolicy: , format: , description: }\n" +
		"users:\n  - {name: ada, path: }\nalarms:\n" + alarm + ", evaluationPeriods: , treatMissingData: , actionsEnabled: , unit: , description: , dimensions: , alarmActions: }\n"
	if out := h.apply(nulls); !strings.Contains(out, "0 to create, 7 to change, 0 to delete") {
		t.Errorf("%s", out)
	}
	if out := h.apply(nulls); !strings.Contains(out, "nothing to do") {
		t.Errorf("%s", out)
	}
	for query, want := range map[string]string{
		"get-domain-quota --domain acme --query quota.[maxBytes,maxVersions]":                                               "5\tNone",
		"describe-alarms --query MetricAlarms[0].[EvaluationPeriods,TreatMissingData,ActionsEnabled,Unit]":                  "1\tmissing\tTrue\tNone",
		"get-domain-retention-configuration --domain acme --query retentionConfigurations[].[schedule,maxVersionsRetained]": "0 3 * * *\tNone\n0 3 * * *\tNone",
	} {
		if got := strings.TrimSpace(h.must(append(strings.Fields(query), "--output", "text")...)); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// Retention that would leave nothing is taken on by force alone.
func TestApply_RetentionThatRemovesAllWantsForce(t *testing.T) {
	h := open(t)
	h.domainWith("full")
	h.publish("full", "hello", "1.0.0")
	all := h.write("all.yaml", "domain: my-domain\nrepositories:\n  - {name: full, retention: {rules: [{remove: true}]}}\n")
	r := h.run("apply", "-f", all)
	if r.code != exitFailed || !strings.Contains(r.stderr, "it removes every version of everything; say so with --force") || !strings.Contains(r.stdout, "needs --force") {
		t.Errorf("%+v", r)
	}
	h.must("apply", "-f", all, "--force")
	if r := h.run("diff", "-f", all); r.code != exitOK {
		t.Errorf("%+v", r)
	}
}

// lacking is a server that does not know some operations.
type lacking struct {
	organisation.API
	word string // of their names
}

func (l lacking) Call(ctx context.Context, operation string, in map[string]any) (map[string]any, error) {
	if strings.Contains(operation, l.word) {
		return nil, fmt.Errorf("%w: this server does not know %s", organisation.ErrUnknownOperation, operation)
	}
	return l.API.Call(ctx, operation, in)
}

func TestApply_ServerThatCannot(t *testing.T) {
	h := open(t)
	api, options := h.caller()
	f, err := organisation.Parse("o.yaml", []byte(watched(t)))
	if err != nil {
		t.Fatal(err)
	}
	old := lacking{api, "Retention"}
	if _, err := organisation.Make(t.Context(), old, f, options); err == nil || !strings.Contains(err.Error(), "the file declares retention, which this server cannot do") {
		t.Error(err)
	}
	if got := h.must("list-domains", "--query", "length(domains)"); got != "0\n" {
		t.Error("something was made")
	}
	options.CreateOnly = true
	plan, err := organisation.Make(t.Context(), old, f, options)
	if err != nil || len(plan.Notes) != 1 || plan.Notes[0] != "retention is left out: this server does not have it" {
		t.Fatalf("%+v, %v", plan, err)
	}
	if err := plan.Apply(t.Context(), old, false, nil); err != nil {
		t.Error(err)
	}
	_, notes, err := organisation.Export(t.Context(), lacking{api, "Topics"}, options, "")
	if err != nil || len(notes) != 1 || !strings.HasPrefix(notes[0], "without topics: ") {
		t.Error(notes, err)
	}
}

// caller speaks to the house as its administrator.
func (h *house) caller() (*operationCaller, organisation.Options) {
	h.t.Helper()
	path, _ := h.app.Credentials()
	key, err := profileKey(h.t.Context(), path, defaultProfile)
	if err != nil {
		h.t.Fatal(err)
	}
	env := &Env{Services: Services(), Version: "test"}
	api := &operationCaller{services: env.Services, clients: map[string]*apiClient{}}
	for _, s := range env.Services {
		if api.clients[s.Name], err = newAPIClient(env, s, h.app.URL(), h.app.Region(), key); err != nil {
			h.t.Fatal(err)
		}
	}
	options, err := api.options(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return api, options
}

// Any organisation, put in the place of any other, is what the file says; what
// is exported, put on another server, is exported there as well.
func TestExport_GoesRound(t *testing.T) {
	one, two := open(t), open(t)
	a, options := one.caller()
	b, _ := two.caller()
	options.Prune, options.Force = true, true
	bring := func(t *rapid.T, api organisation.API, text []byte) {
		f, err := organisation.Parse("generated.yaml", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for turn := range 2 {
			plan, err := organisation.Make(one.t.Context(), api, f, options)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if turn == 1 && !plan.Empty() {
				t.Fatalf("applied, and still there is %+v\n%s", plan.Changes, text)
			}
			if err := plan.Apply(one.t.Context(), api, true, nil); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
		}
	}
	export := func(t *rapid.T, api organisation.API) []byte {
		f, _, err := organisation.Export(one.t.Context(), api, options, "")
		if err != nil {
			t.Fatal(err)
		}
		text, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	checks := flag.Lookup("rapid.checks").Value
	before := checks.String()
	if err := checks.Set("20"); err != nil { // each is some hundred calls of two servers
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Set(before) })
	rapid.Check(t, func(t *rapid.T) {
		file := generated(t)
		text, err := file.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		bring(t, a, text)
		first := export(t, a)
		bring(t, b, []byte("domains: []\npolicies: []\ngroups: []\nusers: [{name: admin}]\nroles: []\ntopics: []\nalarms: []\n"))
		bring(t, b, first)
		if diff := cmp.Diff(string(first), string(export(t, b))); diff != "" {
			t.Fatalf("exported elsewhere: %s", diff)
		}
	})
}

// generated is an organisation with the administrator in it.
func generated(t *rapid.T) *organisation.File {
	subset := func(label string, from ...string) (out []string) {
		for _, v := range from {
			if rapid.Bool().Draw(t, label+" "+v) {
				out = append(out, v)
			}
		}
		return out
	}
	words := rapid.SampledFrom([]string{"", "plain", "with: colon", "2012-10-17", "yes", "ünïcode ☃", `quote " and '`, "# no comment", "1e3", " spaces "})
	text := func(label string) *string { return new(words.Draw(t, label)) }
	tags := func(label string) map[string]string {
		out := map[string]string{}
		for _, key := range subset(label, "team", "stage", "on") {
			out[key] = words.Filter(func(s string) bool { return !strings.ContainsAny(s, `"'#☃`) }).Draw(t, label)
		}
		return out
	}
	document := func(label, action string, principal bool) *organisation.Document {
		if rapid.IntRange(0, 2).Draw(t, label) == 0 {
			return nil
		}
		s := map[string]any{"Effect": rapid.SampledFrom([]string{"Allow", "Deny"}).Draw(t, label), "Action": action, "Resource": []any{"*"}}
		if rapid.Bool().Draw(t, label) {
			s["Action"] = []any{action, "codeartifact:TagResource"}
		}
		if principal {
			s["Principal"] = rapid.SampledFrom([]any{"*", map[string]any{"AWS": "arn:aws:iam::123456789012:root"}}).Draw(t, label)
			s["Effect"] = "Allow"
		}
		return &organisation.Document{Value: map[string]any{"Version": "2012-10-17", "Statement": []any{s}}}
	}
	size := func(label string) *organisation.Quota {
		if rapid.Bool().Draw(t, label) {
			return nil
		}
		return &organisation.Quota{MaxBytes: new(organisation.Bytes(rapid.Int64Range(0, 1<<50).Draw(t, label))), MaxVersions: new(rapid.Int64Range(0, 1<<40).Draw(t, label))}
	}
	count := func(label string) *int64 { return new(rapid.Int64Range(1, 1000).Draw(t, label)) }
	kept := func(label string) *organisation.Retention {
		r := &organisation.Retention{}
		switch rapid.IntRange(0, 3).Draw(t, label) {
		case 0:
			return r // none
		case 1:
			r.RetentionDays = count(label)
		case 2:
			r.RetentionDays, r.MaxVersionsRetained = count(label), count(label)
		case 3:
			r.Rules = append(r.Rules,
				organisation.RetentionRule{Name: new("old, bad: ones"), Format: new("npm"), PackagePattern: new("/npm/acme~"), NotDownloadedForDays: count(label), Remove: new(true)},
				organisation.RetentionRule{OriginType: new("INTERNAL"), Kind: new("PRERELEASE"), Status: new("Published"), RetentionDays: count(label), AgeFrom: new("PUBLISH")},
				organisation.RetentionRule{Keep: new(true)})
		}
		return r
	}
	f := &organisation.File{
		Policies: []organisation.ManagedPolicy{}, Groups: []organisation.Group{}, Roles: []organisation.Role{}, Topics: []organisation.Topic{}, Alarms: []organisation.Alarm{},
	}
	for _, name := range subset("topic", "alerts", "news") {
		topic := organisation.Topic{Name: name, Subscriptions: []organisation.Subscription{}}
		for _, to := range subset("subscription", "https://hooks.test/a", "https://hooks.test/b?c=d#") {
			topic.Subscriptions = append(topic.Subscriptions, organisation.Subscription{Protocol: "https", Endpoint: strings.TrimSuffix(to, "#")})
		}
		f.Topics = append(f.Topics, topic)
	}
	for _, name := range subset("alarm", "high", "with: colon", "yes") {
		a := organisation.Alarm{
			Name: name, Description: text("alarm"), Namespace: "AWS/CodeArtifact", MetricName: "RepositoryStorageUsed", Dimensions: map[string]string{}, Statistic: "Average",
			Period: 60 * rapid.Int64Range(1, 60).Draw(t, "period"), EvaluationPeriods: new(rapid.Int64Range(1, 20).Draw(t, "periods")), ComparisonOperator: "LessThanThreshold",
			Threshold: rapid.Float64Range(-1e18, 1e18).Draw(t, "threshold"), ActionsEnabled: new(rapid.Bool().Draw(t, "enabled")), TreatMissingData: new("ignore"),
			OKActions: []string{"arn:aws:sns:us-east-1:123456789012:elsewhere"}, InsufficientDataActions: []string{},
		}
		for _, dimension := range subset("dimension", "DomainName", "RepositoryName") {
			a.Dimensions[dimension] = "acme"
		}
		for _, topic := range f.Topics {
			a.AlarmActions = append(a.AlarmActions, topic.Name)
		}
		f.Alarms = append(f.Alarms, a)
	}
	for _, name := range subset("domain", "acme", "beta") {
		d := organisation.Domain{Name: name}
		d.Repositories, d.PackageGroups = []organisation.Repository{}, []organisation.PackageGroup{}
		d.Tags, d.Policy, d.Quota = tags("domain tags"), document("domain policy", "codeartifact:DescribeDomain", true), size("domain quota")
		d.Retention = &organisation.DomainRetention{Published: kept("published"), Ingested: kept("ingested")}
		if r := *d.Retention.Published; r.RetentionDays != nil || r.Rules != nil {
			d.Retention.Schedule, d.Retention.TrashDays = new(rapid.SampledFrom([]string{"@daily", "0 3 * * *", "*/15 1-3 * * MON"}).Draw(t, "schedule")), count("trash")
		}
		names := rapid.Permutation([]string{"r1", "r2", "r3", "r4", "r5"}).Draw(t, "names")
		names = names[:rapid.IntRange(0, len(names)).Draw(t, "repositories")]
		for i, repo := range names {
			r := organisation.Repository{
				Name: repo, Description: text("description"), Tags: tags("tags"), Policy: document("policy", "codeartifact:ReadFromRepository", true), Quota: size("quota"), Retention: kept("retention"),
				VersionPolicy: new(rapid.SampledFrom([]string{"RELEASE", "MIXED", "SNAPSHOT"}).Draw(t, "version policy")),
			}
			r.Upstreams = append([]string{}, subset("upstreams", names[i+1:]...)...)
			if rapid.Bool().Draw(t, "reversed") {
				slices.Reverse(r.Upstreams)
			}
			r.ExternalConnections = subset("connections", "public:npmjs")
			d.Repositories = append(d.Repositories, r)
		}
		for _, pattern := range subset("group", "/*", "/npm/*", "/npm/acme~", "/npm/acme/*", "/npm/acme/kit~", "/npm/acme/kit$", "/pypi//tool$") {
			g := organisation.PackageGroup{
				Pattern: pattern, ContactInfo: text("contact"), Description: text("group"),
				OriginRestrictions: map[string]string{}, AllowedRepositories: map[string][]string{},
			}
			for _, way := range []string{"PUBLISH", "INTERNAL_UPSTREAM", "EXTERNAL_UPSTREAM"} {
				modes := []string{"ALLOW", "BLOCK", "ALLOW_SPECIFIC_REPOSITORIES", "INHERIT"}
				if pattern == "/*" {
					modes = modes[:3]
				}
				mode := rapid.SampledFrom(modes).Draw(t, "mode")
				g.OriginRestrictions[way] = mode
				if mode == "ALLOW_SPECIFIC_REPOSITORIES" {
					g.AllowedRepositories[way] = subset("allowed", names...)
				}
			}
			d.PackageGroups = append(d.PackageGroups, g)
		}
		f.Domains = append(f.Domains, d)
	}
	if len(f.Domains) == 0 {
		f.Domains = []organisation.Domain{{Name: "only"}}
	}
	var policies, groups []string
	for _, name := range []string{"deploy", "audit"} { // always: what a file leaves unmanaged may be attached to them
		doc := document("managed", "codeartifact:List*", false)
		policies = append(policies, name)
		if doc == nil {
			doc = &organisation.Document{Value: map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": "*", "Resource": "*"}}}}
		}
		f.Policies = append(f.Policies, organisation.ManagedPolicy{Name: name, Document: doc})
	}
	rights := func(label string) (r organisation.Rights) {
		r.AttachedPolicies = subset(label, append(policies, "arn:aws:iam::aws:policy/AWSCodeArtifactReadOnlyAccess")...)
		if doc := document(label, "codeartifact:Get*", false); doc != nil {
			r.Policies = map[string]*organisation.Document{"own": doc}
		}
		return r
	}
	for _, name := range subset("groups", "developers", "operators") {
		f.Groups = append(f.Groups, organisation.Group{Name: name, Rights: rights("group rights")})
		groups = append(groups, name)
	}
	f.Users = []organisation.User{{Name: "admin"}}
	for _, name := range subset("users", "ada", "bob") {
		f.Users = append(f.Users, organisation.User{Name: name, Groups: subset("membership", groups...), Tags: tags("user tags"), Rights: rights("user rights")})
	}
	for _, name := range subset("roles", "ci") {
		trust := &organisation.Document{Value: map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole",
		}}}}
		f.Roles = append(f.Roles, organisation.Role{
			Name: name, Description: text("role"), TrustPolicy: trust, Tags: tags("role tags"), Rights: rights("role rights"),
			MaxSessionDuration: new(rapid.Int64Range(3600, 43200).Draw(t, "session")),
		})
	}
	return f
}

// cut is a server that a caller loses after so many calls that change something.
type cut struct {
	organisation.API
	left int
}

var errCut = errors.New("cut off")

func (c *cut) Call(ctx context.Context, operation string, in map[string]any) (map[string]any, error) {
	for _, read := range []string{"List", "Describe", "Get"} {
		if strings.HasPrefix(operation, read) {
			return c.API.Call(ctx, operation, in)
		}
	}
	if c.left--; c.left < 0 {
		return nil, errCut
	}
	return c.API.Call(ctx, operation, in)
}

// Wherever an apply is cut off, the next one ends it: making, and taking away.
func TestApply_GoesOnWhereItWasCutOff(t *testing.T) {
	h := open(t)
	api, options := h.caller()
	options.Prune, options.Force = true, true
	const nothing = "domains: []\npolicies: []\ngroups: []\nusers: [{name: admin}]\nroles: []\ntopics: []\nalarms: []\n"
	run := func(api organisation.API, text string) (changes int, err error) {
		f, err := organisation.Parse("o.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := organisation.Make(t.Context(), api, f, options)
		if err != nil {
			t.Fatal(err)
		}
		return len(plan.Changes), plan.Apply(t.Context(), api, true, nil)
	}
	for _, texts := range [][2]string{{nothing, acme}, {acme, nothing}, {nothing, watched(t)}, {watched(t), nothing}} {
		for after := 0; ; after++ {
			if _, err := run(api, texts[0]); err != nil {
				t.Fatal(err)
			}
			_, err := run(&cut{api, after}, texts[1])
			if err == nil {
				break // nothing was cut off
			}
			if !errors.Is(err, errCut) {
				t.Fatalf("after %d calls: %v", after, err)
			}
			if _, err := run(api, texts[1]); err != nil {
				t.Fatalf("going on after %d calls: %v", after, err)
			}
			if n, err := run(api, texts[1]); n > 0 || err != nil {
				t.Fatalf("after %d calls %d changes were left, %v", after, n, err)
			}
		}
	}
}
