package identity

import (
	"encoding/base64"
	"strings"

	"packhouse/internal/fault"
)

// maxHeader is the longest Authorization header that is looked at, in bytes.
// Our tokens are under 1 KB, in base64 once more a third longer.
const maxHeader = 4096

// presented is the token in an Authorization header: behind Bearer, as the
// password of Basic with any user, or bare as cargo sends it (specification
// section 5). Errors are fault.Unauthenticated.
func presented(header string) (string, error) {
	if len(header) > maxHeader {
		return "", refused("the Authorization header is longer than %d bytes", maxHeader)
	}
	header = strings.TrimSpace(header)
	scheme, rest, hasScheme := strings.Cut(header, " ")
	var token string
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		token = rest
	case strings.EqualFold(scheme, "Basic"):
		userinfo, err := decodeBase64(strings.TrimSpace(rest))
		if err != nil {
			return "", refused("the Basic credentials are not base64")
		}
		_, password, ok := strings.Cut(userinfo, ":")
		if !ok {
			return "", refused("the Basic credentials have no password")
		}
		token = password
	case hasScheme:
		return "", refused("the Authorization header has a scheme that is not Bearer or Basic")
	default:
		token = header
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return "", refused("the token is empty; is the variable that should hold it set?")
	}
	return token, nil
}

// decodeBase64 takes padding or leaves it.
func decodeBase64(s string) (string, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	return string(b), err
}

const loginAgain = `; run "packhouse login" again`

// refused is an answer to credentials that are no good.
func refused(format string, args ...any) error {
	return fault.New(fault.Unauthenticated, format+loginAgain, args...)
}
