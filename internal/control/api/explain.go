package api

// ExplainAccessInput is what ExplainAccess takes; it is not an operation of AWS.
type ExplainAccessInput struct {
	// Principal is a user, a role, a session of one or a root user by ARN, a user
	// of the caller's account by name, or "anonymous". Left out: the caller,
	// with the session and token it has.
	Principal string `json:"principal" validate:"PrincipalName"`
	Action    string `json:"action" required:"true" validate:"ActionName"`
	Resource  string `json:"resource" required:"true" validate:"Arn"` // or "*"
	// Context gives condition keys values in place of those of this call.
	Context map[string][]string `json:"context" validate:"ContextMap"`
	// SessionPolicies limit the session of the principal; the caller's own are known.
	SessionPolicies []string `json:"sessionPolicies" validate:"SessionPolicies"`
	// TokenDomain is the domain that the principal's token is for.
	TokenDomain      string `json:"tokenDomain" validate:"DomainName"`
	TokenDomainOwner string `json:"tokenDomainOwner" validate:"AccountId"`
}

// ExplainAccessOutput is what ExplainAccess gives: a decision and its reasons.
type ExplainAccessOutput struct {
	Decision       string                `json:"decision"`          // allowed, explicitDeny or implicitDeny
	Message        string                `json:"message,omitempty"` // what the owner's people are told when denied
	DecidedBy      *DecidingStatement    `json:"decidedBy,omitzero"`
	Principal      *ExplainedPrincipal   `json:"principal,omitzero"`
	Action         string                `json:"action"`
	Resource       string                `json:"resource"`
	ResourceOwner  string                `json:"resourceOwner,omitempty"` // the account whose word counts
	Policies       []ExplainedPolicy     `json:"policies"`                // in order of evaluation
	Context        []ExplainedContextKey `json:"context"`                 // the condition keys that were asked for
	MissingContext []string              `json:"missingContext"`          // keys without a value that statements about the action ask for
	Notes          []string              `json:"notes"`
}

// ExplainedPrincipal is who was asked about.
type ExplainedPrincipal struct {
	ARN     string   `json:"arn,omitempty"`
	Type    string   `json:"type"` // as aws:PrincipalType
	Account string   `json:"account,omitempty"`
	Groups  []string `json:"groups,omitempty"`
}

// DecidingStatement is the one statement that decided.
type DecidingStatement struct {
	Policy string `json:"policy"` // in words
	Kind   string `json:"kind"`
	Sid    string `json:"sid,omitempty"`
	Index  int    `json:"index"` // counted from 0
	Line   int    `json:"line"`
}

// ExplainedPolicy is a policy that had a say.
type ExplainedPolicy struct {
	Kind       string               `json:"kind"` // identity-based policy, permissions boundary, session policy, resource-based policy
	Type       string               `json:"type"` // user, group, role: an inline policy; aws-managed, user-managed, resource, session
	Name       string               `json:"name,omitempty"`
	ARN        string               `json:"arn,omitempty"`        // of a managed policy, or of the resource
	AttachedTo string               `json:"attachedTo,omitempty"` // as in "group developers"
	Statements []ExplainedStatement `json:"statements"`
}

// ExplainedStatement is a statement with what became of it.
type ExplainedStatement struct {
	Sid     string `json:"sid,omitempty"`
	Index   int    `json:"index"`
	Line    int    `json:"line"`
	Effect  string `json:"effect"`
	Matched bool   `json:"matched"`
	Reason  string `json:"reason"`
}

// ExplainedContextKey is a condition key, in lower case, with its values.
type ExplainedContextKey struct {
	Key    string   `json:"key"`
	Values []string `json:"values"` // empty: it has none
}
