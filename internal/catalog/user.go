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
	// Boundary is the ARN of the managed policy that is the user's permissions
	// boundary; empty: none.
	Boundary string
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

func userMissing(name string) error {
	return fault.New(fault.NotFound, "The user with name %s cannot be found.", name)
}

// InsertUser adds a user; Conflict when the account has one of that name, in
// whatever case.
func (tx *Tx) InsertUser(u User) error {
	n, err := tx.exec(`INSERT INTO iam_user (account, name, path, id, created, boundary) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		u.Account, u.Name, u.Path, u.ID, micros(u.Created), u.Boundary)
	if err == nil && n == 0 {
		return nameTaken("User", u.Name)
	}
	tx.configChanged()
	return err
}

const userColumns = "u.account, u.name, u.path, u.id, u.created, u.boundary"

func scanUser(scan func(...any) error) (u User, err error) {
	var created int64
	err = scan(&u.Account, &u.Name, &u.Path, &u.ID, &created, &u.Boundary)
	u.Created = fromMicros(created)
	return u, err
}

// User finds a user by name; NotFound when there is none.
func (tx *Tx) User(account, name string) (User, error) {
	return first(tx, scanUser, userMissing(name),
		"SELECT "+userColumns+" FROM iam_user u WHERE u.account = $1 AND u.name = $2", account, name)
}

// UserByID finds a user by its AIDA id; NotFound when there is none.
func (tx *Tx) UserByID(id string) (User, error) {
	return first(tx, scanUser, userMissing(id), "SELECT "+userColumns+" FROM iam_user u WHERE u.id = $1", id)
}

// Users lists an account's users after the given name whose path starts with
// pathPrefix; limit 0 means all.
func (tx *Tx) Users(account, pathPrefix, after string, limit int) ([]User, error) {
	q := newQuery("SELECT "+userColumns+" FROM iam_user u WHERE ").add("u.account = ? AND u.name > ?", account, after)
	return all(tx, scanUser, q.prefix("u.path", pathPrefix).add(" ORDER BY u.name").limit(limit))
}

// UpdateUser renames a user or changes its path; its keys, groups and policies
// follow. NotFound without the user, Conflict when the new name is taken.
func (tx *Tx) UpdateUser(account, name, newName, newPath string) error {
	if _, err := tx.User(account, name); err != nil {
		return err
	}
	if err := tx.nameFree("iam_user", "User", account, name, newName); err != nil {
		return err
	}
	tx.configChanged()
	return tx.run(
		statement{"UPDATE iam_user SET name = $3, path = $4 WHERE account = $1 AND name = $2", []any{account, name, newName, newPath}},
		statement{"UPDATE access_key SET user_name = $3 WHERE account = $1 AND user_name = $2", []any{account, name, newName}},
		statement{"UPDATE iam_group_member SET user_name = $3 WHERE account = $1 AND user_name = $2", []any{account, name, newName}},
		renamePolicies(account, PrincipalUser, name, newName),
	)
}

// SetUserBoundary makes a managed policy the permissions boundary of a user;
// an empty ARN removes it. NotFound without the user.
func (tx *Tx) SetUserBoundary(account, name, policyARN string) error {
	n, err := tx.exec("UPDATE iam_user SET boundary = $3 WHERE account = $1 AND name = $2", account, name, policyARN)
	if err == nil && n == 0 {
		return userMissing(name)
	}
	tx.configChanged()
	return err
}

// DeleteUser removes a user. As in IAM it is refused with Conflict while the
// user has access keys, groups or policies. NotFound without the user.
func (tx *Tx) DeleteUser(account, name string) error {
	u, err := tx.User(account, name)
	if err != nil {
		return err
	}
	if err := tx.inUse("access_key WHERE account = $1 AND user_name = $2", "must delete access keys first", account, name); err != nil {
		return err
	}
	if err := tx.inUse("iam_group_member WHERE account = $1 AND user_name = $2", "must remove users from group first", account, name); err != nil {
		return err
	}
	if err := tx.policiesGone(account, PrincipalUser, name); err != nil {
		return err
	}
	if err := tx.DeleteTags(u.ID); err != nil {
		return err
	}
	_, err = tx.exec("DELETE FROM iam_user WHERE account = $1 AND name = $2", account, name)
	tx.configChanged()
	return err
}

func nameTaken(kind, name string) error {
	return fault.New(fault.Conflict, "%s with name %s already exists.", kind, name)
}

// nameFree is a Conflict when something else than what is called name has a
// name that differs from newName at most in case.
func (tx *Tx) nameFree(table, kind, account, name, newName string) error {
	var other string
	found, err := tx.one("SELECT name FROM "+table+" WHERE account = $1 AND lower(name) = lower($2) AND name <> $3", []any{account, newName, name}, &other)
	if err == nil && found {
		return nameTaken(kind, newName)
	}
	return err
}

// inUse is a Conflict when there are rows; rows is a table and its condition.
func (tx *Tx) inUse(rows, remedy string, args ...any) error {
	var n int64
	if _, err := tx.one("SELECT count(*) FROM "+rows, args, &n); err != nil {
		return err
	}
	if n > 0 {
		return fault.New(fault.Conflict, "Cannot delete entity, %s.", remedy)
	}
	return nil
}

// statement is one to be run by run.
type statement struct {
	text string
	args []any
}

func (tx *Tx) run(list ...statement) error {
	for _, s := range list {
		if _, err := tx.exec(s.text, s.args...); err != nil {
			return err
		}
	}
	return nil
}

func keyMissing(id string) error {
	return fault.New(fault.NotFound, "The Access Key with id %s cannot be found.", id)
}

// InsertAccessKey adds a key; Conflict when the id exists.
func (tx *Tx) InsertAccessKey(k AccessKey) error {
	secret, err := tx.sealed("access_key", k.ID, string(k.Secret))
	if err != nil {
		return err
	}
	n, err := tx.exec(`INSERT INTO access_key (id, account, user_name, secret, status, created)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		k.ID, k.Account, k.UserName, secret, k.Status, micros(k.Created))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "access key %s already exists", k.ID)
	}
	tx.configChanged()
	return err
}

const accessKeyColumns = "id, account, user_name, secret, status, created"

func (tx *Tx) scanAccessKey(scan func(...any) error) (k AccessKey, err error) {
	var created int64
	var sealed string
	if err := scan(&k.ID, &k.Account, &k.UserName, &sealed, &k.Status, &created); err != nil {
		return k, err
	}
	secret, err := tx.unsealed("access_key", k.ID, sealed)
	k.Secret, k.Created = Secret(secret), fromMicros(created)
	return k, err
}

// AccessKey finds a key by its id in any account; NotFound when there is none.
func (tx *Tx) AccessKey(id string) (AccessKey, error) {
	return first(tx, tx.scanAccessKey, keyMissing(id), "SELECT "+accessKeyColumns+" FROM access_key WHERE id = $1", id)
}

// AccessKeys lists a user's keys by id.
func (tx *Tx) AccessKeys(account, userName string) ([]AccessKey, error) {
	q := newQuery("SELECT "+accessKeyColumns+" FROM access_key WHERE ").add("account = ? AND user_name = ?", account, userName)
	return all(tx, tx.scanAccessKey, q.add(" ORDER BY id"))
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
