package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"packhouse/internal/fault"
	"packhouse/internal/seal"
)

// Secrets are sealed (package seal) before they reach the database: by the
// methods that insert their rows, and at every start those that are plain or
// sealed with an older key. sealedColumns is the list of them all; a column
// that is not on it keeps no secret.
var sealedColumns = []sealedColumn{
	{table: "access_key", id: "id", column: "secret"},
	{table: "signing_key", id: "id", column: "secret", bytes: true},
	{table: "event_connection", id: "id", column: "secret"},
	{table: "event_signing", id: "account", column: "secret"},
	{table: "topic_signing", id: "id", column: "secret"},
}

// sealedColumn is a column of secrets. Its rows are found by a column that
// never changes.
type sealedColumn struct {
	table, id, column string
	bytes             bool // of type bytes, else text
}

// MasterKeyFact is the meta row that tells which master key the database's
// secrets are sealed with: a known text, sealed.
const MasterKeyFact = "master_key"

const masterKeyProof = "packhouse"

// ErrOtherMasterKey is why a database is not opened whose secrets are sealed
// with a key that was not given.
var ErrOtherMasterKey = errors.New("the master key is missing")

// processKey is for databases nobody gave a key for.
var processKey = sync.OnceValue(seal.NewKey)

// sealed is a secret as a row keeps it.
func (tx *Tx) sealed(table, id, secret string) (string, error) {
	return tx.ring.Seal(table+"/"+id, []byte(secret))
}

// unsealed is a secret as it was before.
func (tx *Tx) unsealed(table, id, text string) (string, error) {
	secret, err := tx.ring.Open(table+"/"+id, text)
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "open a secret")
	}
	return string(secret), nil
}

// sealing is the start-up step that leaves no secret plain, or sealed with
// another than the first key. Several processes may take it at once.
type sealing struct {
	ring    seal.Ring
	given   bool                 // the keys are the operator's; else ring is one that nobody has seen
	keep    func(seal.Key) error // what to do with the latter before it is used
	key     seal.Key             // that one
	outcome sealingOutcome
}

type sealingOutcome struct{ plain, older int }

func newSealing(opts Options) *sealing {
	switch {
	case len(opts.Keys) > 0:
		return &sealing{ring: seal.NewRing(opts.Keys...), given: true}
	case opts.KeepKey == nil:
		return &sealing{ring: seal.NewRing(processKey()), given: true}
	}
	key := seal.NewKey()
	return &sealing{ring: seal.NewRing(key), key: key, keep: opts.KeepKey}
}

// sealSecrets refuses to go on without the key that the secrets are sealed with.
func (db *DB) sealSecrets(ctx context.Context, s *sealing) error {
	settled := false
	err := db.View(ctx, func(tx *Tx) (err error) {
		settled, err = s.settled(tx)
		return err
	})
	if err != nil || settled {
		return err
	}
	if err := db.Update(ctx, s.settle); err != nil {
		return err
	}
	if o := s.outcome; o.plain+o.older > 0 {
		db.log.Info("secrets have been sealed", slog.String("master_key", s.ring.IDs()[0]), slog.Int("plain", o.plain), slog.Int("older", o.older))
	}
	return nil
}

// settled tells whether nothing is to be done.
func (s *sealing) settled(tx *Tx) (bool, error) {
	proof, err := s.proof(tx)
	if err != nil || !s.ring.Current(proof) {
		return false, err
	}
	rows, err := s.pending(tx)
	return len(rows) == 0, err
}

// proof is the sealed text of the meta row, once it is known that our keys open
// it; empty when there is none yet.
func (s *sealing) proof(tx *Tx) (string, error) {
	text, ok, err := tx.Meta(MasterKeyFact)
	if err != nil || !ok {
		return "", err
	}
	id, _ := seal.KeyID(text)
	switch {
	case !s.given && !s.ring.Has(id):
		return "", fmt.Errorf("%w: the secrets in the database are sealed with master key %s, and there is no key here: "+
			"put the file master.key back into the data folder, or name the key with master-key (PACKHOUSE_MASTER_KEY). "+
			"Replicas of one database need the same key; see docs/operations.md, \"The master key\"", ErrOtherMasterKey, id)
	case !s.ring.Has(id):
		return "", s.wrongKey("the secrets in the database are", id)
	}
	if secret, err := s.ring.Open("meta/"+MasterKeyFact, text); err != nil || string(secret) != masterKeyProof {
		return "", fmt.Errorf("the row %s of table meta is damaged; restore the database from a backup: %w", MasterKeyFact, err)
	}
	return text, nil
}

func (s *sealing) wrongKey(what, id string) error {
	return fmt.Errorf("%w: %s sealed with master key %s, which is not given; given: %s. "+
		"Start with the key that was in use before, beside the others if there are any; see docs/operations.md, \"The master key\"",
		ErrOtherMasterKey, what, id, strings.Join(s.ring.IDs(), ", "))
}

// pendingSecret is a row to be sealed.
type pendingSecret struct {
	sealedColumn
	rowID, text string
	plain       bool
}

func (s *sealing) pending(tx *Tx) ([]pendingSecret, error) {
	var rows []pendingSecret
	for _, c := range sealedColumns {
		err := tx.each(func(scan func(...any) error) error {
			var rowID string
			var text []byte
			if err := scan(&rowID, &text); err != nil {
				return err
			}
			id, sealed := seal.KeyID(string(text))
			switch {
			case s.ring.Current(string(text)):
			case sealed && !s.ring.Has(id):
				return s.wrongKey(fmt.Sprintf("the %s of %s %s is", c.column, strings.ReplaceAll(c.table, "_", " "), rowID), id)
			default:
				rows = append(rows, pendingSecret{c, rowID, string(text), !sealed})
			}
			return nil
		}, "SELECT "+c.id+", "+c.column+" FROM "+c.table)
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// settle does what is to be done.
func (s *sealing) settle(tx *Tx) error {
	s.outcome = sealingOutcome{}
	proof, err := s.proof(tx)
	if err != nil {
		return err
	}
	if !s.ring.Current(proof) {
		if !s.given {
			if err := s.keep(s.key); err != nil {
				return fmt.Errorf("keep the new master key: %w", err)
			}
		}
		text, err := s.ring.Seal("meta/"+MasterKeyFact, []byte(masterKeyProof))
		if err != nil {
			return err
		}
		if err := tx.SetMeta(MasterKeyFact, text); err != nil {
			return err
		}
	}
	rows, err := s.pending(tx)
	if err != nil || len(rows) == 0 {
		return err
	}
	overwriting := slices.ContainsFunc(rows, func(r pendingSecret) bool { return r.plain })
	if overwriting {
		if err := tx.overwrite(true); err != nil {
			return err
		}
	}
	for _, r := range rows {
		if err := s.sealRow(tx, r); err != nil {
			return err
		}
	}
	tx.configChanged()
	if overwriting {
		return tx.overwrite(false)
	}
	return nil
}

func (s *sealing) sealRow(tx *Tx, r pendingSecret) error {
	place, secret := r.table+"/"+r.rowID, []byte(r.text)
	if r.plain {
		s.outcome.plain++
	} else {
		s.outcome.older++
		var err error
		if secret, err = s.ring.Open(place, r.text); err != nil {
			return err
		}
	}
	text, err := s.ring.Seal(place, secret)
	if err != nil {
		return err
	}
	var value any = text
	if r.bytes {
		value = []byte(text)
	}
	_, err = tx.exec("UPDATE "+r.table+" SET "+r.column+" = $2 WHERE "+r.id+" = $1", r.rowID, value)
	return err
}

// overwrite has the engine overwrite what is deleted from now on, where it would
// leave it in the file.
func (tx *Tx) overwrite(on bool) error {
	text := tx.dialect.overwriteOff
	if on {
		text = tx.dialect.overwriteOn
	}
	if text == "" {
		return nil
	}
	_, err := tx.exec(text)
	return err
}
