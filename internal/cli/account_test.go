package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// credentialsFile is the file the commands of a house use.
func (h *house) credentialsFile() string { return os.Getenv("AWS_SHARED_CREDENTIALS_FILE") }

func (h *house) readCredentials() string {
	h.t.Helper()
	text, err := os.ReadFile(h.credentialsFile())
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// get runs a command and gives one value of what it printed.
func (h *house) get(query string, args ...string) string {
	h.t.Helper()
	return strings.TrimSuffix(h.must(append(args, "--query", query, "--output", "text")...), "\n")
}

func TestWhoami_BothForms(t *testing.T) {
	h := open(t)
	key := h.get("accessKeyId", "whoami")
	var got map[string]string
	if err := json.Unmarshal([]byte(h.must("whoami")), &got); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got["userId"], "AIDA") || !strings.Contains(got["source"], h.credentialsFile()) || !strings.HasPrefix(key, "AKIA") {
		t.Errorf("%v", got)
	}
	delete(got, "userId")
	delete(got, "source")
	want := map[string]string{
		"account": "123456789012", "arn": "arn:aws:iam::123456789012:user/admin", "userName": "admin", "accessKeyId": key,
		"credentials": "long-term", "endpoint": h.app.URL(), "region": "us-east-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if table := h.must("whoami", "--output", "table"); !regexp.MustCompile(`\| account +\| 123456789012 +\|`).MatchString(table) || !strings.Contains(table, h.app.URL()) {
		t.Errorf("table:\n%s", table)
	}
}

func TestWhoami_Session(t *testing.T) {
	h := open(t)
	var answer struct{ Credentials map[string]string }
	if err := json.Unmarshal([]byte(h.must("get-session-token")), &answer); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", answer.Credentials["AccessKeyId"])
	t.Setenv("AWS_SECRET_ACCESS_KEY", answer.Credentials["SecretAccessKey"])
	t.Setenv("AWS_SESSION_TOKEN", answer.Credentials["SessionToken"])
	if got := h.get("[userName,credentials,source]", "whoami"); !strings.HasPrefix(got, "admin\ttemporary\t") {
		t.Errorf("%q", got)
	}
	if r := h.run("access-key", "rotate"); r.code != exitUsage || !strings.Contains(r.stderr, "temporary") {
		t.Errorf("rotating what ends by itself: %+v", r)
	}
}

func TestWhoami_BadInput(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--profile", "nobody"}, exitUsage, "nobody"},
		{[]string{"--output", "xml"}, exitUsage, "output"},
		{[]string{"--query", "[["}, exitUsage, "query"},
		{[]string{"--endpoint-url", "nowhere"}, exitUsage, "not a URL"},
		{[]string{"--endpoint-url", h.public.URL}, exitFailed, "404"},
		{[]string{"me"}, exitUsage, "me"},
	} {
		if r := h.run(append([]string{"whoami"}, c.args...)...); r.code != c.code || !strings.Contains(r.stderr, c.text) || r.stdout != "" {
			t.Errorf("whoami %s: %+v", c.args, r)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	if r := h.run("whoami"); r.code != exitFailed || !strings.Contains(r.stderr, "InvalidClientTokenId") {
		t.Errorf("an unknown key: %+v", r)
	}
}

func TestCreateAccount_ShowsTheKeyOnce(t *testing.T) {
	h := open(t)
	var made struct {
		Account   struct{ Account, AccountName, CreatedTime string }
		AccessKey struct{ UserName, AccessKeyID, SecretAccessKey string }
	}
	if err := json.Unmarshal([]byte(h.must("create-account", "--account", "111122223333", "--account-name", "Team B")), &made); err != nil {
		t.Fatal(err)
	}
	if made.Account.Account != "111122223333" || made.Account.AccountName != "Team B" || made.AccessKey.UserName != "admin" || made.AccessKey.SecretAccessKey == "" {
		t.Errorf("%+v", made)
	}
	if table := h.must("create-account", "--output", "table"); !strings.Contains(table, "| secretAccessKey | ") {
		t.Errorf("table:\n%s", table)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", made.AccessKey.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", made.AccessKey.SecretAccessKey)
	if got := h.get("arn", "whoami"); got != "arn:aws:iam::111122223333:user/admin" {
		t.Errorf("it is %s", got)
	}
	for _, args := range [][]string{{"create-account"}, {"list-accounts"}} {
		if r := h.run(args...); r.code != exitFailed || !strings.Contains(r.stderr, "AccessDeniedException") {
			t.Errorf("%s from another account: %+v", args, r)
		}
	}
}

func TestCreateAccount_IntoAProfile(t *testing.T) {
	h := open(t)
	before := h.readCredentials()
	if err := os.WriteFile(h.credentialsFile(), []byte("# mine\n"+before), 0o640); err != nil {
		t.Fatal(err)
	}
	printed := h.must("create-account", "--account", "111122223333", "--user-name", "root.b", "--new-profile", "team-b")
	text := h.readCredentials()
	if !strings.HasPrefix(text, "# mine\n"+before+"\n[team-b]\naws_access_key_id = AKIA") || !strings.HasSuffix(text, "region = us-east-1\n") {
		t.Errorf("the file is\n%s", text)
	}
	_, secret, _ := strings.Cut(text[strings.Index(text, "[team-b]"):], "aws_secret_access_key = ")
	secret, _, _ = strings.Cut(secret, "\n")
	if len(secret) != 40 || strings.Contains(printed, secret) || !strings.Contains(printed, `"profile": "team-b"`) {
		t.Errorf("printed %s", printed)
	}
	if info, err := os.Stat(h.credentialsFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got := h.get("arn", "whoami", "--profile", "team-b"); got != "arn:aws:iam::111122223333:user/root.b" {
		t.Errorf("it is %s", got)
	}
}

func TestCreateAccount_BadInput(t *testing.T) {
	h := open(t)
	h.must("create-account", "--account", "111122223333", "--new-profile", "taken")
	if err := os.WriteFile(filepath.Join(h.home, "twice"), []byte("[a]\n[a]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := h.readCredentials()
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--account", "1"}, exitFailed, "ValidationException"},
		{[]string{"--account", "111122223333"}, exitFailed, "ConflictException"},
		{[]string{"--account", "111122223333", "--new-profile", "fresh"}, exitFailed, "ConflictException"},
		{[]string{"--account"}, exitUsage, "value"},
		{[]string{"--user-name", "a b"}, exitFailed, "ValidationException"},
		{[]string{"--new-profile", "taken"}, exitUsage, "already"},
		{[]string{"--new-profile", "a]\n[default"}, exitUsage, "no name"},
		{[]string{"--new-profile", ""}, exitOK, ""}, // as if it were not given
		{[]string{"--no-such"}, exitUsage, "no-such"},
	} {
		if r := h.run(append([]string{"create-account"}, c.args...)...); r.code != c.code || !strings.Contains(r.stderr, c.text) {
			t.Errorf("create-account %s: %+v", c.args, r)
		}
	}
	if diff := cmp.Diff(before, h.readCredentials()); diff != "" {
		t.Errorf("the file was changed: %s", diff)
	}
	accounts := len(strings.Split(h.get("accounts[].account", "list-accounts"), "\t"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(h.home, "no-folder", "credentials"))
	t.Setenv("PACKHOUSE_DATA", h.data)
	h.must("create-account", "--new-profile", "fresh") // the folder is made
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(h.home, "twice", "credentials"))
	if r := h.run("create-account", "--new-profile", "fresh"); r.code != exitFailed && r.code != exitUsage {
		t.Errorf("a file that cannot be: %+v", r)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(h.data, "credentials"))
	if after := len(strings.Split(h.get("accounts[].account", "list-accounts"), "\t")); after != accounts+1 {
		t.Errorf("%d accounts became %d", accounts, after)
	}
}

// TestAccounts_SeeNothingOfEachOther lets the administrator of another account
// at the identities and packages of the first.
func TestAccounts_SeeNothingOfEachOther(t *testing.T) {
	h := open(t)
	h.domainWith("my-repo")
	h.must("create-user", "--user-name", "alice")
	key := h.get("AccessKey.AccessKeyId", "create-access-key", "--user-name", "alice")
	h.must("create-account", "--new-profile", "b")
	as := func(args ...string) []string { return append(args, "--profile", "b") }
	for _, c := range []struct {
		query string
		args  []string
		want  string
	}{
		{"length(domains)", []string{"list-domains"}, "0"},
		{"length(repositories)", []string{"list-repositories"}, "0"},
		{"Users[].UserName", []string{"list-users"}, "admin"},
		{"length(AccessKeyMetadata)", []string{"list-access-keys", "--user-name", "admin"}, "1"},
		{"length(Roles)", []string{"list-roles"}, "0"},
	} {
		if got := h.get(c.query, as(c.args...)...); got != c.want {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
	if theirs, ours := h.get("AccessKeyMetadata[].AccessKeyId", as("list-access-keys")...), h.get("AccessKeyMetadata[].AccessKeyId", "list-access-keys"); theirs == ours {
		t.Errorf("both have the key %s", ours)
	}
	owner := []string{"--domain", "my-domain", "--domain-owner", "123456789012"}
	for _, c := range []struct {
		args []string
		code string
	}{
		{[]string{"get-user", "--user-name", "alice"}, "NoSuchEntity"},
		{[]string{"delete-user", "--user-name", "alice"}, "NoSuchEntity"},
		{[]string{"list-access-keys", "--user-name", "alice"}, "NoSuchEntity"},
		{[]string{"update-access-key", "--access-key-id", key, "--status", "Inactive"}, "NoSuchEntity"},
		{[]string{"delete-access-key", "--user-name", "admin", "--access-key-id", key}, "NoSuchEntity"},
		{[]string{"assume-role", "--role-arn", "arn:aws:iam::123456789012:role/x", "--role-session-name", "me"}, "AccessDenied"},
		{slices.Concat([]string{"describe-domain"}, owner), "AccessDeniedException"},
		{slices.Concat([]string{"get-authorization-token"}, owner), "AccessDeniedException"},
		{slices.Concat([]string{"describe-repository", "--repository", "my-repo"}, owner), "AccessDeniedException"},
		{[]string{"describe-domain", "--domain", "my-domain"}, "ResourceNotFoundException"}, // of its own account
	} {
		if r := h.run(as(c.args...)...); r.code != exitFailed || !strings.Contains(r.stderr, "("+c.code+")") {
			t.Errorf("%s: %+v, want %s", c.args, r, c.code)
		}
	}
	if got := h.get("AccessKeyMetadata[0].Status", "list-access-keys", "--user-name", "alice"); got != "Active" {
		t.Errorf("alice's key is %s", got)
	}
}
