package policy

import (
	"errors"
	"fmt"
	"strings"

	"packhouse/internal/fault"
)

// MaxResourcePolicy is the longest resource policy, in characters
// (specification 2.1, PolicyDocument).
const MaxResourcePolicy = 7168

// ValidateResourcePolicy checks what a policy on a domain or repository needs
// beyond Parse (specification 6.5): a principal in every statement, a
// resource, CodeArtifact actions alone, and a bounded size. Errors are
// fault.Invalid.
func ValidateResourcePolicy(d *Document) error {
	if d.size > MaxResourcePolicy {
		return fault.New(fault.Invalid, "policy document: longer than %d characters", MaxResourcePolicy)
	}
	return d.eachStatement(func(s *statement) error {
		if s.principals == nil {
			return errors.New("Principal: missing")
		}
		if !s.resources.present {
			return errors.New("Resource: missing")
		}
		for _, text := range s.actions.text {
			action := strings.ToLower(text)
			if !strings.HasPrefix(action, "codeartifact:") && action != "sts:getservicebearertoken" {
				return fmt.Errorf("%s: %q is not a codeartifact action", notIf(s.actions.negated, "Action"), text)
			}
		}
		return nil
	})
}

// ValidateIdentityPolicy checks what a policy of a user, group or role, a
// permissions boundary or a session policy needs beyond Parse: no principal, a
// resource, and a Sid of letters and digits. Errors are fault.Invalid.
func ValidateIdentityPolicy(d *Document) error {
	return d.eachStatement(func(s *statement) error {
		switch {
		case s.principals != nil:
			return fmt.Errorf("%s: not allowed in an identity policy", notIf(s.principals.negated, "Principal"))
		case !s.resources.present:
			return errors.New("Resource: missing")
		case strings.ContainsFunc(s.ref.Sid, notAlphanumeric):
			return errors.New("Sid: want letters and digits only")
		}
		return nil
	})
}

// ValidateTrustPolicy checks what the policy that says who may assume a role
// needs beyond Parse: principals, no resource, and STS actions alone. Errors
// are fault.Invalid.
func ValidateTrustPolicy(d *Document) error {
	return d.eachStatement(func(s *statement) error {
		switch {
		case s.principals == nil:
			return errors.New("Principal: missing")
		case s.principals.negated:
			return errors.New("NotPrincipal: not allowed in a trust policy")
		case s.resources.present:
			return fmt.Errorf("%s: not allowed in a trust policy", notIf(s.resources.negated, "Resource"))
		}
		for _, text := range s.actions.text {
			if len(text) < 4 || !strings.EqualFold(text[:4], "sts:") {
				return fmt.Errorf("%s: %q is not an sts action", notIf(s.actions.negated, "Action"), text)
			}
		}
		return nil
	})
}

func (d *Document) eachStatement(check func(*statement) error) error {
	for i := range d.statements {
		s := &d.statements[i]
		if err := check(s); err != nil {
			return fault.New(fault.Invalid, "policy document: %s: %v", s.ref.where(), err)
		}
	}
	return nil
}

func notAlphanumeric(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
}
