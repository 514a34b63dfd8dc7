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

// adminUser is the name of the first user.
const adminUser = "admin"

// Bootstrap makes the account, its user "admin" with AdministratorAccess and
// an access key, and returns the key; nil when the account exists. Of several
// replicas that start at once one gets the key.
func (s *Service) Bootstrap(ctx context.Context, account string) (*NewKey, error) {
	var key *NewKey
	row := newAccessKey(account, adminUser)
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		key = nil
		created, err := tx.EnsureAccount(account)
		if err != nil || !created {
			return err
		}
		user := catalog.User{Account: account, Name: adminUser, Path: "/", ID: NewID(UserID), Created: tx.Now()}
		if err := tx.InsertUser(user); err != nil {
			return err
		}
		err = tx.PutIdentityPolicy(catalog.IdentityPolicy{
			Account: account, PrincipalKind: catalog.PrincipalUser, PrincipalName: adminUser,
			ManagedARN: arn.Policy("aws", "", policy.AdministratorAccess).String(),
		})
		if err != nil {
			return err
		}
		if err := s.insertKey(tx, &row); err != nil {
			return err
		}
		key = &NewKey{Account: account, UserName: adminUser, ID: row.ID, Secret: row.Secret}
		return s.keep(*key)
	})
	if err != nil {
		return nil, fmt.Errorf("make the account %s: %w", account, err)
	}
	return key, nil
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
