package identity

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/sigv4"
)

// accessKey is a key with its user, as of one generation.
type accessKey struct {
	secret  catalog.Secret
	active  bool
	subject *Subject
}

// AuthenticateAPI tells who signed a request to the AWS API and gives its body
// as far as it can be trusted (see sigv4.Open, which p is for). services are
// those the request may be scoped to. Errors are *sigv4.Error, whose code AWS
// clients know, or fault.TooLarge or fault.Invalid for the body.
func (s *Service) AuthenticateAPI(r *http.Request, p sigv4.Payload, services ...string) (Caller, io.Reader, error) {
	cred, err := sigv4.Parse(r)
	if err != nil {
		return Caller{}, nil, err
	}
	if !slices.Contains(services, cred.Service) {
		return Caller{}, nil, badScope("Credential should be scoped to correct service: '%s'.", strings.Join(services, "' or '"))
	}
	if cred.Region != s.region && (cred.Region != defaultRegion || !isGlobal(cred.Service)) {
		return Caller{}, nil, badScope("Credential should be scoped to a valid region, not '%s'; this endpoint is '%s'.", cred.Region, s.region)
	}
	var key accessKey
	if cred.SecurityToken == "" {
		key, err = s.accessKey(r.Context(), cred.AccessKeyID)
	} else {
		key, err = s.sessionKey(r.Context(), cred.AccessKeyID, cred.SecurityToken)
	}
	switch {
	case fault.Is(err, fault.NotFound):
		return Caller{}, nil, sigv4.UnknownKey()
	case err != nil:
		return Caller{}, nil, fmt.Errorf("look up the access key: %w", err)
	case !key.active:
		return Caller{}, nil, sigv4.UnknownKey()
	}
	now := s.now()
	body, err := sigv4.Open(r, cred, string(key.secret), p, now)
	if err != nil {
		return Caller{}, nil, err
	}
	return s.caller(key.subject, r, now), body, nil
}

// Authenticator is AuthenticateAPI in the form restjson.Config takes it; the
// principal is a Caller.
func (s *Service) Authenticator(services ...string) func(r *http.Request, limit int64, streaming bool) (principal any, body io.Reader, err error) {
	return func(r *http.Request, limit int64, streaming bool) (any, io.Reader, error) {
		caller, body, err := s.AuthenticateAPI(r, sigv4.Payload{Limit: limit, Streaming: streaming}, services...)
		if err != nil {
			return nil, nil, err
		}
		return caller, body, nil
	}
}

// isGlobal tells whether clients of every region sign for defaultRegion: those
// of IAM always, those of STS by an old setting.
func isGlobal(service string) bool { return service == "iam" || service == "sts" }

func badScope(format string, args ...any) error {
	return &sigv4.Error{Code: sigv4.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

func (s *Service) accessKey(ctx context.Context, id string) (accessKey, error) {
	return s.keys.Get(ctx, s.db, id, func(tx *catalog.Tx) (accessKey, error) {
		k, err := tx.AccessKey(id)
		if err != nil {
			return accessKey{}, err
		}
		u, err := tx.User(k.Account, k.UserName)
		if err != nil {
			return accessKey{}, err
		}
		return accessKey{
			secret: k.Secret, active: k.Status == catalog.KeyActive,
			subject: &Subject{Principal: userPrincipal(u), AccessKeyID: k.ID},
		}, nil
	})
}
