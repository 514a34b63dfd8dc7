package catalog

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

func TestOIDCProvider_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		p := OIDCProvider{
			Account: account, ARN: "arn:aws:iam::" + account + ":oidc-provider/issuer.test", ID: "OIDC1", Issuer: "https://issuer.test",
			ClientIDs: []string{"b", "a"}, Created: moment(0),
		}
		other := p
		other.ARN, other.ID, other.Issuer, other.ClientIDs = p.ARN+"/a", "OIDC2", p.Issuer+"/a", nil
		foreign := OIDCProvider{Account: "444455556666", ARN: "arn:x", ID: "OIDC3", Issuer: p.Issuer, Created: moment(1)}
		before := db.Generation()
		update(t, db, func(tx *Tx) error {
			for _, row := range []OIDCProvider{other, p, foreign} {
				if err := tx.InsertOIDCProvider(row); err != nil {
					return err
				}
			}
			wantKind(t, tx.InsertOIDCProvider(p), fault.Conflict, "")
			return tx.PutTags(p.ID, []Tag{{"k", "v"}})
		})
		if db.Generation() == before {
			t.Error("nobody was told")
		}
		p.ClientIDs, p.Thumbprints = []string{"c"}, []string{"t1", "t2"}
		update(t, db, func(tx *Tx) error {
			wantKind(t, tx.UpdateOIDCProvider(OIDCProvider{ARN: "arn:none"}), fault.NotFound, "")
			return tx.UpdateOIDCProvider(p)
		})
		view(t, db, func(tx *Tx) error {
			all, err := tx.OIDCProviders(account)
			if err != nil {
				return err
			}
			one, err := tx.OIDCProvider(p.ARN)
			if diff := cmp.Diff([]any{[]OIDCProvider{p, other}, p}, []any{all, one}); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error { return tx.DeleteOIDCProvider(p) })
		view(t, db, func(tx *Tx) error {
			_, err := tx.OIDCProvider(p.ARN)
			wantKind(t, err, fault.NotFound, "")
			tags, err := tx.Tags(p.ID)
			if len(tags) > 0 {
				t.Errorf("tags are left: %v", tags)
			}
			return err
		})
	})
}
