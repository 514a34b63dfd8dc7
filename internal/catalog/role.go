package catalog

import (
	"time"

	"packhouse/internal/fault"
)

// Role is an IAM role of an account.
type Role struct {
	Account     string
	Name        string
	Path        string // starts and ends with a slash
	ID          string // AROA...
	Description string
	Trust       string // the policy that says who may assume it; JSON
	MaxSession  time.Duration
	Boundary    string // ARN of a managed policy; empty: none
	Created     time.Time
}

func roleMissing(name string) error {
	return fault.New(fault.NotFound, "The role with name %s cannot be found.", name)
}

// InsertRole adds a role; Conflict when the account has one of that name, in
// whatever case.
func (tx *Tx) InsertRole(r Role) error {
	n, err := tx.exec(`INSERT INTO iam_role (account, name, path, id, description, trust, max_session, boundary, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		r.Account, r.Name, r.Path, r.ID, r.Description, r.Trust, int64(r.MaxSession/time.Second), r.Boundary, micros(r.Created))
	if err == nil && n == 0 {
		return nameTaken("Role", r.Name)
	}
	tx.configChanged()
	return err
}

const roleColumns = "account, name, path, id, description, trust, max_session, boundary, created"

func scanRole(scan func(...any) error) (r Role, err error) {
	var created, seconds int64
	err = scan(&r.Account, &r.Name, &r.Path, &r.ID, &r.Description, &r.Trust, &seconds, &r.Boundary, &created)
	r.Created, r.MaxSession = fromMicros(created), time.Duration(seconds)*time.Second
	return r, err
}

// Role finds a role by name; NotFound when there is none.
func (tx *Tx) Role(account, name string) (Role, error) {
	return first(tx, scanRole, roleMissing(name), "SELECT "+roleColumns+" FROM iam_role WHERE account = $1 AND name = $2", account, name)
}

// RoleByID finds a role by its AROA id; NotFound when there is none.
func (tx *Tx) RoleByID(id string) (Role, error) {
	return first(tx, scanRole, roleMissing(id), "SELECT "+roleColumns+" FROM iam_role WHERE id = $1", id)
}

// Roles lists an account's roles after the given name whose path starts with
// pathPrefix; limit 0 means all.
func (tx *Tx) Roles(account, pathPrefix, after string, limit int) ([]Role, error) {
	q := newQuery("SELECT "+roleColumns+" FROM iam_role WHERE ").add("account = ? AND name > ?", account, after)
	return all(tx, scanRole, q.prefix("path", pathPrefix).add(" ORDER BY name").limit(limit))
}

// UpdateRole stores what may change of a role: its description, trust, longest
// session and boundary. NotFound without the role.
func (tx *Tx) UpdateRole(r Role) error {
	n, err := tx.exec("UPDATE iam_role SET description = $3, trust = $4, max_session = $5, boundary = $6 WHERE account = $1 AND name = $2",
		r.Account, r.Name, r.Description, r.Trust, int64(r.MaxSession/time.Second), r.Boundary)
	if err == nil && n == 0 {
		return roleMissing(r.Name)
	}
	tx.configChanged()
	return err
}

// DeleteRole removes a role. As in IAM it is refused with Conflict while the
// role has policies. NotFound without the role.
func (tx *Tx) DeleteRole(account, name string) error {
	r, err := tx.Role(account, name)
	if err != nil {
		return err
	}
	if err := tx.policiesGone(account, PrincipalRole, name); err != nil {
		return err
	}
	if err := tx.DeleteTags(r.ID); err != nil {
		return err
	}
	_, err = tx.exec("DELETE FROM iam_role WHERE account = $1 AND name = $2", account, name)
	tx.configChanged()
	return err
}
