package access

import (
	"context"
	"fmt"
	"strings"

	"packhouse/internal/restjson"
)

// Authorize is CheckAll for the operations of the AWS API, in the form
// restjson.Config takes it. The Call's Principal must be a Caller.
func (c *Checker) Authorize(ctx context.Context, call *restjson.Call, needs []restjson.Need) error {
	caller, ok := call.Principal.(Caller)
	if !ok {
		return fmt.Errorf("operation %s is called by a %T", call.Operation, call.Principal)
	}
	for _, n := range needs {
		need, err := c.Resolve(ctx, n)
		if err != nil {
			return err
		}
		if err := c.check(ctx, caller, &need); err != nil {
			return err
		}
	}
	return nil
}

// Resolve makes the Need of what an operation of the API asks for. Errors are
// those of Checker.Need.
func (c *Checker) Resolve(ctx context.Context, n restjson.Need) (Need, error) {
	need, err := c.Need(ctx, n.Action, n.Resource)
	if err != nil {
		return Need{}, err
	}
	need.WithoutResourcePolicy = need.WithoutResourcePolicy || n.IdentityOnly
	if len(n.Context) > 0 {
		need.Context = joined(need.Context, n.Context)
	}
	if n.Action == bearerAction {
		need.Context = withServiceName(n.Context)
	}
	return need, nil
}

// joined has the keys of both, and the values of given where both have one.
func joined(known, given map[string][]string) map[string][]string {
	if len(known) == 0 {
		return given
	}
	all := make(map[string][]string, len(known)+len(given))
	for _, keys := range []map[string][]string{known, given} {
		for key, values := range keys {
			all[strings.ToLower(key)] = values
		}
	}
	return all
}

// withServiceName says on whose behalf a bearer token is asked for: always ours.
func withServiceName(keys map[string][]string) map[string][]string {
	named := map[string][]string{serviceNameKey: {bearerServiceName}}
	for key, values := range keys {
		if !strings.EqualFold(key, serviceNameKey) {
			named[key] = values
		}
	}
	return named
}
