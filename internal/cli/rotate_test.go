package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keysOf gives the keys of a user with their status, "ID Status" sorted by id.
func (h *house) keysOf(user string) map[string]string {
	h.t.Helper()
	var out struct {
		AccessKeyMetadata []struct{ AccessKeyID, Status string }
	}
	if err := json.Unmarshal([]byte(h.must("list-access-keys", "--user-name", user)), &out); err != nil {
		h.t.Fatal(err)
	}
	keys := map[string]string{}
	for _, k := range out.AccessKeyMetadata {
		keys[k.AccessKeyID] = k.Status
	}
	return keys
}

func (h *house) keyInUse(args ...string) string {
	h.t.Helper()
	return h.get("accessKeyId", append([]string{"whoami"}, args...)...)
}

func TestRotate_ReplacesTheKeyInItsFile(t *testing.T) {
	h := open(t)
	original := "# mine\n" + h.readCredentials() + "\n[other] # not mine\naws_access_key_id = AKIAOTHER\naws_secret_access_key = s\n"
	if err := os.WriteFile(h.credentialsFile(), []byte(original), 0o644); err != nil {
		t.Fatal(err)
	}
	old := h.keyInUse()
	var got map[string]string
	printed := h.must("access-key", "rotate")
	if err := json.Unmarshal([]byte(printed), &got); err != nil {
		t.Fatal(err)
	}
	now := h.keyInUse()
	want := map[string]string{
		"user": "admin", "accessKeyId": now, "profile": "default", "credentialsFile": h.credentialsFile(), "replaced": old, "replacedStatus": "Deleted",
	}
	if diff := cmp.Diff(want, got); diff != "" || now == old {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{now: "Active"}, h.keysOf("admin")); diff != "" {
		t.Error(diff)
	}
	text := h.readCredentials()
	_, secret, _ := strings.Cut(text, "aws_secret_access_key = ")
	secret, _, _ = strings.Cut(secret, "\n")
	if strings.Contains(printed, secret) {
		t.Error("the secret was printed")
	}
	keys := regexp.MustCompile(`AKIA\w{16}|[A-Za-z0-9/+]{40}`)
	if diff := cmp.Diff(keys.ReplaceAllString(original, "K"), keys.ReplaceAllString(text, "K")); diff != "" {
		t.Errorf("more than the key has changed: %s", diff)
	}
	if info, err := os.Stat(h.credentialsFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if table := h.must("access-key", "rotate", "--deactivate", "--output", "table"); !strings.Contains(table, "| replacedStatus  | Inactive") {
		t.Errorf("table:\n%s", table)
	}
	if diff := cmp.Diff(map[string]string{now: "Inactive", h.keyInUse(): "Active"}, h.keysOf("admin")); diff != "" {
		t.Error(diff)
	}
	// The one left inactive makes room for the next.
	h.must("access-key", "rotate")
	if diff := cmp.Diff(map[string]string{h.keyInUse(): "Active"}, h.keysOf("admin")); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(h.readCredentials(), "replaces") {
		t.Errorf("the note is left:\n%s", h.readCredentials())
	}
}

func TestRotate_AProfileOfItsOwn(t *testing.T) {
	h := open(t)
	h.must("create-account", "--new-profile", "b")
	admin, old := h.keyInUse(), h.keyInUse("--profile", "b")
	h.must("access-key", "rotate", "--profile", "b", "--user", "admin")
	if now := h.keyInUse("--profile", "b"); now == old || h.keyInUse() != admin {
		t.Errorf("b has %s after %s, and the default profile %s after %s", now, old, h.keyInUse(), admin)
	}
	t.Setenv("AWS_PROFILE", "b")
	old = h.keyInUse()
	h.must("access-key", "rotate")
	if h.keyInUse() == old {
		t.Error("AWS_PROFILE is not heeded")
	}
}

func TestRotate_TheFileThatAServerLeft(t *testing.T) {
	h := open(t)
	t.Setenv("PACKHOUSE_DATA", h.data)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(h.home, "none"))
	old := h.keyInUse()
	if got := h.get("credentialsFile", "access-key", "rotate"); got != filepath.Join(h.data, "credentials") || h.keyInUse() == old {
		t.Errorf("written to %s", got)
	}
}

func TestRotate_AnotherUser(t *testing.T) {
	h := open(t)
	h.must("create-user", "--user-name", "bob", "--path", "/team/")
	admin := h.keyInUse()
	h.must("access-key", "rotate", "--user", "bob", "--new-profile", "bob")
	if got := h.get("arn", "whoami", "--profile", "bob"); !strings.HasSuffix(got, ":user/team/bob") {
		t.Errorf("the profile is %s", got)
	}
	first := h.keyInUse("--profile", "bob")
	if got := h.get("replaced", "access-key", "rotate", "--user", "bob", "--new-profile", "bob"); got != first {
		t.Errorf("it replaced %s, not %s", got, first)
	}
	// To another place: the key he has goes all the same.
	h.must("access-key", "rotate", "--user", "bob", "--new-profile", "bobs-laptop")
	if diff := cmp.Diff(map[string]string{h.keyInUse("--profile", "bobs-laptop"): "Active"}, h.keysOf("bob")); diff != "" {
		t.Error(diff)
	}
	if h.keyInUse() != admin {
		t.Error("the administrator's key has changed")
	}
}

func TestRotate_Refuses(t *testing.T) {
	h := open(t)
	h.must("create-user", "--user-name", "bob")
	h.must("create-account", "--new-profile", "b")
	before := h.readCredentials()
	check := func(code int, text string, args ...string) {
		t.Helper()
		r := h.run(append([]string{"access-key", "rotate"}, args...)...)
		if r.code != code || !strings.Contains(r.stderr, text) {
			t.Errorf("rotate %s: %+v, want %d with %q", args, r, code, text)
		}
		if diff := cmp.Diff(before, h.readCredentials()); diff != "" {
			t.Errorf("rotate %s changed the file: %s", args, diff)
		}
	}
	check(exitUsage, "--new-profile which profile", "--user", "bob")
	check(exitUsage, "--new-profile is for the key of another user", "--new-profile", "x")
	check(exitUsage, "no name for a profile", "--user", "bob", "--new-profile", "a b")
	check(exitFailed, "NoSuchEntity", "--user", "nobody", "--new-profile", "x")
	check(exitFailed, "not one of bob's", "--user", "bob", "--new-profile", "b")
	check(exitUsage, "none", "--profile", "none")
	check(exitUsage, "extra", "extra")
	check(exitUsage, "output", "--output", "xml")
	for _, args := range [][]string{{"access-key"}, {"access-key", "forge"}} {
		if r := h.run(args...); r.code != exitUsage {
			t.Errorf("%s: %+v", args, r)
		}
	}
	second := h.get("AccessKey.AccessKeyId", "create-access-key")
	check(exitFailed, "packhouse delete-access-key --user-name admin --access-key-id "+second)
	h.must("delete-access-key", "--access-key-id", second)

	t.Run("a user who may not", func(t *testing.T) {
		h.must("access-key", "rotate", "--user", "bob", "--new-profile", "bob")
		before = h.readCredentials()
		check(exitFailed, "AccessDenied", "--profile", "bob")
	})
	t.Run("a key of the environment", func(t *testing.T) {
		key, err := profileKey(t.Context(), h.credentialsFile(), "default")
		if err != nil {
			t.Fatal(err)
		}
		other, err := profileKey(t.Context(), h.credentialsFile(), "b")
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_ACCESS_KEY_ID", other.AccessKeyID)
		t.Setenv("AWS_SECRET_ACCESS_KEY", other.SecretAccessKey)
		check(exitUsage, "unset AWS_ACCESS_KEY_ID")
		if strings.Contains(h.run("access-key", "rotate").stderr, key.SecretAccessKey) {
			t.Error("the secret is in the message")
		}
	})
}

// broken is a connection that fails at the request with a number: before the
// server hears of it, or after, so that the answer is lost.
type broken struct {
	at, count int
	heard     bool
	then      func() // nil: nothing more happens
}

var errBroken = errors.New("broken off")

func (b *broken) RoundTrip(req *http.Request) (*http.Response, error) {
	b.count++
	if b.count < b.at {
		return http.DefaultTransport.RoundTrip(req)
	}
	if b.count == b.at && b.then != nil {
		b.then()
	}
	if b.count == b.at && b.heard {
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		_ = res.Body.Close()
	}
	return nil, errBroken
}

// TestRotate_BrokenOffAnywhere ends the connection for good at each of the
// requests of a rotation: the file has a key that works, and another attempt
// succeeds, at most after the key that nobody knows the secret of is deleted.
func TestRotate_BrokenOffAnywhere(t *testing.T) {
	h := open(t)
	home := h.home
	for _, heard := range []bool{false, true} {
		at, done := 1, false
		for ; !done; at++ {
			if at > 30 {
				t.Fatal("it never ends")
			}
			name := fmt.Sprintf("request %d, heard %v", at, heard)
			var out, errs bytes.Buffer
			transport := &broken{at: at, heard: heard}
			code := Main(t.Context(), Env{
				Args: []string{"access-key", "rotate"}, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Services: Services(),
				HTTP: &http.Client{Transport: transport}, LookupEnv: os.LookupEnv, Home: home, Version: "test",
			})
			done = code == exitOK
			if done != (transport.count < at) {
				t.Errorf("%s: exit %d after %d requests: %s%s", name, code, transport.count, &out, &errs)
			}
			now := h.keyInUse() // it works
			keys := h.keysOf("admin")
			if keys[now] != "Active" {
				t.Fatalf("%s: the key in the file, %s, is not active: %v", name, now, keys)
			}
			if r := h.run("access-key", "rotate"); r.code != exitOK {
				for id := range keys {
					if id != now && strings.Contains(r.stderr, "--access-key-id "+id) {
						h.must("delete-access-key", "--access-key-id", id)
					}
				}
				h.must("access-key", "rotate")
			}
			if diff := cmp.Diff(map[string]string{h.keyInUse(): "Active"}, h.keysOf("admin")); diff != "" {
				t.Errorf("%s: left are %s", name, diff)
			}
			if text := h.readCredentials(); strings.Contains(text, "replaces") {
				t.Errorf("%s: the note is left:\n%s", name, text)
			}
		}
		if at < 8 {
			t.Errorf("a rotation has only %d requests", at-2)
		}
	}
}

// TestRotate_BrokenOffBeforeItWritesLeavesTheFileToOthers has somebody else
// spoil the file while the new key is tried.
func TestRotate_BrokenOffBeforeItWritesLeavesTheFileToOthers(t *testing.T) {
	h := open(t)
	original := h.readCredentials()
	write := func(text string) {
		if err := os.WriteFile(h.credentialsFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	twice := original + "\n" + original
	var out, errs bytes.Buffer
	code := Main(t.Context(), Env{
		Args: []string{"access-key", "rotate"}, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Services: Services(),
		HTTP: &http.Client{Transport: &broken{at: 4, then: func() { write(twice) }}}, LookupEnv: os.LookupEnv, Home: h.home, Version: "test",
	})
	if diff := cmp.Diff(twice, h.readCredentials()); diff != "" || code == exitOK {
		t.Errorf("exit %d: %s%s", code, &errs, diff)
	}
	write(original)
	if keys := h.keysOf("admin"); len(keys) != 2 {
		t.Errorf("it was broken off before there was a new key: %v", keys)
	}
}
