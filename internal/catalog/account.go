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

// InsertAccount adds an account and returns it with Created filled in, which is
// later than that of every other one, whatever the clock says. Conflict when
// there is one of that ID.
func (tx *Tx) InsertAccount(a Account) (Account, error) {
	var newest int64
	if _, err := tx.one("SELECT created FROM account ORDER BY created DESC LIMIT 1", nil, &newest); err != nil {
		return Account{}, err
	}
	created := max(micros(tx.Now()), newest+1)
	n, err := tx.exec("INSERT INTO account (id, name, created) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", a.ID, a.Name, created)
	if err == nil && n == 0 {
		return Account{}, fault.New(fault.Conflict, "account already exists: %s", a.ID)
	}
	if err != nil {
		return Account{}, err
	}
	tx.configChanged()
	a.Created = fromMicros(created)
	return a, nil
}

const accountColumns = "id, name, created"

func scanAccount(scan func(...any) error) (a Account, err error) {
	var created int64
	err = scan(&a.ID, &a.Name, &created)
	a.Created = fromMicros(created)
	return a, err
}

// FirstAccount is the account that the first start made; NotFound before.
func (tx *Tx) FirstAccount() (Account, error) {
	return first(tx, scanAccount, fault.New(fault.NotFound, "there is no account yet"),
		"SELECT "+accountColumns+" FROM account ORDER BY created LIMIT 1")
}

// Accounts lists every account by ID.
func (tx *Tx) Accounts() ([]Account, error) { return tx.AccountsAfter("", 0) }

// AccountsAfter lists accounts by ID after the given one; limit 0 means all.
func (tx *Tx) AccountsAfter(id string, limit int) ([]Account, error) {
	return all(tx, scanAccount, newQuery("SELECT "+accountColumns+" FROM account WHERE ").add("id > ?", id).add(" ORDER BY id").limit(limit))
}
