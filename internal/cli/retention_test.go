package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/digest"
)

// TestStream_PrintsWhatTheWholeWouldBe: the pages of a preview, printed as they
// come, are the same text as all of them printed at once.
func TestStream_PrintsWhatTheWholeWouldBe(t *testing.T) {
	item := func(i int) any {
		o := &object{}
		o.set("package", fmt.Sprintf("p, \"%d\"", i))
		o.set("bytes", json.Number(fmt.Sprint(i)))
		return o
	}
	for _, sizes := range [][]int{{0}, {1}, {3}, {2, 3}, {2, 0, 1}, {0, 0}} {
		for _, form := range []string{"json", "csv"} {
			all, n := []any{}, 0
			var pages []*object
			for i, size := range sizes {
				items := []any{}
				for range size {
					items = append(items, item(n))
					n++
				}
				all = append(all, items...)
				page := &object{}
				page.set("versions", items)
				if i < len(sizes)-1 {
					page.set(tokenMember, "more")
				}
				pages = append(pages, page)
			}
			whole := &object{}
			whole.set("versions", all)
			var want, got bytes.Buffer
			if err := (&printer{w: &want, form: form}).print(whole, nil); err != nil {
				t.Fatal(err)
			}
			if err := stream(&printer{w: &got, form: form}, "versions", func() (*object, error) {
				page := pages[0]
				pages = pages[1:]
				return page, nil
			}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				t.Errorf("%v as %s: %s", sizes, form, diff)
			}
		}
	}
}

func TestPreviewRetention_InEveryForm(t *testing.T) {
	h := open(t)
	h.domainWith("tools")
	file := filepath.Join(t.TempDir(), "tool")
	for _, version := range []string{"1.0", "2.0"} {
		if err := os.WriteFile(file, []byte("tool "+version), 0o600); err != nil {
			t.Fatal(err)
		}
		h.must("publish-package-version", "--domain", "my-domain", "--repository", "tools", "--format", "generic", "--namespace", "ns", "--package", "tool",
			"--package-version", version, "--asset-name", "tool", "--asset-content", file, "--asset-sha256", digest.Of([]byte("tool "+version)).Hex(digest.SHA256))
	}
	h.must("put-repository-retention-configuration", "--domain", "my-domain", "--repository", "tools", "--max-versions-retained", "1")
	preview := []string{"preview-retention", "--domain", "my-domain", "--output"}
	var out struct{ Versions []map[string]any }
	if err := json.Unmarshal([]byte(h.must(append(preview, "json")...)), &out); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"repository": "tools", "format": "generic", "namespace": "ns", "package": "tool", "version": "2.0", "decision": "KEEP", "rule": "repository: among the newest 1", "bytes": 0.0},
		{"repository": "tools", "format": "generic", "namespace": "ns", "package": "tool", "version": "1.0", "decision": "REMOVE", "rule": "repository: not among the newest 1", "bytes": 8.0},
	}
	if diff := cmp.Diff(want, out.Versions); diff != "" {
		t.Error(diff)
	}
	csv := "repository,format,namespace,package,version,decision,rule,bytes\n" +
		"tools,generic,ns,tool,2.0,KEEP,repository: among the newest 1,0\n" +
		"tools,generic,ns,tool,1.0,REMOVE,repository: not among the newest 1,8\n"
	for _, args := range [][]string{{"csv"}, {"csv", "--page-size", "1"}, {"csv", "--max-items", "5"}, {"csv", "--query", "versions[:2]"}} {
		got := h.must(append(preview, args...)...)
		if len(args) > 1 && args[1] == "--query" { // a query has the members by name
			if lines := strings.Count(got, "\n"); lines != 3 {
				t.Errorf("%v: %s", args, got)
			}
			continue
		}
		if diff := cmp.Diff(csv, got); diff != "" {
			t.Errorf("%v: %s", args, diff)
		}
	}
	if got := h.must(append(preview, "table")...); !strings.Contains(got, "| REMOVE   | repository: not among the newest 1 | 8     |") {
		t.Errorf("as a table:\n%s", got)
	}
	if r := h.run("describe-domain", "--domain", "my-domain", "--output", "csv"); r.code != exitUsage || !strings.Contains(r.stderr, "not one list") {
		t.Errorf("a domain as csv: %d %s", r.code, r.stderr)
	}
	if r := h.run(append(preview, "json", "--domain", "nothing")...); r.code != exitFailed || r.stdout != "" {
		t.Errorf("of no domain: %d %s", r.code, r.stdout)
	}

	pin := []string{"--domain", "my-domain", "--repository", "tools", "--format", "generic", "--namespace", "ns", "--package", "tool", "--versions", "1.0"}
	h.must(append([]string{"pin"}, pin...)...)
	if got := h.must(append(preview, "csv")...); !strings.Contains(got, "1.0,KEEP,pinned,0") {
		t.Errorf("pinned:\n%s", got)
	}
	h.must(append([]string{"unpin"}, pin...)...)
	if r := h.run(append([]string{"restore"}, pin...)...); r.code != exitFailed || !strings.Contains(r.stderr, "not in the trash") {
		t.Errorf("restore: %d %s", r.code, r.stderr)
	}
	if got := h.must("--help"); !strings.Contains(got, "pin-package-versions") || !strings.Contains(got, "\n  unpin ") {
		t.Error("the help has not both names")
	}
}
