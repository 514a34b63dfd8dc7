// Package iamapi is the part of IAM and STS that this house answers, in the
// AWS Query protocol. An operation is a row of a table, as in package control.
//
// The surprise: GetCallerIdentity needs no permission. Whoever can sign a
// request may know who that makes them, even when denied everything, as in AWS.
package iamapi

import (
	"context"
	"fmt"

	"packhouse/internal/access"
	"packhouse/internal/awsquery"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

// The names that requests are signed for (the service of the credential scope).
const (
	STS = "sts"
	IAM = "iam"
)

// Services is the table: the operations of each API. Errors of an unknown
// action have the namespace of the first.
func Services() []awsquery.Service {
	return []awsquery.Service{
		{
			Namespace: "https://sts.amazonaws.com/doc/2011-06-15/", Version: "2011-06-15",
			Rows: []restjson.Row{
				restjson.New(restjson.Op[GetCallerIdentityInput, GetCallerIdentityOutput]{
					Name: "GetCallerIdentity", Method: "POST", Path: "/",
					Doc:    "tell who the credentials in use belong to",
					Access: everybody[GetCallerIdentityInput], Do: getCallerIdentity,
				}),
			},
		},
	}
}

// New makes the handler of requests signed for STS or IAM. Authenticate and
// Authorize of cfg are set here.
func New(ids *identity.Service, checker *access.Checker, cfg restjson.Config) *awsquery.Handler {
	cfg.Authenticate = ids.Authenticator(STS, IAM)
	cfg.Authorize = checker.Authorize
	return awsquery.NewHandler(Services(), cfg)
}

// everybody is the Access of an operation that needs no permission.
func everybody[In any](*restjson.Call, *In) []restjson.Need { return nil }

// callerOf is who calls, as Authenticate found.
func callerOf(c *restjson.Call) (identity.Caller, error) {
	caller, ok := c.Principal.(identity.Caller)
	if !ok {
		return identity.Caller{}, fmt.Errorf("operation %s is called by a %T", c.Operation, c.Principal)
	}
	return caller, nil
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
