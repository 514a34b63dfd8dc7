package catalog

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

const account = "123456789012"

// moment is a time as the catalog can store it.
func moment(seconds int64) time.Time { return time.Unix(1_700_000_000+seconds, 123_456_000).UTC() }

func TestAccount_EnsureAndList(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		for _, want := range []bool{true, false} {
			update(t, db, func(tx *Tx) error {
				created, err := tx.EnsureAccount(account)
				if created != want {
					t.Errorf("created %v, want %v", created, want)
				}
				return err
			})
		}
		view(t, db, func(tx *Tx) error {
			all, err := tx.Accounts()
			if len(all) != 1 || all[0].ID != account || all[0].Created.IsZero() {
				t.Errorf("accounts %+v", all)
			}
			return err
		})
	})
}

func TestAccount_InsertAndPages(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		update(t, db, func(tx *Tx) error {
			if _, err := tx.EnsureAccount("555555555555"); err != nil {
				return err
			}
			for _, id := range []string{"333333333333", "111111111111"} {
				a, err := tx.InsertAccount(Account{ID: id, Name: "Team " + id[:1]})
				if err != nil || a.Created.IsZero() {
					t.Errorf("inserted %+v, %v", a, err)
				}
			}
			_, err := tx.InsertAccount(Account{ID: "333333333333", Name: "again"})
			wantKind(t, err, fault.Conflict, "")
			return nil
		})
		view(t, db, func(tx *Tx) error {
			page, err := tx.AccountsAfter("111111111111", 1)
			if err != nil || len(page) != 1 || page[0].ID != "333333333333" || page[0].Name != "Team 3" {
				t.Errorf("page %+v, %v", page, err)
			}
			all, err := tx.Accounts()
			if len(all) != 3 || all[0].ID != "111111111111" || all[2].ID != "555555555555" || all[2].Name != "" {
				t.Errorf("accounts %+v", all)
			}
			return err
		})
	})
}

func TestUser_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		user := User{Account: account, Name: "admin", Path: "/ops/", ID: "AIDA1", Created: moment(0)}
		key := AccessKey{Account: account, ID: "AKIA1", UserName: "admin", Secret: "s3cret", Status: KeyActive, Created: moment(1)}
		policy := IdentityPolicy{Account: account, PrincipalKind: PrincipalUser, PrincipalName: "admin", PolicyName: "all", Document: `{"Version":"2012-10-17"}`}
		update(t, db, func(tx *Tx) error {
			if err := tx.InsertUser(user); err != nil {
				return err
			}
			wantKind(t, tx.InsertUser(user), fault.Conflict, "")
			if err := tx.InsertAccessKey(key); err != nil {
				return err
			}
			wantKind(t, tx.InsertAccessKey(key), fault.Conflict, "")
			if err := tx.PutIdentityPolicy(policy); err != nil {
				return err
			}
			policy.Document = `{}`
			return tx.PutIdentityPolicy(policy)
		})
		update(t, db, func(tx *Tx) error {
			wantKind(t, tx.DeleteUser(account, "admin"), fault.Conflict, "")
			return tx.UpdateUser(account, "admin", "root", "/")
		})
		user.Name, user.Path, key.UserName, policy.PrincipalName = "root", "/", "root", "root"
		view(t, db, func(tx *Tx) error {
			byID, err := tx.UserByID("AIDA1")
			if err != nil {
				return err
			}
			list, err := tx.Users(account, "/", "", 10)
			if err != nil {
				return err
			}
			byKey, err := tx.AccessKey("AKIA1")
			if err != nil {
				return err
			}
			keys, err := tx.AccessKeys(account, "root")
			if err != nil {
				return err
			}
			policies, err := tx.IdentityPolicies(account, PrincipalUser, "root")
			if diff := cmp.Diff([]any{user, []User{user}, key, []AccessKey{key}, []IdentityPolicy{policy}}, []any{byID, list, byKey, keys, policies}); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			for _, err := range []error{
				tx.SetAccessKeyStatus("AKIA1", KeyInactive), tx.DeleteAccessKey("AKIA1"),
				tx.DeleteIdentityPolicy(account, PrincipalUser, "root", "all"), tx.DeleteUser(account, "root"),
			} {
				if err != nil {
					return err
				}
			}
			wantKind(t, tx.DeleteUser(account, "root"), fault.NotFound, "")
			wantKind(t, tx.UpdateUser(account, "root", "root", "/"), fault.NotFound, "")
			wantKind(t, tx.DeleteAccessKey("AKIA1"), fault.NotFound, "")
			wantKind(t, tx.SetAccessKeyStatus("AKIA1", KeyActive), fault.NotFound, "")
			wantKind(t, tx.DeleteIdentityPolicy(account, PrincipalUser, "root", "all"), fault.NotFound, "")
			_, err := tx.AccessKey("AKIA1")
			wantKind(t, err, fault.NotFound, "")
			return nil
		})
	})
}

func TestSecrets_StayOutOfLogs(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	key := AccessKey{ID: "AKIA1", Secret: "s3cret"}
	signing := SigningKey{ID: "k1", Secret: []byte("s3cret")}
	log.Info("keys", slog.Any("secret", key.Secret), slog.Any("signing", signing))
	fmt.Fprintf(&out, "%v %+v %#v %s", key, key, key, key.Secret)
	if strings.Contains(out.String(), "s3cret") {
		t.Errorf("a secret was written: %s", out.String())
	}
}

func TestSigningKey_InsertListRetire(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		older := SigningKey{ID: "b", Secret: []byte{1, 0, 2}, Created: moment(0), RetireAfter: moment(10)}
		newer := SigningKey{ID: "a", Secret: []byte{3}, Created: moment(5), RetireAfter: moment(20)}
		list := func() (keys []SigningKey) {
			view(t, db, func(tx *Tx) (err error) { keys, err = tx.SigningKeys(); return err })
			return keys
		}
		update(t, db, func(tx *Tx) error {
			if err := tx.InsertSigningKey(newer); err != nil {
				return err
			}
			return tx.InsertSigningKey(older)
		})
		if diff := cmp.Diff([]SigningKey{older, newer}, list()); diff != "" {
			t.Error(diff)
		}
		update(t, db, func(tx *Tx) error { return tx.DeleteSigningKeys(moment(11)) })
		if diff := cmp.Diff([]SigningKey{newer}, list()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSigningKey_OneThatIsDamagedIsListedAsSuch(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		good := SigningKey{ID: "good", Secret: []byte{1}, Created: moment(0), RetireAfter: moment(10)}
		bad := SigningKey{ID: "bad", Secret: []byte{2}, Created: moment(1), RetireAfter: moment(20)}
		update(t, db, func(tx *Tx) error {
			return errors.Join(
				tx.InsertSigningKey(good), tx.InsertSigningKey(bad),
				tx.run(statement{"UPDATE signing_key SET secret = $1 WHERE id = 'bad'", []any{[]byte("s1.damaged")}}),
				tx.LimitSigningKeys(moment(15)),
			)
		})
		view(t, db, func(tx *Tx) error {
			keys, err := tx.SigningKeys()
			if err != nil || len(keys) != 2 {
				t.Fatalf("got %v, %v", keys, err)
			}
			if diff := cmp.Diff(good, keys[0]); diff != "" {
				t.Error(diff)
			}
			if k := keys[1]; k.Unreadable == nil || len(k.Secret) > 0 || !k.RetireAfter.Equal(moment(15)) {
				t.Errorf("got %+v", k)
			}
			return nil
		})
	})
}

func TestTag_PutListDelete(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		list := func(tx *Tx) []Tag {
			tags, err := tx.Tags("arn:x")
			if err != nil {
				t.Error(err)
			}
			return tags
		}
		update(t, db, func(tx *Tx) error {
			for _, tags := range [][]Tag{{{"b", "1"}, {"a", ""}}, {{"b", "2"}, {"c", "3"}}} {
				if err := tx.PutTags("arn:x", tags); err != nil {
					return err
				}
			}
			if diff := cmp.Diff([]Tag{{"a", ""}, {"b", "2"}, {"c", "3"}}, list(tx)); diff != "" {
				t.Error(diff)
			}
			if err := tx.DeleteTags("arn:x", "a", "absent"); err != nil {
				return err
			}
			if diff := cmp.Diff([]Tag{{"b", "2"}, {"c", "3"}}, list(tx)); diff != "" {
				t.Error(diff)
			}
			if err := tx.DeleteTags("arn:x"); err != nil {
				return err
			}
			if got := list(tx); len(got) != 0 {
				t.Errorf("tags %v are left", got)
			}
			return nil
		})
	})
}

func TestResourcePolicy_RevisionGuardsChanges(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		update(t, db, func(tx *Tx) error {
			_, err := tx.ResourcePolicy("domain", "arn:d")
			wantKind(t, err, fault.NotFound, "domain")
			_, err = tx.PutResourcePolicy(ResourcePolicy{ResourceARN: "arn:d", Kind: "domain", Document: "{}", Revision: "stale"})
			wantKind(t, err, fault.Conflict, "domain")
			one, err := tx.PutResourcePolicy(ResourcePolicy{ResourceARN: "arn:d", Kind: "domain", Document: "{}"})
			if err != nil {
				return err
			}
			two, err := tx.PutResourcePolicy(ResourcePolicy{ResourceARN: "arn:d", Kind: "domain", Document: "[]", Revision: one.Revision})
			if err != nil {
				return err
			}
			if one.Revision == two.Revision || two.Revision == "" {
				t.Errorf("revisions %q and %q", one.Revision, two.Revision)
			}
			got, err := tx.ResourcePolicy("domain", "arn:d")
			if diff := cmp.Diff(two, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
			_, err = tx.DeleteResourcePolicy("domain", "arn:d", one.Revision)
			wantKind(t, err, fault.Conflict, "domain")
			if _, err := tx.DeleteResourcePolicy("domain", "arn:d", two.Revision); err != nil {
				return err
			}
			_, err = tx.DeleteResourcePolicy("domain", "arn:d", "")
			wantKind(t, err, fault.NotFound, "domain")
			return nil
		})
	})
}
