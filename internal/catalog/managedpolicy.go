package catalog

import (
	"time"

	"packhouse/internal/fault"
)

// ManagedPolicy is a customer managed policy: a document in versions that can
// be attached to users, groups and roles of its account.
type ManagedPolicy struct {
	ARN            string
	Account        string
	Name           string
	Path           string // starts and ends with a slash
	ID             string // ANPA...
	Description    string
	DefaultVersion int64 // the one in effect
	LastVersion    int64 // numbers are not given twice
	Created        time.Time
	Updated        time.Time
}

// PolicyVersion is one version of a managed policy.
type PolicyVersion struct {
	PolicyARN string
	Number    int64 // 1 is "v1"
	Document  string
	Created   time.Time
}

// PolicyUse counts where a managed policy is in use.
type PolicyUse struct {
	Attached int64 // to users, groups and roles
	Boundary int64 // as permissions boundary of users and roles
}

func policyGone(arn string) error {
	return fault.New(fault.NotFound, "Policy %s was not found.", arn)
}

// InsertManagedPolicy adds a policy with its first version; Conflict when the
// account has one of that name, in whatever case and path.
func (tx *Tx) InsertManagedPolicy(p ManagedPolicy, document string) error {
	n, err := tx.exec(`INSERT INTO iam_policy (arn, account, name, path, id, description, default_version, last_version, created, updated)
		VALUES ($1, $2, $3, $4, $5, $6, 1, 1, $7, $7) ON CONFLICT DO NOTHING`,
		p.ARN, p.Account, p.Name, p.Path, p.ID, p.Description, micros(p.Created))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "A policy called %s already exists. Duplicate names are not allowed.", p.Name)
	}
	if err != nil {
		return err
	}
	tx.configChanged()
	return tx.insertPolicyVersion(PolicyVersion{PolicyARN: p.ARN, Number: 1, Document: document, Created: p.Created})
}

func (tx *Tx) insertPolicyVersion(v PolicyVersion) error {
	_, err := tx.exec("INSERT INTO iam_policy_version (policy_arn, number, document, created) VALUES ($1, $2, $3, $4)",
		v.PolicyARN, v.Number, v.Document, micros(v.Created))
	return err
}

const managedPolicyColumns = "arn, account, name, path, id, description, default_version, last_version, created, updated"

func scanManagedPolicy(scan func(...any) error) (p ManagedPolicy, err error) {
	var created, updated int64
	err = scan(&p.ARN, &p.Account, &p.Name, &p.Path, &p.ID, &p.Description, &p.DefaultVersion, &p.LastVersion, &created, &updated)
	p.Created, p.Updated = fromMicros(created), fromMicros(updated)
	return p, err
}

// ManagedPolicy finds a policy by its ARN; NotFound when there is none.
func (tx *Tx) ManagedPolicy(arn string) (ManagedPolicy, error) {
	return first(tx, scanManagedPolicy, policyGone(arn), "SELECT "+managedPolicyColumns+" FROM iam_policy WHERE arn = $1", arn)
}

// ManagedPolicies lists an account's policies by name.
func (tx *Tx) ManagedPolicies(account string) ([]ManagedPolicy, error) {
	return all(tx, scanManagedPolicy, newQuery("SELECT "+managedPolicyColumns+" FROM iam_policy WHERE ").add("account = ? ORDER BY name", account))
}

// AddPolicyVersion gives a policy a version, which counts from now on when
// makeDefault is set. NotFound without the policy.
func (tx *Tx) AddPolicyVersion(arn, document string, makeDefault bool) (PolicyVersion, error) {
	p, err := tx.ManagedPolicy(arn)
	if err != nil {
		return PolicyVersion{}, err
	}
	v := PolicyVersion{PolicyARN: arn, Number: p.LastVersion + 1, Document: document, Created: tx.Now()}
	p.LastVersion = v.Number
	if makeDefault {
		p.DefaultVersion = v.Number
	}
	if err := tx.insertPolicyVersion(v); err != nil {
		return PolicyVersion{}, err
	}
	return v, tx.updateManagedPolicy(p)
}

func (tx *Tx) updateManagedPolicy(p ManagedPolicy) error {
	_, err := tx.exec("UPDATE iam_policy SET default_version = $2, last_version = $3, updated = $4 WHERE arn = $1",
		p.ARN, p.DefaultVersion, p.LastVersion, tx.Now().UnixMicro())
	tx.configChanged()
	return err
}

const policyVersionColumns = "policy_arn, number, document, created"

func scanPolicyVersion(scan func(...any) error) (v PolicyVersion, err error) {
	var created int64
	err = scan(&v.PolicyARN, &v.Number, &v.Document, &created)
	v.Created = fromMicros(created)
	return v, err
}

// PolicyVersion finds a version; number 0 is the one in effect. NotFound
// without the policy or the version.
func (tx *Tx) PolicyVersion(arn string, number int64) (PolicyVersion, error) {
	if number == 0 {
		p, err := tx.ManagedPolicy(arn)
		if err != nil {
			return PolicyVersion{}, err
		}
		number = p.DefaultVersion
	}
	return first(tx, scanPolicyVersion, fault.New(fault.NotFound, "Policy %s version v%d does not exist or is not attachable.", arn, number),
		"SELECT "+policyVersionColumns+" FROM iam_policy_version WHERE policy_arn = $1 AND number = $2", arn, number)
}

// PolicyVersions lists the versions of a policy, newest first.
func (tx *Tx) PolicyVersions(arn string) ([]PolicyVersion, error) {
	return all(tx, scanPolicyVersion, newQuery("SELECT "+policyVersionColumns+" FROM iam_policy_version WHERE ").
		add("policy_arn = ? ORDER BY number DESC", arn))
}

// SetDefaultPolicyVersion makes a version the one in effect; NotFound without
// the policy or the version.
func (tx *Tx) SetDefaultPolicyVersion(arn string, number int64) error {
	p, err := tx.ManagedPolicy(arn)
	if err != nil {
		return err
	}
	if _, err := tx.PolicyVersion(arn, number); err != nil {
		return err
	}
	p.DefaultVersion = number
	return tx.updateManagedPolicy(p)
}

// DeletePolicyVersion removes a version; Conflict for the one in effect,
// NotFound without the policy or the version.
func (tx *Tx) DeletePolicyVersion(arn string, number int64) error {
	p, err := tx.ManagedPolicy(arn)
	if err != nil {
		return err
	}
	if _, err := tx.PolicyVersion(arn, number); err != nil {
		return err
	}
	if p.DefaultVersion == number {
		return fault.New(fault.Conflict, "Cannot delete the default version of a policy.")
	}
	_, err = tx.exec("DELETE FROM iam_policy_version WHERE policy_arn = $1 AND number = $2", arn, number)
	tx.configChanged()
	return err
}

// DeleteManagedPolicy removes a policy. As in IAM it is refused with Conflict
// while it is in use or has versions besides the one in effect. NotFound
// without the policy.
func (tx *Tx) DeleteManagedPolicy(arn string) error {
	p, err := tx.ManagedPolicy(arn)
	if err != nil {
		return err
	}
	use, err := tx.PolicyUse(p.Account, arn)
	if err != nil {
		return err
	}
	if use != (PolicyUse{}) {
		return fault.New(fault.Conflict, "Cannot delete a policy attached to entities.")
	}
	versions, err := tx.PolicyVersions(arn)
	if err != nil {
		return err
	}
	if len(versions) > 1 {
		return fault.New(fault.Conflict, "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	if err := tx.DeleteTags(p.ID); err != nil {
		return err
	}
	return tx.run(
		statement{"DELETE FROM iam_policy_version WHERE policy_arn = $1", []any{arn}},
		statement{"DELETE FROM iam_policy WHERE arn = $1", []any{arn}},
	)
}

// PolicyUse counts where an account uses a managed policy, its own or one of
// AWS.
func (tx *Tx) PolicyUse(account, arn string) (PolicyUse, error) {
	var u PolicyUse
	_, err := tx.one(`SELECT (SELECT count(*) FROM identity_policy WHERE account = $1 AND managed_arn = $2),
		(SELECT count(*) FROM iam_user WHERE account = $1 AND boundary = $2) + (SELECT count(*) FROM iam_role WHERE account = $1 AND boundary = $2)`,
		[]any{account, arn}, &u.Attached, &u.Boundary)
	return u, err
}

// PolicyUses counts where an account uses managed policies, by ARN.
func (tx *Tx) PolicyUses(account string) (map[string]PolicyUse, error) {
	uses := map[string]PolicyUse{}
	for _, c := range []struct {
		from  string
		count func(*PolicyUse, int64)
	}{
		{"identity_policy", func(u *PolicyUse, n int64) { u.Attached += n }},
		{"iam_user", func(u *PolicyUse, n int64) { u.Boundary += n }},
		{"iam_role", func(u *PolicyUse, n int64) { u.Boundary += n }},
	} {
		column := "boundary"
		if c.from == "identity_policy" {
			column = "managed_arn"
		}
		err := tx.each(func(scan func(...any) error) error {
			var arn string
			var n int64
			if err := scan(&arn, &n); err != nil {
				return err
			}
			u := uses[arn]
			c.count(&u, n)
			uses[arn] = u
			return nil
		}, "SELECT "+column+", count(*) FROM "+c.from+" WHERE account = $1 AND "+column+" > '' GROUP BY "+column, account)
		if err != nil {
			return nil, err
		}
	}
	return uses, nil
}
