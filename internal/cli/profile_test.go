package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProfiles_SetKeepsTheRest(t *testing.T) {
	const id, secret = "AKIANEW", "new/+=secret"
	for _, c := range []struct{ name, old, profile, want string }{
		{"empty", "", "default", "[default]\naws_access_key_id = AKIANEW\naws_secret_access_key = new/+=secret\n"},
		{
			"comments, order and other profiles", "# mine\n[default]\n# the admin\naws_access_key_id=OLD # since May\nregion = r\naws_secret_access_key   =  olds\n\n[b]\naws_access_key_id = B\n", "default",
			"# mine\n[default]\n# the admin\naws_access_key_id=AKIANEW # since May\nregion = r\naws_secret_access_key   =  new/+=secret\n\n[b]\naws_access_key_id = B\n",
		},
		{
			"a new profile", "[a]\naws_access_key_id = A", "b",
			"[a]\naws_access_key_id = A\n\n[b]\naws_access_key_id = AKIANEW\naws_secret_access_key = new/+=secret\n",
		},
		{
			"lines of Windows", "[a]\r\nAWS_ACCESS_KEY_ID = A\r\n", "a",
			"[a]\r\naws_secret_access_key = new/+=secret\r\nAWS_ACCESS_KEY_ID = AKIANEW\r\n",
		},
		{"the last line has no end", "[a]\naws_access_key_id =", "a", "[a]\naws_secret_access_key = new/+=secret\naws_access_key_id = AKIANEW"},
		{
			"a heading with spaces, a key twice, values that go on", "[ a ] ; x\naws_access_key_id = 1\ns3 =\n  aws_access_key_id = 2\naws_access_key_id = 3\n", "a",
			"[ a ] ; x\naws_secret_access_key = new/+=secret\naws_access_key_id = AKIANEW\ns3 =\n  aws_access_key_id = 2\naws_access_key_id = AKIANEW\n",
		},
		{"commented out", "[a]\n#aws_access_key_id = 1\n", "a", "[a]\naws_access_key_id = AKIANEW\naws_secret_access_key = new/+=secret\n#aws_access_key_id = 1\n"},
	} {
		p := parseProfiles("file", c.old)
		if err := p.set(c.profile, profileKeyID, id, profileSecret, secret); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, p.text()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		for key, want := range map[string]string{profileKeyID: id, profileSecret: secret} {
			if got, err := p.get(c.profile, key); got != want || err != nil {
				t.Errorf("%s: %s is %q, %v", c.name, key, got, err)
			}
		}
	}
	p := parseProfiles("file", "[a]\nx = 1\n[b]\n[a]\ny = 2\n")
	if err := p.set("a", "x", "2"); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a profile that is there twice: %v", err)
	}
}

func TestProfiles_Mark(t *testing.T) {
	const old = "[a]\naws_access_key_id = A\n# mine\n\n[b]\n"
	p := parseProfiles("file", old)
	for _, id := range []string{"AKIA1", "AKIA2"} {
		if err := p.mark("a", id); err != nil {
			t.Fatal(err)
		}
		if got, err := p.replaces("a"); got != id || err != nil {
			t.Errorf("it replaces %q, %v", got, err)
		}
	}
	if got, _ := p.replaces("b"); got != "" {
		t.Errorf("another profile replaces %q", got)
	}
	if err := p.mark("a", ""); err != nil || p.text() != old {
		t.Errorf("%v, left is %q", err, p.text())
	}
}

// TestProfiles_quotationMark: the SDK panics on such a value.
func TestProfiles_quotationMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
	for _, mark := range []string{`"`, "'"} {
		if err := os.WriteFile(path, []byte("[default]\naws_access_key_id = "+mark+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := profileKey(t.Context(), path, "default"); err == nil || !strings.Contains(err.Error(), "lone quotation mark") {
			t.Errorf("key of a profile with %s: %v", mark, err)
		}
		if _, err := loadConfig(t.Context()); err == nil || !strings.Contains(err.Error(), "lone quotation mark") {
			t.Errorf("configuration with %s: %v", mark, err)
		}
	}
}

// FuzzProfiles checks that AWS clients read what was set, and that nothing else
// is changed.
func FuzzProfiles(f *testing.F) {
	for _, text := range []string{
		"", "[default]\naws_access_key_id = A\n", "# c\n[a]\nb=c\n  d = e\n[default] # x\naws_secret_access_key=\n", "[default\n=", "[]\n[ ]\r\n\r", "[profile a]\nx\n[default]\n y = 1\n",
		"[default]\na = \"\n", "[default]\na = '\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "credentials")
		p := parseProfiles(path, text)
		if p.text() != text {
			t.Fatalf("%q is read as %q", text, p.text())
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, unread := profileKey(t.Context(), path, "default")
		readable := unread == nil || strings.Contains(unread.Error(), "failed to get shared config profile")
		if err := p.set("default", profileKeyID, "AKIANEW", profileSecret, "s3cret"); err != nil {
			return
		}
		for key, want := range map[string]string{profileKeyID: "AKIANEW", profileSecret: "s3cret"} {
			if got, err := p.get("default", key); got != want || err != nil {
				t.Fatalf("%s is %q, %v after setting it in %q: %q", key, got, err, text, p.text())
			}
		}
		// Without the lines that were set, the file is the old one.
		rest := func(text string) (kept []string) {
			for line := range strings.Lines(text) {
				if k, _, _ := entry(line); k != profileKeyID && k != profileSecret && strings.TrimSpace(line) != "" && strings.TrimSpace(line) != "[default]" {
					kept = append(kept, strings.TrimRight(line, "\r\n"))
				}
			}
			return kept
		}
		if diff := cmp.Diff(rest(text), rest(p.text())); diff != "" {
			t.Fatalf("%q became %q: %s", text, p.text(), diff)
		}
		if err := p.write(); err != nil {
			t.Fatal(err)
		}
		if key, err := profileKey(t.Context(), path, "default"); readable && unread == nil && (err != nil || key.AccessKeyID == "") {
			t.Fatalf("%q, which AWS clients could read, became %q: %v", text, p.text(), err)
		}
	})
}
