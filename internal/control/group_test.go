package control_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
)

func groupARN(pattern string) string {
	return "arn:aws:codeartifact:" + region + ":" + account + ":package-group/corp" + strings.NewReplacer("*", "%2A", "~", "%7E", "$", "%24").Replace(pattern)
}

func (h *house) group(patterns ...string) {
	h.t.Helper()
	for _, p := range patterns {
		must[codeartifact.CreatePackageGroupOutput](h.t)(h.CreatePackageGroup(h.t.Context(), &codeartifact.CreatePackageGroupInput{Domain: aws.String("corp"), PackageGroup: &p}))
	}
}

// rule sets a restriction of a group, with repositories to add.
func (h *house) rule(pattern, way, mode string, repositories ...string) *codeartifact.UpdatePackageGroupOriginConfigurationOutput {
	h.t.Helper()
	in := &codeartifact.UpdatePackageGroupOriginConfigurationInput{
		Domain: aws.String("corp"), PackageGroup: &pattern, Restrictions: map[string]types.PackageGroupOriginRestrictionMode{way: types.PackageGroupOriginRestrictionMode(mode)},
	}
	for _, r := range repositories {
		in.AddAllowedRepositories = append(in.AddAllowedRepositories, types.PackageGroupAllowedRepository{RepositoryName: &r, OriginRestrictionType: types.PackageGroupOriginRestrictionType(way)})
	}
	return must[codeartifact.UpdatePackageGroupOriginConfigurationOutput](h.t)(h.UpdatePackageGroupOriginConfiguration(h.t.Context(), in))
}

func (h *house) describeGroup(pattern string) *types.PackageGroupDescription {
	h.t.Helper()
	return must[codeartifact.DescribePackageGroupOutput](h.t)(h.DescribePackageGroup(h.t.Context(), &codeartifact.DescribePackageGroupInput{Domain: aws.String("corp"), PackageGroup: &pattern})).PackageGroup
}

// restrictions shows each restriction as mode, effective mode, the pattern it is
// inherited from and the number of repositories.
func restrictions(c *types.PackageGroupOriginConfiguration) map[string]string {
	out := map[string]string{}
	for way, r := range c.Restrictions {
		line := string(r.Mode) + " " + string(r.EffectiveMode)
		if r.InheritedFrom != nil {
			line += " from " + *r.InheritedFrom.Pattern
		}
		if r.RepositoriesCount != nil {
			line += fmt.Sprintf(" %d", *r.RepositoriesCount)
		}
		out[way] = line
	}
	return out
}

func everyWay(line string) map[string]string {
	return map[string]string{"PUBLISH": line, "INTERNAL_UPSTREAM": line, "EXTERNAL_UPSTREAM": line}
}

func TestPackageGroup_Life(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		corp := aws.String("corp")
		h.domain("corp")
		root := h.describeGroup("/*")
		if root.Parent != nil || *root.Arn != groupARN("/*") || *root.Pattern != "/*" || *root.DomainName != "corp" || *root.DomainOwner != account || root.CreatedTime == nil {
			t.Errorf("the root is %+v", root)
		}
		if diff := cmp.Diff(everyWay("ALLOW ALLOW"), restrictions(root.OriginConfiguration)); diff != "" {
			t.Error(diff)
		}

		h.group("/npm/*")
		created := must[codeartifact.CreatePackageGroupOutput](t)(h.CreatePackageGroup(ctx, &codeartifact.CreatePackageGroupInput{
			Domain: corp, DomainOwner: aws.String(account), PackageGroup: aws.String("/npm/corp/ui~"), ContactInfo: aws.String("ui@corp.test"), Description: aws.String("ours"), Tags: tags("team", "ui"),
		})).PackageGroup
		if diff := cmp.Diff([]string{"/npm/corp/ui~", groupARN("/npm/corp/ui~"), "ui@corp.test", "ours", "/npm/*", groupARN("/npm/*")},
			[]string{*created.Pattern, *created.Arn, *created.ContactInfo, *created.Description, *created.Parent.Pattern, *created.Parent.Arn}); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(everyWay("INHERIT ALLOW from /*"), restrictions(created.OriginConfiguration)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]string{"team": "ui"}, h.tags(*created.Arn)); diff != "" {
			t.Error(diff)
		}
		_, err := h.CreatePackageGroup(ctx, &codeartifact.CreatePackageGroupInput{Domain: corp, PackageGroup: aws.String("/npm/corp/ui~")})
		wantConflict(t, err, "", "/npm/corp/ui~")
		h.group("/npm/Corp/ui~") // another, by case

		updated := must[codeartifact.UpdatePackageGroupOutput](t)(h.UpdatePackageGroup(ctx, &codeartifact.UpdatePackageGroupInput{Domain: corp, PackageGroup: aws.String("/npm/corp/ui~"), Description: aws.String("changed")})).PackageGroup
		if *updated.Description != "changed" || *updated.ContactInfo != "ui@corp.test" {
			t.Errorf("updated %+v", updated)
		}
		must[codeartifact.UpdatePackageGroupOutput](t)(h.UpdatePackageGroup(ctx, &codeartifact.UpdatePackageGroupInput{Domain: corp, PackageGroup: aws.String("/npm/corp/ui~"), ContactInfo: aws.String("")}))
		if got := h.describeGroup("/npm/corp/ui~"); got.ContactInfo != nil || *got.Description != "changed" || !got.CreatedTime.Equal(*created.CreatedTime) {
			t.Errorf("described %+v", got)
		}

		must[codeartifact.TagResourceOutput](t)(h.TagResource(ctx, &codeartifact.TagResourceInput{ResourceArn: created.Arn, Tags: tags("a", "b")}))
		h.group("/npm/corp/*")
		if got := *h.describeGroup("/npm/corp/ui~").Parent.Pattern; got != "/npm/corp/*" {
			t.Errorf("the parent is %s", got)
		}
		deleted := must[codeartifact.DeletePackageGroupOutput](t)(h.DeletePackageGroup(ctx, &codeartifact.DeletePackageGroupInput{Domain: corp, PackageGroup: aws.String("/npm/corp/*")})).PackageGroup
		if *deleted.Pattern != "/npm/corp/*" || *deleted.Parent.Pattern != "/npm/*" {
			t.Errorf("deleted %+v", deleted)
		}
		if got := *h.describeGroup("/npm/corp/ui~").Parent.Pattern; got != "/npm/*" {
			t.Errorf("the parent is %s", got)
		}
		must[codeartifact.DeletePackageGroupOutput](t)(h.DeletePackageGroup(ctx, &codeartifact.DeletePackageGroupInput{Domain: corp, PackageGroup: aws.String("/npm/corp/ui~")}))
		h.group("/npm/corp/ui~")
		if got := h.tags(*created.Arn); len(got) > 0 {
			t.Errorf("the next group of that pattern has the tags %v", got)
		}
		_, err = h.DeletePackageGroup(ctx, &codeartifact.DeletePackageGroupInput{Domain: corp, PackageGroup: aws.String("/*")})
		wantError(t, err, invalid, 400)

		// The domain goes with its groups, and their tags.
		must[codeartifact.TagResourceOutput](t)(h.TagResource(ctx, &codeartifact.TagResourceInput{ResourceArn: created.Arn, Tags: tags("a", "b")}))
		must[codeartifact.DeleteDomainOutput](t)(h.DeleteDomain(ctx, &codeartifact.DeleteDomainInput{Domain: corp}))
		h.domain("corp")
		_, err = h.DescribePackageGroup(ctx, &codeartifact.DescribePackageGroupInput{Domain: corp, PackageGroup: aws.String("/npm/corp/ui~")})
		wantNotFound(t, err, "", "/npm/corp/ui~")
		h.group("/npm/corp/ui~")
		if got := h.tags(*created.Arn); len(got) > 0 {
			t.Errorf("the tags are still %v", got)
		}
	})
}

func TestPackageGroup_OriginConfiguration(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		corp, pattern := aws.String("corp"), aws.String("/npm/corp/*")
		h.domain("corp")
		h.repo("dev")
		h.repo("prod")
		h.group("/npm/corp/*", "/npm/corp/ui~")
		entry := func(name, way string) types.PackageGroupAllowedRepository {
			return types.PackageGroupAllowedRepository{RepositoryName: &name, OriginRestrictionType: types.PackageGroupOriginRestrictionType(way)}
		}
		type updates = map[string]map[string][]string
		check := func(what string, got map[string]map[string][]string, want updates) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		out := h.rule("/npm/corp/*", "PUBLISH", "ALLOW_SPECIFIC_REPOSITORIES", "prod", "dev")
		check("added", out.AllowedRepositoryUpdates, updates{"PUBLISH": {"ADDED": {"dev", "prod"}}})
		out = h.rule("/npm/corp/*", "EXTERNAL_UPSTREAM", "BLOCK")
		check("nothing added", out.AllowedRepositoryUpdates, updates{})
		want := map[string]string{"PUBLISH": "ALLOW_SPECIFIC_REPOSITORIES ALLOW_SPECIFIC_REPOSITORIES 2", "EXTERNAL_UPSTREAM": "BLOCK BLOCK", "INTERNAL_UPSTREAM": "INHERIT ALLOW from /*"}
		if diff := cmp.Diff(want, restrictions(out.PackageGroup.OriginConfiguration)); diff != "" {
			t.Error(diff)
		}
		want = map[string]string{"PUBLISH": "INHERIT ALLOW_SPECIFIC_REPOSITORIES from /npm/corp/* 2", "EXTERNAL_UPSTREAM": "INHERIT BLOCK from /npm/corp/*", "INTERNAL_UPSTREAM": "INHERIT ALLOW from /*"}
		if diff := cmp.Diff(want, restrictions(h.describeGroup("/npm/corp/ui~").OriginConfiguration)); diff != "" {
			t.Error(diff)
		}
		listed := func(way string) []string {
			t.Helper()
			var names []string
			pages := codeartifact.NewListAllowedRepositoriesForGroupPaginator(h, &codeartifact.ListAllowedRepositoriesForGroupInput{
				Domain: corp, PackageGroup: pattern, OriginRestrictionType: types.PackageGroupOriginRestrictionType(way), MaxResults: aws.Int32(1),
			})
			for pages.HasMorePages() {
				names = append(names, must[codeartifact.ListAllowedRepositoriesForGroupOutput](t)(pages.NextPage(ctx)).AllowedRepositories...)
			}
			return names
		}
		if diff := cmp.Diff([]string{"dev", "prod"}, listed("PUBLISH")); diff != "" {
			t.Error(diff)
		}
		if got := listed("EXTERNAL_UPSTREAM"); len(got) > 0 {
			t.Errorf("got %v", got)
		}

		out = must[codeartifact.UpdatePackageGroupOriginConfigurationOutput](t)(h.UpdatePackageGroupOriginConfiguration(ctx, &codeartifact.UpdatePackageGroupOriginConfigurationInput{
			Domain: corp, PackageGroup: pattern, Restrictions: map[string]types.PackageGroupOriginRestrictionMode{"INTERNAL_UPSTREAM": "ALLOW_SPECIFIC_REPOSITORIES"},
			AddAllowedRepositories:    []types.PackageGroupAllowedRepository{entry("dev", "INTERNAL_UPSTREAM"), entry("prod", "PUBLISH")},
			RemoveAllowedRepositories: []types.PackageGroupAllowedRepository{entry("dev", "PUBLISH"), entry("absent", "PUBLISH"), entry("prod", "EXTERNAL_UPSTREAM")},
		}))
		check("several", out.AllowedRepositoryUpdates, updates{"INTERNAL_UPSTREAM": {"ADDED": {"dev"}}, "PUBLISH": {"REMOVED": {"dev"}}})
		check("a list that is dropped", h.rule("/npm/corp/*", "INTERNAL_UPSTREAM", "INHERIT").AllowedRepositoryUpdates, updates{"INTERNAL_UPSTREAM": {"REMOVED": {"dev"}}})
		must[codeartifact.DeleteRepositoryOutput](t)(h.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: corp, Repository: aws.String("prod")}))
		h.repo("prod")
		if got := listed("PUBLISH"); len(got) > 0 {
			t.Errorf("the next repository of that name is in the list: %v", got)
		}

		before := restrictions(h.describeGroup("/npm/corp/*").OriginConfiguration)
		for name, c := range map[string]struct {
			in   codeartifact.UpdatePackageGroupOriginConfigurationInput
			code string
			http int
		}{
			"the root inherits":            {codeartifact.UpdatePackageGroupOriginConfigurationInput{PackageGroup: aws.String("/*"), Restrictions: map[string]types.PackageGroupOriginRestrictionMode{"PUBLISH": "INHERIT"}}, invalid, 400},
			"unknown mode":                 {codeartifact.UpdatePackageGroupOriginConfigurationInput{Restrictions: map[string]types.PackageGroupOriginRestrictionMode{"PUBLISH": "MAYBE"}}, invalid, 400},
			"unknown restriction":          {codeartifact.UpdatePackageGroupOriginConfigurationInput{Restrictions: map[string]types.PackageGroupOriginRestrictionMode{"DOWNLOAD": "ALLOW"}}, invalid, 400},
			"a list for another mode":      {codeartifact.UpdatePackageGroupOriginConfigurationInput{AddAllowedRepositories: []types.PackageGroupAllowedRepository{entry("dev", "EXTERNAL_UPSTREAM")}}, invalid, 400},
			"an absent repository":         {codeartifact.UpdatePackageGroupOriginConfigurationInput{Restrictions: map[string]types.PackageGroupOriginRestrictionMode{"INTERNAL_UPSTREAM": "BLOCK"}, AddAllowedRepositories: []types.PackageGroupAllowedRepository{entry("absent", "PUBLISH")}}, notFound, 404},
			"an entry without restriction": {codeartifact.UpdatePackageGroupOriginConfigurationInput{AddAllowedRepositories: []types.PackageGroupAllowedRepository{{RepositoryName: aws.String("dev")}}}, invalid, 400},
			"added and removed":            {codeartifact.UpdatePackageGroupOriginConfigurationInput{AddAllowedRepositories: []types.PackageGroupAllowedRepository{entry("dev", "PUBLISH")}, RemoveAllowedRepositories: []types.PackageGroupAllowedRepository{entry("dev", "PUBLISH")}}, invalid, 400},
			"an absent group":              {codeartifact.UpdatePackageGroupOriginConfigurationInput{PackageGroup: aws.String("/pypi/*")}, notFound, 404},
		} {
			t.Run(name, func(t *testing.T) {
				c.in.Domain = corp
				if c.in.PackageGroup == nil {
					c.in.PackageGroup = pattern
				}
				_, err := h.UpdatePackageGroupOriginConfiguration(ctx, &c.in)
				wantError(t, err, c.code, c.http)
			})
		}
		if diff := cmp.Diff(before, restrictions(h.describeGroup("/npm/corp/*").OriginConfiguration)); diff != "" {
			t.Errorf("a refused call left its mark: %s", diff)
		}
	})
}

func TestPackageGroup_Listings(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.domain("corp")
		h.group("/npm/corp/ui~", "/npm/*", "/npm/corp/*", "/npm/corp/ui-kit$", "/pypi/*")
		list := func(prefix *string) (patterns []string) {
			pages := codeartifact.NewListPackageGroupsPaginator(h, &codeartifact.ListPackageGroupsInput{Domain: aws.String("corp"), Prefix: prefix, MaxResults: aws.Int32(2)})
			for pages.HasMorePages() {
				for _, g := range must[codeartifact.ListPackageGroupsOutput](t)(pages.NextPage(ctx)).PackageGroups {
					patterns = append(patterns, *g.Pattern)
					if g.Arn == nil || g.CreatedTime == nil || len(g.OriginConfiguration.Restrictions) != 3 || (g.Parent == nil) != (*g.Pattern == "/*") {
						t.Errorf("summary %+v", g)
					}
				}
			}
			return patterns
		}
		if diff := cmp.Diff([]string{"/*", "/npm/*", "/npm/corp/*", "/npm/corp/ui-kit$", "/npm/corp/ui~", "/pypi/*"}, list(nil)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"/npm/corp/*", "/npm/corp/ui-kit$", "/npm/corp/ui~"}, list(aws.String("/npm/corp"))); diff != "" {
			t.Error(diff)
		}
		if got := list(aws.String("/maven")); len(got) > 0 {
			t.Errorf("got %v", got)
		}
		sub := func(pattern string) (patterns []string) {
			pages := codeartifact.NewListSubPackageGroupsPaginator(h, &codeartifact.ListSubPackageGroupsInput{Domain: aws.String("corp"), PackageGroup: &pattern, MaxResults: aws.Int32(1)})
			for pages.HasMorePages() {
				for _, g := range must[codeartifact.ListSubPackageGroupsOutput](t)(pages.NextPage(ctx)).PackageGroups {
					patterns = append(patterns, *g.Pattern)
				}
			}
			return patterns
		}
		for pattern, want := range map[string][]string{"/*": {"/npm/*", "/pypi/*"}, "/npm/*": {"/npm/corp/*"}, "/npm/corp/*": {"/npm/corp/ui~"}, "/npm/corp/ui~": {"/npm/corp/ui-kit$"}, "/pypi/*": nil} {
			if diff := cmp.Diff(want, sub(pattern)); diff != "" {
				t.Errorf("%s: %s", pattern, diff)
			}
		}
		_, err := h.ListSubPackageGroups(ctx, &codeartifact.ListSubPackageGroupsInput{Domain: aws.String("corp"), PackageGroup: aws.String("/maven/*")})
		wantNotFound(t, err, "", "/maven/*")
		for _, path := range []string{"/v1/package-groups", "/v1/package-groups/sub-groups"} {
			if status, _, text := h.send(t, http.MethodPost, path, "domain=corp&prefix=%2Fmaven&package-group=%2Fpypi%2F%2A", ""); status != 200 || !strings.Contains(text, `"packageGroups":[]`) {
				t.Errorf("an empty listing is %d %s", status, text)
			}
		}
		if status, _, text := h.send(t, http.MethodGet, "/v1/package-group-allowed-repositories", "domain=corp&package-group=%2Fpypi%2F%2A&originRestrictionType=PUBLISH", ""); status != 200 || !strings.Contains(text, `"allowedRepositories":[]`) {
			t.Errorf("an empty listing is %d %s", status, text)
		}
	})
}

func TestAssociatedPackages(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		corp := aws.String("corp")
		h.domain("corp")
		h.repo("repo")
		for _, name := range []string{"core-lib", "core_lib", "core", "corelib", "other"} {
			h.publish(npmName(name), "1.0.0", `{"version":"1.0.0"}`)
		}
		h.publish(artifact.Coordinates{Format: artifact.NPM, Namespace: "core", Name: "core"}, "1.0.0", `{"version":"1.0.0"}`)
		h.group("/npm//core-lib$", "/npm//core~")

		associated := func(pattern string, preview bool) map[string]string {
			t.Helper()
			got := map[string]string{}
			pages := codeartifact.NewListAssociatedPackagesPaginator(h, &codeartifact.ListAssociatedPackagesInput{Domain: corp, PackageGroup: &pattern, MaxResults: aws.Int32(1), Preview: aws.Bool(preview)})
			for n := 0; pages.HasMorePages(); n++ {
				page := must[codeartifact.ListAssociatedPackagesOutput](t)(pages.NextPage(ctx))
				for _, p := range page.Packages {
					got[string(p.Format)+"/"+aws.ToString(p.Namespace)+"/"+*p.Package] = string(p.AssociationType)
				}
				if n > 10 {
					t.Fatal("there is no end")
				}
			}
			return got
		}
		for _, c := range []struct {
			pattern string
			preview bool
			want    map[string]string
		}{
			{"/npm//core-lib$", false, map[string]string{"npm//core-lib": "STRONG", "npm//core_lib": "WEAK"}},
			{"/npm//core~", false, map[string]string{"npm//core": "STRONG"}},
			{"/*", false, map[string]string{"npm//corelib": "STRONG", "npm//other": "STRONG", "npm/core/core": "STRONG"}},
			{"/npm/CORE/*", true, map[string]string{"npm/core/core": "WEAK"}},
			{"/npm//core_lib$", true, map[string]string{"npm//core_lib": "STRONG"}},
			{"/npm//core~", true, map[string]string{"npm//core": "STRONG"}},
			{"/pypi/*", true, map[string]string{}},
		} {
			if diff := cmp.Diff(c.want, associated(c.pattern, c.preview)); diff != "" {
				t.Errorf("%s: %s", c.pattern, diff)
			}
		}
		_, err := h.ListAssociatedPackages(ctx, &codeartifact.ListAssociatedPackagesInput{Domain: corp, PackageGroup: aws.String("/pypi/*")})
		wantNotFound(t, err, "", "/pypi/*")

		for _, c := range []struct {
			format, namespace, name, pattern, association string
		}{
			{"npm", "", "core-lib", "/npm//core-lib$", "STRONG"},
			{"npm", "", "core.lib", "/npm//core-lib$", "WEAK"},
			{"npm", "", "core-other", "/npm//core~", "STRONG"},
			{"npm", "x", "core-lib", "/*", "STRONG"},
			{"maven", "com.corp", "core", "/*", "STRONG"},
		} {
			in := &codeartifact.GetAssociatedPackageGroupInput{Domain: corp, Format: types.PackageFormat(c.format), Package: &c.name}
			if c.namespace != "" {
				in.Namespace = &c.namespace
			}
			got := must[codeartifact.GetAssociatedPackageGroupOutput](t)(h.GetAssociatedPackageGroup(ctx, in))
			if *got.PackageGroup.Pattern != c.pattern || string(got.AssociationType) != c.association {
				t.Errorf("%s: %s %s, want %s %s", c.name, *got.PackageGroup.Pattern, got.AssociationType, c.pattern, c.association)
			}
		}
		_, err = h.GetAssociatedPackageGroup(ctx, &codeartifact.GetAssociatedPackageGroupInput{Domain: corp, Format: "maven", Package: aws.String("core")})
		wantError(t, err, invalid, 400)
	})
}

// TestAssociatedPackages_LongSearchesAreCutUp: looking at many packages none of
// which belongs to the group ends with an empty page and a token.
func TestAssociatedPackages_LongSearchesAreCutUp(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	h.update(func(tx *catalog.Tx) error {
		d, err := tx.Domain(account, "corp")
		if err != nil {
			return err
		}
		r, err := tx.Repository(d.ID, "repo")
		for i := 0; i < 20_000 && err == nil; i++ {
			_, _, err = tx.EnsurePackage(r, npmName(fmt.Sprintf("p%05d", i)), "", artifact.DefaultRestrictions(true))
		}
		if err == nil {
			_, _, err = tx.EnsurePackage(r, npmName("zzz-last"), "", artifact.DefaultRestrictions(true))
		}
		return err
	})
	first := must[codeartifact.ListAssociatedPackagesOutput](t)(h.ListAssociatedPackages(t.Context(), &codeartifact.ListAssociatedPackagesInput{
		Domain: aws.String("corp"), PackageGroup: aws.String("/npm//zzz~"), Preview: aws.Bool(true),
	}))
	if len(first.Packages) != 0 || first.NextToken == nil {
		t.Fatalf("got %d packages and the token %v", len(first.Packages), first.NextToken)
	}
	second := must[codeartifact.ListAssociatedPackagesOutput](t)(h.ListAssociatedPackages(t.Context(), &codeartifact.ListAssociatedPackagesInput{
		Domain: aws.String("corp"), PackageGroup: aws.String("/npm//zzz~"), Preview: aws.Bool(true), NextToken: first.NextToken,
	}))
	if len(second.Packages) != 1 || second.NextToken != nil {
		t.Errorf("got %d packages and the token %v", len(second.Packages), second.NextToken)
	}
}

func TestPackageGroup_RefusesBadPatterns(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	for _, pattern := range []string{"npm/*", "/npm", "/npm//foo-~", "/go/*", "/python//requests$", "/pypi//Requests$", "/maven//x$", "/npm/*/x$", "//", "/npm//" + strings.Repeat("*", 500)} {
		_, created := h.CreatePackageGroup(t.Context(), &codeartifact.CreatePackageGroupInput{Domain: aws.String("corp"), PackageGroup: &pattern})
		_, described := h.DescribePackageGroup(t.Context(), &codeartifact.DescribePackageGroupInput{Domain: aws.String("corp"), PackageGroup: &pattern})
		_, listed := h.ListAssociatedPackages(t.Context(), &codeartifact.ListAssociatedPackagesInput{Domain: aws.String("corp"), PackageGroup: &pattern})
		for _, err := range []error{created, described, listed} {
			wantError(t, err, invalid, 400)
		}
	}
	_, err := h.CreatePackageGroup(t.Context(), &codeartifact.CreatePackageGroupInput{Domain: aws.String("absent"), PackageGroup: aws.String("/npm/*")})
	wantNotFound(t, err, "domain", "absent")
}

func TestPackageGroup_Access(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.group("/npm/corp/*", "/npm/other/*")
	npm := h.user("npm", statement("Allow", "codeartifact:*PackageGroup*", "arn:aws:codeartifact:*:*:package-group/corp/npm/corp/*"))
	describe := func(c *codeartifact.Client, pattern string) error {
		_, err := c.DescribePackageGroup(t.Context(), &codeartifact.DescribePackageGroupInput{Domain: aws.String("corp"), DomainOwner: aws.String(account), PackageGroup: &pattern})
		return err
	}
	if err := describe(npm, "/npm/corp/*"); err != nil {
		t.Error(err)
	}
	wantError(t, describe(npm, "/npm/other/*"), denied, 403)
	wantError(t, describe(npm, "/npm/absent/*"), denied, 403)
	wantError(t, describe(npm, "no pattern"), invalid, 400) // by its shape
	wantError(t, describe(npm, "nonsense"), denied, 403)
	// A star of a pattern is none of a policy.
	exact := h.user("exact", statement("Allow", "codeartifact:DescribePackageGroup", groupARN("/*")))
	if err := describe(exact, "/*"); err != nil {
		t.Error(err)
	}
	wantError(t, describe(exact, "/npm/corp/*"), denied, 403)
	// Which group a package belongs to is asked on the name it would have alone.
	associated := func(c *codeartifact.Client, namespace string) error {
		_, err := c.GetAssociatedPackageGroup(t.Context(), &codeartifact.GetAssociatedPackageGroupInput{Domain: aws.String("corp"), Format: "npm", Namespace: &namespace, Package: aws.String("x")})
		return err
	}
	asker := h.user("asker", statement("Allow", "codeartifact:GetAssociatedPackageGroup", "arn:aws:codeartifact:*:*:package-group/corp/npm/corp/*"))
	if err := associated(asker, "corp"); err != nil {
		t.Error(err)
	}
	wantError(t, associated(asker, "other"), denied, 403)
	// Creating is asked on the domain.
	creator := h.user("creator", statement("Allow", "codeartifact:CreatePackageGroup", domainARN("corp")))
	must[codeartifact.CreatePackageGroupOutput](t)(creator.CreatePackageGroup(t.Context(), &codeartifact.CreatePackageGroupInput{Domain: aws.String("corp"), PackageGroup: aws.String("/pypi/*")}))
	_, err := creator.CreatePackageGroup(t.Context(), &codeartifact.CreatePackageGroupInput{Domain: aws.String("corp"), PackageGroup: aws.String("/maven/*"), Tags: tags("a", "b")})
	wantError(t, err, denied, 403)
	// The domain's policy speaks for its groups.
	wantError(t, describe(h.foreign, "/*"), denied, 403)
	h.putDomainPolicy("corp", grant("Allow", toARN(other), `"codeartifact:DescribePackageGroup"`))
	if err := describe(h.foreign, "/*"); err != nil {
		t.Error(err)
	}
	// Conditions see the tags of the group.
	tagged := h.user("tagged", `{"Effect":"Allow","Action":"codeartifact:DescribePackageGroup","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"web"}}}`)
	wantError(t, describe(tagged, "/npm/corp/*"), denied, 403)
	must[codeartifact.TagResourceOutput](t)(h.TagResource(t.Context(), &codeartifact.TagResourceInput{ResourceArn: aws.String(groupARN("/npm/corp/*")), Tags: tags("team", "web")}))
	if err := describe(tagged, "/npm/corp/*"); err != nil {
		t.Error(err)
	}
	// Another spelling of the ARN names nothing: no policy about the right one would count.
	for _, arn := range []string{groupARN("/npm/corp/") + "*", groupARN("/npm/corp/") + "%2a", groupARN("/maven/*")} {
		_, err := h.TagResource(t.Context(), &codeartifact.TagResourceInput{ResourceArn: &arn, Tags: tags("a", "b")})
		wantError(t, err, notFound, 404)
	}
}

// TestPackageGroup_DecidesOverPackageRequests: a change counts from the next
// request of a package client on.
func TestPackageGroup_DecidesOverPackageRequests(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.repo("repo")
		h.repo("app", "repo")
		base, token := h.packages(nil), h.token(h.Client)
		check := func(what, method, path string, body []byte, want int) {
			t.Helper()
			if got := h.request(method, base+path, token, body); got != want {
				t.Errorf("%s: %d, want %d", what, got, want)
			}
		}
		check("at first", http.MethodPut, "repo/ui-kit", publishing("ui-kit", "1.0.0"), 201)
		check("through the upstream", http.MethodGet, "app/ui-kit", nil, 200)
		h.group("/npm//ui~")
		h.rule("/npm//ui~", "PUBLISH", "ALLOW_SPECIFIC_REPOSITORIES", "app")
		h.rule("/npm//ui~", "INTERNAL_UPSTREAM", "BLOCK")
		check("not in the list", http.MethodPut, "repo/ui-kit", publishing("ui-kit", "1.1.0"), 403)
		check("in the list", http.MethodPut, "app/ui-new", publishing("ui-new", "1.0.0"), 201)
		check("what is there", http.MethodGet, "repo/ui-kit", nil, 200)
		check("blocked upstream", http.MethodGet, "app/ui-kit", nil, 404)
		check("a variation", http.MethodPut, "app/ui.kit", publishing("ui.kit", "1.0.0"), 201)
		h.group("/npm//ui-kit$")
		check("a variation of a group's name", http.MethodPut, "app/ui_kit", publishing("ui_kit", "1.0.0"), 403)
		h.rule("/npm//ui-kit$", "PUBLISH", "ALLOW")
		h.rule("/npm//ui-kit$", "INTERNAL_UPSTREAM", "ALLOW")
		check("by its own group", http.MethodPut, "repo/ui-kit", publishing("ui-kit", "1.1.0"), 201)
		check("by its own group, upstream", http.MethodGet, "app/ui-kit", nil, 200)
	})
}
