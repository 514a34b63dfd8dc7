package control_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog"
	"packhouse/internal/control"
)

func upstreams(names ...string) []types.UpstreamRepository {
	list := []types.UpstreamRepository{}
	for _, n := range names {
		list = append(list, types.UpstreamRepository{RepositoryName: &n})
	}
	return list
}

func upstreamsOf(r *types.RepositoryDescription) []string {
	var names []string
	for _, u := range r.Upstreams {
		names = append(names, *u.RepositoryName)
	}
	return names
}

func (h *house) describe(name string) *types.RepositoryDescription {
	h.t.Helper()
	return must[codeartifact.DescribeRepositoryOutput](h.t)(h.DescribeRepository(h.t.Context(), &codeartifact.DescribeRepositoryInput{Domain: new("corp"), Repository: &name})).Repository
}

func TestRepository_Lifecycle(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.domain("corp")
		h.repo("first")
		h.repo("second")
		created := must[codeartifact.CreateRepositoryOutput](t)(h.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{
			Domain: new("corp"), Repository: new("app"), Description: new("the app's"), Upstreams: upstreams("second", "first"),
		})).Repository
		described := h.describe("app")
		want := []string{"app", account, "corp", account, repositoryARN("app"), "the app's"}
		for _, r := range []*types.RepositoryDescription{created, described} {
			got := []string{*r.Name, *r.AdministratorAccount, *r.DomainName, *r.DomainOwner, *r.Arn, *r.Description}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"second", "first"}, upstreamsOf(r)); diff != "" {
				t.Error(diff)
			}
			if r.CreatedTime == nil || r.ExternalConnections == nil || len(r.ExternalConnections) != 0 {
				t.Errorf("%+v", r)
			}
		}

		update := func(in codeartifact.UpdateRepositoryInput) *types.RepositoryDescription {
			t.Helper()
			in.Domain, in.Repository = new("corp"), new("app")
			return must[codeartifact.UpdateRepositoryOutput](t)(h.UpdateRepository(ctx, &in)).Repository
		}
		if r := update(codeartifact.UpdateRepositoryInput{}); *r.Description != "the app's" || len(r.Upstreams) != 2 {
			t.Errorf("an empty update made %+v", r)
		}
		if r := update(codeartifact.UpdateRepositoryInput{Description: new("")}); aws.ToString(r.Description) != "" || len(r.Upstreams) != 2 {
			t.Errorf("an empty description made %+v", r)
		}
		if r := update(codeartifact.UpdateRepositoryInput{Upstreams: upstreams("first", "second"), Description: new("new")}); *r.Description != "new" || upstreamsOf(r)[0] != "first" {
			t.Errorf("another order made %+v", r)
		}
		if r := update(codeartifact.UpdateRepositoryInput{Upstreams: upstreams("first")}); len(r.Upstreams) != 1 {
			t.Errorf("one upstream made %+v", r)
		}

		deleted := must[codeartifact.DeleteRepositoryOutput](t)(h.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: new("corp"), Repository: new("first")})).Repository
		if *deleted.Name != "first" {
			t.Errorf("deleted %+v", deleted)
		}
		if got := upstreamsOf(h.describe("app")); len(got) > 0 {
			t.Errorf("a deleted repository is an upstream still: %v", got)
		}
		_, err := h.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: new("corp"), Repository: new("first")})
		wantNotFound(t, err, "repository", "first")
		_, err = h.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: new("corp"), Repository: new("first")})
		wantNotFound(t, err, "repository", "first")
		if r := update(codeartifact.UpdateRepositoryInput{Upstreams: upstreams()}); len(r.Upstreams) > 0 {
			t.Errorf("no upstreams made %+v", r)
		}
	})
}

func TestRepository_UpstreamRules(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	var eleven []string
	for i := range 11 {
		name := fmt.Sprintf("up-%d", i)
		h.repo(name)
		eleven = append(eleven, name)
	}
	h.repo("mid", "up-0")
	h.repo("top", "mid")
	for _, c := range []struct {
		name, repository string
		upstreams        []string
		code             string
		status           int
	}{
		{"eleven", "mid", eleven, quota, 402},
		{"absent", "mid", []string{"absent"}, notFound, 404},
		{"twice", "mid", []string{"up-1", "up-1"}, invalid, 400},
		{"itself", "mid", []string{"mid"}, invalid, 400},
		{"cycle", "up-0", []string{"top"}, invalid, 400},
		{"short cycle", "up-0", []string{"up-1", "mid"}, invalid, 400},
		{"bad name", "mid", []string{"a b"}, invalid, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := h.UpdateRepository(t.Context(), &codeartifact.UpdateRepositoryInput{Domain: new("corp"), Repository: &c.repository, Upstreams: upstreams(c.upstreams...), Description: new("changed")})
			wantError(t, err, c.code, c.status)
			if r := h.describe(c.repository); aws.ToString(r.Description) != "" {
				t.Error("the failed call changed something")
			}
			if c.status != 400 || c.name == "twice" {
				_, err = h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("new"), Upstreams: upstreams(c.upstreams...)})
				wantError(t, err, c.code, c.status)
			}
		})
	}
	_, err := h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("self"), Upstreams: upstreams("self")})
	wantError(t, err, invalid, 400)
	must[codeartifact.CreateRepositoryOutput](t)(h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("ten"), Upstreams: upstreams(eleven[:10]...)}))
}

func TestRepository_UpstreamsNeedPermission(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("secret")
	h.repo("open")
	h.repo("app", "secret")
	c := h.user("dev",
		statement("Allow", "codeartifact:*Repository", "*"),
		statement("Deny", "codeartifact:AssociateWithDownstreamRepository", repositoryARN("secret")))
	_, err := c.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("mine"), Upstreams: upstreams("open", "secret")})
	wantError(t, err, denied, 403)
	must[codeartifact.CreateRepositoryOutput](t)(c.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("mine"), Upstreams: upstreams("open")}))
	_, err = c.UpdateRepository(t.Context(), &codeartifact.UpdateRepositoryInput{Domain: new("corp"), Repository: new("mine"), Upstreams: upstreams("secret")})
	wantError(t, err, denied, 403)
	// One that is an upstream already needs no further permission.
	must[codeartifact.UpdateRepositoryOutput](t)(c.UpdateRepository(t.Context(), &codeartifact.UpdateRepositoryInput{Domain: new("corp"), Repository: new("app"), Upstreams: upstreams("open", "secret")}))
}

func TestCreateRepository_Refuses(t *testing.T) {
	h := lite(t, limits(control.Limits{Repositories: 2}))
	h.domain("corp")
	h.repo("one")
	_, err := h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("one")})
	wantConflict(t, err, "repository", "one")
	_, err = h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("absent"), Repository: new("one")})
	wantNotFound(t, err, "domain", "absent")
	h.repo("two")
	_, err = h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("three")})
	wantError(t, err, quota, 402)
	for _, name := range []string{"x", "-a", "a/b"} {
		_, err = h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: &name})
		wantError(t, err, invalid, 400)
	}
	_, err = h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("four"), Description: new("a\nb")})
	wantError(t, err, invalid, 400)
	onlyDomain := h.user("creator", statement("Allow", "codeartifact:CreateRepository", domainARN("corp")))
	_, err = onlyDomain.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("one")})
	wantError(t, err, conflict, 409) // allowed on the domain, so it hears of the conflict
	_, err = onlyDomain.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("elsewhere"), Repository: new("one")})
	wantError(t, err, denied, 403)
}

func TestExternalConnection(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.domain("corp")
		h.repo("up")
		h.repo("store", "up") // upstreams and a connection go together
		in := &codeartifact.AssociateExternalConnectionInput{Domain: new("corp"), Repository: new("store"), ExternalConnection: new(public)}
		r := must[codeartifact.AssociateExternalConnectionOutput](t)(h.AssociateExternalConnection(ctx, in)).Repository
		want := []types.RepositoryExternalConnectionInfo{{ExternalConnectionName: new(public), PackageFormat: "npm", Status: "Available"}}
		opt := cmp.Transformer("plain", func(i types.RepositoryExternalConnectionInfo) [3]string {
			return [3]string{*i.ExternalConnectionName, string(i.PackageFormat), string(i.Status)}
		})
		for _, got := range []*types.RepositoryDescription{r, h.describe("store")} {
			if diff := cmp.Diff(want, got.ExternalConnections, opt); diff != "" || len(got.Upstreams) != 1 {
				t.Error(diff, got.Upstreams)
			}
		}
		_, err := h.AssociateExternalConnection(ctx, in)
		wantConflict(t, err, "repository", "store")
		in.ExternalConnection = new(python)
		_, err = h.AssociateExternalConnection(ctx, in)
		wantConflict(t, err, "repository", "store")
		in.ExternalConnection = new("public:nowhere")
		_, err = h.AssociateExternalConnection(ctx, in)
		wantError(t, err, invalid, 400)
		in.ExternalConnection, in.Repository = new(public), new("absent")
		_, err = h.AssociateExternalConnection(ctx, in)
		wantNotFound(t, err, "repository", "absent")

		out := &codeartifact.DisassociateExternalConnectionInput{Domain: new("corp"), Repository: new("store"), ExternalConnection: new(python)}
		_, err = h.DisassociateExternalConnection(ctx, out)
		wantNotFound(t, err, "repository", "store")
		out.ExternalConnection = new(public)
		r = must[codeartifact.DisassociateExternalConnectionOutput](t)(h.DisassociateExternalConnection(ctx, out)).Repository
		if len(r.ExternalConnections) > 0 {
			t.Errorf("left is %v", r.ExternalConnections)
		}
		_, err = h.DisassociateExternalConnection(ctx, out)
		wantNotFound(t, err, "repository", "store")
	})
}

func TestExternalConnection_OnePerFormatWhereAllowed(t *testing.T) {
	h := lite(t, limits(control.Limits{ConnectionPerFormat: true}))
	h.domain("corp")
	h.repo("store")
	in := &codeartifact.AssociateExternalConnectionInput{Domain: new("corp"), Repository: new("store"), ExternalConnection: new(public)}
	must[codeartifact.AssociateExternalConnectionOutput](t)(h.AssociateExternalConnection(t.Context(), in))
	_, err := h.AssociateExternalConnection(t.Context(), in)
	wantConflict(t, err, "repository", "store")
	in.ExternalConnection = new(python)
	r := must[codeartifact.AssociateExternalConnectionOutput](t)(h.AssociateExternalConnection(t.Context(), in)).Repository
	if len(r.ExternalConnections) != 2 {
		t.Errorf("it has %v", r.ExternalConnections)
	}
}

func TestListRepositories(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.domain("zoo")
		var want, inCorp []string
		for i := range 7 {
			name := fmt.Sprintf("repo-%d", i)
			h.repo(name)
			want, inCorp = append(want, "corp/"+name), append(inCorp, name)
		}
		must[codeartifact.CreateRepositoryOutput](t)(h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("zoo"), Repository: new("repo-3")}))
		h.repo("other")
		want = append(want[:4], append([]string{"zoo/repo-3"}, want[4:]...)...)

		var got []string
		pages := codeartifact.NewListRepositoriesPaginator(h, &codeartifact.ListRepositoriesInput{MaxResults: aws.Int32(3), RepositoryPrefix: new("repo-")})
		for pages.HasMorePages() {
			for _, r := range must[codeartifact.ListRepositoriesOutput](t)(pages.NextPage(t.Context())).Repositories {
				got = append(got, *r.DomainName+"/"+*r.Name)
				if r.Arn == nil || *r.AdministratorAccount != account || *r.DomainOwner != account || r.CreatedTime == nil {
					t.Errorf("summary %+v", r)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}

		got = nil
		inDomain := codeartifact.NewListRepositoriesInDomainPaginator(h, &codeartifact.ListRepositoriesInDomainInput{Domain: new("corp"), MaxResults: aws.Int32(2), RepositoryPrefix: new("repo-"), AdministratorAccount: new(account)})
		for inDomain.HasMorePages() {
			for _, r := range must[codeartifact.ListRepositoriesInDomainOutput](t)(inDomain.NextPage(t.Context())).Repositories {
				got = append(got, *r.Name)
			}
		}
		if diff := cmp.Diff(inCorp, got); diff != "" {
			t.Error(diff)
		}
		nobodys := must[codeartifact.ListRepositoriesInDomainOutput](t)(h.ListRepositoriesInDomain(t.Context(), &codeartifact.ListRepositoriesInDomainInput{Domain: new("corp"), AdministratorAccount: new(other)}))
		if len(nobodys.Repositories) > 0 || nobodys.NextToken != nil {
			t.Errorf("another administrator has %v", nobodys.Repositories)
		}
		_, err := h.ListRepositoriesInDomain(t.Context(), &codeartifact.ListRepositoriesInDomainInput{Domain: new("absent")})
		wantNotFound(t, err, "domain", "absent")
	})
}

func TestListRepositories_LeavesOutWhatMayNotBeListed(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	for _, name := range []string{"aa", "bb", "cc"} {
		h.repo(name)
	}
	c := h.user("some", statement("Allow", "codeartifact:ListRepositories", repositoryARN("bb")))
	out := must[codeartifact.ListRepositoriesOutput](t)(c.ListRepositories(t.Context(), &codeartifact.ListRepositoriesInput{MaxResults: aws.Int32(1)}))
	if len(out.Repositories) != 1 || *out.Repositories[0].Name != "bb" || out.NextToken != nil {
		t.Errorf("got %+v", out)
	}
	_, err := h.user("nobody", statement("Allow", "codeartifact:ListDomains", "*")).ListRepositories(t.Context(), &codeartifact.ListRepositoriesInput{})
	wantError(t, err, denied, 403)
}

func TestNextToken_IsGoodForItsListingAlone(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("aa")
	h.repo("ab")
	first := must[codeartifact.ListRepositoriesInDomainOutput](t)(h.ListRepositoriesInDomain(t.Context(), &codeartifact.ListRepositoriesInDomainInput{Domain: new("corp"), MaxResults: aws.Int32(1)}))
	if first.NextToken == nil {
		t.Fatal("there is no second page")
	}
	for name, in := range map[string]*codeartifact.ListRepositoriesInDomainInput{
		"other filter": {Domain: new("corp"), RepositoryPrefix: new("aa"), NextToken: first.NextToken},
		"damaged":      {Domain: new("corp"), NextToken: new(*first.NextToken + "x")},
		"not a token":  {Domain: new("corp"), NextToken: new("abc")},
	} {
		_, err := h.ListRepositoriesInDomain(t.Context(), in)
		if err == nil {
			t.Errorf("%s was taken", name)
			continue
		}
		wantError(t, err, invalid, 400)
	}
	_, err := h.ListRepositories(t.Context(), &codeartifact.ListRepositoriesInput{NextToken: first.NextToken})
	wantError(t, err, invalid, 400)
}

func TestDelete_ForgetsTagsAndPolicies(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	arn := repositoryARN("repo")
	h.protect("repository", arn, `{"Effect":"Deny","Principal":"*","Action":"codeartifact:DescribeRepository","Resource":"*"}`)
	must[codeartifact.TagResourceOutput](t)(h.TagResource(t.Context(), &codeartifact.TagResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: new("team"), Value: new("a")}}}))
	must[codeartifact.DeleteRepositoryOutput](t)(h.DeleteRepository(t.Context(), &codeartifact.DeleteRepositoryInput{Domain: new("corp"), Repository: new("repo")}))
	h.repo("repo")
	h.describe("repo") // nobody is denied it any more
	if out := must[codeartifact.ListTagsForResourceOutput](t)(h.ListTagsForResource(t.Context(), &codeartifact.ListTagsForResourceInput{ResourceArn: &arn})); len(out.Tags) > 0 {
		t.Errorf("the new one has tags of the old: %v", out.Tags)
	}
	must[codeartifact.DeleteRepositoryOutput](t)(h.DeleteRepository(t.Context(), &codeartifact.DeleteRepositoryInput{Domain: new("corp"), Repository: new("repo")}))
	h.protect("domain", domainARN("corp"), `{"Effect":"Deny","Principal":"*","Action":"codeartifact:DescribeDomain","Resource":"*"}`)
	must[codeartifact.DeleteDomainOutput](t)(h.DeleteDomain(t.Context(), &codeartifact.DeleteDomainInput{Domain: new("corp")}))
	h.update(func(tx *catalog.Tx) error {
		if _, err := tx.ResourcePolicy("domain", domainARN("corp")); err == nil {
			t.Error("the policy of the domain is there still")
		}
		return nil
	})
}
