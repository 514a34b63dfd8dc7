package control_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/control"
)

func TestDomain_Lifecycle(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		created := must[codeartifact.CreateDomainOutput](t)(h.CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: new("corp")})).Domain
		if created.CreatedTime == nil || created.CreatedTime.IsZero() || created.S3BucketArn == nil ||
			!strings.HasPrefix(aws.ToString(created.EncryptionKey), "arn:aws:kms:"+region+":"+account+":key/") {
			t.Errorf("created %+v", created)
		}
		described := must[codeartifact.DescribeDomainOutput](t)(h.DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: new("corp")})).Domain
		want := []string{"corp", account, domainARN("corp"), "Active", *created.EncryptionKey}
		got := []string{*described.Name, *described.Owner, *described.Arn, string(described.Status), *described.EncryptionKey}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if !described.CreatedTime.Equal(*created.CreatedTime) || described.RepositoryCount != 0 || described.AssetSizeBytes != 0 {
			t.Errorf("described %+v", described)
		}

		h.repo("repo")
		h.publish(npmName("x"), "1.0.0", `{}`)
		h.repo("copy")
		described = must[codeartifact.DescribeDomainOutput](t)(h.DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: new("corp"), DomainOwner: new(account)})).Domain
		if described.RepositoryCount != 2 || described.AssetSizeBytes == 0 {
			t.Errorf("described %+v", described)
		}
		_, err := h.DeleteDomain(ctx, &codeartifact.DeleteDomainInput{Domain: new("corp")})
		wantConflict(t, err, "domain", "corp")
		for _, name := range []string{"repo", "copy"} {
			must[codeartifact.DeleteRepositoryOutput](t)(h.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: new("corp"), Repository: &name}))
		}
		deleted := must[codeartifact.DeleteDomainOutput](t)(h.DeleteDomain(ctx, &codeartifact.DeleteDomainInput{Domain: new("corp")})).Domain
		if deleted == nil || deleted.Status != types.DomainStatusDeleted || *deleted.Name != "corp" {
			t.Errorf("deleted %+v", deleted)
		}
		again := must[codeartifact.DeleteDomainOutput](t)(h.DeleteDomain(ctx, &codeartifact.DeleteDomainInput{Domain: new("corp")}))
		if again.Domain != nil {
			t.Errorf("deleted again %+v", again.Domain)
		}
		_, err = h.DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: new("corp")})
		wantNotFound(t, err, "domain", "corp")
	})
}

func TestCreateDomain_EncryptionKey(t *testing.T) {
	h := lite(t, limits(control.Limits{Domains: 100}))
	const id = "1234abcd-12ab-34cd-56ef-1234567890ab"
	kms := "arn:aws:kms:" + region + ":" + account + ":"
	for i, c := range []struct{ given, want string }{
		{id, kms + "key/" + id},
		{"mrk-1234abcd12ab34cd56ef1234567890ab", kms + "key/mrk-1234abcd12ab34cd56ef1234567890ab"},
		{"alias/mine", kms + "alias/mine"},
		{kms + "key/" + id, kms + "key/" + id},
		{"arn:aws:kms:us-east-1:" + other + ":alias/x", "arn:aws:kms:us-east-1:" + other + ":alias/x"},
		{"key", ""},
		{kms + id, ""},
		{"arn:aws:s3:::bucket", ""},
		{"alias/", ""},
	} {
		out, err := h.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: new(fmt.Sprintf("corp%d", i)), EncryptionKey: &c.given})
		if c.want == "" {
			wantError(t, err, invalid, 400)
			var e *types.ValidationException
			if errors.As(err, &e) && e.Reason != types.ValidationExceptionReasonEncryptionKeyError {
				t.Errorf("%s: reason %s", c.given, e.Reason)
			}
			continue
		}
		if err != nil || *out.Domain.EncryptionKey != c.want {
			t.Errorf("%s: got %v, %v, want %s", c.given, out, err, c.want)
		}
	}
}

func TestCreateDomain_Refuses(t *testing.T) {
	h := lite(t, limits(control.Limits{Domains: 2}))
	h.domain("corp")
	_, err := h.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: new("corp")})
	wantConflict(t, err, "domain", "corp")
	h.domain("second")
	_, err = h.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: new("third")})
	wantError(t, err, quota, 402)
	_, err = h.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: new("corp")})
	wantConflict(t, err, "domain", "corp") // also at the limit
	for _, name := range []string{"my_domain", "Corp", "c", "1corp", "corp-"} {
		_, err = h.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: &name})
		wantError(t, err, invalid, 400)
	}
	// Another account has its own names and its own quota.
	must[codeartifact.CreateDomainOutput](t)(h.foreign.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: new("corp")}))
}

func TestListDomains_PagesOwnDomains(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var want []string
		for i := range 7 {
			name := fmt.Sprintf("corp-%d", i)
			h.domain(name)
			want = append(want, name)
		}
		must[codeartifact.CreateDomainOutput](t)(h.foreign.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: new("theirs")}))
		pages := codeartifact.NewListDomainsPaginator(h, &codeartifact.ListDomainsInput{MaxResults: aws.Int32(3)})
		var got []string
		n := 0
		for ; pages.HasMorePages(); n++ {
			page := must[codeartifact.ListDomainsOutput](t)(pages.NextPage(t.Context()))
			for _, d := range page.Domains {
				got = append(got, *d.Name)
				if d.Arn == nil || d.CreatedTime == nil || d.EncryptionKey == nil || d.Status != "Active" || *d.Owner != account {
					t.Errorf("summary %+v", d)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || n != 3 {
			t.Errorf("in %d pages: %s", n, diff)
		}
	})
}

func TestListDomains_LeavesOutWhatMayNotBeListed(t *testing.T) {
	h := lite(t)
	for _, name := range []string{"aa", "bb", "cc", "dd"} {
		h.domain(name)
	}
	names := func(c *codeartifact.Client) ([]string, error) {
		var got []string
		pages := codeartifact.NewListDomainsPaginator(c, &codeartifact.ListDomainsInput{MaxResults: aws.Int32(1)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				return got, err
			}
			for _, d := range page.Domains {
				got = append(got, *d.Name)
			}
		}
		return got, nil
	}
	some := h.user("some", statement("Allow", "codeartifact:ListDomains", domainARN("*")), statement("Deny", "codeartifact:ListDomains", domainARN("cc")))
	got, err := names(some)
	if diff := cmp.Diff([]string{"aa", "bb", "dd"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	_, err = names(h.user("nobody", statement("Allow", "codeartifact:DescribeDomain", "*")))
	wantError(t, err, denied, 403)
	if got, err = names(h.foreign); err != nil || len(got) > 0 {
		t.Errorf("the other account sees %v, %v", got, err)
	}
}

func TestDomain_OfAnotherAccount(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	_, err := h.foreign.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: new("corp")})
	wantNotFound(t, err, "domain", "corp") // looked up in the caller's account
	_, err = h.foreign.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: new("corp"), DomainOwner: new(account)})
	wantError(t, err, denied, 403)
	_, err = h.foreign.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: new("absent"), DomainOwner: new(account)})
	wantError(t, err, denied, 403) // no different
	h.protect("domain", domainARN("corp"), `{"Effect":"Allow","Principal":{"AWS":"`+other+`"},"Action":["codeartifact:DescribeDomain","codeartifact:CreateRepository"],"Resource":"*"}`)
	must[codeartifact.DescribeDomainOutput](t)(h.foreign.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: new("corp"), DomainOwner: new(account)}))

	created := must[codeartifact.CreateRepositoryOutput](t)(h.foreign.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{
		Domain: new("corp"), DomainOwner: new(account), Repository: new("theirs"),
	})).Repository
	if *created.AdministratorAccount != other || *created.DomainOwner != account || *created.Arn != repositoryARN("theirs") {
		t.Errorf("created %+v", created)
	}
	// They administer it, so it is in their list; the domain's owner governs it.
	theirs := must[codeartifact.ListRepositoriesOutput](t)(h.foreign.ListRepositories(t.Context(), &codeartifact.ListRepositoriesInput{}))
	if len(theirs.Repositories) != 1 || *theirs.Repositories[0].DomainOwner != account {
		t.Errorf("they administer %+v", theirs.Repositories)
	}
	if ours := must[codeartifact.ListRepositoriesOutput](t)(h.ListRepositories(t.Context(), &codeartifact.ListRepositoriesInput{})); len(ours.Repositories) > 0 {
		t.Errorf("we administer %+v", ours.Repositories)
	}
	must[codeartifact.DescribeRepositoryOutput](t)(h.DescribeRepository(t.Context(), &codeartifact.DescribeRepositoryInput{Domain: new("corp"), Repository: new("theirs")}))
	_, err = h.GetRepositoryEndpoint(t.Context(), &codeartifact.GetRepositoryEndpointInput{Domain: new("corp"), Repository: new("theirs"), Format: "npm"})
	wantError(t, err, denied, 403)
}
