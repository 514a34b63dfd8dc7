package sigv4

import (
	"fmt"

	"packhouse/internal/fault"
)

// The codes a failed signature answers with, in the words of the REST-JSON
// services (AWS "Common errors"; reference section 3.1).
const (
	CodeMissing    = "MissingAuthenticationToken"  // nothing is signed
	CodeIncomplete = "IncompleteSignature"         // the Authorization header cannot be read or leaves out something required
	CodeUnknown    = "UnrecognizedClientException" // no such access key, or a session token that is not its own
	CodeInvalid    = "InvalidSignatureException"   // the signature, its scope, its time or its payload hash is wrong
	CodeExpired    = "ExpiredTokenException"       // the temporary credentials are over
)

// Error is a failed authentication with the code AWS clients look at. Its
// chain holds a fault.Error of kind Unauthenticated with the same message.
type Error struct {
	Code    string // one of the Code constants
	Message string // safe to show
}

// Error is the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap classifies the error.
func (e *Error) Unwrap() error {
	return &fault.Error{Kind: fault.Unauthenticated, Message: e.Message}
}

// QueryCode is the code in the words of the AWS Query services (IAM, STS).
func (e *Error) QueryCode() string {
	switch e.Code {
	case CodeUnknown:
		return "InvalidClientTokenId"
	case CodeInvalid:
		return "SignatureDoesNotMatch"
	case CodeExpired:
		return "ExpiredToken"
	default:
		return e.Code
	}
}

// UnknownKey is the answer to an access key nobody has, and to a session
// token that does not belong to the key: the two are not told apart.
func UnknownKey() error {
	return &Error{Code: CodeUnknown, Message: "The security token included in the request is invalid."}
}

// ExpiredToken is the answer to temporary credentials after their end.
func ExpiredToken() error {
	return &Error{Code: CodeExpired, Message: "The security token included in the request is expired"}
}

func mismatch() error {
	return &Error{Code: CodeInvalid, Message: "The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
}

func invalid(format string, args ...any) error {
	return &Error{Code: CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

func incomplete(format string, args ...any) error {
	return &Error{Code: CodeIncomplete, Message: fmt.Sprintf(format, args...)}
}
