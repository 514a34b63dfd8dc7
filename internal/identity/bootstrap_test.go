package identity_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog"
	"packhouse/internal/identity"
)

func TestBootstrap_MakesAdminWithKey(t *testing.T) {
	h := newHouse(t)
	if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(h.admin.ID) {
		t.Errorf("key id %s", h.admin.ID)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`).MatchString(string(h.admin.Secret)) {
		t.Error("the secret does not have the shape of one")
	}
	var got []catalog.IdentityPolicy
	var user catalog.User
	err := h.db.View(t.Context(), func(tx *catalog.Tx) (err error) {
		if user, err = tx.User(account, "admin"); err != nil {
			return err
		}
		got, err = tx.IdentityPolicies(account, catalog.PrincipalUser, "admin")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []catalog.IdentityPolicy{{
		Account: account, PrincipalKind: catalog.PrincipalUser, PrincipalName: "admin",
		PolicyName: "arn:aws:iam::aws:policy/AdministratorAccess", ManagedARN: "arn:aws:iam::aws:policy/AdministratorAccess",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !regexp.MustCompile(`^AIDA[A-Z2-7]{17}$`).MatchString(user.ID) {
		t.Errorf("user id %s", user.ID)
	}
}

func TestBootstrap_OnceForManyReplicas(t *testing.T) {
	db := openCatalog(t)
	keys := make([]*identity.NewKey, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := identity.New(db, identity.Options{}).Bootstrap(context.Background(), account)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	made := 0
	for _, k := range keys {
		if k != nil {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d keys were made", made)
	}
}

func TestNewKey_SecretIsNotLogged(t *testing.T) {
	key := identity.NewKey{ID: "AKIA", Secret: "hidden-from-view"}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("made", slog.Any("key", key), slog.Any("secret", key.Secret))
	fmt.Fprintf(&out, "%v %+v %#v %s", key, key, key, key.Secret)
	if strings.Contains(out.String(), "hidden") {
		t.Error(out.String())
	}
}

func TestWriteCredentials_AreReadByTheSDK(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	if err := identity.WriteCredentials(path, identity.NewKey{ID: "AKIA1", Secret: "s3/cr+et"}, "eu-west-1"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithSharedCredentialsFiles([]string{path}), config.WithSharedConfigFiles(nil))
	if err != nil {
		t.Fatal(err)
	}
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"AKIA1", "s3/cr+et", "eu-west-1"}
	if diff := cmp.Diff(want, []string{creds.AccessKeyID, creds.SecretAccessKey, cfg.Region}); diff != "" {
		t.Error(diff)
	}
}

func TestWriteCredentials_KeepsWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	for _, id := range []string{"AKIA1", "AKIA2", "AKIA2", "AKIA3"} {
		if err := identity.WriteCredentials(path, identity.NewKey{ID: id, Secret: "s"}, "r"); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = regexp.MustCompile("AKIA.").FindString(string(text))
	}
	want := map[string]string{"credentials": "AKIA3", "credentials.bak": "AKIA1", "credentials.bak2": "AKIA2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBootstrap_NothingIsMadeWhenTheKeyCannotBeKept(t *testing.T) {
	db, err := catalog.Open(t.Context(), "sqlite:"+t.TempDir()+"/catalog.db", catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	full := errors.New("disk full")
	if _, err := identity.New(db, identity.Options{KeepKey: func(identity.NewKey) error { return full }}).Bootstrap(t.Context(), "123456789012"); !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	var kept string
	key, err := identity.New(db, identity.Options{KeepKey: func(k identity.NewKey) error { kept = k.ID; return nil }}).Bootstrap(t.Context(), "123456789012")
	if err != nil || key == nil || key.ID != kept {
		t.Fatalf("the second start made %v, %v and kept %q", key, err, kept)
	}
}
