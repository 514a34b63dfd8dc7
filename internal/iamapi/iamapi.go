// Package iamapi is the part of IAM and STS that this house answers, in the
// AWS Query protocol. An operation is a row of a table, as in package control.
//
// Resources of IAM belong to the caller's account: operations name users,
// groups and roles by their names alone. Permission is asked for on the ARN;
// package access finds the path that belongs into it.
//
// The surprises: GetCallerIdentity needs no permission, as whoever can sign a
// request may know who that makes them; AssumeRole asks for its permission
// when it has found the role, whose trust policy decides; and
// AssumeRoleWithWebIdentity is not signed at all. Roles that are not there and
// roles of other accounts that do not trust the caller answer alike.
package iamapi

import (
	"context"
	"fmt"

	"packhouse/internal/access"
	"packhouse/internal/awsquery"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// The names that requests are signed for (the service of the credential scope).
const (
	STS = "sts"
	IAM = "iam"
)

// API does the operations. It is safe for concurrent use.
type API struct {
	db      *catalog.DB
	ids     *identity.Service
	checker *access.Checker
}

// Services is the table: the operations of each API. It is for whoever wants
// to know what there is; they cannot be done.
func Services() []awsquery.Service { return (&API{}).services() }

// services gives STS first: errors of an unknown action have its namespace.
func (a *API) services() []awsquery.Service {
	return []awsquery.Service{
		{Namespace: "https://sts.amazonaws.com/doc/2011-06-15/", Version: "2011-06-15", Rows: a.stsRows()},
		{Namespace: "https://iam.amazonaws.com/doc/2010-05-08/", Version: "2010-05-08", Rows: a.iamRows()},
	}
}

// New makes the handler of requests signed for STS or IAM. Authenticate,
// Authorize and Shapes of cfg are set here.
func New(db *catalog.DB, ids *identity.Service, checker *access.Checker, cfg restjson.Config) *awsquery.Handler {
	a := &API{db: db, ids: ids, checker: checker}
	cfg.Authenticate = ids.Authenticator(STS, IAM)
	cfg.Authorize = a.authorize
	cfg.Shapes = shapes()
	return awsquery.NewHandler(a.services(), cfg)
}

// authorize keeps users with temporary credentials off IAM, as AWS does with
// those without MFA: credentials that end must not make ones that do not.
func (a *API) authorize(ctx context.Context, c *restjson.Call, needs []restjson.Need) error {
	if caller, ok := c.Principal.(identity.Caller); ok && caller.Temporary() && caller.Principal().Type == policy.User {
		return awsquery.WithCode("InvalidClientTokenId", fault.New(fault.Denied, "The security token included in the request is invalid"))
	}
	return a.checker.Authorize(ctx, c, needs)
}

func (a *API) stsRows() []restjson.Row {
	return []restjson.Row{
		restjson.New(restjson.Op[GetCallerIdentityInput, GetCallerIdentityOutput]{
			Name: "GetCallerIdentity", Method: "POST", Path: "/",
			Doc:    "tell who the credentials in use belong to",
			Access: everybody[GetCallerIdentityInput], Do: getCallerIdentity,
		}),
		restjson.New(restjson.Op[AssumeRoleInput, AssumeRoleOutput]{
			Name: "AssumeRole", Method: "POST", Path: "/",
			Doc:    "have temporary credentials of a role",
			Access: everybody[AssumeRoleInput], Do: a.assumeRole, // asks itself: the role has to be looked up
		}),
		restjson.New(restjson.Op[GetSessionTokenInput, GetSessionTokenOutput]{
			Name: "GetSessionToken", Method: "POST", Path: "/",
			Doc:    "have temporary credentials of a user, for package tokens and the like",
			Access: everybody[GetSessionTokenInput], Do: a.getSessionToken,
		}),
		restjson.New(restjson.Op[WebIdentityInput, WebIdentityOutput]{
			Name: "AssumeRoleWithWebIdentity", Method: "POST", Path: "/",
			Doc:    "have temporary credentials of a role for a token of an OpenID Connect issuer",
			Access: everybody[WebIdentityInput], Do: a.assumeRoleWithWebIdentity, Unsigned: true, // the token is all there is to show
		}),
	}
}

func (a *API) iamRows() []restjson.Row {
	var rows []restjson.Row
	for _, list := range [][]restjson.Row{a.userRows(), a.groupRows(), a.roleRows(), a.keyRows(), a.inlineRows(), a.attachRows(), a.policyRows(), a.tagRows(), a.simulateRows()} {
		rows = append(rows, list...)
	}
	return append(rows, a.oidcRows()...)
}

// everybody is the Access of an operation that needs no permission.
func everybody[In any](*restjson.Call, *In) []restjson.Need { return nil }

// input is what an operation on something of IAM takes.
type input[In any] interface {
	*In
	resource(who identity.Caller) string // ARN, without the path of what has a name
}

// conditional is an input that conditions may ask about.
type conditional interface {
	conditions() map[string][]string
}

// op makes the row of an IAM operation, which needs the permission of its name.
func op[In, Out any, P input[In]](name, doc string, do func(context.Context, *restjson.Call, *In) (*Out, error)) restjson.Row {
	return restjson.New(restjson.Op[In, Out]{
		Name: name, Method: "POST", Path: "/", Doc: doc, Do: do,
		Access: func(c *restjson.Call, in *In) []restjson.Need {
			who, _ := c.Principal.(identity.Caller) // anything else is refused by Authorize
			need := restjson.Need{Action: "iam:" + name, Resource: P(in).resource(who)}
			if conditional, ok := any(in).(conditional); ok {
				need.Context = conditional.conditions()
			}
			needs := []restjson.Need{need}
			if extra, ok := any(in).(interface{ alsoNeeds() string }); ok && extra.alsoNeeds() != "" {
				need.Action = extra.alsoNeeds()
				needs = append(needs, need)
			}
			return needs
		},
	})
}

// nothing is the output of operations that answer with no members.
type nothing struct{}

// callerOf is who calls, as Authenticate found.
func callerOf(c *restjson.Call) (identity.Caller, error) {
	caller, ok := c.Principal.(identity.Caller)
	if !ok {
		return identity.Caller{}, fmt.Errorf("operation %s is called by a %T", c.Operation, c.Principal)
	}
	return caller, nil
}

// accountOf is the account of whoever calls.
func accountOf(c *restjson.Call) string {
	caller, _ := c.Principal.(identity.Caller) // anything else is refused by Authorize
	return caller.Account()
}

// GetCallerIdentityInput has no members.
type GetCallerIdentityInput struct{}

// GetCallerIdentityOutput tells who called.
type GetCallerIdentityOutput struct {
	Arn     string `json:"Arn"`
	UserID  string `json:"UserId"`
	Account string `json:"Account"`
}

func getCallerIdentity(_ context.Context, c *restjson.Call, _ *GetCallerIdentityInput) (*GetCallerIdentityOutput, error) {
	caller, err := callerOf(c)
	if err != nil {
		return nil, err
	}
	return &GetCallerIdentityOutput{
		Arn: caller.ARN(), UserID: caller.Principal().UserID, Account: caller.Account(),
	}, nil
}
