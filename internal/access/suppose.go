package access

import (
	"context"
	"strings"

	"packhouse/internal/arn"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
)

// Supposed is a caller who has not called: the subject of an explanation.
type Supposed struct {
	Who      policy.Principal
	Policies []*policy.Document // of the session; nil: no limit
	Owner    string             // with Domain, the one domain of the token; empty: no token
	Domain   string
	Facts    func(*policy.Facts) // what is known of the request; nil: nothing
}

// Principal implements Caller.
func (s *Supposed) Principal() *policy.Principal { return &s.Who }

// Scope implements Caller.
func (s *Supposed) Scope() (owner, domain string, limited bool) {
	return s.Owner, s.Domain, s.Owner != ""
}

// Session implements Caller.
func (s *Supposed) Session() []*policy.Document { return s.Policies }

// Describe implements Caller.
func (s *Supposed) Describe(f *policy.Facts) {
	if s.Facts != nil {
		s.Facts(f)
	}
	f.Principal = s.Who
}

// supposedSession is the session name of a role that is named without one.
const supposedSession = "session"

// Anonymous names callers without credentials.
const Anonymous = "anonymous"

// Find gives the principal of a name: the ARN of a user, role, role session or
// root user, the plain name of a user of account, or Anonymous. Whoever is not
// there is fault.NotFound; what makes no requests, such as a group, is
// fault.Invalid.
func (c *Checker) Find(ctx context.Context, account, name string) (policy.Principal, error) {
	if name == Anonymous {
		return policy.Principal{}, nil
	}
	if !strings.HasPrefix(name, "arn:") {
		name = arn.User(account, "", name).String()
	}
	who, err := arn.Parse(name)
	if err != nil {
		return policy.Principal{}, err
	}
	var p policy.Principal
	err = c.db.View(ctx, func(tx *catalog.Tx) error {
		p, err = principalOf(tx, who)
		return err
	})
	return p, err
}

func principalOf(tx *catalog.Tx, who arn.ARN) (policy.Principal, error) {
	kind, rest, _ := strings.Cut(who.Resource, "/")
	switch who.Service + " " + kind {
	case "iam root":
		if rest == "" {
			return policy.Principal{Type: policy.Root, ARN: who.String(), Account: who.Account, UserID: who.Account}, nil
		}
	case "iam user":
		u, err := tx.User(who.Account, who.Name())
		name := arn.User(u.Account, u.Path, u.Name)
		if err := called(who, name, err); err != nil {
			return policy.Principal{}, err
		}
		return policy.Principal{Type: policy.User, ARN: name.String(), Account: u.Account, UserID: u.ID, UserName: u.Name}, nil
	case "iam role":
		r, err := tx.Role(who.Account, who.Name())
		if err := called(who, arn.Role(r.Account, r.Path, r.Name), err); err != nil {
			return policy.Principal{}, err
		}
		return sessionOf(tx, who.Account, who.Name(), supposedSession)
	case "sts assumed-role":
		if role, session, ok := strings.Cut(rest, "/"); ok && session != "" {
			return sessionOf(tx, who.Account, role, session)
		}
	}
	return policy.Principal{}, fault.New(fault.Invalid, "%s is neither a user nor a role, a session of one, or an account's root user", who)
}

// called makes sure that what was found is what was asked for: by its ARN, or
// by one without the path. Permission was given for the name as it was asked.
func called(who, found arn.ARN, err error) error {
	bare := found
	bare.Resource = found.Kind() + "/" + found.Name()
	if err == nil && who != found && who != bare {
		return fault.New(fault.NotFound, "%s cannot be found", who)
	}
	return err
}

func sessionOf(tx *catalog.Tx, account, role, session string) (policy.Principal, error) {
	r, err := tx.Role(account, role)
	if err != nil {
		return policy.Principal{}, err
	}
	return policy.Principal{
		Type: policy.AssumedRole, ARN: arn.AssumedRole(account, r.Name, session).String(), Account: account,
		UserID: r.ID + ":" + session, RoleARN: arn.Role(account, r.Path, r.Name).String(),
	}, nil
}

// Given is what a user, role or group is given, for simulations.
type Given struct {
	Identity []Policy
	Boundary []Policy // nil: none
	Groups   []string // ARNs
	Tags     map[string]string
}

// PoliciesOf gives the policies of a user with its groups, of a role, or of a
// group. Whoever is not there is fault.NotFound.
func (c *Checker) PoliciesOf(ctx context.Context, who arn.ARN) (Given, error) {
	kind, _, _ := strings.Cut(who.Resource, "/")
	s := &standing{}
	err := c.db.View(ctx, func(tx *catalog.Tx) error {
		switch kind {
		case "user":
			u, err := tx.User(who.Account, who.Name())
			if err = called(who, arn.User(u.Account, u.Path, u.Name), err); err == nil {
				s, err = userStanding(tx, who.Account, who.Name())
			}
			return err
		case "role":
			r, err := tx.Role(who.Account, who.Name())
			if err = called(who, arn.Role(r.Account, r.Path, r.Name), err); err == nil {
				s, err = roleStanding(tx, who.Account, who.Name())
			}
			return err
		case "group":
			g, err := tx.Group(who.Account, who.Name())
			if err = called(who, arn.Group(g.Account, g.Path, g.Name), err); err == nil {
				err = s.attach(tx, who.Account, catalog.PrincipalGroup, who.Name())
			}
			return err
		}
		return fault.New(fault.Invalid, "%s is neither a user nor a group or role", who)
	})
	if err != nil {
		return Given{}, err
	}
	g := Given{Groups: s.groups, Tags: s.tags}
	for i, d := range s.policies {
		g.Identity = append(g.Identity, Policy{s.sources[i], d})
	}
	if s.boundary != nil {
		g.Boundary = []Policy{{s.bound, s.boundary[0]}}
	}
	return g, nil
}

// Simulation is a question about policies that need not be those in effect.
// A nil Boundary is none, an empty one allows nothing.
type Simulation struct {
	Request                      policy.Request
	Identity, Boundary, Resource []Policy
}

// Simulate decides by the given policies alone.
func Simulate(s Simulation) Explanation {
	return trace(s.Request, [policy.Resource + 1][]Policy{
		policy.Identity: s.Identity, policy.Boundary: s.Boundary, policy.Resource: s.Resource,
	})
}
