package audit

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
)

// Sources of events, as CloudTrail names them.
const (
	CodeArtifact = "codeartifact.amazonaws.com"
	IAM          = "iam.amazonaws.com"
	STS          = "sts.amazonaws.com"
)

// ID names a request: a UUID.
type ID [16]byte

// String is the ID as clients are shown it: lower-case hex in five groups.
func (id ID) String() string {
	var text [36]byte
	at := 0
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		hex.Encode(text[at:], []byte{b})
		at += 2
	}
	return string(text[:])
}

// ParseID reads what String writes; ok is false for anything else.
func ParseID(text string) (id ID, ok bool) {
	if len(text) != 36 {
		return id, false
	}
	at := 0
	for i := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			if text[at] != '-' {
				return id, false
			}
			at++
		}
		if _, err := hex.Decode(id[i:i+1], []byte(text[at:at+2])); err != nil {
			return id, false
		}
		at += 2
	}
	return id, true
}

func newNode() string { return rand.Text()[:16] }

// Entry is one answered request. Nothing in it may be secret.
type Entry struct {
	// What the outermost handler knows of every request.
	ID     ID
	Time   time.Time // when it was answered
	Method string
	Status int
	Client netip.Addr
	Agent  string

	// What only those know who answer. Without an Event nothing is recorded.
	Source   string
	Event    string // the operation; or ReadFromRepository, PublishPackageVersion, ...
	ReadOnly bool
	Subject  *identity.Subject // nil: anonymous, or refused
	// Owner and Domain are the domain it was about; Administrator the account
	// of the repository, or of the role that is to be assumed, where known.
	Owner, Domain, Repository, Administrator string
	Package                                  artifact.Coordinates // Name may be empty
	Version                                  string
	Versions                                 []string // further ones
	Path                                     string   // of a package request, below the repository
	Parameters                               string   // JSON of the input of an API call, from Redact
	Response                                 string   // JSON of the output of a call that changes something, from Redact
	Code, Message                            string   // of the failure

	// Witnessed says that Witness has kept a record of it in the database.
	Witnessed bool
}

// About sets the domain and repository. Names that cannot exist, which anybody
// may write into a path, are left out.
func (e *Entry) About(id artifact.RepositoryID) {
	if len(id.Owner) == accountDigits && len(id.Domain) <= maxDomain {
		e.Owner, e.Domain = id.Owner, id.Domain
		if len(id.Name) <= maxRepository {
			e.Repository = id.Name
		}
	}
}

const (
	accountDigits = 12
	maxDomain     = 50
	maxRepository = 100
)

// long tells whether a text that clients choose is longer than it is stored.
func (e *Entry) long() bool {
	return len(e.Agent) > maxAgent || len(e.Path) > maxPath || len(e.Package.Namespace) > maxName || len(e.Package.Name) > maxName ||
		len(e.Version) > maxName || len(e.Message) > maxMessage || len(e.Parameters) > maxJSON || len(e.Response) > maxJSON
}

// clipped is the entry with no such text: tables keep no more than is stored.
func (e *Entry) clipped() *Entry {
	c := *e
	for _, m := range [...]struct {
		text  *string
		limit int
	}{
		{&c.Agent, maxAgent},
		{&c.Path, maxPath},
		{&c.Package.Namespace, maxName},
		{&c.Package.Name, maxName},
		{&c.Version, maxName},
		{&c.Message, maxMessage},
		{&c.Parameters, maxJSON},
		{&c.Response, maxJSON},
	} {
		*m.text = (*m.text)[:min(len(*m.text), m.limit)]
	}
	return &c
}

// Failed sets the error code and message. Of what is merely not there, which
// clients ask for all day, the code is enough.
func (e *Entry) Failed(err error) {
	if err == nil {
		return
	}
	kind := fault.Of(err)
	e.Code = codes[kind]
	if kind != fault.NotFound && kind != fault.Internal {
		e.Message = fault.Message(err)
	}
}

// Error codes of records, by kind. CloudTrail has AccessDenied where clients
// are told AccessDeniedException.
const (
	AccessDenied    = "AccessDenied"
	Unauthenticated = "Unauthenticated"
)

var codes = [...]string{
	fault.Internal: "InternalServerException", fault.Invalid: "ValidationException", fault.NotFound: "ResourceNotFoundException",
	fault.Conflict: "ConflictException", fault.Denied: AccessDenied, fault.Unauthenticated: Unauthenticated,
	fault.Quota: "ServiceQuotaExceededException", fault.Throttled: "ThrottlingException", fault.Upstream: "InternalServerException",
	fault.Unavailable: "ServiceUnavailableException", fault.TooLarge: "ValidationException",
}
