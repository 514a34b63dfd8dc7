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
	Unreadable  error     // why there is no Secret; nil: there is
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
	k.Secret, k.Created, k.RetireAfter, k.Unreadable = []byte(secret), fromMicros(created), fromMicros(retire), err
	return k, nil
}

// SigningKeys lists every key, oldest first. One that cannot be opened is
// Unreadable and does not keep the others back.
func (tx *Tx) SigningKeys() ([]SigningKey, error) {
	return all(tx, tx.scanSigningKey, newQuery("SELECT id, secret, created, retire_after FROM signing_key ORDER BY created, id"))
}

// LimitSigningKeys has no key accepted after t.
func (tx *Tx) LimitSigningKeys(t time.Time) error {
	n, err := tx.exec("UPDATE signing_key SET retire_after = $1 WHERE retire_after > $1", micros(t))
	if n > 0 {
		tx.configChanged()
	}
	return err
}

// DeleteSigningKeys removes the keys retired before t.
func (tx *Tx) DeleteSigningKeys(t time.Time) error {
	n, err := tx.exec("DELETE FROM signing_key WHERE retire_after < $1", micros(t))
	if n > 0 {
		tx.configChanged()
	}
	return err
}
