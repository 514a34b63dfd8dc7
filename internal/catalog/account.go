package catalog

import "time"

// Account is a tenant: the owner of domains and issuer of identities.
type Account struct {
	ID      string // 12 digits
	Created time.Time
}

// EnsureAccount inserts the account if it is absent and tells whether it was.
func (tx *Tx) EnsureAccount(id string) (created bool, err error) {
	n, err := tx.exec("INSERT INTO account (id, created) VALUES ($1, $2) ON CONFLICT DO NOTHING", id, tx.now().UnixMicro())
	if n > 0 {
		tx.configChanged()
	}
	return n > 0, err
}

func scanAccount(scan func(...any) error) (a Account, err error) {
	var created int64
	err = scan(&a.ID, &created)
	a.Created = fromMicros(created)
	return a, err
}

// Accounts lists every account by ID.
func (tx *Tx) Accounts() ([]Account, error) {
	return all(tx, scanAccount, newQuery("SELECT id, created FROM account ORDER BY id"))
}
