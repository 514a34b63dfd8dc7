package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"packhouse/internal/arn"
	"packhouse/internal/catalog"
	"packhouse/internal/policy"
)

// NewKey is an access key at the only time its secret is told.
type NewKey struct {
	Account  string
	UserName string
	ID       string // AKIA...
	Secret   catalog.Secret
}

// AdminUser is the name of the first user of an account, unless it is given
// another.
const AdminUser = "admin"

// Bootstrap makes the account, its user "admin" with AdministratorAccess and
// an access key, and returns the key; nil when the account exists. Of several
// replicas that start at once one gets the key.
func (s *Service) Bootstrap(ctx context.Context, account string) (*NewKey, error) {
	var key *NewKey
	row := newAccessKey(account, AdminUser)
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		key = nil
		created, err := tx.EnsureAccount(account)
		if err != nil || !created {
			return err
		}
		if err := s.equip(tx, &row); err != nil {
			return err
		}
		key = &NewKey{Account: account, UserName: AdminUser, ID: row.ID, Secret: row.Secret}
		return s.keep(*key)
	})
	if err != nil {
		return nil, fmt.Errorf("make the account %s: %w", account, err)
	}
	return key, nil
}

// CreateAccount makes an account with an administrator of that name and gives
// the administrator's key. Conflict when the account exists. Whether the caller
// may is checked before.
func (s *Service) CreateAccount(tx *catalog.Tx, a catalog.Account, user string) (catalog.Account, catalog.AccessKey, error) {
	made, err := tx.InsertAccount(a)
	if err != nil {
		return catalog.Account{}, catalog.AccessKey{}, err
	}
	row := newAccessKey(a.ID, user)
	return made, row, s.equip(tx, &row)
}

// equip gives a new account its first user, who may do everything in it, and
// the user's key.
func (s *Service) equip(tx *catalog.Tx, row *catalog.AccessKey) error {
	user := catalog.User{Account: row.Account, Name: row.UserName, Path: "/", ID: NewID(UserID), Created: tx.Now()}
	if err := tx.InsertUser(user); err != nil {
		return err
	}
	err := tx.PutIdentityPolicy(catalog.IdentityPolicy{
		Account: row.Account, PrincipalKind: catalog.PrincipalUser, PrincipalName: row.UserName,
		ManagedARN: arn.Policy("aws", "", policy.AdministratorAccess).String(),
	})
	if err != nil {
		return err
	}
	return s.insertKey(tx, row)
}

// WriteCredentials writes key as the default profile of an AWS credentials
// file that only its owner can read. A different file of that name is kept
// beside it with ".bak" appended, or ".bak2" and so on. The file is whole or
// not there at all.
func WriteCredentials(path string, key NewKey, region string) (err error) {
	text := fmt.Appendf(nil, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\nregion = %s\n",
		key.ID, string(key.Secret), region)
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the credentials: %w", err)
		}
	}()
	switch old, err := os.ReadFile(path); {
	case err == nil && bytes.Equal(old, text):
		return os.Chmod(path, 0o600)
	case err == nil:
		if err := backUp(path); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// backUp gives the file a second name that nothing has yet.
func backUp(path string) error {
	for n := 1; ; n++ {
		name := path + ".bak"
		if n > 1 {
			name = fmt.Sprint(name, n)
		}
		if err := os.Link(path, name); !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
