package catalog

import (
	"time"

	"packhouse/internal/fault"
)

// Group is an IAM group of an account.
type Group struct {
	Account string
	Name    string
	Path    string // starts and ends with a slash
	ID      string // AGPA...
	Created time.Time
}

func userGroupMissing(name string) error {
	return fault.New(fault.NotFound, "The group with name %s cannot be found.", name)
}

// InsertGroup adds a group; Conflict when the account has one of that name,
// in whatever case.
func (tx *Tx) InsertGroup(g Group) error {
	n, err := tx.exec(`INSERT INTO iam_group (account, name, path, id, created) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		g.Account, g.Name, g.Path, g.ID, micros(g.Created))
	if err == nil && n == 0 {
		return nameTaken("Group", g.Name)
	}
	tx.configChanged()
	return err
}

const groupColumns = "g.account, g.name, g.path, g.id, g.created"

func scanGroup(scan func(...any) error) (g Group, err error) {
	var created int64
	err = scan(&g.Account, &g.Name, &g.Path, &g.ID, &created)
	g.Created = fromMicros(created)
	return g, err
}

// Group finds a group by name; NotFound when there is none.
func (tx *Tx) Group(account, name string) (Group, error) {
	return first(tx, scanGroup, userGroupMissing(name),
		"SELECT "+groupColumns+" FROM iam_group g WHERE g.account = $1 AND g.name = $2", account, name)
}

// Groups lists an account's groups after the given name whose path starts with
// pathPrefix; limit 0 means all.
func (tx *Tx) Groups(account, pathPrefix, after string, limit int) ([]Group, error) {
	q := newQuery("SELECT "+groupColumns+" FROM iam_group g WHERE ").add("g.account = ? AND g.name > ?", account, after)
	return all(tx, scanGroup, q.prefix("g.path", pathPrefix).add(" ORDER BY g.name").limit(limit))
}

// UpdateGroup renames a group or changes its path; its members and policies
// follow. NotFound without the group, Conflict when the new name is taken.
func (tx *Tx) UpdateGroup(account, name, newName, newPath string) error {
	if _, err := tx.Group(account, name); err != nil {
		return err
	}
	if err := tx.nameFree("iam_group", "Group", account, name, newName); err != nil {
		return err
	}
	tx.configChanged()
	return tx.run(
		statement{"UPDATE iam_group SET name = $3, path = $4 WHERE account = $1 AND name = $2", []any{account, name, newName, newPath}},
		statement{"UPDATE iam_group_member SET group_name = $3 WHERE account = $1 AND group_name = $2", []any{account, name, newName}},
		renamePolicies(account, PrincipalGroup, name, newName),
	)
}

// DeleteGroup removes a group. As in IAM it is refused with Conflict while the
// group has members or policies. NotFound without the group.
func (tx *Tx) DeleteGroup(account, name string) error {
	if _, err := tx.Group(account, name); err != nil {
		return err
	}
	if err := tx.inUse("iam_group_member WHERE account = $1 AND group_name = $2", "must remove users from group first", account, name); err != nil {
		return err
	}
	if err := tx.policiesGone(account, PrincipalGroup, name); err != nil {
		return err
	}
	_, err := tx.exec("DELETE FROM iam_group WHERE account = $1 AND name = $2", account, name)
	tx.configChanged()
	return err
}

// AddGroupMember puts a user into a group, which it may be in already. Neither
// is looked up.
func (tx *Tx) AddGroupMember(account, group, user string) error {
	_, err := tx.exec("INSERT INTO iam_group_member (account, group_name, user_name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", account, group, user)
	tx.configChanged()
	return err
}

// RemoveGroupMember takes a user out of a group; NotFound when it is not in it.
func (tx *Tx) RemoveGroupMember(account, group, user string) error {
	n, err := tx.exec("DELETE FROM iam_group_member WHERE account = $1 AND group_name = $2 AND user_name = $3", account, group, user)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "The user with name %s is not in the group %s.", user, group)
	}
	tx.configChanged()
	return err
}

// GroupMembers lists the users of a group after the given name; limit 0 means
// all.
func (tx *Tx) GroupMembers(account, group, after string, limit int) ([]User, error) {
	q := newQuery("SELECT "+userColumns+" FROM iam_group_member m JOIN iam_user u ON u.account = m.account AND u.name = m.user_name WHERE ").
		add("m.account = ? AND m.group_name = ? AND m.user_name > ? ORDER BY m.user_name", account, group, after)
	return all(tx, scanUser, q.limit(limit))
}

// GroupsOf lists the groups a user is in after the given name; limit 0 means
// all.
func (tx *Tx) GroupsOf(account, user, after string, limit int) ([]Group, error) {
	q := newQuery("SELECT "+groupColumns+" FROM iam_group_member m JOIN iam_group g ON g.account = m.account AND g.name = m.group_name WHERE ").
		add("m.account = ? AND m.user_name = ? AND m.group_name > ? ORDER BY m.group_name", account, user, after)
	return all(tx, scanGroup, q.limit(limit))
}
