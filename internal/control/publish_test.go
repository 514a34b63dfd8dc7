package control_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packhouse/internal/artifact"
	"packhouse/internal/control"
	"packhouse/internal/control/api"
	"packhouse/internal/digest"
	"packhouse/internal/identity"
	"packhouse/internal/registry"
	"packhouse/internal/restjson"
)

func sha256Of(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// tool is the generic package tools/cli 1.0 in "repo" of "corp".
func tool(asset, content string, unfinished bool) *codeartifact.PublishPackageVersionInput {
	return &codeartifact.PublishPackageVersionInput{
		Domain: aws.String("corp"), Repository: aws.String("repo"), Format: "generic", Namespace: aws.String("tools"), Package: aws.String("cli"),
		PackageVersion: aws.String("1.0"), AssetName: &asset, AssetContent: strings.NewReader(content), AssetSHA256: aws.String(sha256Of(content)),
		Unfinished: &unfinished,
	}
}

func (h *house) put(in *codeartifact.PublishPackageVersionInput) *codeartifact.PublishPackageVersionOutput {
	h.t.Helper()
	return must[codeartifact.PublishPackageVersionOutput](h.t)(h.PublishPackageVersion(h.t.Context(), in))
}

// getTool downloads an asset of the tool from a repository.
func (h *house) getTool(repository, asset string) (string, error) {
	h.t.Helper()
	out, err := h.GetPackageVersionAsset(h.t.Context(), &codeartifact.GetPackageVersionAssetInput{
		Domain: aws.String("corp"), Repository: &repository, Format: "generic", Namespace: aws.String("tools"), Package: aws.String("cli"),
		PackageVersion: aws.String("1.0"), Asset: &asset,
	})
	if err != nil {
		return "", err
	}
	defer out.Asset.Close()
	text, err := io.ReadAll(out.Asset)
	return string(text), err
}

// toolVersions lists "version status" of the tool; none when it is not there.
func (h *house) toolVersions(repository string) (out []string) {
	h.t.Helper()
	l, err := h.ListPackageVersions(h.t.Context(), &codeartifact.ListPackageVersionsInput{
		Domain: aws.String("corp"), Repository: &repository, Format: "generic", Namespace: aws.String("tools"), Package: aws.String("cli"),
	})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return nil
	}
	for _, v := range must[codeartifact.ListPackageVersionsOutput](h.t)(l, err).Versions {
		out = append(out, *v.Version+" "+string(v.Status))
	}
	return out
}

func workshop(h *house) {
	h.t.Helper()
	h.domain("corp")
	h.repo("repo")
	h.repo("below", "repo")
}

// TestPublishPackageVersion_Life is the whole life of a generic version.
func TestPublishPackageVersion_Life(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		workshop(h)
		domain, repo, name, version := aws.String("corp"), aws.String("repo"), aws.String("cli"), aws.String("1.0")
		namespace := aws.String("tools")

		first := h.put(tool("app.zip", "the app", true))
		d := digest.Of([]byte("the app"))
		want := &codeartifact.PublishPackageVersionOutput{
			Format: "generic", Namespace: namespace, Package: name, Version: version, Status: "Unfinished", VersionRevision: first.VersionRevision,
			Asset: &types.AssetSummary{Name: aws.String("app.zip"), Size: aws.Int64(7), Hashes: map[string]string{
				"MD5": d.Hex(digest.MD5), "SHA-1": d.Hex(digest.SHA1), "SHA-256": d.Hex(digest.SHA256), "SHA-512": d.Hex(digest.SHA512),
			}},
		}
		if diff := cmp.Diff(want, first, cmpopts.IgnoreUnexported(codeartifact.PublishPackageVersionOutput{}, types.AssetSummary{}),
			cmpopts.IgnoreFields(codeartifact.PublishPackageVersionOutput{}, "ResultMetadata")); diff != "" {
			t.Errorf("first asset (-want +got):\n%s", diff)
		}
		second := h.put(tool("Größe (1).txt", "notes", true))
		if *second.VersionRevision == *first.VersionRevision || second.Status != "Unfinished" {
			t.Errorf("second asset: %s of revision %s", second.Status, *second.VersionRevision)
		}

		// while it is Unfinished
		_, err := h.getTool("repo", "app.zip")
		wantConflict(t, err, "package-version", "1.0")
		if !strings.Contains(err.Error(), "Unfinished") {
			t.Errorf("the refusal does not name the status: %v", err)
		}
		copied := must[codeartifact.CopyPackageVersionsOutput](t)(h.CopyPackageVersions(ctx, &codeartifact.CopyPackageVersionsInput{
			Domain: domain, SourceRepository: repo, DestinationRepository: aws.String("below"), Format: "generic", Namespace: namespace, Package: name, Versions: []string{"1.0"},
		}))
		if copied.FailedVersions["1.0"].ErrorCode != "NOT_ALLOWED" {
			t.Errorf("copy of an Unfinished version: %+v", copied)
		}
		_, err = h.GetPackageVersionReadme(ctx, &codeartifact.GetPackageVersionReadmeInput{
			Domain: domain, Repository: repo, Format: "generic", Namespace: namespace, Package: name, PackageVersion: version,
		})
		wantNotFound(t, err, "package-version", "1.0")
		_, err = h.ListPackageVersionDependencies(ctx, &codeartifact.ListPackageVersionDependenciesInput{
			Domain: domain, Repository: repo, Format: "generic", Namespace: namespace, Package: name, PackageVersion: version,
		})
		wantNotFound(t, err, "package-version", "1.0")

		updated := must[codeartifact.UpdatePackageVersionsStatusOutput](t)(h.UpdatePackageVersionsStatus(ctx, &codeartifact.UpdatePackageVersionsStatusInput{
			Domain: domain, Repository: repo, Format: "generic", Namespace: namespace, Package: name, Versions: []string{"1.0"}, TargetStatus: "Published",
			ExpectedStatus: "Unfinished", VersionRevisions: map[string]string{"1.0": *second.VersionRevision},
		}))
		if updated.SuccessfulVersions["1.0"].Status != "Published" {
			t.Errorf("finish: %+v", updated)
		}

		// once it is Published
		for asset, content := range map[string]string{"app.zip": "the app", "Größe (1).txt": "notes"} {
			if got, err := h.getTool("repo", asset); err != nil || got != content {
				t.Errorf("%s: %q, %v", asset, got, err)
			}
		}
		assets := must[codeartifact.ListPackageVersionAssetsOutput](t)(h.ListPackageVersionAssets(ctx, &codeartifact.ListPackageVersionAssetsInput{
			Domain: domain, Repository: repo, Format: "generic", Namespace: namespace, Package: name, PackageVersion: version,
		}))
		if len(assets.Assets) != 2 || *assets.VersionRevision != *second.VersionRevision {
			t.Errorf("assets: %+v", assets)
		}
		described := must[codeartifact.DescribePackageVersionOutput](t)(h.DescribePackageVersion(ctx, &codeartifact.DescribePackageVersionInput{
			Domain: domain, Repository: repo, Format: "generic", Namespace: namespace, Package: name, PackageVersion: version,
		})).PackageVersion
		if aws.ToString(described.DisplayName) != "cli" || described.Status != "Published" || described.Origin.OriginType != "INTERNAL" ||
			*described.Origin.DomainEntryPoint.RepositoryName != "repo" || described.PublishedTime == nil {
			t.Errorf("described: %+v", described)
		}
		_, err = h.PublishPackageVersion(ctx, tool("late.txt", "late", false))
		wantConflict(t, err, "package-version", "1.0")
		_, err = h.PublishPackageVersion(ctx, tool("app.zip", "other", false))
		wantConflict(t, err, "asset", "app.zip")
		if same := h.put(tool("app.zip", "the app", true)); same.Status != "Published" || *same.VersionRevision != *second.VersionRevision {
			t.Errorf("the same again: %+v", same)
		}

		// only copying brings it elsewhere
		if got := h.toolVersions("below"); got != nil {
			t.Errorf("a downstream repository has %v", got)
		}
		copied = must[codeartifact.CopyPackageVersionsOutput](t)(h.CopyPackageVersions(ctx, &codeartifact.CopyPackageVersionsInput{
			Domain: domain, SourceRepository: repo, DestinationRepository: aws.String("below"), Format: "generic", Namespace: namespace, Package: name, Versions: []string{"1.0"},
			IncludeFromUpstream: aws.Bool(true),
		}))
		if got := aws.ToString(copied.SuccessfulVersions["1.0"].Revision); got != *second.VersionRevision {
			t.Errorf("copy: %+v", copied)
		}
		if got, err := h.getTool("below", "app.zip"); err != nil || got != "the app" {
			t.Errorf("copied asset: %q, %v", got, err)
		}

		// the end
		disposed := must[codeartifact.DisposePackageVersionsOutput](t)(h.DisposePackageVersions(ctx, &codeartifact.DisposePackageVersionsInput{
			Domain: domain, Repository: repo, Format: "generic", Namespace: namespace, Package: name, Versions: []string{"1.0"},
		}))
		if disposed.SuccessfulVersions["1.0"].Status != "Disposed" {
			t.Errorf("dispose: %+v", disposed)
		}
		_, err = h.PublishPackageVersion(ctx, tool("app.zip", "the app", false))
		wantConflict(t, err, "package-version", "1.0")
		deleted := must[codeartifact.DeletePackageVersionsOutput](t)(h.DeletePackageVersions(ctx, &codeartifact.DeletePackageVersionsInput{
			Domain: domain, Repository: repo, Format: "generic", Namespace: namespace, Package: name, Versions: []string{"1.0"},
		}))
		if deleted.SuccessfulVersions["1.0"].Status != "Deleted" {
			t.Errorf("delete: %+v", deleted)
		}
		if again := h.put(tool("app.zip", "other", false)); again.Status != "Published" {
			t.Errorf("after deletion: %+v", again)
		}
		if got, err := h.getTool("below", "app.zip"); err != nil || got != "the app" {
			t.Errorf("the copy: %q, %v", got, err)
		}
	})
}

// TestPublishPackageVersion_AllAtOnce has assets of one version come at the same
// time; the last to finish publishes it.
func TestPublishPackageVersion_AllAtOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		workshop(h)
		const assets = 6
		var wg sync.WaitGroup
		for i := range assets {
			wg.Go(func() {
				if _, err := h.PublishPackageVersion(t.Context(), tool(fmt.Sprintf("f%d", i), fmt.Sprintf("content %d", i), true)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if out := h.put(tool("last", "last", false)); out.Status != "Published" {
			t.Errorf("last: %+v", out)
		}
		list := must[codeartifact.ListPackageVersionAssetsOutput](t)(h.ListPackageVersionAssets(t.Context(), &codeartifact.ListPackageVersionAssetsInput{
			Domain: aws.String("corp"), Repository: aws.String("repo"), Format: "generic", Namespace: aws.String("tools"), Package: aws.String("cli"), PackageVersion: aws.String("1.0"),
		}))
		if len(list.Assets) != assets+1 {
			t.Errorf("%d assets", len(list.Assets))
		}
	})
}

func TestPublishPackageVersion_BadInput(t *testing.T) {
	h := lite(t)
	workshop(h)
	for name, c := range map[string]struct {
		change func(*codeartifact.PublishPackageVersionInput)
		text   string
	}{
		"another format":    {func(in *codeartifact.PublishPackageVersionInput) { in.Format = "npm" }, "format: must be generic"},
		"no format":         {func(in *codeartifact.PublishPackageVersionInput) { in.Format = "zip" }, "enum value set"},
		"no namespace":      {func(in *codeartifact.PublishPackageVersionInput) { in.Namespace = nil }, "namespace: is required"},
		"traversal":         {func(in *codeartifact.PublishPackageVersionInput) { in.AssetName = aws.String("../../etc/passwd") }, "asset: may hold"},
		"parent":            {func(in *codeartifact.PublishPackageVersionInput) { in.AssetName = aws.String("..") }, "asset: must not be .."},
		"backslash":         {func(in *codeartifact.PublishPackageVersionInput) { in.AssetName = aws.String(`a\b`) }, "asset: may hold"},
		"control character": {func(in *codeartifact.PublishPackageVersionInput) { in.AssetName = aws.String("a\nb") }, "asset"},
		"long asset": {func(in *codeartifact.PublishPackageVersionInput) {
			in.AssetName = aws.String(strings.Repeat("ä", 256))
		}, "less than or equal to 255"},
		"long version": {func(in *codeartifact.PublishPackageVersionInput) {
			in.PackageVersion = aws.String(strings.Repeat("1", 256))
		}, "less than or equal to 255"},
		"version with slash":   {func(in *codeartifact.PublishPackageVersionInput) { in.PackageVersion = aws.String("1/2") }, "regular expression"},
		"parent as version":    {func(in *codeartifact.PublishPackageVersionInput) { in.PackageVersion = aws.String("..") }, "packageVersion: must not be .."},
		"parent as package":    {func(in *codeartifact.PublishPackageVersionInput) { in.Package = aws.String("..") }, "package: must not be .."},
		"backslash in package": {func(in *codeartifact.PublishPackageVersionInput) { in.Package = aws.String(`a\b`) }, "package: must not hold"},
	} {
		in := tool("app.zip", "the app", false)
		c.change(in)
		_, err := h.PublishPackageVersion(t.Context(), in)
		wantError(t, err, invalid, 400)
		if err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want a message with %q", name, err, c.text)
		}
	}
	in := tool("app.zip", "the app", false)
	in.Repository = aws.String("no-such")
	_, err := h.PublishPackageVersion(t.Context(), in)
	wantNotFound(t, err, "repository", "no-such")
	if got := h.toolVersions("repo"); got != nil {
		t.Errorf("stored: %v", got)
	}
}

// raw signs a publish by hand: hash is what the header says, and what is signed.
func (h *house) raw(hash string, body io.Reader, length int64) *http.Request {
	h.t.Helper()
	query := url.Values{
		"domain": {"corp"}, "repository": {"repo"}, "format": {"generic"}, "namespace": {"tools"}, "package": {"cli"}, "version": {"1.0"}, "asset": {"app.zip"},
	}
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+"/v1/package/version/publish?"+query.Encode(), body)
	if err != nil {
		h.t.Fatal(err)
	}
	req.ContentLength = length
	if hash != "" {
		req.Header.Set("X-Amz-Content-Sha256", hash)
	}
	cred := aws.Credentials{AccessKeyID: h.key.ID, SecretAccessKey: string(h.key.Secret)}
	if err := v4.NewSigner().SignHTTP(h.t.Context(), cred, req, hash, control.Service, region, time.Now()); err != nil {
		h.t.Fatal(err)
	}
	return req
}

func (h *house) sent(req *http.Request) (status int, text string) {
	h.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("X-Amzn-ErrorType") + " " + string(body)
}

func TestPublishPackageVersion_HeaderWithTheHash(t *testing.T) {
	h := lite(t)
	workshop(h)
	const content = "the app"
	for name, hash := range map[string]string{"another": sha256Of("other"), "zeros": strings.Repeat("0", 64), "none": "abc"} {
		if status, text := h.sent(h.raw(hash, strings.NewReader(content), int64(len(content)))); status != 400 || !strings.HasPrefix(text, invalid) || !strings.Contains(text, "x-amz-content-sha256") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if got := h.toolVersions("repo"); got != nil {
		t.Errorf("stored: %v", got)
	}
	if status, text := h.sent(h.raw("", strings.NewReader(content), int64(len(content)))); status != 400 || !strings.HasPrefix(text, invalid) || !strings.Contains(text, "x-amz-content-sha256 is required") {
		t.Errorf("no header: %d %s", status, text)
	}
	if status, text := h.sent(h.raw(strings.ToUpper(sha256Of(content)), strings.NewReader(content), int64(len(content)))); status != 400 || !strings.HasPrefix(text, invalid) {
		t.Errorf("capital letters: %d %s", status, text)
	}
	if status, text := h.sent(h.raw("UNSIGNED-PAYLOAD", strings.NewReader(content), int64(len(content)))); status != 200 {
		t.Errorf("unsigned: %d %s", status, text)
	}
	if got, err := h.getTool("repo", "app.zip"); err != nil || got != content {
		t.Errorf("stored: %q, %v", got, err)
	}
}

// TestPublishPackageVersion_BrokenOffLeavesNothing sends half of an asset.
func TestPublishPackageVersion_BrokenOffLeavesNothing(t *testing.T) {
	h := lite(t)
	workshop(h)
	const content = "the whole app"
	req := h.raw(sha256Of(content), strings.NewReader(content), int64(len(content)))
	wire, err := httputil.DumpRequestOut(req, true)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(wire[:len(wire)-5]); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("got %q, %v", answer, err)
	}
	if got := h.toolVersions("repo"); got != nil {
		t.Errorf("stored: %v", got)
	}
}

func TestPublishPackageVersion_Gates(t *testing.T) {
	h := lite(t)
	workshop(h)
	restrict := func(publish types.AllowPublish) {
		must[codeartifact.PutPackageOriginConfigurationOutput](t)(h.PutPackageOriginConfiguration(t.Context(), &codeartifact.PutPackageOriginConfigurationInput{
			Domain: aws.String("corp"), Repository: aws.String("repo"), Format: "generic", Namespace: aws.String("tools"), Package: aws.String("cli"),
			Restrictions: &types.PackageOriginRestrictions{Publish: publish, Upstream: "BLOCK"},
		}))
	}
	refused := func(setting string) {
		t.Helper()
		_, err := h.PublishPackageVersion(t.Context(), tool("app.zip", "the app", false))
		wantError(t, err, denied, 403)
		if err != nil && !strings.Contains(err.Error(), setting) {
			t.Errorf("%v does not name %q", err, setting)
		}
	}
	restrict("BLOCK")
	refused("publish=BLOCK")
	restrict("ALLOW")
	h.group("/generic/tools/*")
	h.rule("/generic/tools/*", "PUBLISH", "BLOCK")
	refused("PUBLISH=BLOCK of /generic/tools/*")
	h.rule("/generic/tools/*", "PUBLISH", "ALLOW")
	h.put(tool("app.zip", "the app", false))
}

func TestPublishPackageVersion_NeedsThePermissionOnThePackage(t *testing.T) {
	h := lite(t)
	workshop(h)
	packages := strings.Replace(repositoryARN("repo"), ":repository/", ":package/", 1)
	for name, c := range map[string]struct {
		client *codeartifact.Client
		ok     bool
	}{
		"nobody":       {h.user("nobody", statement("Allow", "codeartifact:List*", "*")), false},
		"another":      {h.user("another", statement("Allow", "codeartifact:PublishPackageVersion", packages+"/generic/tools/other")), false},
		"repository":   {h.user("repository", statement("Allow", "codeartifact:*", repositoryARN("repo"))), false},
		"this":         {h.user("this", statement("Allow", "codeartifact:PublishPackageVersion", packages+"/generic/tools/cli")), true},
		"of namespace": {h.user("namespace", statement("Allow", "codeartifact:PublishPackageVersion", packages+"/generic/tools/*")), true},
	} {
		_, err := c.client.PublishPackageVersion(t.Context(), tool("app.zip", "the app", false))
		if c.ok && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !c.ok {
			wantError(t, err, denied, 403)
		}
	}
}

func TestPublishPackageVersion_Quotas(t *testing.T) {
	h := lite(t, func(_ *control.Options, o *registry.Options) { o.MaxAssets, o.MaxAssetBytes = 2, 10 })
	workshop(h)
	_, err := h.PublishPackageVersion(t.Context(), tool("large", "0123456789+", true))
	wantError(t, err, quota, 402)
	h.put(tool("a", "0123456789", true))
	h.put(tool("b", "B", true))
	_, err = h.PublishPackageVersion(t.Context(), tool("c", "C", false))
	wantError(t, err, quota, 402)
	var e *types.ServiceQuotaExceededException
	if errors.As(err, &e) && (e.ResourceType != "package-version" || aws.ToString(e.ResourceId) != "1.0") {
		t.Errorf("the error is about %s %s", e.ResourceType, aws.ToString(e.ResourceId))
	}
	if diff := cmp.Diff([]string{"1.0 Unfinished"}, h.toolVersions("repo")); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// TestPublishPackageVersion_InThisProcess has no signature that compares the
// hash.
func TestPublishPackageVersion_InThisProcess(t *testing.T) {
	h := lite(t)
	workshop(h)
	admin, err := h.ids.UserCaller(t.Context(), account, "admin", identity.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	do := func(hash string) error {
		_, err := h.api.Do(t.Context(), &restjson.Call{Principal: admin}, "PublishPackageVersion", &api.PublishPackageVersionInput{
			Domain: "corp", Repository: "repo", Format: string(artifact.Generic), Namespace: "tools", Package: "cli", PackageVersion: "1.0",
			AssetName: "app.zip", AssetContent: io.NopCloser(strings.NewReader("the app")), AssetSHA256: hash,
		})
		return err
	}
	if err := do(sha256Of("other")); err == nil || !strings.Contains(err.Error(), "assetSHA256") {
		t.Errorf("another hash: %v", err)
	}
	if err := do(sha256Of("the app")); err != nil {
		t.Error(err)
	}
}
