package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// tarball makes a small npm package, the same bytes every time.
func tarball(t *testing.T, name, version string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	manifest := fmt.Sprintf(`{"name":%q,"version":%q}`, name, version)
	if err := w.WriteHeader(&tar.Header{Name: "package/package.json", Mode: 0o644, Size: int64(len(manifest))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(manifest)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// publish puts a version into a repository as npm would.
func (h *house) publish(repository, name, version string) {
	h.t.Helper()
	token := strings.TrimSpace(h.must("get-authorization-token", "--domain", "my-domain", "--query", "authorizationToken", "--output", "text"))
	endpoint := strings.TrimSpace(h.must("get-repository-endpoint", "--domain", "my-domain", "--repository", repository, "--format", "npm", "--query", "repositoryEndpoint", "--output", "text"))
	data := tarball(h.t, name, version)
	file := name + "-" + version + ".tgz"
	body, err := json.Marshal(map[string]any{
		"_id": name, "name": name, "dist-tags": map[string]string{"latest": version},
		"versions": map[string]any{version: map[string]any{
			"name": name, "version": version, "dist": map[string]string{"tarball": endpoint + name + "/-/" + file},
		}},
		"_attachments": map[string]any{file: map[string]any{
			"content_type": "application/octet-stream", "data": base64.StdEncoding.EncodeToString(data), "length": len(data),
		}},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPut, endpoint+name, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		h.t.Fatalf("publish: %s", resp.Status)
	}
}
