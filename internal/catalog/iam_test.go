package catalog

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

func TestGroup_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		g := Group{Account: account, Name: "Readers", Path: "/x/", ID: "AGPA1", Created: moment(0)}
		u := User{Account: account, Name: "eve", Path: "/", ID: "AIDA1", Created: moment(0)}
		update(t, db, func(tx *Tx) error {
			for _, err := range []error{tx.InsertGroup(g), tx.InsertUser(u), tx.AddGroupMember(account, "Readers", "eve"), tx.AddGroupMember(account, "Readers", "eve")} {
				if err != nil {
					return err
				}
			}
			wantKind(t, tx.InsertGroup(Group{Account: account, Name: "readers", ID: "AGPA2"}), fault.Conflict, "")
			wantKind(t, tx.InsertUser(User{Account: account, Name: "EVE", ID: "AIDA2"}), fault.Conflict, "")
			return nil
		})
		update(t, db, func(tx *Tx) error {
			wantKind(t, tx.DeleteGroup(account, "Readers"), fault.Conflict, "")
			wantKind(t, tx.DeleteUser(account, "eve"), fault.Conflict, "")
			if err := tx.UpdateGroup(account, "Readers", "READERS", "/"); err != nil {
				return err
			}
			return tx.UpdateUser(account, "eve", "eva", "/")
		})
		g.Name, g.Path, u.Name = "READERS", "/", "eva"
		view(t, db, func(tx *Tx) error {
			members, err := tx.GroupMembers(account, "READERS", "", 10)
			if err != nil {
				return err
			}
			groups, err := tx.GroupsOf(account, "eva", "", 10)
			if err != nil {
				return err
			}
			list, err := tx.Groups(account, "/", "", 10)
			if diff := cmp.Diff([]any{[]User{u}, []Group{g}, []Group{g}}, []any{members, groups, list}); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			if err := tx.RemoveGroupMember(account, "READERS", "eva"); err != nil {
				return err
			}
			wantKind(t, tx.RemoveGroupMember(account, "READERS", "eva"), fault.NotFound, "")
			return tx.DeleteGroup(account, "READERS")
		})
	})
}

func TestManagedPolicy_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		const name = "arn:aws:iam::123456789012:policy/p"
		p := ManagedPolicy{ARN: name, Account: account, Name: "p", Path: "/", ID: "ANPA1", Description: "d", DefaultVersion: 1, LastVersion: 1, Created: moment(0), Updated: moment(0)}
		attached := IdentityPolicy{Account: account, PrincipalKind: PrincipalGroup, PrincipalName: "g", PolicyName: "any", ManagedARN: name}
		update(t, db, func(tx *Tx) error {
			if err := tx.InsertManagedPolicy(p, "one"); err != nil {
				return err
			}
			other := p
			other.ARN, other.Name, other.ID = name+"2", "P", "ANPA2"
			wantKind(t, tx.InsertManagedPolicy(other, "x"), fault.Conflict, "")
			return tx.PutIdentityPolicy(attached)
		})
		view(t, db, func(tx *Tx) error {
			got, err := tx.ManagedPolicies(account)
			if diff := cmp.Diff([]ManagedPolicy{p}, got); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			if err := tx.InsertUser(User{Account: account, Name: "eve", Path: "/", ID: "AIDA1", Boundary: name}); err != nil {
				return err
			}
			v, err := tx.AddPolicyVersion(name, "two", true)
			if v.Number != 2 {
				t.Errorf("version %d", v.Number)
			}
			wantKind(t, tx.DeletePolicyVersion(name, 2), fault.Conflict, "")
			wantKind(t, tx.DeletePolicyVersion(name, 3), fault.NotFound, "")
			wantKind(t, tx.DeleteManagedPolicy(name), fault.Conflict, "")
			return err
		})
		view(t, db, func(tx *Tx) error {
			v, err := tx.PolicyVersion(name, 0)
			if err != nil {
				return err
			}
			use, err := tx.PolicyUse(account, name)
			if err != nil {
				return err
			}
			uses, err := tx.PolicyUses(account)
			want := PolicyUse{Attached: 1, Boundary: 1}
			if diff := cmp.Diff([]any{"two", want, map[string]PolicyUse{name: want}}, []any{v.Document, use, uses}); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			for _, err := range []error{
				tx.SetDefaultPolicyVersion(name, 1), tx.DeletePolicyVersion(name, 2), tx.SetUserBoundary(account, "eve", ""),
				tx.DeleteIdentityPolicy(account, PrincipalGroup, "g", name), tx.DeleteManagedPolicy(name),
			} {
				if err != nil {
					return err
				}
			}
			_, err := tx.PolicyVersion(name, 0)
			wantKind(t, err, fault.NotFound, "")
			return nil
		})
	})
}

func TestRole_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		r := Role{Account: account, Name: "Deploy", Path: "/ci/", ID: "AROA1", Description: "d", Trust: "{}", MaxSession: time.Hour, Boundary: "arn:b", Created: moment(0)}
		update(t, db, func(tx *Tx) error {
			if err := tx.InsertRole(r); err != nil {
				return err
			}
			wantKind(t, tx.InsertRole(Role{Account: account, Name: "deploy", ID: "AROA2"}), fault.Conflict, "")
			r.Description, r.Trust, r.MaxSession, r.Boundary = "e", "[]", 2*time.Hour, ""
			return tx.UpdateRole(r)
		})
		view(t, db, func(tx *Tx) error {
			byName, err := tx.Role(account, "Deploy")
			if err != nil {
				return err
			}
			byID, err := tx.RoleByID("AROA1")
			if err != nil {
				return err
			}
			list, err := tx.Roles(account, "/ci", "", 1)
			if diff := cmp.Diff([]any{r, r, []Role{r}}, []any{byName, byID, list}); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			err := tx.DeleteRole(account, "Deploy")
			wantKind(t, tx.DeleteRole(account, "Deploy"), fault.NotFound, "")
			wantKind(t, tx.UpdateRole(r), fault.NotFound, "")
			return err
		})
	})
}

func TestSession_KeptAsLongAsNeeded(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		now := time.Now()
		before := db.Generation()
		update(t, db, func(tx *Tx) error {
			for _, err := range []error{
				tx.PutSession("long", "{}", now.Add(time.Hour)), tx.PutSession("long", "{}", now.Add(-time.Hour)), // the longer one counts
				tx.PutSession("over", "{}", now.Add(-time.Hour)),
			} {
				if err != nil {
					return err
				}
			}
			_, err := tx.Session("over")
			wantKind(t, err, fault.NotFound, "")
			return nil
		})
		view(t, db, func(tx *Tx) error {
			_, err := tx.Session("long")
			return err
		})
		if db.Generation() != before {
			t.Error("a session makes everybody forget what they know")
		}
	})
}
