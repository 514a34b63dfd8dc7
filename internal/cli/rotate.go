package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

type rotateArgs struct {
	clientFlags
	outputFlags

	User       string `name:"user" placeholder:"NAME" help:"Whose key; by default the user the profile's key belongs to."`
	NewProfile string `name:"new-profile" placeholder:"PROFILE" help:"Profile that gets the key of another user; it is made when it is not there."`
	Deactivate bool   `name:"deactivate" help:"Leave the old key, inactive, in place of deleting it."`
}

type accessKeyArgs struct {
	Rotate rotateArgs `cmd:"" help:"Put a new key in the place of a profile's key, and delete the old one once the new one works."`
}

func accessKeyCommand() command {
	args := &accessKeyArgs{}
	return command{
		name: "access-key", group: serverGroup, args: args, help: "Rotate access keys.",
		subs: map[string]func(context.Context, *Env) error{
			"rotate": func(ctx context.Context, env *Env) error { return rotate(ctx, env, &args.Rotate) },
		},
	}
}

// rotation replaces the key of a profile. At each moment the profile has a key
// that works: the new key is tried before it is written, and the old one is
// active until the new one has been read back from the file and tried again.
type rotation struct {
	env     *Env
	args    *rotateArgs
	file    *profiles
	profile string // that gets the new key
	user    string
	sts     *apiClient // signs with the key that calls
	iam     *apiClient
	old     string            // the key that goes; "" when there is none
	keys    map[string]string // status by id
	before  *profiles         // what the file was before it was written; nil: it has not been
}

const (
	keyPatience = 15 * time.Second // until every replica knows of a new key
	keyPause    = 200 * time.Millisecond
	tidyTime    = 10 * time.Second // for taking back, after an interruption too
)

func rotate(ctx context.Context, env *Env, args *rotateArgs) error {
	printer, err := newPrinter(args.outputFlags, env)
	if err != nil {
		return err
	}
	r := &rotation{env: env, args: args}
	if err := r.open(ctx); err != nil {
		return err
	}
	out, err := r.resume(ctx)
	if out == nil && err == nil {
		out, err = r.replace(ctx)
	}
	if out != nil {
		err = errors.Join(err, printer.print(out, nil))
	}
	return err
}

// open finds out whose key is replaced where, without changing anything.
func (r *rotation) open(ctx context.Context) (err error) {
	if r.args.NewProfile != "" && !profilePattern.MatchString(r.args.NewProfile) {
		return usagef("--new-profile: %q is no name for a profile", r.args.NewProfile)
	}
	if r.sts, err = dialNamed(ctx, r.env, r.args.clientFlags, "sts"); err != nil {
		return err
	}
	if r.iam, err = dialNamed(ctx, r.env, r.args.clientFlags, "iam"); err != nil {
		return err
	}
	who, err := r.sts.identify(ctx)
	if err != nil {
		return err
	}
	r.user = r.args.User
	if r.user == "" {
		r.user = who.user()
	}
	own := r.user == who.user()
	switch {
	case r.user == "":
		return usagef("%s is no user: only users have access keys; name one with --user", who.ARN)
	case own && r.args.NewProfile != "":
		return usagef("--new-profile: the key of %s is replaced where it is; --new-profile is for the key of another user", r.user)
	case !own && r.args.NewProfile == "":
		return usagef("the credentials in use belong to %s: say with --new-profile which profile gets the key of %s", who.ARN, r.user)
	}
	if err := r.openFile(own); err != nil {
		return err
	}
	if r.keys, err = r.listKeys(ctx); err != nil {
		return err
	}
	if _, theirs := r.keys[r.old]; r.old != "" && !theirs {
		return fmt.Errorf("profile %s of %s holds the key %s, which is not one of %s's; choose another profile", r.profile, r.file.path, r.old, r.user)
	}
	return nil
}

func (r *rotation) openFile(own bool) (err error) {
	if r.file, err = readProfiles(credentialsPath(r.env)); err != nil {
		return err
	}
	r.profile = r.args.NewProfile
	if own {
		r.profile = cmp.Or(r.args.Profile, r.env.getenv("AWS_PROFILE"), r.env.getenv("AWS_DEFAULT_PROFILE"), defaultProfile)
	}
	if r.old, err = r.file.get(r.profile, profileKeyID); err != nil {
		return err
	}
	inUse := r.sts.credentials
	if own && r.old != inUse.AccessKeyID && r.args.Profile == "" {
		// What dial falls back to: the file that a server in this folder left.
		local, err := readProfiles(localCredentials(r.env))
		if err != nil {
			return err
		}
		if found, err := local.get(defaultProfile, profileKeyID); err == nil && found == inUse.AccessKeyID {
			r.file, r.profile, r.old = local, defaultProfile, found
		}
	}
	if !own {
		return nil
	}
	switch {
	case inUse.SessionToken != "":
		return usagef("the credentials in use are temporary and end by themselves: name a profile with an access key with --profile")
	case r.old != inUse.AccessKeyID:
		return usagef("the key in use, %s, comes from %s and not from profile %s of %s, where it could be replaced; "+
			"unset AWS_ACCESS_KEY_ID or name the profile with --profile", inUse.AccessKeyID, inUse.Source, r.profile, r.file.path)
	}
	return nil
}

// listKeys gives the status of each of the user's keys.
func (r *rotation) listKeys(ctx context.Context) (map[string]string, error) {
	out, err := r.iam.named(ctx, "ListAccessKeys", input{"UserName": r.user})
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	list, _ := out.values["AccessKeyMetadata"].([]any)
	for _, item := range list {
		if o, ok := item.(*object); ok {
			keys[o.text("AccessKeyId")] = o.text("Status")
		}
	}
	return keys, nil
}

// resume ends a rotation that was broken off after the new key was written. It
// gives nothing when a new one is to begin.
func (r *rotation) resume(ctx context.Context) (*object, error) {
	left, err := r.file.replaces(r.profile)
	if err != nil || left == "" || left == r.old {
		return nil, err
	}
	status, there := r.keys[left]
	if !there {
		return nil, nil
	}
	if status == "Active" {
		key, err := profileKey(ctx, r.file.path, r.profile)
		if err != nil {
			return nil, err
		}
		if err := r.works(ctx, key); err != nil {
			return nil, fmt.Errorf("profile %s was about to replace %s, which is active still: %w", r.profile, left, err)
		}
		return r.retire(ctx, left, key)
	}
	// Left inactive on purpose, or broken off before it was deleted.
	if err := r.deleteKey(ctx, r.iam, left); err != nil {
		return nil, err
	}
	delete(r.keys, left)
	return nil, nil
}

// replace does it all.
func (r *rotation) replace(ctx context.Context) (*object, error) {
	if len(r.keys) > 1 {
		return nil, r.tooMany()
	}
	if r.old == "" {
		for id := range r.keys {
			r.old = id
		}
	}
	key, err := r.createKey(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.install(ctx, key); err != nil {
		return nil, errors.Join(err, r.takeBack(ctx, key))
	}
	return r.retire(ctx, r.old, key)
}

func (r *rotation) tooMany() error {
	var b strings.Builder
	for id, status := range r.keys {
		if id != r.old {
			fmt.Fprintf(&b, "\n  packhouse delete-access-key --user-name %s --access-key-id %s    # %s", quote(r.user), id, status)
		}
	}
	return fmt.Errorf("user %s has two access keys, and cannot have a third; delete one that nobody uses and try again:%s", r.user, b.String())
}

func (r *rotation) createKey(ctx context.Context) (aws.Credentials, error) {
	out, err := r.iam.named(ctx, "CreateAccessKey", input{"UserName": r.user})
	if err != nil {
		return aws.Credentials{}, err
	}
	made, _ := out.values["AccessKey"].(*object)
	if made == nil {
		return aws.Credentials{}, errors.New("the server gave no key")
	}
	key := aws.Credentials{AccessKeyID: made.text("AccessKeyId"), SecretAccessKey: made.text("SecretAccessKey")}
	if !key.HasKeys() {
		return aws.Credentials{}, errors.New("the server gave half a key")
	}
	return key, nil
}

// install tries the new key, writes it, and tries what was written.
func (r *rotation) install(ctx context.Context, key aws.Credentials) error {
	if err := r.works(ctx, key); err != nil {
		return err
	}
	fresh, err := readProfiles(r.file.path) // others may have written meanwhile
	if err != nil {
		return err
	}
	r.file, r.before = fresh, &profiles{path: fresh.path, lines: slices.Clone(fresh.lines)}
	if err := r.file.set(r.profile, profileKeyID, key.AccessKeyID, profileSecret, key.SecretAccessKey); err != nil {
		return err
	}
	if region, err := r.file.get(r.profile, profileRegion); err != nil {
		return err
	} else if region == "" && r.args.NewProfile != "" {
		if err := r.file.set(r.profile, profileRegion, r.sts.region); err != nil {
			return err
		}
	}
	if err := r.file.mark(r.profile, r.old); err != nil {
		return err
	}
	if err := r.file.write(); err != nil {
		return fmt.Errorf("write %s: %w", r.file.path, err)
	}
	written, err := profileKey(ctx, r.file.path, r.profile)
	if err != nil {
		return err
	}
	if written.AccessKeyID != key.AccessKeyID || written.SecretAccessKey != key.SecretAccessKey {
		return fmt.Errorf("profile %s of %s does not read as it was written", r.profile, r.file.path)
	}
	return r.works(ctx, written)
}

// works tries a key, which replicas may hear of a little later.
func (r *rotation) works(ctx context.Context, key aws.Credentials) error {
	ctx, cancel := context.WithTimeout(ctx, keyPatience)
	defer cancel()
	for {
		who, err := r.sts.as(key).identify(ctx)
		if err == nil && who.user() != r.user {
			return fmt.Errorf("the key %s belongs to %s, not to %s", key.AccessKeyID, who.ARN, r.user)
		}
		var failed *callError
		if err == nil || !errors.As(err, &failed) || failed.Code != "InvalidClientTokenId" {
			return err
		}
		select {
		case <-time.After(keyPause):
		case <-ctx.Done():
			return fmt.Errorf("the key %s does not work: %w", key.AccessKeyID, err)
		}
	}
}

// takeBack leaves the old key in the file and the new one nowhere.
func (r *rotation) takeBack(ctx context.Context, key aws.Credentials) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	if r.before != nil {
		now, err := readProfiles(r.file.path)
		if err != nil {
			return err
		}
		if written, err := now.get(r.profile, profileKeyID); err != nil || written == key.AccessKeyID {
			if err := r.before.write(); err != nil {
				return fmt.Errorf("put %s back as it was: %w; the new key %s is left active", r.file.path, err, key.AccessKeyID)
			}
		}
	}
	if err := r.deleteKey(ctx, r.iam, key.AccessKeyID); err != nil {
		return fmt.Errorf("the new key %s is left over: %w", key.AccessKeyID, err)
	}
	return nil
}

func (r *rotation) deleteKey(ctx context.Context, api *apiClient, id string) error {
	_, err := api.named(ctx, "DeleteAccessKey", input{"UserName": r.user, "AccessKeyId": id})
	return err
}

// retire deactivates the old key, sees that the new one still works, and
// deletes the old one. The answer tells what has become of both, on an error
// too.
func (r *rotation) retire(ctx context.Context, old string, key aws.Credentials) (*object, error) {
	out := &object{}
	for _, pair := range [][2]string{
		{"user", r.user}, {"accessKeyId", key.AccessKeyID}, {"profile", r.profile}, {"credentialsFile", r.file.path},
	} {
		out.set(pair[0], pair[1])
	}
	if old == "" {
		return out, nil
	}
	out.set("replaced", old)
	out.set("replacedStatus", "Active")
	api := r.iam
	if api.credentials.AccessKeyID == old {
		api = api.as(key) // the old one is about to end
	}
	still := func(err error) error {
		return fmt.Errorf("the new key is in place, but %s is there still: %w", old, err)
	}
	if _, err := api.named(ctx, "UpdateAccessKey", input{"UserName": r.user, "AccessKeyId": old, "Status": "Inactive"}); err != nil {
		return out, still(err)
	}
	out.set("replacedStatus", "Inactive")
	if err := r.works(ctx, key); err != nil {
		return out, still(err)
	}
	if r.args.Deactivate {
		return out, nil
	}
	if err := r.deleteKey(ctx, api, old); err != nil {
		return out, still(err)
	}
	out.set("replacedStatus", "Deleted")
	fresh, err := readProfiles(r.file.path)
	if err == nil {
		err = fresh.mark(r.profile, "")
	}
	if err == nil {
		err = fresh.write()
	}
	return out, err
}
