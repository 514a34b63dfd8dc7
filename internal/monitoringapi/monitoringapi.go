// Package monitoringapi is the part of CloudWatch that this house answers: the
// metrics of domains and repositories, and alarms that watch them.
//
// One table of operations is spoken in three protocols, as CloudWatch does: AWS
// Query, JSON 1.0 and Smithy RPC v2 CBOR. Errors have the names of the service
// model; the codes that Query has for them stand in a header of the other two.
//
// The surprise: metrics are made by the house alone. PutMetricData is refused, and
// so is what needs more than summaries of periods: percentiles, expressions,
// anomaly detection.
package monitoringapi

import (
	"context"
	"net/http"
	"time"

	"packhouse/internal/access"
	"packhouse/internal/awscbor"
	"packhouse/internal/awsjson"
	"packhouse/internal/awsquery"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/metric"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

// Service is the name that requests are signed for.
const Service = "monitoring"

// Target names the service in the JSON and CBOR protocols.
const Target = "GraniteServiceVersion20100801"

const (
	actions   = "cloudwatch:" // begins the names of permissions
	source    = "monitoring.amazonaws.com"
	namespace = "http://monitoring.amazonaws.com/doc/2010-08-01/"
	version   = "2010-08-01"
)

// The exceptions that operations name themselves.
const (
	invalidValue       = "InvalidParameterValueException"
	invalidCombination = "InvalidParameterCombinationException"
	missingParameter   = "MissingRequiredParameterException"
	invalidFormat      = "InvalidFormatFault"
	invalidToken       = "InvalidNextToken"
	noResource         = "ResourceNotFoundException" // of tags
)

// API does the operations. It is safe for concurrent use.
type API struct {
	db      *catalog.DB
	region  string
	metrics metric.Source
	now     func() time.Time
}

// Handlers answer one protocol each.
type Handlers struct {
	Query, JSON, CBOR http.Handler
}

// Options are what the operations work with. All but Now and HTTP are required.
type Options struct {
	DB       *catalog.DB
	Identity *identity.Service
	Checker  *access.Checker
	Region   string
	Metrics  metric.Source
	Now      func() time.Time // time.Now if nil
	HTTP     restjson.Config  // Authenticate, Authorize and Shapes are set here
}

// Table is the operations. It is for whoever wants to know what there is; they
// cannot be done.
func Table() []restjson.Row { return (&API{}).rows() }

func (a *API) rows() []restjson.Row {
	var rows []restjson.Row
	for _, list := range [][]restjson.Row{a.metricRows(), a.alarmRows(), a.tagRows()} {
		rows = append(rows, list...)
	}
	return rows
}

// New makes the handlers of requests signed for Service.
func New(o Options) Handlers {
	a := &API{db: o.DB, region: o.Region, metrics: o.Metrics, now: o.Now}
	if a.now == nil {
		a.now = time.Now
	}
	cfg := o.HTTP
	cfg.Authenticate = o.Identity.Authenticator(Service)
	cfg.Authorize = o.Checker.Authorize
	cfg.Shapes = shapes()
	rows := a.rows()
	exceptions := map[fault.Kind]string{
		fault.NotFound: "ResourceNotFound", fault.Quota: "LimitExceededFault", fault.Internal: "InternalServiceFault",
	}
	codes := awsquery.Codes{
		Kinds: map[fault.Kind]string{fault.NotFound: "ResourceNotFound", fault.Quota: "LimitExceeded", fault.Internal: "InternalServiceError"},
		Names: map[string]string{
			invalidValue: "InvalidParameterValue", invalidCombination: "InvalidParameterCombination",
			missingParameter: "MissingParameter", invalidFormat: "InvalidFormat", "SerializationException": "MalformedInput",
		},
	}
	return Handlers{
		Query: awsquery.NewHandler([]awsquery.Service{{Namespace: namespace, Version: version, Rows: rows, Codes: codes}}, cfg),
		JSON: awsjson.NewHandler(awsjson.Service{
			Target: Target, Source: source, Rows: rows, Exceptions: exceptions, Version: "1.0", QueryError: codes.Header,
		}, cfg),
		CBOR: awscbor.NewHandler(awscbor.Service{
			Name: Target, Source: source, Rows: rows, Exceptions: exceptions, QueryError: codes.Header,
		}, cfg),
	}
}

// input is what an operation takes.
type input[In any] interface {
	*In
	resources(region, account string) []string // the ARNs that permission is needed for
}

// op makes the row of an operation, which needs the permission of its name.
func op[In, Out any, P input[In]](a *API, name, doc string, do func(ctx context.Context, account string, in *In) (*Out, error)) restjson.Row {
	return restjson.New(restjson.Op[In, Out]{
		Name: name, Method: http.MethodPost, Path: "/", Doc: doc,
		Access: func(c *restjson.Call, in *In) []restjson.Need {
			var needs []restjson.Need
			for _, resource := range P(in).resources(a.region, accountOf(c)) {
				needs = append(needs, restjson.Need{Action: actions + name, Resource: resource})
			}
			if also, ok := any(in).(interface{ alsoNeeds() string }); ok && also.alsoNeeds() != "" {
				needs = append(needs, restjson.Need{Action: actions + also.alsoNeeds(), Resource: needs[0].Resource})
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

const maxRecords = 100 // in an answer, also when the caller does not say

// part gives a part of a list, see page.Part.
func part[T, K any](token *string, limit *int, most int, name string, filter []string, load func(after K, limit int) ([]T, error), key func(T) K) ([]T, *string, error) {
	if limit != nil {
		most = *limit
	}
	rows, next, err := page.Part(page.Turn{Token: token, Limit: most, Name: name, Filter: filter}, load, key)
	if fault.Is(err, fault.Invalid) {
		err = restjson.WithCode(invalidToken, err)
	}
	return rows, next, err
}

// collect makes the list of an answer, which is never nil.
func collect[T, Out any](list []T, answer func(T) Out) []Out {
	out := []Out{}
	for _, row := range list {
		out = append(out, answer(row))
	}
	return out
}

func at(t time.Time) *restjson.Time { return restjson.At(t) }

// refuse says that a member has a value that is not taken.
func refuse(code, text string, args ...any) error {
	return restjson.WithCode(code, fault.New(fault.Invalid, text, args...))
}

// text is the value of a member that may be absent.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
