package webhook_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"packhouse/internal/event/webhook"
)

// TestSample_VerifiesWhatIsSigned runs the program of docs/events.md.
func TestSample_VerifiesWhatIsSigned(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("PACKHOUSE_TEST_REQUIRE") != "" {
			t.Fatal("python3 is required and is not on PATH")
		}
		t.Skip("there is no python3 to run the sample with")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	sample := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(page)
	if sample == nil {
		t.Fatal("docs/events.md has no program")
	}
	key := webhook.KeyOf([]byte("secret"), "target")
	at := time.Unix(1700000000, 0)
	const body = `{"a":"é"}`
	type call struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		Now     int64             `json:"now"`
	}
	good := func() call {
		return call{webhook.Secret(key), map[string]string{
			webhook.HeaderID: "m1", webhook.HeaderTime: "1700000000", webhook.HeaderSignature: webhook.Sign(key, "m1", at, []byte(body)),
		}, body, at.Unix() + 60}
	}
	changed := func(change func(*call)) call {
		c := good()
		change(&c)
		return c
	}
	calls := []call{
		good(),
		changed(func(c *call) { c.Headers[webhook.HeaderSignature] = "v1,other " + c.Headers[webhook.HeaderSignature] }),
		changed(func(c *call) { c.Body += " " }),
		changed(func(c *call) { c.Headers[webhook.HeaderID] = "m2" }),
		changed(func(c *call) { c.Now += 3600 }),
		changed(func(c *call) { c.Secret = webhook.Secret(webhook.KeyOf([]byte("secret"), "other target")) }),
	}
	in, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", string(sample[1])+`
import json, sys
print([verified(c["secret"], c["headers"], c["body"].encode(), c["now"]) for c in json.load(sys.stdin)])
`)
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "[True, True, False, False, False, False]"; strings.TrimSpace(string(out)) != want {
		t.Errorf("got %s, want %s", out, want)
	}
}
