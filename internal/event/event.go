// Package event is what leaves the house when a package version changes: the
// EventBridge envelope of specification section 12.1, what a target makes of
// it, and the port that takes it away (Sink; event/webhook and event/log).
//
// An event is delivered at least once and in no order: receivers leave out what
// they have had, by the message's ID or the event's eventDeduplicationId, and
// order the events of a package by sequenceNumber.
package event

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"packhouse/internal/arn"
	"packhouse/internal/artifact"
)

// The constants of every envelope.
const (
	Source     = "aws.codeartifact"
	DetailType = "CodeArtifact Package Version State Change"
)

// Envelope is an event as an account receives it. Its JSON has the members in
// this order.
type Envelope struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"` // of this event for this account; a UUID
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"` // that receives it
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"` // the package's ARN
	Detail     Detail   `json:"detail"`
}

// Detail is what happened to which package version.
type Detail struct {
	DomainName              string  `json:"domainName"`
	DomainOwner             string  `json:"domainOwner"`
	RepositoryName          string  `json:"repositoryName"`
	RepositoryAdministrator string  `json:"repositoryAdministrator"`
	PackageFormat           string  `json:"packageFormat"`
	PackageNamespace        *string `json:"packageNamespace"` // null when there is none
	PackageName             string  `json:"packageName"`
	PackageVersion          string  `json:"packageVersion"`
	PackageVersionState     string  `json:"packageVersionState"`
	PackageVersionRevision  string  `json:"packageVersionRevision"`
	Changes                 Changes `json:"changes"`
	OperationType           string  `json:"operationType"`
	SequenceNumber          int64   `json:"sequenceNumber"`
	EventDeduplicationID    string  `json:"eventDeduplicationId"`
}

// Changes counts what changed.
type Changes struct {
	AssetsAdded     int  `json:"assetsAdded"`
	AssetsRemoved   int  `json:"assetsRemoved"`
	AssetsUpdated   int  `json:"assetsUpdated"`
	MetadataUpdated bool `json:"metadataUpdated"`
	StatusChanged   bool `json:"statusChanged"`
}

// Occurrence is what is known of an event besides what it says.
type Occurrence struct {
	ID       string // unique; the ids of the envelopes are made from it
	At       time.Time
	Sequence int64
	Region   string
	Account  string // that receives the envelope
}

// New makes the envelope of an event for one account. The same arguments make
// the same envelope.
func New(e artifact.Event, o Occurrence) Envelope {
	c := e.Coordinates
	var namespace *string
	if c.Namespace != "" {
		namespace = &c.Namespace
	}
	dedupe := sha256.Sum256([]byte(o.ID))
	return Envelope{
		Version: "0", ID: uuidOf(o.ID + "/" + o.Account), DetailType: DetailType, Source: Source,
		Account: o.Account, Time: o.At.UTC().Format("2006-01-02T15:04:05Z"), Region: o.Region,
		Resources: []string{arn.Package(o.Region, e.Owner, e.Domain, e.Repository, string(c.Format), c.Namespace, c.Name).String()},
		Detail: Detail{
			DomainName: e.Domain, DomainOwner: e.Owner, RepositoryName: e.Repository, RepositoryAdministrator: e.Administrator,
			PackageFormat: string(c.Format), PackageNamespace: namespace, PackageName: c.Name,
			PackageVersion: e.Version, PackageVersionState: string(e.Status), PackageVersionRevision: e.Revision,
			Changes: Changes{
				AssetsAdded: e.AssetsAdded, AssetsRemoved: e.AssetsRemoved, AssetsUpdated: e.AssetsUpdated,
				MetadataUpdated: e.Metadata, StatusChanged: e.StatusChanged,
			},
			OperationType: e.Operation, SequenceNumber: o.Sequence,
			EventDeduplicationID: base64.StdEncoding.EncodeToString(dedupe[:]),
		},
	}
}

// uuidOf makes a UUID of version 8 (RFC 9562) from a text.
func uuidOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// JSON is the envelope as it is sent.
func (e Envelope) JSON() ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write event %s: %w", e.ID, err)
	}
	return text, nil
}

// Receivers are the accounts an event goes to: the domain's owner and the
// repository's administrator, once if that is the same.
func Receivers(e artifact.Event) []string {
	if e.Administrator == "" || e.Administrator == e.Owner {
		return []string{e.Owner}
	}
	return []string{e.Owner, e.Administrator}
}

// Message is an event on its way to one target.
type Message struct {
	ID   string // the same whenever it is delivered again
	Body []byte // JSON, unless the target asks for something else
}

// Sink takes messages to one target. It is used by many goroutines at once.
type Sink interface {
	// Deliver returns nil when the target has the message. It may have it also
	// when there is an error, and is then given it again. An error of kind
	// fault.Invalid says that to try again is of no use; the RetryAfter of a
	// *fault.Error is how long the target wants to be left alone.
	Deliver(ctx context.Context, m Message) error
}
