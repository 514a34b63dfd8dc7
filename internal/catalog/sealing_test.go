package catalog

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/seal"
)

const (
	plainSecret  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" // as IAM's documentation has it
	plainSigning = "0123456789abcdef0123456789ABCDEF"
)

// withSecrets makes a row of every kind that has a secret.
func withSecrets(t *testing.T, db *DB) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		return errors.Join(
			tx.InsertAccessKey(AccessKey{Account: account, ID: "AKIA1", UserName: "eve", Secret: plainSecret, Status: KeyActive, Created: moment(0)}),
			tx.InsertSigningKey(SigningKey{ID: "k1", Secret: []byte(plainSigning), Created: moment(0), RetireAfter: moment(10)}),
		)
	})
}

// wantSecrets reads them back.
func wantSecrets(t *testing.T, db *DB) {
	t.Helper()
	view(t, db, func(tx *Tx) error {
		key, err := tx.AccessKey("AKIA1")
		if err != nil {
			return err
		}
		signing, err := tx.SigningKeys()
		if err != nil {
			return err
		}
		if len(signing) != 1 || string(signing[0].Secret) != plainSigning || string(key.Secret) != plainSecret {
			t.Errorf("got %q, %d signing keys", string(key.Secret), len(signing))
		}
		return nil
	})
}

// everything is all that is in the database, a value a line.
func everything(t *testing.T, db *DB) string {
	t.Helper()
	var out strings.Builder
	view(t, db, func(tx *Tx) error {
		tables, err := all(tx, scanString, newQuery(map[string]string{
			"sqlite":   "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
			"postgres": "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
		}[tx.dialect.name]))
		if err != nil || len(tables) < 20 {
			return fmt.Errorf("%d tables, %w", len(tables), err)
		}
		for _, table := range tables {
			if err := dump(tx, table, &out); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
		return nil
	})
	return out.String()
}

func dump(tx *Tx, table string, out *strings.Builder) error {
	rows, err := tx.q.QueryContext(tx.ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(sql.NullString)
		}
		if err := rows.Scan(values...); err != nil {
			return err
		}
		for i, v := range values {
			fmt.Fprintf(out, "%s.%s = %s\n", table, columns[i], v.(*sql.NullString).String)
		}
	}
	return rows.Err()
}

func wantNoSecret(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.Contains(line, plainSecret) || strings.Contains(line, plainSigning) {
			t.Errorf("a secret is plain: %s", line)
		}
	}
}

func TestSecrets_AreSealedInEveryColumn(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		withSecrets(t, db)
		wantSecrets(t, db)
		text := everything(t, db)
		wantNoSecret(t, text)
		if strings.Count(text, "s1.") != 3 { // with the proof of the key
			t.Errorf("got:\n%s", text)
		}
	})
}

// plainDatabase has secrets as they were kept before there was a master key.
func plainDatabase(t *testing.T, engine string) (dsn string) {
	t.Helper()
	dsn = newDSN(t, engine)
	db, err := Open(t.Context(), dsn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	withSecrets(t, db)
	update(t, db, func(tx *Tx) error {
		return errors.Join(
			tx.DeleteMeta(MasterKeyFact),
			tx.run(
				statement{"UPDATE access_key SET secret = $1", []any{plainSecret}},
				statement{"UPDATE signing_key SET secret = $1", []any{[]byte(plainSigning)}},
			),
		)
	})
	if !strings.Contains(everything(t, db), plainSecret) {
		t.Error("the secrets are not plain")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dsn
}

func TestOpen_SealsPlainSecretsOnce(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			dsn := plainDatabase(t, engine)
			var kept []seal.Key
			var log bytes.Buffer
			keep := func(k seal.Key) error { kept = append(kept, k); return nil }
			first := openTest(t, dsn, Options{KeepKey: keep, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			wantSecrets(t, first)
			text := everything(t, first)
			wantNoSecret(t, text)
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			if len(kept) != 1 || !strings.Contains(log.String(), `"plain":2`) || strings.Contains(log.String(), kept[0].Text()) {
				t.Fatalf("keys %v, log %s", kept, log.String())
			}
			second := openTest(t, dsn, Options{Keys: kept})
			wantSecrets(t, second)
			if diff := cmp.Diff(text, everything(t, second)); diff != "" {
				t.Errorf("the second start changed something:\n%s", diff)
			}
		})
	}
}

func TestOpen_LeavesNoPlainSecretInTheFile(t *testing.T) {
	dsn := plainDatabase(t, "sqlite")
	path := strings.TrimPrefix(dsn, "sqlite:")
	holds := func() (found bool) {
		files, err := filepath.Glob(path + "*")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || bytes.Contains(data, []byte(plainSecret)) || bytes.Contains(data, []byte(plainSigning))
		}
		return found
	}
	if !holds() {
		t.Fatal("the test looks in the wrong place")
	}
	db, err := Open(t.Context(), dsn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if holds() {
		t.Error("a plain secret is left in the file")
	}
}

func TestOpen_WithoutTheKeyRefuses(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			dsn, key := newDSN(t, engine), seal.NewKey()
			db, err := Open(t.Context(), dsn, Options{Keys: []seal.Key{key}})
			if err != nil {
				t.Fatal(err)
			}
			withSecrets(t, db)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			other := seal.NewKey()
			for name, c := range map[string]struct {
				opts Options
				want []string
			}{
				"none":    {Options{KeepKey: func(seal.Key) error { t.Error("a new key was kept"); return nil }}, []string{key.ID(), "there is no key here", "master.key", "PACKHOUSE_MASTER_KEY"}},
				"another": {Options{Keys: []seal.Key{other}}, []string{key.ID(), other.ID(), "docs/operations.md"}},
			} {
				_, err := Open(t.Context(), dsn, c.opts)
				if !errors.Is(err, ErrOtherMasterKey) {
					t.Errorf("%s: %v", name, err)
				}
				for _, want := range c.want {
					if !strings.Contains(fmt.Sprint(err), want) {
						t.Errorf("%s: %v: want %q in it", name, err, want)
					}
				}
			}
			wantSecrets(t, openTest(t, dsn, Options{Keys: []seal.Key{key}}))
		})
	}
}

func TestOpen_NewerKeySealsAnew(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			dsn, older, newer := newDSN(t, engine), seal.NewKey(), seal.NewKey()
			start := func(keys ...seal.Key) error {
				db, err := Open(t.Context(), dsn, Options{Keys: keys})
				if err != nil {
					return err
				}
				if len(keys) == 1 && keys[0].ID() == older.ID() {
					withSecrets(t, db)
				}
				wantSecrets(t, db)
				return db.Close()
			}
			for _, keys := range [][]seal.Key{{older}, {newer, older}, {newer}} {
				if err := start(keys...); err != nil {
					t.Fatal(err)
				}
			}
			if err := start(older); !errors.Is(err, ErrOtherMasterKey) {
				t.Errorf("with the older key alone: %v", err)
			}
		})
	}
}

func TestOpen_RefusesWhileASecretNeedsAnotherKey(t *testing.T) {
	dsn, older, newer := newDSN(t, "sqlite"), seal.NewKey(), seal.NewKey()
	db, err := Open(t.Context(), dsn, Options{Keys: []seal.Key{newer, older}})
	if err != nil {
		t.Fatal(err)
	}
	withSecrets(t, db)
	update(t, db, func(tx *Tx) error { // as a replica with the older key first would
		text, err := seal.NewRing(older).Seal("access_key/AKIA1", []byte(plainSecret))
		if err != nil {
			return err
		}
		_, err = tx.exec("UPDATE access_key SET secret = $1", text)
		return err
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), dsn, Options{Keys: []seal.Key{newer}})
	if !errors.Is(err, ErrOtherMasterKey) || !strings.Contains(err.Error(), "access key AKIA1") {
		t.Errorf("got %v", err)
	}
	wantSecrets(t, openTest(t, dsn, Options{Keys: []seal.Key{newer, older}}))
}

func TestOpen_KeyThatCannotBeKeptSealsNothing(t *testing.T) {
	dsn := plainDatabase(t, "sqlite")
	full := errors.New("disk full")
	if _, err := Open(t.Context(), dsn, Options{KeepKey: func(seal.Key) error { return full }}); !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	wantSecrets(t, openTest(t, dsn, Options{Keys: []seal.Key{seal.NewKey()}}))
}

func TestOpen_OfReplicasThatStartAtOnceOneKeyWins(t *testing.T) {
	dsn := plainDatabase(t, "postgres")
	var mu sync.Mutex
	var kept []seal.Key
	var opened int
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			var mine seal.Key
			db, err := Open(t.Context(), dsn, Options{KeepKey: func(k seal.Key) error { mine = k; return nil }})
			if err != nil {
				if !errors.Is(err, ErrOtherMasterKey) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			opened++
			kept = append(kept, mine)
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if opened != 1 {
		t.Fatalf("%d opened", opened)
	}
	wantSecrets(t, openTest(t, dsn, Options{Keys: kept}))
}

func TestOpen_ReplicasWithOneKeySealAtOnce(t *testing.T) {
	dsn, key := plainDatabase(t, "postgres"), seal.NewKey()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			db, err := Open(t.Context(), dsn, Options{Keys: []seal.Key{key}})
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	wantSecrets(t, openTest(t, dsn, Options{Keys: []seal.Key{key}}))
}

func TestSecret_MovedToAnotherRowIsNone(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		withSecrets(t, db)
		update(t, db, func(tx *Tx) error {
			return tx.run(statement{"UPDATE access_key SET id = 'AKIA2'", nil})
		})
		view(t, db, func(tx *Tx) error {
			if k, err := tx.AccessKey("AKIA2"); err == nil {
				t.Errorf("got %+v", k)
			}
			return nil
		})
	})
}

// TestDatabase_CopyWithoutTheKeyIsUseless is what a thief of a backup meets.
func TestDatabase_CopyWithoutTheKeyIsUseless(t *testing.T) {
	dsn := pgtest.NewDatabase(t)
	db := openTest(t, dsn, Options{Keys: []seal.Key{seal.NewKey()}})
	withSecrets(t, db)
	update(t, db, func(tx *Tx) error { return tx.DeleteMeta(MasterKeyFact) }) // so that it opens
	_, err := Open(t.Context(), dsn, Options{Keys: []seal.Key{seal.NewKey()}})
	if !errors.Is(err, ErrOtherMasterKey) {
		t.Errorf("got %v", err)
	}
}
