package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"packhouse/internal/catalog"
	"packhouse/internal/config"
	"packhouse/internal/seal"
)

// MasterKeyFile is where the first start leaves the key of the database's
// secrets when none is configured.
func MasterKeyFile(cfg config.Config) string { return filepath.Join(cfg.Data, "master.key") }

// MasterKeys reads the keys of the database's secrets, the one that encrypts
// first. There is none when none is configured and the data folder has no file
// yet.
func MasterKeys(cfg config.Config) ([]seal.Key, error) {
	if len(cfg.MasterKey) == 0 {
		keys, err := readMasterKeys(MasterKeyFile(cfg))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return keys, err
	}
	var all []seal.Key
	for i, source := range cfg.MasterKey {
		if seal.IsKey(string(source)) {
			key, err := seal.ParseKey(string(source))
			if err != nil {
				return nil, fmt.Errorf("master-key: %w", err)
			}
			all = append(all, key)
			continue
		}
		keys, err := readMasterKeys(string(source))
		if e, ok := errors.AsType[*fs.PathError](err); ok { // the text may be a key that was mistyped: do not repeat it
			return nil, fmt.Errorf("master-key: value %d is neither a key (44 characters of base64) nor a file that can be read: %w; "+
				"make a key with: (umask 077; openssl rand -base64 32 > FILE)", i+1, e.Err)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	return all, nil
}

func readMasterKeys(path string) ([]seal.Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	keys, err := seal.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("master key file %s: %w", path, err)
	}
	return keys, nil
}

// openCatalog opens the database with its key, which the first start makes.
func (a *App) openCatalog(ctx context.Context) (*catalog.DB, error) {
	keys, err := MasterKeys(a.cfg)
	if err != nil {
		return nil, err
	}
	path, made := MasterKeyFile(a.cfg), false
	db, err := catalog.Open(ctx, databaseOf(a.cfg), catalog.Options{
		Logger: a.log, Now: a.now, Keys: keys,
		KeepKey: func(key seal.Key) error {
			if made {
				return nil
			}
			err := writeMasterKey(path, key)
			made = err == nil
			return err
		},
	})
	if made && errors.Is(err, catalog.ErrOtherMasterKey) {
		// Another replica was faster: nothing is sealed with ours. After any
		// other error that is not certain, and the file stays.
		err = errors.Join(err, os.Remove(path))
	}
	return db, err
}

// writeMasterKey makes a file that only its owner can read, whole or not at all.
func writeMasterKey(path string, key seal.Key) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".master-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = fmt.Fprintf(f, "# The secrets in the database are encrypted with this key. Keep a copy apart from that of the database.\n%s\n", key.Text())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // never over a file that is there
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
