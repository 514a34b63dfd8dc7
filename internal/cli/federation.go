package cli

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

type loadOption = func(*awsconfig.LoadOptions) error

// sessions adds to options what has sessions of roles begun at our endpoint.
// The environment (AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN) or a profile
// (role_arn with web_identity_token_file or source_profile) may ask for one;
// the SDK would go to AWS where only a flag, or the variable of another
// service, says where we are.
func sessions(ctx context.Context, flags clientFlags, s Service, options []loadOption) ([]loadOption, error) {
	cfg, err := loadConfig(ctx, append(slices.Clone(options), awsconfig.WithCredentialsProvider(aws.AnonymousCredentials{}))...)
	if err != nil {
		return nil, err
	}
	endpoint := endpointOf(ctx, cfg, flags, Service{ID: sts.ServiceID})
	if endpoint == defaultEndpoint {
		endpoint = endpointOf(ctx, cfg, flags, s)
	}
	here := func(known any) *sts.Client {
		o := sts.Options{HTTPClient: cfg.HTTPClient, Credentials: aws.AnonymousCredentials{}}
		if c, ok := known.(*sts.Client); ok { // with the credentials of the source profile
			o = c.Options()
		}
		o.BaseEndpoint, o.Region = &endpoint, cmp.Or(cfg.Region, defaultRegion)
		return sts.New(o)
	}
	return append(slices.Clone(options),
		awsconfig.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) { o.Client = here(o.Client) }),
		awsconfig.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) { o.Client = here(o.Client) }),
	), nil
}

// sessionRefused tells whether credentials were looked for in the right place
// and not given, so that no others should be looked for.
func sessionRefused(env *Env, err error) bool {
	e, ok := errors.AsType[*smithy.OperationError](err)
	return ok && e.ServiceID == sts.ServiceID || env.getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != ""
}
