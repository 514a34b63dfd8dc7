package control

import (
	"context"
	"errors"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// resourceDocument checks what is to be stored as the policy of a resource
// (section 6.5). It is stored and shown as it was given.
func resourceDocument(text string) error {
	d, err := policy.Parse([]byte(text))
	reason := "CANNOT_PARSE"
	if err == nil {
		reason, err = "FIELD_VALIDATION_FAILED", policy.ValidateResourcePolicy(d)
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return &fault.Error{Kind: e.Kind, Reason: reason, Message: "policyDocument: " + e.Message}
	}
	return err
}

// onDomainPolicy runs fn with the ARN of a domain that exists.
func (a *API) onDomainPolicy(tx *catalog.Tx, id artifact.RepositoryID, fn func(kind, arn string) (catalog.ResourcePolicy, error)) (*api.ResourcePolicy, error) {
	if _, err := tx.Domain(id.Owner, id.Domain); err != nil {
		return nil, err
	}
	return shownPolicy(fn("domain", a.domainARN(id)))
}

// onRepositoryPolicy is onDomainPolicy for repositories.
func (a *API) onRepositoryPolicy(tx *catalog.Tx, id artifact.RepositoryID, fn func(kind, arn string) (catalog.ResourcePolicy, error)) (*api.ResourcePolicy, error) {
	if _, err := findRepository(tx, id); err != nil {
		return nil, err
	}
	return shownPolicy(fn("repository", a.repositoryARN(id)))
}

func shownPolicy(p catalog.ResourcePolicy, err error) (*api.ResourcePolicy, error) {
	if err != nil {
		return nil, err
	}
	return &api.ResourcePolicy{ResourceArn: p.ResourceARN, Revision: p.Revision, Document: p.Document}, nil
}

// storing puts a document under a new revision; seen is the one the client knows.
func storing(tx *catalog.Tx, document, seen string) func(kind, arn string) (catalog.ResourcePolicy, error) {
	return func(kind, arn string) (catalog.ResourcePolicy, error) {
		return tx.PutResourcePolicy(catalog.ResourcePolicy{ResourceARN: arn, Kind: kind, Document: document, Revision: seen})
	}
}

func removing(tx *catalog.Tx, seen string) func(kind, arn string) (catalog.ResourcePolicy, error) {
	return func(kind, arn string) (catalog.ResourcePolicy, error) {
		return tx.DeleteResourcePolicy(kind, arn, seen)
	}
}

func (a *API) putDomainPermissionsPolicy(ctx context.Context, c *restjson.Call, in *api.PutDomainPermissionsPolicyInput) (*api.PutDomainPermissionsPolicyOutput, error) {
	if err := resourceDocument(in.PolicyDocument); err != nil {
		return nil, err
	}
	out := &api.PutDomainPermissionsPolicyOutput{}
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
		out.Policy, err = a.onDomainPolicy(tx, targetOf(c, in).id, storing(tx, in.PolicyDocument, in.PolicyRevision))
		return err
	})
	return out, err
}

func (a *API) getDomainPermissionsPolicy(ctx context.Context, c *restjson.Call, in *api.GetDomainPermissionsPolicyInput) (*api.GetDomainPermissionsPolicyOutput, error) {
	out := &api.GetDomainPermissionsPolicyOutput{}
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		out.Policy, err = a.onDomainPolicy(tx, targetOf(c, in).id, tx.ResourcePolicy)
		return err
	})
	return out, err
}

func (a *API) deleteDomainPermissionsPolicy(ctx context.Context, c *restjson.Call, in *api.DeleteDomainPermissionsPolicyInput) (*api.DeleteDomainPermissionsPolicyOutput, error) {
	out := &api.DeleteDomainPermissionsPolicyOutput{}
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
		out.Policy, err = a.onDomainPolicy(tx, targetOf(c, in).id, removing(tx, in.PolicyRevision))
		return err
	})
	return out, err
}

func (a *API) putRepositoryPermissionsPolicy(ctx context.Context, c *restjson.Call, in *api.PutRepositoryPermissionsPolicyInput) (*api.PutRepositoryPermissionsPolicyOutput, error) {
	if err := resourceDocument(in.PolicyDocument); err != nil {
		return nil, err
	}
	out := &api.PutRepositoryPermissionsPolicyOutput{}
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
		out.Policy, err = a.onRepositoryPolicy(tx, targetOf(c, in).id, storing(tx, in.PolicyDocument, in.PolicyRevision))
		return err
	})
	return out, err
}

func (a *API) getRepositoryPermissionsPolicy(ctx context.Context, c *restjson.Call, in *api.GetRepositoryPermissionsPolicyInput) (*api.GetRepositoryPermissionsPolicyOutput, error) {
	out := &api.GetRepositoryPermissionsPolicyOutput{}
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		out.Policy, err = a.onRepositoryPolicy(tx, targetOf(c, in).id, tx.ResourcePolicy)
		return err
	})
	return out, err
}

func (a *API) deleteRepositoryPermissionsPolicy(ctx context.Context, c *restjson.Call, in *api.DeleteRepositoryPermissionsPolicyInput) (*api.DeleteRepositoryPermissionsPolicyOutput, error) {
	out := &api.DeleteRepositoryPermissionsPolicyOutput{}
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
		out.Policy, err = a.onRepositoryPolicy(tx, targetOf(c, in).id, removing(tx, in.PolicyRevision))
		return err
	})
	return out, err
}
