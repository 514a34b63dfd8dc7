package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"packhouse/internal/seal"
)

func TestDoctor_MasterKey(t *testing.T) {
	h := open(t)
	path := filepath.Join(h.data, "master.key")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	other := seal.NewKey().Text()
	for name, c := range map[string]struct {
		text   string
		mode   os.FileMode
		status string
		want   string
	}{
		"as it should be":    {string(was), 0o600, statusOK, "keep a copy of it apart"},
		"readable by others": {string(was), 0o644, statusFail, "others on this machine"},
		"another key":        {other + "\n", 0o600, statusFail, "which is not here"},
		"a newer key first":  {other + "\n" + string(was), 0o600, statusNote, "seals the secrets anew"},
		"not a key":          {"nonsense\n", 0o600, statusFail, "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			put(c.text, c.mode)
			code := exitOK
			if c.status == statusFail {
				code = exitFailed
			}
			got := doctorReport(t, h.home, code, "--data", h.data)
			if f, ok := got.find("master key", c.status); !ok || !strings.Contains(f.Detail, c.want) {
				t.Errorf("%+v", got.Checks)
			}
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	got := doctorReport(t, h.home, exitFailed, "--data", h.data)
	if f, ok := got.find("master key", statusFail); !ok || !strings.Contains(f.Advice, "PACKHOUSE_MASTER_KEY") {
		t.Errorf("%+v", got.Checks)
	}
	got = doctorReport(t, h.home, exitOK, "--data", filepath.Join(h.home, "other"), "--listen", "127.0.0.1:0", "--connection", "public:npmjs="+h.public.URL)
	if _, ok := got.find("master key", statusNote); !ok {
		t.Errorf("%+v", got.Checks)
	}
}
