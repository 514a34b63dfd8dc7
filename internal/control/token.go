package control

import (
	"context"
	"strings"
	"time"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

// requestedDuration is how long a token is to live: as asked, or the default.
// An explicit 0, the rest of a session, stays 0 for conditions (section 5).
func requestedDuration(in *api.GetAuthorizationTokenInput) time.Duration {
	if in.DurationSeconds == nil {
		return identity.MaxTokenDuration
	}
	return time.Duration(*in.DurationSeconds) * time.Second
}

func onToken(a *API, c *restjson.Call, _ string, in any) []restjson.Need {
	id := targetOf(c, in).id
	var needs []restjson.Need
	for _, n := range access.AuthorizationToken(a.opt.Region, id.Owner, id.Domain, requestedDuration(in.(*api.GetAuthorizationTokenInput))) {
		needs = append(needs, restjson.Need{Action: n.Action, Resource: n.Resource, Context: n.Context})
	}
	return needs
}

func (a *API) getAuthorizationToken(ctx context.Context, c *restjson.Call, in *api.GetAuthorizationTokenInput) (*api.GetAuthorizationTokenOutput, error) {
	id := targetOf(c, in).id
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Domain(id.Owner, id.Domain)
		return err
	})
	if err != nil {
		return nil, err
	}
	token, expires, err := a.opt.Identity.IssueToken(ctx, callerOf(c), id.Owner, id.Domain, requestedDuration(in))
	if err != nil {
		return nil, err
	}
	return &api.GetAuthorizationTokenOutput{AuthorizationToken: token, Expiration: restjson.At(expires)}, nil
}

func (a *API) getRepositoryEndpoint(ctx context.Context, c *restjson.Call, in *api.GetRepositoryEndpointInput) (*api.GetRepositoryEndpointOutput, error) {
	id := targetOf(c, in).id
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, id)
		if err == nil {
			err = r.Holds(artifact.Format(in.Format))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	base, _ := ctx.Value(baseKey{}).(string)
	if base == "" {
		return nil, fault.New(fault.Internal, "nobody said what this server is reached as")
	}
	return &api.GetRepositoryEndpointOutput{RepositoryEndpoint: a.endpoint(base, id, artifact.Format(in.Format))}, nil
}

// endpoint is where package clients find a repository (section 2.4). It ends
// with a slash: clients append to it.
func (a *API) endpoint(base string, id artifact.RepositoryID, f artifact.Format) string {
	base = strings.TrimRight(base, "/")
	if a.opt.HostSuffix == "" {
		return base + "/repo/" + id.Owner + "/" + id.Domain + "/" + string(f) + "/" + id.Name + "/"
	}
	scheme, rest, _ := strings.Cut(base, "://")
	host, _, _ := strings.Cut(rest, "/")
	port := ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		port = host[i:]
	}
	return scheme + "://" + id.Domain + "-" + id.Owner + ".d.codeartifact." + a.opt.Region + "." + a.opt.HostSuffix + port +
		"/" + string(f) + "/" + id.Name + "/"
}
