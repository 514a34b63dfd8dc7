package control_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/upstream/upstreamtest"
)

// shelf has thing 1.0.0, 2.0.0 and 3.0.0-beta in repo of corp.
func shelf(h *house) {
	h.t.Helper()
	h.domain("corp")
	h.repo("repo")
	h.publish(npmName("thing"), "1.0.0", `{"name":"thing","version":"1.0.0"}`)
	h.publish(npmName("thing"), "2.0.0", `{"name":"thing","version":"2.0.0"}`, "latest")
	h.publish(npmName("thing"), "3.0.0-beta", `{"name":"thing","version":"3.0.0-beta"}`, "next")
}

func (h *house) setStatus(target types.PackageVersionStatus, versions ...string) *codeartifact.UpdatePackageVersionsStatusOutput {
	h.t.Helper()
	return must[codeartifact.UpdatePackageVersionsStatusOutput](h.t)(h.UpdatePackageVersionsStatus(h.t.Context(), &codeartifact.UpdatePackageVersionsStatusInput{
		Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg, Versions: versions, TargetStatus: target,
	}))
}

func (h *house) dispose(versions ...string) *codeartifact.DisposePackageVersionsOutput {
	h.t.Helper()
	return must[codeartifact.DisposePackageVersionsOutput](h.t)(h.DisposePackageVersions(h.t.Context(), &codeartifact.DisposePackageVersionsInput{
		Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg, Versions: versions,
	}))
}

func (h *house) describeVersion(repository, version string) *types.PackageVersionDescription {
	h.t.Helper()
	return must[codeartifact.DescribePackageVersionOutput](h.t)(h.DescribePackageVersion(h.t.Context(), &codeartifact.DescribePackageVersionInput{
		Domain: thing.domain, Repository: &repository, Format: "npm", Package: thing.pkg, PackageVersion: &version,
	})).PackageVersion
}

func TestListPackageVersions(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shelf(h)
		h.setStatus("Archived", "1.0.0")
		for _, c := range []struct {
			name string
			in   codeartifact.ListPackageVersionsInput
			want []string
		}{
			{"all statuses", codeartifact.ListPackageVersionsInput{}, []string{"1.0.0 Archived", "2.0.0 Published", "3.0.0-beta Published"}},
			{"status", codeartifact.ListPackageVersionsInput{Status: "Published"}, []string{"2.0.0 Published", "3.0.0-beta Published"}},
			{"no such status", codeartifact.ListPackageVersionsInput{Status: "Deleted"}, nil},
			{"newest first", codeartifact.ListPackageVersionsInput{SortBy: "PUBLISHED_TIME"}, []string{"3.0.0-beta Published", "2.0.0 Published", "1.0.0 Archived"}},
			{"internal", codeartifact.ListPackageVersionsInput{OriginType: "INTERNAL", Status: "Archived"}, []string{"1.0.0 Archived"}},
			{"external", codeartifact.ListPackageVersionsInput{OriginType: "EXTERNAL"}, nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				c.in.Domain, c.in.Repository, c.in.Format, c.in.Package, c.in.MaxResults = thing.domain, thing.repository, "npm", thing.pkg, aws.Int32(1)
				var got []string
				for pages := codeartifact.NewListPackageVersionsPaginator(h, &c.in); pages.HasMorePages(); {
					page := must[codeartifact.ListPackageVersionsOutput](t)(pages.NextPage(t.Context()))
					if aws.ToString(page.DefaultDisplayVersion) != "2.0.0" || page.Format != "npm" || *page.Package != "thing" {
						t.Errorf("page %+v", page)
					}
					for _, v := range page.Versions {
						got = append(got, *v.Version+" "+string(v.Status))
						if v.Revision == nil || v.Origin.OriginType != "INTERNAL" || *v.Origin.DomainEntryPoint.RepositoryName != "repo" {
							t.Errorf("summary %+v", v)
						}
					}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
		in := &codeartifact.ListPackageVersionsInput{Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: new("absent")}
		_, err := h.ListPackageVersions(t.Context(), in)
		wantNotFound(t, err, "package", "npm/absent")

		// Without a tag that points at something to show, it is the newest.
		h.setStatus("Archived", "2.0.0")
		in.Package = thing.pkg
		if out := must[codeartifact.ListPackageVersionsOutput](t)(h.ListPackageVersions(t.Context(), in)); *out.DefaultDisplayVersion != "3.0.0-beta" {
			t.Errorf("the default is %s", *out.DefaultDisplayVersion)
		}
	})
}

func TestDescribePackageVersion(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.repo("repo")
		h.publish(npmName("thing"), "1.0.0", `{"name":"thing","version":"1.0.0","description":"does things","homepage":"https://thing.test/",
			"repository":{"type":"git","url":"git+https://git.test/thing.git"},"license":"MIT",
			"dependencies":{"@team/dep":"^1.0.0","left":"~2"},"devDependencies":{"tester":"3"}}`)
		v := h.describeVersion("repo", "1.0.0")
		want := []string{"npm", "thing", "thing", "1.0.0", "does things", "https://thing.test/", "MIT", "Published", "INTERNAL", "repo"}
		got := []string{
			string(v.Format), *v.PackageName, *v.DisplayName, *v.Version, *v.Summary, *v.HomePage, *v.Licenses[0].Name, string(v.Status),
			string(v.Origin.OriginType), *v.Origin.DomainEntryPoint.RepositoryName,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if v.Namespace != nil || !strings.Contains(*v.SourceCodeRepository, "git.test/thing") || v.Revision == nil || time.Since(*v.PublishedTime) > time.Minute {
			t.Errorf("described %+v", v)
		}
		h.dispose("1.0.0")
		if v := h.describeVersion("repo", "1.0.0"); v.Status != "Disposed" || *v.Summary != "does things" {
			t.Errorf("described %+v", v)
		}

		deps := must[codeartifact.ListPackageVersionDependenciesOutput](t)(h.ListPackageVersionDependencies(t.Context(), &codeartifact.ListPackageVersionDependenciesInput{
			Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg, PackageVersion: new("1.0.0"),
		}))
		var list []string
		for _, d := range deps.Dependencies {
			list = append(list, aws.ToString(d.Namespace)+"/"+*d.Package+" "+*d.DependencyType+" "+*d.VersionRequirement)
		}
		slices.Sort(list)
		if diff := cmp.Diff([]string{"/left regular ~2", "/tester dev 3", "team/dep regular ^1.0.0"}, list); diff != "" {
			t.Error(diff)
		}
		if *deps.Package != "thing" || *deps.Version != "1.0.0" || *deps.VersionRevision != *v.Revision || deps.Format != "npm" {
			t.Errorf("%+v", deps)
		}

		h.repo("down", "repo")
		for version, kind := range map[string]types.ResourceType{"9": "package-version", "1.0.0": "package"} {
			repository, id := "repo", version
			if kind == "package" {
				repository, id = "down", "npm/thing" // only upstream
			}
			_, err := h.DescribePackageVersion(t.Context(), &codeartifact.DescribePackageVersionInput{Domain: thing.domain, Repository: &repository, Format: "npm", Package: thing.pkg, PackageVersion: &version})
			wantNotFound(t, err, kind, id)
			_, err = h.ListPackageVersionDependencies(t.Context(), &codeartifact.ListPackageVersionDependenciesInput{Domain: thing.domain, Repository: &repository, Format: "npm", Package: thing.pkg, PackageVersion: &version})
			wantNotFound(t, err, kind, id)
		}
	})
}

func TestDescribePackageVersion_OfABrokenManifest(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	h.publish(npmName("thing"), "1.0.0", `not a manifest`)
	if v := h.describeVersion("repo", "1.0.0"); *v.Version != "1.0.0" || *v.DisplayName != "thing" {
		t.Errorf("described %+v", v)
	}
}

func TestListPackageVersionDependencies_ManyComeInPages(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	var deps []string
	for i := range 1500 {
		deps = append(deps, fmt.Sprintf(`"dep-%04d":"1"`, i))
	}
	h.publish(npmName("thing"), "1.0.0", `{"dependencies":{`+strings.Join(deps, ",")+`}}`)
	in := &codeartifact.ListPackageVersionDependenciesInput{Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg, PackageVersion: new("1.0.0")}
	first := must[codeartifact.ListPackageVersionDependenciesOutput](t)(h.ListPackageVersionDependencies(t.Context(), in))
	in.NextToken = first.NextToken
	second := must[codeartifact.ListPackageVersionDependenciesOutput](t)(h.ListPackageVersionDependencies(t.Context(), in))
	if len(first.Dependencies)+len(second.Dependencies) != 1500 || second.NextToken != nil {
		t.Errorf("%d and %d", len(first.Dependencies), len(second.Dependencies))
	}
	in.NextToken = new("abc")
	_, err := h.ListPackageVersionDependencies(t.Context(), in)
	wantError(t, err, invalid, 400)
}

func TestAssets(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		shelf(h)
		in := &codeartifact.GetPackageVersionAssetInput{
			Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg, PackageVersion: new("1.0.0"), Asset: new("package.tgz"),
		}
		out := must[codeartifact.GetPackageVersionAssetOutput](t)(h.GetPackageVersionAsset(ctx, in))
		body, err := io.ReadAll(out.Asset)
		if err != nil {
			t.Fatal(err)
		}
		_ = out.Asset.Close()
		revision := h.describeVersion("repo", "1.0.0").Revision
		if diff := cmp.Diff([]string{"package.tgz", "1.0.0", *revision}, []string{*out.AssetName, *out.PackageVersion, *out.PackageVersionRevision}); diff != "" {
			t.Error(diff)
		}

		list := must[codeartifact.ListPackageVersionAssetsOutput](t)(h.ListPackageVersionAssets(ctx, &codeartifact.ListPackageVersionAssetsInput{
			Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg, PackageVersion: new("1.0.0"),
		}))
		a := list.Assets[0]
		if len(list.Assets) != 1 || *a.Name != "package.tgz" || *a.Size != int64(len(body)) || a.Hashes["SHA-256"] != fmt.Sprintf("%x", sha256.Sum256(body)) ||
			len(a.Hashes["MD5"]) != 32 || len(a.Hashes["SHA-1"]) != 40 || len(a.Hashes["SHA-512"]) != 128 || *list.VersionRevision != *revision || list.NextToken != nil {
			t.Errorf("listed %+v", list)
		}

		in.PackageVersionRevision = revision
		out = must[codeartifact.GetPackageVersionAssetOutput](t)(h.GetPackageVersionAsset(ctx, in))
		_ = out.Asset.Close()
		in.PackageVersionRevision = new("another")
		_, err = h.GetPackageVersionAsset(ctx, in)
		wantNotFound(t, err, "package-version", "1.0.0")
		in.PackageVersionRevision, in.Asset = nil, new("absent.tgz")
		_, err = h.GetPackageVersionAsset(ctx, in)
		wantNotFound(t, err, "asset", "absent.tgz")
		in.Asset, in.PackageVersion = new("package.tgz"), new("9")
		_, err = h.GetPackageVersionAsset(ctx, in)
		wantNotFound(t, err, "package-version", "9")

		in.PackageVersion = new("1.0.0")
		h.setStatus("Unlisted", "1.0.0")
		out = must[codeartifact.GetPackageVersionAssetOutput](t)(h.GetPackageVersionAsset(ctx, in))
		_ = out.Asset.Close()
		h.setStatus("Archived", "1.0.0")
		_, err = h.GetPackageVersionAsset(ctx, in)
		wantConflict(t, err, "package-version", "1.0.0")
		h.dispose("1.0.0")
		_, err = h.GetPackageVersionAsset(ctx, in)
		wantConflict(t, err, "package-version", "1.0.0")
		list = must[codeartifact.ListPackageVersionAssetsOutput](t)(h.ListPackageVersionAssets(ctx, &codeartifact.ListPackageVersionAssetsInput{
			Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg, PackageVersion: new("1.0.0"),
		}))
		if list.Assets == nil || len(list.Assets) > 0 {
			t.Errorf("listed %v", list.Assets)
		}
	})
}

func TestGetPackageVersionReadme(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	h.publish(npmName("thing"), "1.0.0", `{}`)
	h.publish(npmName("thing"), "2.0.0", `{"readme":"from the manifest"}`)
	in := &codeartifact.GetPackageVersionReadmeInput{Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg}
	for version, want := range map[string]string{"1.0.0": "# thing 1.0.0", "2.0.0": "from the manifest"} {
		in.PackageVersion = &version
		out := must[codeartifact.GetPackageVersionReadmeOutput](t)(h.GetPackageVersionReadme(t.Context(), in))
		if *out.Readme != want || *out.Version != version || *out.Package != "thing" || out.VersionRevision == nil || out.Format != "npm" {
			t.Errorf("got %+v", out)
		}
	}
	h.dispose("1.0.0")
	in.PackageVersion = new("1.0.0")
	_, err := h.GetPackageVersionReadme(t.Context(), in)
	wantNotFound(t, err, "package-version", "1.0.0")
	in.PackageVersion = new("9")
	_, err = h.GetPackageVersionReadme(t.Context(), in)
	wantNotFound(t, err, "package-version", "9")
}

func TestUpdatePackageVersionsStatus(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shelf(h)
		revision := h.describeVersion("repo", "1.0.0").Revision
		out := h.setStatus("Unlisted", "1.0.0", "2.0.0")
		if v := out.SuccessfulVersions["1.0.0"]; len(out.SuccessfulVersions) != 2 || v.Status != "Unlisted" || *v.Revision != *revision || out.FailedVersions == nil || len(out.FailedVersions) > 0 {
			t.Errorf("got %+v", out)
		}
		in := codeartifact.UpdatePackageVersionsStatusInput{
			Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg,
			Versions: []string{"1.0.0", "2.0.0", "3.0.0-beta", "9"}, ExpectedStatus: "Unlisted", TargetStatus: "Archived",
			VersionRevisions: map[string]string{"1.0.0": *revision, "2.0.0": "r", "3.0.0-beta": "r", "9": "r"},
		}
		failed := must[codeartifact.UpdatePackageVersionsStatusOutput](t)(h.UpdatePackageVersionsStatus(t.Context(), &in))
		codes := map[string]string{}
		for number, e := range failed.FailedVersions {
			codes[number] = string(e.ErrorCode)
			if aws.ToString(e.ErrorMessage) == "" {
				t.Errorf("%s has no message", number)
			}
		}
		want := map[string]string{"1.0.0": "SKIPPED", "2.0.0": "MISMATCHED_REVISION", "3.0.0-beta": "MISMATCHED_STATUS", "9": "NOT_FOUND"}
		if diff := cmp.Diff(want, codes); diff != "" || failed.SuccessfulVersions == nil || len(failed.SuccessfulVersions) > 0 {
			t.Error(diff, failed.SuccessfulVersions)
		}
		if got := *failed.FailedVersions["1.0.0"].ErrorMessage; got != "version 1.0.0 is skipped" {
			t.Error(got)
		}
		h.dispose("3.0.0-beta")
		if out := h.setStatus("Published", "3.0.0-beta"); out.FailedVersions["3.0.0-beta"].ErrorCode != "NOT_ALLOWED" {
			t.Errorf("got %+v", out)
		}
		for _, target := range []types.PackageVersionStatus{"Unfinished", "Disposed", "Deleted", "Gone"} {
			in := in
			in.TargetStatus = target
			_, err := h.UpdatePackageVersionsStatus(t.Context(), &in)
			wantError(t, err, invalid, 400)
		}
		in.VersionRevisions = map[string]string{"1.0.0": "r"}
		_, err := h.UpdatePackageVersionsStatus(t.Context(), &in)
		wantError(t, err, invalid, 400)
		in.VersionRevisions, in.Versions = nil, make([]string, 101)
		for i := range in.Versions {
			in.Versions[i] = fmt.Sprint(i)
		}
		_, err = h.UpdatePackageVersionsStatus(t.Context(), &in)
		wantError(t, err, invalid, 400)
		in.Versions, in.Package = []string{"1"}, new("absent")
		_, err = h.UpdatePackageVersionsStatus(t.Context(), &in)
		wantNotFound(t, err, "package", "npm/absent")
	})
}

func TestDisposeAndDeletePackageVersions(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shelf(h)
		out := h.dispose("1.0.0")
		if v := out.SuccessfulVersions["1.0.0"]; v.Status != "Disposed" || v.Revision == nil || out.FailedVersions == nil {
			t.Errorf("got %+v", out)
		}
		if out = h.dispose("2.0.0", "9"); out.FailedVersions["2.0.0"].ErrorCode != "SKIPPED" || out.FailedVersions["9"].ErrorCode != "NOT_FOUND" {
			t.Errorf("got %+v", out)
		}
		_, err := h.DisposePackageVersions(t.Context(), &codeartifact.DisposePackageVersionsInput{
			Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg, Versions: []string{}, // none
		})
		wantError(t, err, invalid, 400)

		del := &codeartifact.DeletePackageVersionsInput{
			Domain: thing.domain, Repository: thing.repository, Format: "npm", Package: thing.pkg, Versions: []string{"1.0.0", "2.0.0", "9"}, ExpectedStatus: "Disposed",
		}
		gone := must[codeartifact.DeletePackageVersionsOutput](t)(h.DeletePackageVersions(t.Context(), del))
		if len(gone.SuccessfulVersions) != 1 || gone.SuccessfulVersions["1.0.0"].Status != "Deleted" ||
			gone.FailedVersions["2.0.0"].ErrorCode != "MISMATCHED_STATUS" || gone.FailedVersions["9"].ErrorCode != "NOT_FOUND" {
			t.Errorf("got %+v", gone)
		}
		h.publish(npmName("thing"), "1.0.0", `{}`) // the number is free
		del.Repository = new("absent")
		_, err = h.DeletePackageVersions(t.Context(), del)
		wantNotFound(t, err, "repository", "absent")
	})
}

func TestCopyPackageVersions(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shelf(h)
		h.repo("prod")
		in := codeartifact.CopyPackageVersionsInput{
			Domain: thing.domain, SourceRepository: new("repo"), DestinationRepository: new("prod"), Format: "npm", Package: thing.pkg, Versions: []string{"1.0.0", "2.0.0"},
		}
		out := must[codeartifact.CopyPackageVersionsOutput](t)(h.CopyPackageVersions(t.Context(), &in))
		from, to := h.describeVersion("repo", "2.0.0"), h.describeVersion("prod", "2.0.0")
		if v := out.SuccessfulVersions["2.0.0"]; len(out.SuccessfulVersions) != 2 || v.Status != "Published" || *v.Revision != *from.Revision || len(out.FailedVersions) > 0 {
			t.Errorf("got %+v", out)
		}
		if *to.Revision != *from.Revision || *to.Origin.DomainEntryPoint.RepositoryName != "repo" || !to.PublishedTime.Equal(*from.PublishedTime) {
			t.Errorf("the copy is %+v", to)
		}
		out = must[codeartifact.CopyPackageVersionsOutput](t)(h.CopyPackageVersions(t.Context(), &in))
		if out.SuccessfulVersions == nil || out.FailedVersions == nil || len(out.SuccessfulVersions)+len(out.FailedVersions) > 0 {
			t.Errorf("copying again: %+v", out)
		}
		for name, change := range map[string]func(in *codeartifact.CopyPackageVersionsInput){
			"neither": func(in *codeartifact.CopyPackageVersionsInput) { in.Versions = nil },
			"both":    func(in *codeartifact.CopyPackageVersionsInput) { in.VersionRevisions = map[string]string{"1.0.0": "r"} },
			"itself":  func(in *codeartifact.CopyPackageVersionsInput) { in.DestinationRepository = in.SourceRepository },
		} {
			bad := in
			change(&bad)
			if _, err := h.CopyPackageVersions(t.Context(), &bad); err == nil {
				t.Errorf("%s was taken", name)
			} else {
				wantError(t, err, invalid, 400)
			}
		}
		for _, repository := range []**string{&in.SourceRepository, &in.DestinationRepository} {
			kept := *repository
			*repository = new("absent")
			_, err := h.CopyPackageVersions(t.Context(), &in)
			wantNotFound(t, err, "repository", "absent")
			*repository = kept
		}
	})
}

func TestCopyPackageVersions_NeedsBothSides(t *testing.T) {
	h := lite(t)
	shelf(h)
	h.repo("prod")
	in := codeartifact.CopyPackageVersionsInput{
		Domain: thing.domain, SourceRepository: new("repo"), DestinationRepository: new("prod"), Format: "npm", Package: thing.pkg, Versions: []string{"1.0.0"},
	}
	read := statement("Allow", "codeartifact:ReadFromRepository", repositoryARN("repo"))
	onRepository := statement("Allow", "codeartifact:CopyPackageVersions", repositoryARN("prod"))
	onPackage := statement("Allow", "codeartifact:CopyPackageVersions", strings.Replace(repositoryARN("prod"), ":repository/", ":package/", 1)+"/npm//thing")
	for name, c := range map[string]struct {
		statements []string
		allowed    bool
	}{
		"noread":   {[]string{onRepository, onPackage}, false},
		"norepo":   {[]string{read, onPackage}, false},
		"nopkg":    {[]string{read, onRepository}, false},
		"complete": {[]string{read, onRepository, onPackage}, true},
	} {
		_, err := h.user(name, c.statements...).CopyPackageVersions(t.Context(), &in)
		if c.allowed != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if !c.allowed {
			wantError(t, err, denied, 403)
		}
	}
}

func TestCopyPackageVersions_FromThePublicRegistry(t *testing.T) {
	outside := upstreamtest.NPM(t, txtar.Parse([]byte("-- thing/1.0.0/index.js --\nmodule.exports = 1\n-- thing/1.1.0/index.js --\nmodule.exports = 2\n")))
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.repo("store")
		h.repo("view", "store")
		h.repo("prod")
		must[codeartifact.AssociateExternalConnectionOutput](t)(h.AssociateExternalConnection(t.Context(), &codeartifact.AssociateExternalConnectionInput{
			Domain: thing.domain, Repository: new("store"), ExternalConnection: new(public),
		}))
		in := &codeartifact.CopyPackageVersionsInput{
			Domain: thing.domain, SourceRepository: new("view"), DestinationRepository: new("prod"), Format: "npm", Package: thing.pkg, Versions: []string{"1.1.0"}, IncludeFromUpstream: aws.Bool(true),
		}
		if out := must[codeartifact.CopyPackageVersionsOutput](t)(h.CopyPackageVersions(t.Context(), in)); len(out.SuccessfulVersions) != 1 {
			t.Fatalf("got %+v", out)
		}
		v := h.describeVersion("prod", "1.1.0")
		if v.Origin.OriginType != "EXTERNAL" || *v.Origin.DomainEntryPoint.ExternalConnectionName != public || v.PublishedTime.Year() != 2020 {
			t.Errorf("the copy is %+v", v)
		}
		p := must[codeartifact.DescribePackageOutput](t)(h.DescribePackage(t.Context(), &codeartifact.DescribePackageInput{Domain: thing.domain, Repository: new("prod"), Format: "npm", Package: thing.pkg})).Package
		if got := restrictionsOf(p.OriginConfiguration); got != [2]string{"BLOCK", "ALLOW"} {
			t.Errorf("restrictions %v", got)
		}
		_, err := h.DescribePackage(t.Context(), &codeartifact.DescribePackageInput{Domain: thing.domain, Repository: new("view"), Format: "npm", Package: thing.pkg})
		wantNotFound(t, err, "package", "npm/thing")
		h.describeVersion("store", "1.1.0")
		in.Versions = []string{"7.0.0"}
		if out := must[codeartifact.CopyPackageVersionsOutput](t)(h.CopyPackageVersions(t.Context(), in)); out.FailedVersions["7.0.0"].ErrorCode != "NOT_FOUND" {
			t.Errorf("got %+v", out)
		}
		in.Package = new("absent")
		_, err = h.CopyPackageVersions(t.Context(), in)
		wantNotFound(t, err, "package", "npm/absent")
		outside.Stop()
		defer func() {
			if err := outside.Start(); err != nil {
				t.Error(err)
			}
		}()
		in.Package = new("never-asked")
		_, err = h.CopyPackageVersions(t.Context(), in)
		wantError(t, err, "InternalServerException", 502)
		h.log.Reset() // it was logged, as a failure that is not the caller's
	}, remote(outside.URL))
}

func TestDescribePackageVersion_ScopedDisplayName(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	h.publish(artifact.Coordinates{Format: artifact.NPM, Namespace: "team", Name: "thing"}, "1.0.0", `{}`)
	v := must[codeartifact.DescribePackageVersionOutput](t)(h.DescribePackageVersion(t.Context(), &codeartifact.DescribePackageVersionInput{
		Domain: thing.domain, Repository: thing.repository, Format: "npm", Namespace: new("team"), Package: thing.pkg, PackageVersion: new("1.0.0"),
	})).PackageVersion
	if *v.DisplayName != "@team/thing" || *v.Namespace != "team" || *v.PackageName != "thing" {
		t.Errorf("described %+v", v)
	}
}
