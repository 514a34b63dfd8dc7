package catalog

import "packhouse/internal/fault"

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
	PolicyName    string // of a managed one its ARN, whatever PutIdentityPolicy is given
	Document      string // JSON; empty when managed
	ManagedARN    string // empty when inline
}

// PutIdentityPolicy attaches a policy or replaces the one of that name.
func (tx *Tx) PutIdentityPolicy(p IdentityPolicy) error {
	if p.ManagedARN != "" {
		p.PolicyName = p.ManagedARN
	}
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

// IdentityPolicy finds one policy of a principal; NotFound without it.
func (tx *Tx) IdentityPolicy(account, kind, name, policyName string) (IdentityPolicy, error) {
	return first(tx, scanIdentityPolicy, fault.New(fault.NotFound, "The %s policy with name %s cannot be found.", kind, policyName),
		"SELECT "+identityPolicyColumns+" FROM identity_policy WHERE account = $1 AND principal_kind = $2 AND principal_name = $3 AND policy_name = $4",
		account, kind, name, policyName)
}

// DeleteIdentityPolicy detaches a policy; NotFound without it.
func (tx *Tx) DeleteIdentityPolicy(account, kind, name, policyName string) error {
	n, err := tx.exec(`DELETE FROM identity_policy
		WHERE account = $1 AND principal_kind = $2 AND principal_name = $3 AND policy_name = $4`, account, kind, name, policyName)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "The %s policy with name %s cannot be found.", kind, policyName)
	}
	tx.configChanged()
	return err
}

// policiesGone is a Conflict while a principal has policies.
func (tx *Tx) policiesGone(account, kind, name string) error {
	const rows = "identity_policy WHERE account = $1 AND principal_kind = $2 AND principal_name = $3 AND managed_arn "
	if err := tx.inUse(rows+"<> ''", "must detach all policies first", account, kind, name); err != nil {
		return err
	}
	return tx.inUse(rows+"= ''", "must delete policies first", account, kind, name)
}

func renamePolicies(account, kind, name, newName string) statement {
	return statement{
		"UPDATE identity_policy SET principal_name = $4 WHERE account = $1 AND principal_kind = $2 AND principal_name = $3",
		[]any{account, kind, name, newName},
	}
}
