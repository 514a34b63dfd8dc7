package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

type whoamiArgs struct {
	clientFlags
	outputFlags
}

func whoamiCommand() command {
	args := &whoamiArgs{}
	return command{
		name: "whoami", group: serverGroup, args: args, help: "Show who you are to which server, and where your credentials come from.",
		run: func(ctx context.Context, env *Env) error { return whoami(ctx, env, args) },
	}
}

// identity is who some credentials belong to.
type identity struct {
	Account, ARN, UserID string
}

// user is the name of the user, "" for what is none.
func (i identity) user() string {
	if rest, ok := strings.CutPrefix(i.ARN, "arn:aws:iam::"+i.Account+":user/"); ok {
		return rest[strings.LastIndexByte(rest, '/')+1:]
	}
	return ""
}

// dialNamed is dial by the name of a service.
func dialNamed(ctx context.Context, env *Env, flags clientFlags, name string) (*apiClient, error) {
	service, ok := serviceNamed(env, name)
	if !ok {
		return nil, fmt.Errorf("this build has no %s operations", name)
	}
	return dial(ctx, env, flags, service)
}

// identify asks who the client's credentials belong to.
func (c *apiClient) identify(ctx context.Context) (identity, error) {
	out, err := c.named(ctx, "GetCallerIdentity", input{})
	if err != nil {
		return identity{}, err
	}
	return identity{Account: out.text("Account"), ARN: out.text("Arn"), UserID: out.text("UserId")}, nil
}

func whoami(ctx context.Context, env *Env, args *whoamiArgs) error {
	printer, err := newPrinter(args.outputFlags, env)
	if err != nil {
		return err
	}
	api, err := dialNamed(ctx, env, args.clientFlags, "sts")
	if err != nil {
		return err
	}
	who, err := api.identify(ctx)
	if err != nil {
		return err
	}
	out := &object{}
	out.set("account", who.Account)
	out.set("arn", who.ARN)
	out.set("userId", who.UserID)
	if name := who.user(); name != "" {
		out.set("userName", name)
	}
	out.set("accessKeyId", api.credentials.AccessKeyID)
	out.set("credentials", lifetime(api.credentials))
	out.set("source", api.credentials.Source)
	out.set("endpoint", api.endpoint.String())
	out.set("region", api.region)
	return printer.print(out, nil)
}

func lifetime(key aws.Credentials) string {
	if key.SessionToken != "" {
		return "temporary"
	}
	return "long-term"
}
