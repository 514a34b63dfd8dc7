// Package snsapi is the part of SNS that this house answers: topics,
// subscriptions of HTTP endpoints and email addresses, and messages to them.
//
// Topics belong to the caller's account; those of other accounts do not exist for
// it, since topics have no policies here.
//
// The surprise: there are two handlers. Links answers for the addresses in
// messages, which are followed without credentials and carry a token in their
// stead; it has operations of the same names.
package snsapi

import (
	"context"
	"net/http"

	"packhouse/internal/access"
	"packhouse/internal/awsquery"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
	"packhouse/internal/topic"
)

// Service is the name that requests are signed for.
const Service = topic.Service

const (
	namespace = "http://sns.amazonaws.com/doc/2010-03-31/"
	version   = "2010-03-31"
)

// API does the operations. It is safe for concurrent use.
type API struct {
	db     *catalog.DB
	house  *topic.House
	region string
	mail   bool
}

// Options are what the operations work with. All but Mail and HTTP are required.
type Options struct {
	DB       *catalog.DB
	Identity *identity.Service
	Checker  *access.Checker
	House    *topic.House
	Region   string
	Mail     bool            // there is a relay
	HTTP     restjson.Config // Authenticate, Authorize and Shapes are set here
}

// Table is the operations. It is for whoever wants to know what there is; they
// cannot be done.
func Table() awsquery.Service { return (&API{}).service() }

func (a *API) service() awsquery.Service {
	var rows []restjson.Row
	for _, list := range [][]restjson.Row{a.topicRows(), a.subscriptionRows(), a.publishRows(), a.tagRows()} {
		rows = append(rows, list...)
	}
	return awsquery.Service{Namespace: namespace, Version: version, Rows: rows, Codes: codes()}
}

func codes() awsquery.Codes {
	return awsquery.Codes{Kinds: map[fault.Kind]string{
		fault.Invalid: "InvalidParameter", fault.TooLarge: "InvalidParameter", fault.NotFound: "NotFound",
		fault.Denied: "AuthorizationError", fault.Quota: "TopicLimitExceeded", fault.Internal: "InternalError", fault.Throttled: "Throttled",
	}}
}

// New makes the handler of requests signed for Service, and that of links.
func New(o Options) (api, links http.Handler) {
	a := &API{db: o.DB, house: o.House, region: o.Region, mail: o.Mail}
	cfg := o.HTTP
	cfg.Authenticate = o.Identity.Authenticator(Service)
	cfg.Authorize = o.Checker.Authorize
	cfg.Shapes = shapes()
	return awsquery.NewHandler([]awsquery.Service{a.service()}, cfg),
		awsquery.NewHandler([]awsquery.Service{{Namespace: namespace, Version: version, Rows: a.linkRows(), Codes: codes()}}, cfg)
}

// input is what an operation takes.
type input[In any] interface {
	*In
	resource(region, account string) string // the ARN that permission is needed for
}

// op makes the row of an operation, which needs the permission of its name.
func op[In, Out any, P input[In]](a *API, name, doc string, do func(ctx context.Context, account string, in *In) (*Out, error)) restjson.Row {
	return restjson.New(restjson.Op[In, Out]{
		Name: name, Method: http.MethodPost, Path: "/", Doc: doc,
		Access: func(c *restjson.Call, in *In) []restjson.Need {
			needs := []restjson.Need{{Action: Service + ":" + name, Resource: P(in).resource(a.region, accountOf(c))}}
			if also, ok := any(in).(interface{ alsoNeeds() string }); ok && also.alsoNeeds() != "" {
				needs = append(needs, restjson.Need{Action: Service + ":" + also.alsoNeeds(), Resource: needs[0].Resource})
			}
			return needs
		},
		Do: func(ctx context.Context, c *restjson.Call, in *In) (*Out, error) { return do(ctx, accountOf(c), in) },
	})
}

// accountOf is the account of whoever calls.
func accountOf(c *restjson.Call) string {
	caller, _ := c.Principal.(identity.Caller) // anything else is refused by Authorize
	return caller.Account()
}

// nothing is the output of operations that answer with no members.
type nothing struct{}

// done is the output of those that have a result all the same.
type done struct{}

// HasResult implements awsquery.EmptyResult.
func (*done) HasResult() {}

const maxItems = 100 // in an answer

// part gives a part of a list, see page.Part.
func part[T any](token *string, name string, filter []string, load func(after string, limit int) ([]T, error), key func(T) string) ([]T, *string, error) {
	return page.Part(page.Turn{Token: token, Limit: maxItems, Name: name, Filter: filter}, load, key)
}

// collect makes the list of an answer, which is never nil.
func collect[T, Out any](list []T, answer func(T) Out) []Out {
	out := []Out{}
	for _, row := range list {
		out = append(out, answer(row))
	}
	return out
}

// invalid says what is wrong with a parameter, in the words of SNS.
func invalid(text string, args ...any) error {
	return fault.New(fault.Invalid, "Invalid parameter: "+text, args...)
}

// own reads the ARN of a topic of the caller's account.
func (a *API) own(account, arn string) (name string, err error) {
	owner, name, err := topic.ParseARN(arn, a.region)
	switch {
	case err != nil:
		return "", invalid("TopicArn: %s", fault.Message(err))
	case owner != account:
		return "", fault.New(fault.NotFound, "Topic does not exist")
	}
	return name, nil
}

// shapes are the constraints of SNS.
func shapes() restjson.Shapes {
	return restjson.Shapes{
		"TopicName":  {Min: 1, Max: 256, Pattern: `[A-Za-z0-9_\-]+`},
		"ARN":        {Min: 1, Max: 1024},
		"Attribute":  {Min: 1, Max: 256},
		"Value":      {Max: 30720},
		"Attributes": {Max: 20, Key: "Attribute", Member: "Value"},
		"NextToken":  {Min: 1, Max: 8192},
		"Protocol":   {Min: 1, Max: 32},
		"Endpoint":   {Min: 1, Max: 2048},
		"Token":      {Min: 1, Max: 1024},
		"Boolean":    {Enum: []string{"true", "false"}},
		"Structure":  {Enum: []string{"json"}},
		"Marks":      {Max: 100, Key: "Attribute"},
		"DataType":   {Min: 1, Max: 256, Pattern: `(String|Number|Binary)(\..*)?`},
		"Tags":       {Max: 50},
		"TagKey":     {Min: 1, Max: 128},
		"TagValue":   {Max: 256},
		"TagKeys":    {Max: 50, Member: "TagKey"},
	}
}
