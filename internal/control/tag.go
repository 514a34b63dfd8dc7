package control

import (
	"context"
	"slices"
	"strings"

	"packhouse/internal/arn"
	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

// onARN is for operations on the resource that resourceArn names. Conditions
// may ask for the tags of the request (section 6.4).
func onARN(_ *API, _ *restjson.Call, action string, in any) []restjson.Need {
	switch in := in.(type) {
	case *api.TagResourceInput:
		return []restjson.Need{{Action: action, Resource: in.ResourceArn, Context: tagContext(in.Tags)}}
	case *api.UntagResourceInput:
		return []restjson.Need{{Action: action, Resource: in.ResourceArn, Context: map[string][]string{tagKeys: in.TagKeys}}}
	case *api.ListTagsForResourceInput:
		return []restjson.Need{{Action: action, Resource: in.ResourceArn}}
	}
	panic("control: onARN is for the operations on tags")
}

const tagKeys = "aws:TagKeys"

func tagContext(tags []api.Tag) map[string][]string {
	if len(tags) == 0 {
		return nil
	}
	keys := map[string][]string{}
	for _, t := range tags {
		keys[tagKeys] = append(keys[tagKeys], t.Key)
		keys["aws:RequestTag/"+t.Key] = []string{*t.Value}
	}
	return keys
}

// withTags adds to the needs of a creation what its tags take: the permission
// to tag what is created too (section 13).
func (a *API) withTags(needs []restjson.Need, tags []api.Tag) []restjson.Need {
	if len(tags) == 0 {
		return needs
	}
	needs[0].Context = tagContext(tags)
	return append(needs, restjson.Need{Action: Service + ":TagResource", Resource: needs[0].Resource, Context: needs[0].Context})
}

// newTags checks the tags of a request.
func (a *API) newTags(tags []api.Tag) ([]catalog.Tag, error) {
	out := make([]catalog.Tag, len(tags))
	for i, t := range tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, fault.Field("tags", "the prefix aws: is reserved: %s", t.Key)
		}
		if slices.ContainsFunc(tags[:i], func(o api.Tag) bool { return o.Key == t.Key }) {
			return nil, fault.Field("tags", "the key %s is given twice", t.Key)
		}
		out[i] = catalog.Tag{Key: t.Key, Value: *t.Value}
	}
	if len(tags) > a.opt.Limits.Tags {
		return nil, a.tooManyTags("", "")
	}
	return out, nil
}

func (a *API) tooManyTags(kind, name string) error {
	return fault.About(fault.Quota, kind, name, "a resource can have %d tags", a.opt.Limits.Tags)
}

// tagged checks that the resource exists and gives its kind and name.
func (a *API) tagged(tx *catalog.Tx, resource string) (kind, name string, err error) {
	parsed, err := arn.Parse(resource)
	if err != nil {
		return "", "", err
	}
	t, err := parsed.Target()
	if err != nil {
		return "", "", err
	}
	id := artifact.RepositoryID{Owner: parsed.Account, Domain: t.Domain, Name: t.Repository}
	missing := fault.About(fault.NotFound, "", resource, "resource not found: "+resource)
	if parsed.Partition != arn.Partition || parsed.Region != a.opt.Region {
		return "", "", missing
	}
	switch t.Kind {
	case "domain":
		_, err = tx.Domain(id.Owner, id.Domain)
		return t.Kind, id.Domain, err
	case "repository":
		_, err = findRepository(tx, id)
		return t.Kind, id.Name, err
	case "package":
		return "", "", fault.Field("resourceArn", "packages have no tags")
	}
	p, err := artifact.ParsePattern(t.Pattern) // a package group
	if err != nil || a.groupARN(id, p) != resource {
		return "", "", missing // in another spelling, policies about the right one would not count
	}
	g, err := groupsOf(tx, id)
	if err == nil {
		_, err = g.find(p)
	}
	return "", p.String(), err
}

func (a *API) listTagsForResource(ctx context.Context, _ *restjson.Call, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	out := &api.ListTagsForResourceOutput{}
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		if _, _, err := a.tagged(tx, in.ResourceArn); err != nil {
			return err
		}
		tags, err := tx.Tags(in.ResourceArn)
		out.Tags = make([]api.Tag, len(tags))
		for i, t := range tags {
			out.Tags[i] = api.Tag{Key: t.Key, Value: &t.Value}
		}
		return err
	})
	return out, err
}

func (a *API) tagResource(ctx context.Context, _ *restjson.Call, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	tags, err := a.newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	err = a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		kind, name, err := a.tagged(tx, in.ResourceArn)
		if err != nil {
			return err
		}
		if err := tx.PutTags(in.ResourceArn, tags); err != nil {
			return err
		}
		now, err := tx.Tags(in.ResourceArn)
		if err == nil && len(now) > a.opt.Limits.Tags {
			return a.tooManyTags(kind, name)
		}
		return err
	})
	return &api.TagResourceOutput{}, err
}

func (a *API) untagResource(ctx context.Context, _ *restjson.Call, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		if _, _, err := a.tagged(tx, in.ResourceArn); err != nil {
			return err
		}
		if len(in.TagKeys) == 0 {
			return nil
		}
		return tx.DeleteTags(in.ResourceArn, in.TagKeys...)
	})
	return &api.UntagResourceOutput{}, err
}
