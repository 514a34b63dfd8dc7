package cli

import (
	"context"
	"fmt"

	"packhouse/internal/restjson"
)

// newProfile is what create-account takes besides the members of its input.
type newProfile struct {
	NewProfile string `name:"new-profile" placeholder:"PROFILE" help:"Write the new key into this profile of the credentials file, which must not be there yet, and do not show it."`
}

// createAccountCommand is the operation with a place for the key it makes.
func createAccountCommand(s Service, row restjson.Row) command {
	o := newOperation(s, row)
	c := o.command(newProfile{})
	c.run = func(ctx context.Context, env *Env) error {
		own, _ := o.args.FieldByName("Own").Interface().(newProfile)
		if own.NewProfile == "" {
			return o.run(ctx, env)
		}
		file, err := openNewProfile(env, own.NewProfile)
		if err != nil {
			return err
		}
		return o.runWith(ctx, env, func(api *apiClient, out *object) error {
			return keepKey(file, own.NewProfile, api.region, out)
		})
	}
	return c
}

// openNewProfile reads the credentials file before there is anything to lose,
// and sees that it can be written.
func openNewProfile(env *Env, profile string) (*profiles, error) {
	if !profilePattern.MatchString(profile) {
		return nil, usagef("--new-profile: %q is no name for a profile", profile)
	}
	file, err := readProfiles(credentialsPath(env))
	if err != nil {
		return nil, err
	}
	switch there, err := file.has(profile); {
	case err != nil:
		return nil, err
	case there:
		return nil, usagef("--new-profile: %s has a profile %s already", file.path, profile)
	}
	if err := file.write(); err != nil {
		return nil, fmt.Errorf("write %s: %w", file.path, err)
	}
	return file, nil
}

// keepKey moves the key of an answer into a profile. When that fails the answer
// keeps it: it is told only once.
func keepKey(file *profiles, profile, region string, out *object) error {
	key, _ := out.values["accessKey"].(*object)
	if key == nil {
		return fmt.Errorf("the server gave no key")
	}
	err := file.set(profile, profileKeyID, key.text("accessKeyId"), profileSecret, key.text("secretAccessKey"), profileRegion, region)
	if err == nil {
		err = file.write()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w; the key is shown instead", file.path, err)
	}
	key.remove("secretAccessKey")
	out.set("profile", profile)
	out.set("credentialsFile", file.path)
	return nil
}
