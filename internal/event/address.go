package event

import (
	"crypto/rand"
	"net/url"
	"strings"

	"packhouse/internal/arn"
	"packhouse/internal/fault"
)

// The target ARNs that EventBridge does not have.
const (
	// WebhookPrefix stands before the URL of a webhook: the ARN of
	// https://ci.example.test/hook is
	// arn:aws:packhouse:::webhook/https://ci.example.test/hook.
	WebhookPrefix = "arn:aws:packhouse:::webhook/"
	// LogARN is the log of the account's events in the server's data folder.
	LogARN = "arn:aws:packhouse:::log"
)

// Address is where a target ARN leads. One of its fields is set.
type Address struct {
	URL         string // of a webhook
	Destination Name   // of an API destination
	Log         bool
}

// Name is what ARNs of connections and API destinations end in: a name and the
// id of the one that has it.
type Name struct{ Name, ID string }

// Parts of the ARNs of EventBridge.
const (
	service         = "events"
	kindRule        = "rule"
	kindDestination = "api-destination"
	kindConnection  = "connection"
)

// ParseTarget reads the ARN of a target of a rule in a region and account.
// Errors are fault.Invalid.
func ParseTarget(target, region, account string) (Address, error) {
	if target == LogARN {
		return Address{Log: true}, nil
	}
	if address, ok := strings.CutPrefix(target, WebhookPrefix); ok {
		return Address{URL: address}, CheckURL(address)
	}
	n, ok := parse(target, region, account, kindDestination)
	if !ok {
		return Address{}, fault.New(fault.Invalid, "%s is not a target here: want the ARN of an api-destination of this account and region, %sURL or %s", target, WebhookPrefix, LogARN)
	}
	return Address{Destination: n}, nil
}

// CheckURL tells whether events can be sent to an address. Errors are
// fault.Invalid.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return fault.New(fault.Invalid, "the address of a target must be an https or http URL")
	case u.User != nil:
		return fault.New(fault.Invalid, "the address of a target must not hold a user or password: use an api-destination with a connection")
	case u.Fragment != "":
		return fault.New(fault.Invalid, "the address of a target must not have a fragment")
	}
	return nil
}

// RuleARN names a rule of the default event bus.
func RuleARN(region, account, name string) string { return format(region, account, kindRule+"/"+name) }

// DestinationARN names an API destination; with an empty id, all of that name.
func DestinationARN(region, account string, n Name) string {
	return format(region, account, n.resource(kindDestination))
}

// ConnectionARN names a connection; with an empty id, all of that name.
func ConnectionARN(region, account string, n Name) string {
	return format(region, account, n.resource(kindConnection))
}

// ParseConnection reads the ARN of a connection.
func ParseConnection(text, region, account string) (n Name, ok bool) {
	return parse(text, region, account, kindConnection)
}

func (n Name) resource(kind string) string {
	if n.ID == "" {
		return kind + "/" + n.Name
	}
	return kind + "/" + n.Name + "/" + n.ID
}

func format(region, account, resource string) string {
	return arn.ARN{Partition: arn.Partition, Service: service, Region: region, Account: account, Resource: resource}.String()
}

func parse(text, region, account, kind string) (n Name, ok bool) {
	rest, ok := strings.CutPrefix(text, format(region, account, kind+"/"))
	if !ok {
		return Name{}, false
	}
	n.Name, n.ID, ok = strings.Cut(rest, "/")
	return n, ok && n.Name != "" && n.ID != "" && !strings.Contains(n.ID, "/")
}

// NewID makes an id for a Name.
func NewID() string { return uuidOf(rand.Text()) }

// BusARN names an event bus.
func BusARN(region, account, name string) string {
	return format(region, account, "event-bus/"+name)
}

// SigningARN names the secrets that an account's messages are signed with.
func SigningARN(region, account string) string { return format(region, account, "signing-secret") }
