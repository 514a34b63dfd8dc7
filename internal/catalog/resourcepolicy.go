package catalog

import "packhouse/internal/fault"

// ResourcePolicy is the permissions policy of a domain or a repository.
type ResourcePolicy struct {
	ResourceARN string
	Kind        string // the ResourceType: domain or repository
	Document    string // JSON
	Revision    string // changes with every Put
}

func policyMissing(kind, arn string) error {
	return fault.About(fault.NotFound, kind, arn, "no permissions policy on "+arn)
}

func policyMoved(kind, arn string) error {
	return fault.About(fault.Conflict, kind, arn, "the policy revision does not match the current one")
}

func scanResourcePolicy(scan func(...any) error) (p ResourcePolicy, err error) {
	err = scan(&p.ResourceARN, &p.Kind, &p.Document, &p.Revision)
	return p, err
}

// ResourcePolicy finds the policy of a resource; NotFound when it has none.
// kind is the ResourceType to name in the error.
func (tx *Tx) ResourcePolicy(kind, arn string) (ResourcePolicy, error) {
	return first(tx, scanResourcePolicy, policyMissing(kind, arn),
		"SELECT resource_arn, kind, document, revision FROM resource_policy WHERE resource_arn = $1", arn)
}

// PutResourcePolicy stores a policy under a new revision and returns it.
// p.Revision is the revision the caller saw: another current one is a Conflict;
// empty replaces whatever is there.
func (tx *Tx) PutResourcePolicy(p ResourcePolicy) (ResourcePolicy, error) {
	if p.Revision != "" {
		switch now, err := tx.ResourcePolicy(p.Kind, p.ResourceARN); {
		case fault.Is(err, fault.NotFound), err == nil && now.Revision != p.Revision:
			return ResourcePolicy{}, policyMoved(p.Kind, p.ResourceARN)
		case err != nil:
			return ResourcePolicy{}, err
		}
	}
	p.Revision = tx.NewID()
	_, err := tx.exec(`INSERT INTO resource_policy (resource_arn, kind, document, revision) VALUES ($1, $2, $3, $4)
		ON CONFLICT (resource_arn) DO UPDATE SET kind = excluded.kind, document = excluded.document, revision = excluded.revision`,
		p.ResourceARN, p.Kind, p.Document, p.Revision)
	tx.configChanged()
	return p, err
}

// DeleteResourcePolicy removes a policy and returns it. A revision that is not
// empty must be the current one, else Conflict. NotFound without a policy.
func (tx *Tx) DeleteResourcePolicy(kind, arn, revision string) (ResourcePolicy, error) {
	p, err := tx.ResourcePolicy(kind, arn)
	if err != nil {
		return ResourcePolicy{}, err
	}
	if revision != "" && revision != p.Revision {
		return ResourcePolicy{}, policyMoved(kind, arn)
	}
	_, err = tx.exec("DELETE FROM resource_policy WHERE resource_arn = $1", arn)
	tx.configChanged()
	return p, err
}
