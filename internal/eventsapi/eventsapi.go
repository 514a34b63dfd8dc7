// Package eventsapi is the part of EventBridge that this house answers: rules
// and targets on the default event bus, connections and API destinations; and
// what it adds, dead letters and the secrets that webhooks are signed with.
//
// Resources belong to the caller's account. Permission is asked for on the ARN,
// without the id that those of connections and API destinations end in.
//
// The surprise: the secrets of connections go in and never come out, as in
// EventBridge; the secret that a target's messages are signed with is shown to
// whoever may have it (GetSigningSecret), for the receiver needs it.
package eventsapi

import (
	"context"
	"net/http"
	"time"

	"packhouse/internal/access"
	"packhouse/internal/awsjson"
	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

// Service is the name that requests are signed for.
const Service = "events"

// bus is the one event bus there is.
const bus = "default"

// API does the operations. It is safe for concurrent use.
type API struct {
	db     *catalog.DB
	region string
}

// Table is the operations. It is for whoever wants to know what there is; they
// cannot be done.
func Table() awsjson.Service { return (&API{}).service() }

func (a *API) service() awsjson.Service {
	var rows []restjson.Row
	for _, list := range [][]restjson.Row{a.ruleRows(), a.targetRows(), a.connectionRows(), a.destinationRows(), a.letterRows()} {
		rows = append(rows, list...)
	}
	return awsjson.Service{
		Target: "AWSEvents", Source: "events.amazonaws.com", Rows: rows,
		Exceptions: map[fault.Kind]string{
			fault.Conflict: "ResourceAlreadyExistsException",
			fault.Quota:    "LimitExceededException",
			fault.Internal: "InternalException",
		},
	}
}

// New makes the handler of requests signed for Service. Authenticate, Authorize
// and Shapes of cfg are set here.
func New(db *catalog.DB, ids *identity.Service, checker *access.Checker, region string, cfg restjson.Config) *awsjson.Handler {
	a := &API{db: db, region: region}
	cfg.Authenticate = ids.Authenticator(Service)
	cfg.Authorize = checker.Authorize
	cfg.Shapes = shapes()
	return awsjson.NewHandler(a.service(), cfg)
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
			return []restjson.Need{{Action: Service + ":" + name, Resource: P(in).resource(a.region, accountOf(c))}}
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

// onBus tells whether an event bus is the one there is.
func (a *API) onBus(account string, name *string) error {
	if name == nil || *name == bus || *name == event.BusARN(a.region, account, bus) {
		return nil
	}
	return fault.New(fault.NotFound, "Event bus %s does not exist.", *name)
}

// turn is the part of a list that a caller asks for, with the name of the list
// and its filters.
type turn struct {
	token  *string
	limit  *int
	name   string
	filter []string
}

const maxItems = 100 // in an answer, also when the caller does not say

// part gives the part of a list, see page.Part.
func part[T any](t turn, load func(after string, limit int) ([]T, error), key func(T) string) (rows []T, next *string, err error) {
	limit := maxItems
	if t.limit != nil {
		limit = *t.limit
	}
	return page.Part(page.Turn{Token: t.token, Limit: limit, Name: t.name, Filter: t.filter}, load, key)
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

func tooMany(what string, most int) error {
	return fault.New(fault.Quota, "The requested resource exceeds the maximum number allowed: %s: %d.", what, most)
}
