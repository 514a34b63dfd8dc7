package control_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
)

// ref names the package of most tests.
type ref struct{ domain, repository, pkg *string }

var thing = ref{new("corp"), new("repo"), new("thing")}

func packageName(p types.PackageSummary) string {
	return string(p.Format) + "/" + aws.ToString(p.Namespace) + "/" + *p.Package
}

func restrictionsOf(c *types.PackageOriginConfiguration) [2]string {
	if c == nil || c.Restrictions == nil {
		return [2]string{}
	}
	return [2]string{string(c.Restrictions.Publish), string(c.Restrictions.Upstream)}
}

func (h *house) restrict(pkg string, publish types.AllowPublish, upstream types.AllowUpstream) *types.PackageOriginConfiguration {
	h.t.Helper()
	return must[codeartifact.PutPackageOriginConfigurationOutput](h.t)(h.PutPackageOriginConfiguration(h.t.Context(), &codeartifact.PutPackageOriginConfigurationInput{
		Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: &pkg,
		Restrictions: &types.PackageOriginRestrictions{Publish: publish, Upstream: upstream},
	})).OriginConfiguration
}

func TestListPackages(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.repo("repo")
		for _, c := range []artifact.Coordinates{
			{Name: "apple"}, {Name: "apply"}, {Name: "banana"}, {Namespace: "team", Name: "apple"}, {Namespace: "teatime", Name: "cup"},
		} {
			c.Format = artifact.NPM
			h.publish(c, "1.0.0", `{}`)
		}
		h.restrict("blocked", "BLOCK", "BLOCK") // has no versions
		all := []string{"npm//apple", "npm//apply", "npm//banana", "npm//blocked", "npm/team/apple", "npm/teatime/cup"}
		for _, c := range []struct {
			name string
			in   codeartifact.ListPackagesInput
			want []string
		}{
			{"everything", codeartifact.ListPackagesInput{}, all},
			{"format", codeartifact.ListPackagesInput{Format: "npm"}, all},
			{"a format that is not served", codeartifact.ListPackagesInput{Format: "swift"}, nil},
			{"name prefix", codeartifact.ListPackagesInput{PackagePrefix: new("app")}, []string{"npm//apple", "npm//apply", "npm/team/apple"}},
			{"namespace prefix", codeartifact.ListPackagesInput{Format: "npm", Namespace: new("tea")}, []string{"npm/team/apple", "npm/teatime/cup"}},
			{"both prefixes", codeartifact.ListPackagesInput{Format: "npm", Namespace: new("tea"), PackagePrefix: new("c")}, []string{"npm/teatime/cup"}},
			{"publish", codeartifact.ListPackagesInput{Publish: "BLOCK"}, []string{"npm//blocked"}},
			{"upstream", codeartifact.ListPackagesInput{Upstream: "ALLOW"}, nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				c.in.Domain, c.in.Repository, c.in.MaxResults = thing.domain, thing.repository, aws.Int32(2)
				var got []string
				for pages := codeartifact.NewListPackagesPaginator(h, &c.in); pages.HasMorePages(); {
					for _, p := range must[codeartifact.ListPackagesOutput](t)(pages.NextPage(t.Context())).Packages {
						got = append(got, packageName(p))
						if restrictionsOf(p.OriginConfiguration)[0] == "" {
							t.Errorf("summary %+v", p)
						}
					}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
		_, err := h.ListPackages(t.Context(), &codeartifact.ListPackagesInput{Domain: thing.domain, Repository: thing.repository, Namespace: new("team")})
		wantError(t, err, invalid, 400)
		_, err = h.ListPackages(t.Context(), &codeartifact.ListPackagesInput{Domain: thing.domain, Repository: new("absent")})
		wantNotFound(t, err, "repository", "absent")
		_, err = h.ListPackages(t.Context(), &codeartifact.ListPackagesInput{Domain: new("absent"), Repository: new("absent")})
		wantNotFound(t, err, "domain", "absent")
	})
}

func TestListPackages_DefaultPageIsAHundred(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	for i := range 101 {
		h.restrict(fmt.Sprintf("p%03d", i), "ALLOW", "ALLOW")
	}
	out := must[codeartifact.ListPackagesOutput](t)(h.ListPackages(t.Context(), &codeartifact.ListPackagesInput{Domain: thing.domain, Repository: thing.repository}))
	if len(out.Packages) != 100 || out.NextToken == nil {
		t.Errorf("the first page has %d", len(out.Packages))
	}
}

func TestPackage_Lifecycle(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.domain("corp")
		h.repo("repo")
		h.repo("down", "repo")
		c := artifact.Coordinates{Format: artifact.NPM, Namespace: "team", Name: "thing"}
		h.publish(c, "1.0.0", `{}`)
		in := &codeartifact.DescribePackageInput{Domain: thing.domain, Repository: thing.repository, Format: "npm", Namespace: new("team"), Package: thing.pkg}
		p := must[codeartifact.DescribePackageOutput](t)(h.DescribePackage(ctx, in)).Package
		if diff := cmp.Diff([]string{"npm", "team", "thing"}, []string{string(p.Format), *p.Namespace, *p.Name}); diff != "" {
			t.Error(diff)
		}
		if got := restrictionsOf(p.OriginConfiguration); got != [2]string{"ALLOW", "BLOCK"} {
			t.Errorf("restrictions %v", got)
		}
		in.Repository = new("down")
		_, err := h.DescribePackage(ctx, in)
		wantNotFound(t, err, "package", "npm/team/thing") // upstreams are not looked at

		del := &codeartifact.DeletePackageInput{Domain: thing.domain, Repository: thing.repository, Format: "npm", Namespace: new("team"), Package: thing.pkg}
		gone := must[codeartifact.DeletePackageOutput](t)(h.DeletePackage(ctx, del)).DeletedPackage
		if packageName(*gone) != "npm/team/thing" || restrictionsOf(gone.OriginConfiguration) != [2]string{"ALLOW", "BLOCK"} {
			t.Errorf("deleted %+v", gone)
		}
		_, err = h.DeletePackage(ctx, del)
		wantNotFound(t, err, "package", "npm/team/thing")
	})
}

func TestPutPackageOriginConfiguration(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	if got := restrictionsOf(h.restrict("thing", "BLOCK", "ALLOW")); got != [2]string{"BLOCK", "ALLOW"} {
		t.Errorf("got %v", got)
	}
	p := must[codeartifact.DescribePackageOutput](t)(h.DescribePackage(t.Context(), &codeartifact.DescribePackageInput{Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg})).Package
	if got := restrictionsOf(p.OriginConfiguration); got != [2]string{"BLOCK", "ALLOW"} {
		t.Errorf("described %v", got)
	}
	for name, c := range map[string]struct {
		in     codeartifact.PutPackageOriginConfigurationInput
		code   string
		status int
	}{
		"not served":     {codeartifact.PutPackageOriginConfigurationInput{Format: "pypi"}, invalid, 400},
		"no namespace":   {codeartifact.PutPackageOriginConfigurationInput{Format: "maven"}, invalid, 400},
		"bad word":       {codeartifact.PutPackageOriginConfigurationInput{Format: "npm", Restrictions: &types.PackageOriginRestrictions{Publish: "PERHAPS", Upstream: "ALLOW"}}, invalid, 400},
		"bad name":       {codeartifact.PutPackageOriginConfigurationInput{Format: "npm", Package: new(".hidden")}, invalid, 400},
		"no repository":  {codeartifact.PutPackageOriginConfigurationInput{Format: "npm", Repository: new("absent")}, notFound, 404},
		"unknown format": {codeartifact.PutPackageOriginConfigurationInput{Format: "deb"}, invalid, 400},
	} {
		t.Run(name, func(t *testing.T) {
			in := c.in
			in.Domain = thing.domain
			if in.Repository == nil {
				in.Repository = thing.repository
			}
			if in.Package == nil {
				in.Package = thing.pkg
			}
			if in.Restrictions == nil {
				in.Restrictions = &types.PackageOriginRestrictions{Publish: "ALLOW", Upstream: "ALLOW"}
			}
			_, err := h.PutPackageOriginConfiguration(t.Context(), &in)
			wantError(t, err, c.code, c.status)
		})
	}
}

func TestPackage_OfAFormatThatIsNotServed(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	for _, f := range artifact.Formats() {
		if f == artifact.NPM {
			continue
		}
		var namespace *string
		if f.NamespaceRequired() {
			namespace = new("org")
		}
		format := types.PackageFormat(f)
		_, err := h.DescribePackage(t.Context(), &codeartifact.DescribePackageInput{Domain: thing.domain, Repository: thing.repository, Format: format, Namespace: namespace, Package: thing.pkg})
		wantError(t, err, notFound, 404)
		_, err = h.ListPackageVersions(t.Context(), &codeartifact.ListPackageVersionsInput{Domain: thing.domain, Repository: thing.repository, Format: format, Namespace: namespace, Package: thing.pkg})
		wantError(t, err, notFound, 404)
		_, err = h.DescribePackageVersion(t.Context(), &codeartifact.DescribePackageVersionInput{Domain: thing.domain, Repository: thing.repository, Format: format, Namespace: namespace, Package: thing.pkg, PackageVersion: new("1")})
		wantError(t, err, notFound, 404)
		_, err = h.DeletePackageVersions(t.Context(), &codeartifact.DeletePackageVersionsInput{Domain: thing.domain, Repository: thing.repository, Format: format, Namespace: namespace, Package: thing.pkg, Versions: []string{"1"}})
		wantError(t, err, notFound, 404)
		_, err = h.CopyPackageVersions(t.Context(), &codeartifact.CopyPackageVersionsInput{
			Domain: thing.domain, SourceRepository: thing.repository, DestinationRepository: new("repo2"), Format: format, Namespace: namespace, Package: thing.pkg, Versions: []string{"1"}, IncludeFromUpstream: aws.Bool(true),
		})
		wantError(t, err, notFound, 404)
		wrong := new("org")
		if f.NamespaceRequired() {
			wrong = nil
		}
		_, err = h.DescribePackage(t.Context(), &codeartifact.DescribePackageInput{Domain: thing.domain, Repository: thing.repository, Format: format, Namespace: wrong, Package: thing.pkg})
		wantError(t, err, invalid, 400)
	}
}
