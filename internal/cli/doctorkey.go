package cli

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"

	"packhouse/internal/app"
	"packhouse/internal/catalog"
	"packhouse/internal/seal"
)

// masterKey checks that the key of the database's secrets is here, and for the
// server alone.
func (d *doctor) masterKey(ctx context.Context) {
	const name = "master key"
	keys, err := app.MasterKeys(d.cfg)
	if err != nil {
		d.add(name, statusFail, err.Error(), "docs/operations.md, \"The master key\"")
		return
	}
	for _, path := range d.keyFiles() {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			d.add(name, statusFail, "others on this machine can read "+path, "chmod 600 "+path)
		}
	}
	id, err := d.sealedWith(ctx)
	switch {
	case err != nil:
		d.add(name, statusNote, "the database cannot be asked which key it needs: "+strings.ReplaceAll(err.Error(), "\n", " "), "")
	case id == "" && len(keys) == 0:
		d.add(name, statusNote, "there is none yet", "the first start makes "+app.MasterKeyFile(d.cfg))
	case id == "":
		d.add(name, statusOK, "key "+keys[0].ID()+" is here; nothing is sealed yet", "")
	case !seal.NewRing(keys...).Has(id):
		d.add(name, statusFail, "the secrets in the database are sealed with key "+id+", which is not here",
			"put master.key back from its backup, or name the key with master-key (PACKHOUSE_MASTER_KEY); without it the server does not start")
	case keys[0].ID() != id:
		d.add(name, statusNote, "the next start seals the secrets anew, with key "+keys[0].ID()+" in place of "+id, "keep the older key until every replica has been started with the newer one first")
	default:
		d.add(name, statusOK, "key "+id+" opens the secrets in the database; keep a copy of it apart from that of the database", "")
	}
}

// keyFiles are the files that hold keys.
func (d *doctor) keyFiles() []string {
	if len(d.cfg.MasterKey) == 0 {
		return []string{app.MasterKeyFile(d.cfg)}
	}
	var files []string
	for _, source := range d.cfg.MasterKey {
		if !seal.IsKey(string(source)) {
			files = append(files, string(source))
		}
	}
	return files
}

// sealedWith is the id of the key that the database needs; empty when it needs
// none yet.
func (d *doctor) sealedWith(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, remotePatient)
	defer cancel()
	driver, dsn := "pgx", d.cfg.Database
	if path, ok := d.sqliteFile(); ok {
		if !exists(path) {
			return "", nil
		}
		driver, dsn = "sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return "", errors.New("the DSN cannot be read")
	}
	defer db.Close()
	var text string
	err = db.QueryRowContext(ctx, "SELECT meta_value FROM meta WHERE meta_key = $1", catalog.MasterKeyFact).Scan(&text)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", nil
	case err != nil:
		return "", err
	}
	id, _ := seal.KeyID(text)
	return id, nil
}

// sqliteFile is the embedded database; ok is false with another one.
func (d *doctor) sqliteFile() (path string, ok bool) {
	if d.cfg.Database == "sqlite" {
		return app.DatabaseFile(d.cfg), true
	}
	return strings.CutPrefix(d.cfg.Database, "sqlite:")
}
