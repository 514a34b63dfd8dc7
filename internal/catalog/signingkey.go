package catalog

import (
	"log/slog"
	"time"
)

// SigningKey signs the tokens this house issues.
type SigningKey struct {
	ID          string
	Secret      []byte
	Created     time.Time
	RetireAfter time.Time // no token signed with it is accepted later
}

// LogValue shows the id alone.
func (k SigningKey) LogValue() slog.Value { return slog.StringValue(k.ID) }

// InsertSigningKey adds a key.
func (tx *Tx) InsertSigningKey(k SigningKey) error {
	secret, err := tx.sealed("signing_key", k.ID, string(k.Secret))
	if err != nil {
		return err
	}
	_, err = tx.exec("INSERT INTO signing_key (id, secret, created, retire_after) VALUES ($1, $2, $3, $4)",
		k.ID, []byte(secret), micros(k.Created), micros(k.RetireAfter))
	tx.configChanged()
	return err
}

func (tx *Tx) scanSigningKey(scan func(...any) error) (k SigningKey, err error) {
	var created, retire int64
	var sealed []byte
	if err := scan(&k.ID, &sealed, &created, &retire); err != nil {
		return k, err
	}
	secret, err := tx.unsealed("signing_key", k.ID, string(sealed))
	k.Secret, k.Created, k.RetireAfter = []byte(secret), fromMicros(created), fromMicros(retire)
	return k, err
}

// SigningKeys lists every key, oldest first.
func (tx *Tx) SigningKeys() ([]SigningKey, error) {
	return all(tx, tx.scanSigningKey, newQuery("SELECT id, secret, created, retire_after FROM signing_key ORDER BY created, id"))
}

// DeleteSigningKeys removes the keys retired before t.
func (tx *Tx) DeleteSigningKeys(t time.Time) error {
	n, err := tx.exec("DELETE FROM signing_key WHERE retire_after < $1", micros(t))
	if n > 0 {
		tx.configChanged()
	}
	return err
}
