package access

import (
	"strconv"
	"strings"
	"time"

	"packhouse/internal/arn"
	"packhouse/internal/artifact"
	"packhouse/internal/policy"
)

// Need is one permission that something asks for. The constructors know the
// rules of ownership (specification 6.3) and which policies apply (6.1); make
// Needs by hand only for what they do not cover. A Need may be kept and used
// for many callers, at the same time too.
type Need struct {
	Action   string // "codeartifact:ReadFromRepository"
	Resource string // ARN; "*" for actions without a resource

	// Alternative is a second ARN on which the action may be allowed instead.
	// A deny on either counts.
	Alternative string

	// Owner is the account that owns the resource. Empty: the caller's own.
	Owner string
	// Governor is a second account that counts as owner when it calls: the
	// domain's, for describing, listing, deleting and tagging what others
	// administer in it. Usually empty.
	Governor string

	// Policies are the ARNs of the domains and repositories whose resource
	// policies apply.
	Policies []string
	// TagsOf is the ARN whose tags are the resource's (aws:ResourceTag); a
	// package has those of its repository. Empty: no tags.
	TagsOf string
	// WithoutResourcePolicy leaves resource policies out, their denies too.
	WithoutResourcePolicy bool

	// Trust is the trust policy of the role that Resource names, when the action
	// is to assume it. There are no other resource policies then.
	Trust *policy.Document

	// Context holds further condition keys, in any case: aws:RequestTag/KEY,
	// aws:TagKeys, sts:DurationSeconds.
	Context map[string][]string
}

// Actions that rules here speak of.
const (
	actionPrefix      = "codeartifact:"
	createRepository  = actionPrefix + "CreateRepository"
	getToken          = actionPrefix + "GetAuthorizationToken"
	bearerAction      = "sts:GetServiceBearerToken" //nolint:gosec // the name of an action
	serviceNameKey    = "sts:awsservicename"
	bearerServiceName = "codeartifact.amazonaws.com"
)

// Domain is a permission on a domain; action in full ("codeartifact:...").
// For CreateDomain and ListDomains too, owner being the caller's account.
func Domain(action, region, owner, domain string) Need {
	name := arn.Domain(region, owner, domain).String()
	return Need{
		Action: action, Resource: name, Owner: owner, Policies: []string{name}, TagsOf: name,
		WithoutResourcePolicy: ignoresResourcePolicy(action),
	}
}

// Repository is a permission on a repository; administrator is the account
// that created it.
func Repository(action, region string, id artifact.RepositoryID, administrator string) Need {
	name := arn.Repository(region, id.Owner, id.Domain, id.Name).String()
	need := Need{
		Action: action, Resource: name, Owner: administrator, Policies: []string{name}, TagsOf: name,
		WithoutResourcePolicy: ignoresResourcePolicy(action),
	}
	if administrator != id.Owner && governed(action) {
		need.Governor = id.Owner
	}
	if tagging(action) { // a domain policy that grants tagging covers the domain's repositories
		need.Policies = append(need.Policies, arn.Domain(region, id.Owner, id.Domain).String())
	}
	return need
}

// Package is a permission on a package, whose coordinates are normalised. The
// policy and the tags are those of its repository.
func Package(action, region string, id artifact.RepositoryID, administrator string, c artifact.Coordinates) Need {
	need := Repository(action, region, id, administrator)
	need.Resource = arn.Package(region, id.Owner, id.Domain, id.Name, string(c.Format), c.Namespace, c.Name).String()
	return need
}

// NewRepository is the permission to create a repository: asked on the domain,
// under the domain's policy, or granted on the repository to be (6.2).
func NewRepository(region string, id artifact.RepositoryID) Need {
	need := Domain(createRepository, region, id.Owner, id.Domain)
	need.Alternative = arn.Repository(region, id.Owner, id.Domain, id.Name).String()
	return need
}

// AuthorizationToken is what it takes to get a token for a domain. requested
// is the duration asked for, before any default: 0 stays 0 (section 5).
func AuthorizationToken(region, owner, domain string, requested time.Duration) []Need {
	return []Need{Domain(getToken, region, owner, domain), bearerToken(requested)}
}

func bearerToken(requested time.Duration) Need {
	return Need{
		Action: bearerAction, Resource: "*", WithoutResourcePolicy: true,
		Context: map[string][]string{
			serviceNameKey:        {bearerServiceName},
			"sts:durationseconds": {strconv.FormatInt(int64(requested/time.Second), 10)},
		},
	}
}

// Everything is a permission that names no resource.
func Everything(action string) Need {
	return Need{Action: action, Resource: "*", WithoutResourcePolicy: true}
}

// AssumeRole is the permission to have a session of a role. action is
// "sts:AssumeRole" or what comes along with it, such as "sts:TagSession";
// account is the role's, and id its unique id.
func AssumeRole(action, account, role, id string, trust *policy.Document, keys map[string][]string) Need {
	return Need{Action: action, Resource: role, Owner: account, TagsOf: id, Trust: trust, WithoutResourcePolicy: true, Context: keys}
}

// governed tells whether the owner of the domain may do this to repositories
// that other accounts administer in it (6.3).
func governed(action string) bool {
	name := strings.TrimPrefix(action, actionPrefix)
	switch name {
	case "GetRepositoryPermissionsPolicy", "DeleteRepositoryPermissionsPolicy":
		return true
	}
	for _, prefix := range [...]string{"Describe", "List", "Delete", "Tag", "Untag"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func tagging(action string) bool {
	return action == actionPrefix+"TagResource" || action == actionPrefix+"UntagResource"
}

// ignoresResourcePolicy tells whether the owner must not be able to lock
// itself out of the action (6.2).
func ignoresResourcePolicy(action string) bool {
	return action == actionPrefix+"PutDomainPermissionsPolicy" || action == actionPrefix+"PutRepositoryPermissionsPolicy"
}
