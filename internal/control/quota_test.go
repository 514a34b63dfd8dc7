package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/google/go-cmp/cmp"
)

// quotaCall makes a signed call of a quota operation and gives the status and
// the members of the answer.
func (h *house) quotaCall(method, path, body string) (int, map[string]any) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	key := aws.Credentials{AccessKeyID: h.key.ID, SecretAccessKey: string(h.key.Secret)}
	if err := v4.NewSigner().SignHTTP(h.t.Context(), key, req, sha256Of(body), "codeartifact", region, time.Now()); err != nil {
		h.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		h.t.Fatalf("%s: %v", data, err)
	}
	return res.StatusCode, out
}

func TestQuota_Operations(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.repo("repo")
		const repository, domain = "/v1/repository/quota?domain=corp&repository=repo", "/v1/domain/quota?domain=corp"
		h.put(tool("a", "12345", true))
		for _, c := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"GET", repository, "", 404, "the repository repo has no quota"},
			{"DELETE", domain, "", 404, "the domain corp has no quota"},
			{"PUT", repository, "{}", 400, "at least one of"},
			{"PUT", repository, `{"maxBytes":-1}`, 400, "maxBytes"},
			{"PUT", repository, `{"maxBytes":"x"}`, 400, ""},
			{"PUT", "/v1/repository/quota?domain=corp&repository=none", `{"maxBytes":1}`, 404, "none"},
			{"PUT", "/v1/domain/quota?domain=none", `{"maxBytes":1}`, 404, "none"},
			{"PUT", repository, `{"maxBytes":10,"maxVersions":2}`, 200, "maxBytes:10 maxVersions:2 usedBytes:5 usedVersions:1"},
			{"PUT", domain, `{"maxAssetBytes":0}`, 200, "maxAssetBytes:0 usedBytes:5 usedVersions:1"},
			{"GET", repository, "", 200, "maxBytes:10"},
			{"GET", domain, "", 200, "maxAssetBytes:0"},
			{"DELETE", domain, "", 200, "maxAssetBytes:0"},
			{"GET", domain, "", 404, "no quota"},
		} {
			if status, out := h.quotaCall(c.method, c.path, c.body); status != c.status || !strings.Contains(fmt.Sprint(out), c.want) {
				t.Errorf("%s %s %s: %d %v, want %d %q", c.method, c.path, c.body, status, out, c.status, c.want)
			}
		}
		nobody := h.user("nobody", statement("Deny", "codeartifact:PutRepositoryQuota", "*"))
		if _, err := nobody.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: aws.String("corp")}); err == nil {
			t.Error("nobody may look")
		}
	})
}

func TestQuota_ConcurrentPublishesFillItExactly(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.repo("repo")
		if status, out := h.quotaCall("PUT", "/v1/repository/quota?domain=corp&repository=repo", `{"maxBytes":50}`); status != 200 {
			t.Fatal(out)
		}
		var taken, refused atomic.Int32
		var wait sync.WaitGroup
		for i := range 12 {
			wait.Go(func() {
				in := tool("file", fmt.Sprintf("content %02d", i), false) // ten bytes
				in.PackageVersion = aws.String(fmt.Sprint(i))
				_, err := h.PublishPackageVersion(context.WithoutCancel(t.Context()), in)
				if err == nil {
					taken.Add(1)
					return
				}
				wantError(t, err, quota, 402)
				refused.Add(1)
			})
		}
		wait.Wait()
		if taken.Load() != 5 || refused.Load() != 7 {
			t.Errorf("%d were taken and %d refused", taken.Load(), refused.Load())
		}
		_, out := h.quotaCall("GET", "/v1/repository/quota?domain=corp&repository=repo", "")
		want := map[string]any{"quota": map[string]any{"arn": repositoryARN("repo"), "maxBytes": 50.0, "usedBytes": 50.0, "usedVersions": 5.0}}
		if diff := cmp.Diff(want, out); diff != "" {
			t.Error(diff)
		}
	})
}
