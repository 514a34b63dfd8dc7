package control_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/control/api"
)

// create makes a repository of "corp" with members that no SDK has.
func (h *house) create(t *testing.T, repository, body string) (status int, answer string) {
	t.Helper()
	status, _, answer = h.send(t, "POST", "/v1/repository", "domain=corp&repository="+repository, body)
	return status, answer
}

func (h *house) created(t *testing.T, repository, body string) {
	t.Helper()
	if status, answer := h.create(t, repository, body); status != 200 {
		t.Fatalf("create %s %s: %d %s", repository, body, status, answer)
	}
}

// described reads a repository as it is on the wire.
func (h *house) described(t *testing.T, repository string) (members map[string]json.RawMessage) {
	t.Helper()
	_, _, text := h.send(t, "GET", "/v1/repository", "domain=corp&repository="+repository, "")
	var answer struct{ Repository map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return answer.Repository
}

func TestFormat_IsKeptAndShownEverywhere(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.created(t, "plain", `{}`)
		h.created(t, "js", `{"format":"npm","description":"for scripts"}`)
		for _, c := range []struct{ what, method, path, query, body string }{
			{"update", "PUT", "/v1/repository", "domain=corp&repository=js", `{"description":""}`},
			{"update with another format", "PUT", "/v1/repository", "domain=corp&repository=js", `{"format":"pypi"}`},
			{"describe", "GET", "/v1/repository", "domain=corp&repository=js", ""},
			{"list", "POST", "/v1/repositories", "repository-prefix=js", ""},
			{"list in the domain", "POST", "/v1/domain/repositories", "domain=corp&repository-prefix=js", ""},
			{"delete", "DELETE", "/v1/repository", "domain=corp&repository=js", ""},
		} {
			if status, _, text := h.send(t, c.method, c.path, c.query, c.body); status != 200 || !strings.Contains(text, `"format":"npm"`) {
				t.Errorf("%s: %d %s", c.what, status, text)
			}
		}
		if r := h.described(t, "plain"); r["format"] != nil || r["upstreamRepositories"] != nil {
			t.Errorf("a repository of all formats without upstreams is described as %v", r)
		}
	})
}

func TestFormat_KeepsOthersOut(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	for name, body := range map[string]string{
		"plain": `{}`, "js": `{"format":"npm"}`, "js2": `{"format":"npm"}`, "py": `{"format":"pypi"}`,
	} {
		h.created(t, name, body)
	}
	const upstreams = `"upstreams":[{"repositoryName":"`
	for _, c := range []struct {
		what, method, path, query, body string
		status                          int
		text                            string // of the answer
	}{
		{"no such format", "POST", "/v1/repository", "domain=corp&repository=new", `{"format":"rpm"}`, 400, "enum"},
		{"format is a number", "POST", "/v1/repository", "domain=corp&repository=new", `{"format":7}`, 400, ""},
		{"upstream of another format", "POST", "/v1/repository", "domain=corp&repository=new", `{"format":"npm",` + upstreams + `py"}]}`, 400, "py is for pypi packages only"},
		{"upstream of another format, later", "PUT", "/v1/repository", "domain=corp&repository=js", `{` + upstreams + `py"}]}`, 400, "py is for pypi packages only"},
		{"upstream of the same format", "PUT", "/v1/repository", "domain=corp&repository=js", `{` + upstreams + `js2"}]}`, 200, ""},
		{"upstream of all formats", "PUT", "/v1/repository", "domain=corp&repository=js", `{` + upstreams + `plain"}]}`, 200, ""},
		{"one of all formats takes any upstream", "POST", "/v1/repository", "domain=corp&repository=both", `{"upstreams":[{"repositoryName":"js"},{"repositoryName":"py"}]}`, 200, ""},
		{"connection of another format", "POST", "/v1/repository/external-connection", "domain=corp&repository=js&external-connection=" + python, "", 400, "brings pypi packages"},
		{"connection of its format", "POST", "/v1/repository/external-connection", "domain=corp&repository=js&external-connection=" + public, "", 200, ""},
		{"endpoint of another format", "GET", "/v1/repository/endpoint", "domain=corp&repository=js&format=maven", "", 400, "for npm packages only"},
		{"endpoint of its format", "GET", "/v1/repository/endpoint", "domain=corp&repository=js&format=npm", "", 200, "/npm/js/"},
		{"endpoint of one of all formats", "GET", "/v1/repository/endpoint", "domain=corp&repository=plain&format=maven", "", 200, "/maven/plain/"},
		{"settings of another format's package", "POST", "/v1/package", "domain=corp&repository=py&format=npm&package=thing", `{"restrictions":{"publish":"ALLOW","upstream":"BLOCK"}}`, 400, "for pypi packages only"},
		{"settings of its package", "POST", "/v1/package", "domain=corp&repository=js&format=npm&package=thing", `{"restrictions":{"publish":"ALLOW","upstream":"BLOCK"}}`, 200, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			status, exception, text := h.send(t, c.method, c.path, c.query, c.body)
			if status != c.status || !strings.Contains(text, c.text) || status == 400 && exception != invalid {
				t.Errorf("%d %s %s, want %d with %q", status, exception, text, c.status, c.text)
			}
		})
	}
	if status, _, _ := h.send(t, "GET", "/v1/repository", "domain=corp&repository=new", ""); status != 404 {
		t.Errorf("a refused repository is there: %d", status)
	}
}

func TestFormat_RefusesCopies(t *testing.T) {
	h := lite(t)
	shelf(h)
	h.created(t, "py", `{"format":"pypi"}`)
	h.created(t, "js", `{"format":"npm"}`)
	for destination, want := range map[string]int{"py": 400, "js": 200} {
		status, exception, text := h.send(t, "POST", "/v1/package/versions/copy",
			"domain=corp&source-repository=repo&destination-repository="+destination+"&format=npm&package=thing", `{"versions":["1.0.0"]}`)
		if status != want || want == 400 && (exception != invalid || !strings.Contains(text, "for pypi packages only")) {
			t.Errorf("copy to %s: %d %s %s", destination, status, exception, text)
		}
	}
}

func TestUpstreamRepositories_AreUpstreamsWithOwner(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("one")
	h.repo("two")
	owned := func(name string) api.OwnedUpstreamRepository {
		return api.OwnedUpstreamRepository{RepositoryName: name, Domain: "corp", DomainOwner: account}
	}
	check := func(want ...string) {
		t.Helper()
		var plain []types.UpstreamRepositoryInfo
		var withOwner, wantOwned []api.OwnedUpstreamRepository
		for _, name := range want {
			plain, wantOwned = append(plain, types.UpstreamRepositoryInfo{RepositoryName: &name}), append(wantOwned, owned(name))
		}
		out := must[codeartifact.DescribeRepositoryOutput](t)(h.DescribeRepository(t.Context(), &codeartifact.DescribeRepositoryInput{Domain: new("corp"), Repository: new("app")}))
		if diff := cmp.Diff(len(plain), len(out.Repository.Upstreams)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, upstreamsOf(out.Repository)); diff != "" {
			t.Error(diff)
		}
		if text := h.described(t, "app")["upstreamRepositories"]; text != nil {
			if err := json.Unmarshal(text, &withOwner); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(wantOwned, withOwner); diff != "" {
			t.Error(diff)
		}
	}
	h.created(t, "app", `{"upstreamRepositories":[{"repositoryName":"two","domainOwner":"`+account+`"},{"repositoryName":"one","domain":"corp"}]}`)
	check("two", "one")
	for _, c := range []struct {
		body string
		want []string
	}{
		{`{"description":"x"}`, []string{"two", "one"}},
		{`{"upstreamRepositories":[{"repositoryName":"one","domain":"corp","domainOwner":"` + account + `"}]}`, []string{"one"}},
		{`{"upstreams":[{"repositoryName":"two"}],"upstreamRepositories":[{"repositoryName":"two"}]}`, []string{"two"}},
		{`{"upstreams":[{"repositoryName":"one"},{"repositoryName":"two"}]}`, []string{"one", "two"}},
		{`{"upstreamRepositories":[]}`, nil},
	} {
		if status, _, text := h.send(t, "PUT", "/v1/repository", "domain=corp&repository=app", c.body); status != 200 {
			t.Fatalf("%s: %d %s", c.body, status, text)
		}
		check(c.want...)
	}
}

func TestUpstreamRepositories_Refused(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("one")
	h.repo("two")
	h.repo("app", "one")
	for _, c := range []struct {
		what, body string
		status     int
		text       string
	}{
		{"another owner", `{"upstreamRepositories":[{"repositoryName":"one","domainOwner":"` + other + `"}]}`, 400, "must be in the domain of the repository, corp of account " + account},
		{"another domain", `{"upstreamRepositories":[{"repositoryName":"one","domain":"elsewhere"}]}`, 400, "not in elsewhere"},
		{"both, different", `{"upstreams":[{"repositoryName":"one"}],"upstreamRepositories":[{"repositoryName":"two"}]}`, 400, "differs from upstreams"},
		{"both, another order", `{"upstreams":[{"repositoryName":"one"},{"repositoryName":"two"}],"upstreamRepositories":[{"repositoryName":"two"},{"repositoryName":"one"}]}`, 400, "differs"},
		{"both, one empty", `{"upstreams":[],"upstreamRepositories":[{"repositoryName":"two"}]}`, 400, "differs"},
		{"no name", `{"upstreamRepositories":[{"domain":"corp"}]}`, 400, "null"},
		{"a bad owner", `{"upstreamRepositories":[{"repositoryName":"one","domainOwner":"me"}]}`, 400, "domainOwner"},
		{"a list of names", `{"upstreamRepositories":["one"]}`, 400, ""},
		{"twice", `{"upstreamRepositories":[{"repositoryName":"one"},{"repositoryName":"one"}]}`, 400, "twice"},
		{"itself", `{"upstreamRepositories":[{"repositoryName":"app"}]}`, 400, "own upstream"},
		{"absent", `{"upstreamRepositories":[{"repositoryName":"absent"}]}`, 404, "absent"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if status, _, text := h.send(t, "PUT", "/v1/repository", "domain=corp&repository=app", c.body); status != c.status || !strings.Contains(text, c.text) {
				t.Errorf("update: %d %s", status, text)
			}
			if c.what == "itself" {
				return
			}
			if status, text := h.create(t, "new", c.body); status != c.status || !strings.Contains(text, c.text) {
				t.Errorf("create: %d %s", status, text)
			}
		})
	}
	if diff := cmp.Diff([]string{"one"}, upstreamsOf(h.describe("app"))); diff != "" {
		t.Error(diff)
	}
}

func TestUpstreamRepositories_NeedPermission(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("secret")
	h.repo("app")
	h.user("dev",
		statement("Allow", "codeartifact:*Repository", "*"),
		statement("Deny", "codeartifact:AssociateWithDownstreamRepository", repositoryARN("secret")))
	dev := *h
	dev.key.ID, dev.key.Secret = "AKIA0000000000000dev", "secret"
	body := `{"upstreamRepositories":[{"repositoryName":"secret"}]}`
	if status, exception, text := dev.send(t, "PUT", "/v1/repository", "domain=corp&repository=app", body); status != 403 || exception != denied {
		t.Errorf("update: %d %s %s", status, exception, text)
	}
	if status, text := dev.create(t, "new", body); status != 403 {
		t.Errorf("create: %d %s", status, text)
	}
}

func TestVersionPolicy_IsSetAndChanged(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.created(t, "java", `{"versionPolicy":"RELEASE"}`)
		for _, c := range []struct{ body, want string }{
			{"", `"RELEASE"`}, {`{"description":"x"}`, `"RELEASE"`}, {`{"versionPolicy":"SNAPSHOT"}`, `"SNAPSHOT"`}, {`{"versionPolicy":"MIXED"}`, ``},
		} {
			if c.body != "" {
				if status, _, text := h.send(t, "PUT", "/v1/repository", "domain=corp&repository=java", c.body); status != 200 {
					t.Errorf("%s: %d %s", c.body, status, text)
				}
			}
			if got := string(h.described(t, "java")["versionPolicy"]); got != c.want {
				t.Errorf("after %s the policy is %s, want %s", c.body, got, c.want)
			}
		}
		if status, _, text := h.send(t, "PUT", "/v1/repository", "domain=corp&repository=java", `{"versionPolicy":"BOTH"}`); status != 400 {
			t.Errorf("a word that is none: %d %s", status, text)
		}
	})
}
