package catalog

import (
	"log/slog"
	"time"

	"packhouse/internal/fault"
)

// User is an IAM user of an account.
type User struct {
	Account string
	Name    string
	Path    string // starts and ends with a slash
	ID      string // AIDA...
	Created time.Time
}

// Secret is text that must not reach a log. Convert it to string to use it.
type Secret string

// LogValue hides the text.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// String hides the text from careless formatting.
func (Secret) String() string { return "[redacted]" }

// GoString hides the text from careless formatting.
func (Secret) GoString() string { return "[redacted]" }

// The states of an access key, IAM's words.
const (
	KeyActive   = "Active"
	KeyInactive = "Inactive"
)

// AccessKey is a long-term key pair of a user.
type AccessKey struct {
	Account  string
	ID       string // AKIA...
	UserName string
	Secret   Secret
	Status   string // KeyActive or KeyInactive
	Created  time.Time
}

// The kinds of principal that an identity policy can be attached to.
const (
	PrincipalUser  = "user"
	PrincipalRole  = "role"
	PrincipalGroup = "group"
)

// IdentityPolicy is a policy attached to a principal: an inline document, or a
// managed policy by its ARN.
type IdentityPolicy struct {
	Account       string
	PrincipalKind string // PrincipalUser, PrincipalRole or PrincipalGroup
	PrincipalName string
	PolicyName    string
	Document      string // JSON; empty when managed
	ManagedARN    string // empty when inline
}

func userMissing(name string) error {
	return fault.New(fault.NotFound, "the user with name %s cannot be found", name)
}

// InsertUser adds a user; Conflict when the account has one of that name.
func (tx *Tx) InsertUser(u User) error {
	n, err := tx.exec(`INSERT INTO iam_user (account, name, path, id, created) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		u.Account, u.Name, u.Path, u.ID, micros(u.Created))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "user with name %s already exists", u.Name)
	}
	tx.configChanged()
	return err
}

const userColumns = "account, name, path, id, created"

func scanUser(scan func(...any) error) (u User, err error) {
	var created int64
	err = scan(&u.Account, &u.Name, &u.Path, &u.ID, &created)
	u.Created = fromMicros(created)
	return u, err
}

// User finds a user by name; NotFound when there is none.
func (tx *Tx) User(account, name string) (User, error) {
	return first(tx, scanUser, userMissing(name),
		"SELECT "+userColumns+" FROM iam_user WHERE account = $1 AND name = $2", account, name)
}

// UserByID finds a user by its AIDA id; NotFound when there is none.
func (tx *Tx) UserByID(id string) (User, error) {
	return first(tx, scanUser, userMissing(id), "SELECT "+userColumns+" FROM iam_user WHERE id = $1", id)
}

// Users lists an account's users after the given name whose path starts with
// pathPrefix; limit 0 means all.
func (tx *Tx) Users(account, pathPrefix, after string, limit int) ([]User, error) {
	q := newQuery("SELECT "+userColumns+" FROM iam_user WHERE ").add("account = ? AND name > ?", account, after)
	return all(tx, scanUser, q.prefix("path", pathPrefix).add(" ORDER BY name").limit(limit))
}

// UpdateUser renames a user or changes its path; its keys and policies follow.
// NotFound without the user, Conflict when the new name is taken.
func (tx *Tx) UpdateUser(account, name, newName, newPath string) error {
	if newName != name {
		switch _, err := tx.User(account, newName); {
		case err == nil:
			return fault.New(fault.Conflict, "user with name %s already exists", newName)
		case !fault.Is(err, fault.NotFound):
			return err
		}
	}
	n, err := tx.exec("UPDATE iam_user SET name = $3, path = $4 WHERE account = $1 AND name = $2", account, name, newName, newPath)
	if err != nil {
		return err
	}
	if n == 0 {
		return userMissing(name)
	}
	if _, err := tx.exec("UPDATE access_key SET user_name = $3 WHERE account = $1 AND user_name = $2", account, name, newName); err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE identity_policy SET principal_name = $4
		WHERE account = $1 AND principal_kind = $2 AND principal_name = $3`, account, PrincipalUser, name, newName)
	tx.configChanged()
	return err
}

// DeleteUser removes a user. As in IAM it is refused with Conflict while the
// user has access keys or policies. NotFound without the user.
func (tx *Tx) DeleteUser(account, name string) error {
	var used int64
	_, err := tx.one(`SELECT (SELECT count(*) FROM access_key WHERE account = $1 AND user_name = $2)
		+ (SELECT count(*) FROM identity_policy WHERE account = $1 AND principal_kind = $3 AND principal_name = $2)`,
		[]any{account, name, PrincipalUser}, &used)
	if err != nil {
		return err
	}
	if used > 0 {
		return fault.New(fault.Conflict, "cannot delete user %s: delete its access keys and policies first", name)
	}
	n, err := tx.exec("DELETE FROM iam_user WHERE account = $1 AND name = $2", account, name)
	if err == nil && n == 0 {
		return userMissing(name)
	}
	tx.configChanged()
	return err
}

func keyMissing(id string) error {
	return fault.New(fault.NotFound, "the access key with id %s cannot be found", id)
}

// InsertAccessKey adds a key; Conflict when the id exists.
func (tx *Tx) InsertAccessKey(k AccessKey) error {
	n, err := tx.exec(`INSERT INTO access_key (id, account, user_name, secret, status, created)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		k.ID, k.Account, k.UserName, string(k.Secret), k.Status, micros(k.Created))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "access key %s already exists", k.ID)
	}
	tx.configChanged()
	return err
}

const accessKeyColumns = "id, account, user_name, secret, status, created"

func scanAccessKey(scan func(...any) error) (k AccessKey, err error) {
	var created int64
	err = scan(&k.ID, &k.Account, &k.UserName, (*string)(&k.Secret), &k.Status, &created)
	k.Created = fromMicros(created)
	return k, err
}

// AccessKey finds a key by its id in any account; NotFound when there is none.
func (tx *Tx) AccessKey(id string) (AccessKey, error) {
	return first(tx, scanAccessKey, keyMissing(id), "SELECT "+accessKeyColumns+" FROM access_key WHERE id = $1", id)
}

// AccessKeys lists a user's keys by id.
func (tx *Tx) AccessKeys(account, userName string) ([]AccessKey, error) {
	q := newQuery("SELECT "+accessKeyColumns+" FROM access_key WHERE ").add("account = ? AND user_name = ?", account, userName)
	return all(tx, scanAccessKey, q.add(" ORDER BY id"))
}

// SetAccessKeyStatus makes a key KeyActive or KeyInactive; NotFound without it.
func (tx *Tx) SetAccessKeyStatus(id, status string) error {
	n, err := tx.exec("UPDATE access_key SET status = $2 WHERE id = $1", id, status)
	if err == nil && n == 0 {
		return keyMissing(id)
	}
	tx.configChanged()
	return err
}

// DeleteAccessKey removes a key; NotFound without it.
func (tx *Tx) DeleteAccessKey(id string) error {
	n, err := tx.exec("DELETE FROM access_key WHERE id = $1", id)
	if err == nil && n == 0 {
		return keyMissing(id)
	}
	tx.configChanged()
	return err
}

// PutIdentityPolicy attaches a policy or replaces the one of that name.
func (tx *Tx) PutIdentityPolicy(p IdentityPolicy) error {
	_, err := tx.exec(`INSERT INTO identity_policy (account, principal_kind, principal_name, policy_name, document, managed_arn)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, principal_kind, principal_name, policy_name)
		DO UPDATE SET document = excluded.document, managed_arn = excluded.managed_arn`,
		p.Account, p.PrincipalKind, p.PrincipalName, p.PolicyName, p.Document, p.ManagedARN)
	tx.configChanged()
	return err
}

const identityPolicyColumns = "account, principal_kind, principal_name, policy_name, document, managed_arn"

func scanIdentityPolicy(scan func(...any) error) (p IdentityPolicy, err error) {
	err = scan(&p.Account, &p.PrincipalKind, &p.PrincipalName, &p.PolicyName, &p.Document, &p.ManagedARN)
	return p, err
}

// IdentityPolicies lists a principal's policies, inline and managed, by name.
func (tx *Tx) IdentityPolicies(account, kind, name string) ([]IdentityPolicy, error) {
	q := newQuery("SELECT "+identityPolicyColumns+" FROM identity_policy WHERE ").
		add("account = ? AND principal_kind = ? AND principal_name = ?", account, kind, name)
	return all(tx, scanIdentityPolicy, q.add(" ORDER BY policy_name"))
}

// DeleteIdentityPolicy detaches a policy; NotFound without it.
func (tx *Tx) DeleteIdentityPolicy(account, kind, name, policyName string) error {
	n, err := tx.exec(`DELETE FROM identity_policy
		WHERE account = $1 AND principal_kind = $2 AND principal_name = $3 AND policy_name = $4`, account, kind, name, policyName)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "the policy with name %s cannot be found", policyName)
	}
	tx.configChanged()
	return err
}
