package catalog

import (
	"time"

	"packhouse/internal/fault"
)

// Account is a tenant: the owner of domains and issuer of identities.
type Account struct {
	ID      string // 12 digits
	Name    string // for people; may be empty
	Created time.Time
}

// EnsureAccount inserts the account if it is absent and tells whether it was.
func (tx *Tx) EnsureAccount(id string) (created bool, err error) {
	_, err = tx.InsertAccount(Account{ID: id})
	if fault.Is(err, fault.Conflict) {
		return false, nil
	}
	return err == nil, err
}

// InsertAccount adds an account and returns it with Created filled in. Conflict
// when there is one of that ID.
func (tx *Tx) InsertAccount(a Account) (Account, error) {
	a.Created = tx.Now()
	n, err := tx.exec("INSERT INTO account (id, name, created) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", a.ID, a.Name, micros(a.Created))
	if err == nil && n == 0 {
		return Account{}, fault.New(fault.Conflict, "account already exists: %s", a.ID)
	}
	tx.configChanged()
	return a, err
}

const accountColumns = "id, name, created"

func scanAccount(scan func(...any) error) (a Account, err error) {
	var created int64
	err = scan(&a.ID, &a.Name, &created)
	a.Created = fromMicros(created)
	return a, err
}

// Accounts lists every account by ID.
func (tx *Tx) Accounts() ([]Account, error) { return tx.AccountsAfter("", 0) }

// AccountsAfter lists accounts by ID after the given one; limit 0 means all.
func (tx *Tx) AccountsAfter(id string, limit int) ([]Account, error) {
	return all(tx, scanAccount, newQuery("SELECT "+accountColumns+" FROM account WHERE ").add("id > ?", id).add(" ORDER BY id").limit(limit))
}
