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
	_, err := tx.exec("INSERT INTO signing_key (id, secret, created, retire_after) VALUES ($1, $2, $3, $4)",
		k.ID, k.Secret, micros(k.Created), micros(k.RetireAfter))
	tx.configChanged()
	return err
}

func scanSigningKey(scan func(...any) error) (k SigningKey, err error) {
	var created, retire int64
	err = scan(&k.ID, &k.Secret, &created, &retire)
	k.Created, k.RetireAfter = fromMicros(created), fromMicros(retire)
	return k, err
}

// SigningKeys lists every key, oldest first.
func (tx *Tx) SigningKeys() ([]SigningKey, error) {
	return all(tx, scanSigningKey, newQuery("SELECT id, secret, created, retire_after FROM signing_key ORDER BY created, id"))
}

// DeleteSigningKeys removes the keys retired before t.
func (tx *Tx) DeleteSigningKeys(t time.Time) error {
	n, err := tx.exec("DELETE FROM signing_key WHERE retire_after < $1", micros(t))
	if n > 0 {
		tx.configChanged()
	}
	return err
}
