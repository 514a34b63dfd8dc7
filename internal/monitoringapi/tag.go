package monitoringapi

import (
	"context"
	"strings"

	"packhouse/internal/alarm"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

const maxTags = 50

func (a *API) tagRows() []restjson.Row {
	return []restjson.Row{
		op(a, "ListTagsForResource", "list the tags of an alarm", a.listTags),
		op(a, "TagResource", "set tags of an alarm", a.tag),
		op(a, "UntagResource", "remove tags of an alarm", a.untag),
	}
}

// Tag is a tag of an alarm.
type Tag struct {
	Key   string  `json:"Key" required:"true" validate:"TagKey"`
	Value *string `json:"Value" required:"true" validate:"TagValue"`
}

// ListTagsInput names a resource.
type ListTagsInput struct {
	ResourceARN string `json:"ResourceARN" required:"true" validate:"ResourceARN"`
}

func (in *ListTagsInput) resources(string, string) []string { return []string{in.ResourceARN} }

// ListTagsOutput is its tags.
type ListTagsOutput struct {
	Tags []Tag `json:"Tags"`
}

// tagged gives nil when an ARN is that of an alarm of the account.
func (a *API) tagged(tx *catalog.Tx, account, arn string) error {
	name, ok := strings.CutPrefix(arn, alarm.ARN(a.region, account, ""))
	missing := restjson.WithCode(noResource, fault.New(fault.NotFound, "%s is not the ARN of an alarm that exists", arn))
	if !ok || name == "" {
		return missing
	}
	_, err := tx.Alarm(account, name)
	if fault.Is(err, fault.NotFound) {
		return missing
	}
	return err
}

func (a *API) listTags(ctx context.Context, account string, in *ListTagsInput) (*ListTagsOutput, error) {
	var list []catalog.Tag
	err := a.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if err := a.tagged(tx, account, in.ResourceARN); err != nil {
			return err
		}
		list, err = tx.Tags(in.ResourceARN)
		return err
	})
	return &ListTagsOutput{collect(list, func(t catalog.Tag) Tag { return Tag{t.Key, &t.Value} })}, err
}

// TagInput sets tags of a resource.
type TagInput struct {
	ResourceARN string `json:"ResourceARN" required:"true" validate:"ResourceARN"`
	Tags        []Tag  `json:"Tags" required:"true" validate:"Tags"`
}

func (in *TagInput) resources(string, string) []string { return []string{in.ResourceARN} }

func (a *API) tag(ctx context.Context, account string, in *TagInput) (*done, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := a.tagged(tx, account, in.ResourceARN); err != nil {
			return err
		}
		return putTags(tx, in.ResourceARN, in.Tags)
	})
}

func putTags(tx *catalog.Tx, arn string, tags []Tag) error {
	var list []catalog.Tag
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return refuse(invalidValue, "tag keys must not begin with aws: (%s)", t.Key)
		}
		list = append(list, catalog.Tag{Key: t.Key, Value: *t.Value})
	}
	if err := tx.PutTags(arn, list); err != nil {
		return err
	}
	all, err := tx.Tags(arn)
	if err == nil && len(all) > maxTags {
		return refuse(invalidValue, "an alarm has %d tags at most", maxTags)
	}
	return err
}

// UntagInput removes tags of a resource.
type UntagInput struct {
	ResourceARN string   `json:"ResourceARN" required:"true" validate:"ResourceARN"`
	TagKeys     []string `json:"TagKeys" required:"true" validate:"TagKeys"`
}

func (in *UntagInput) resources(string, string) []string { return []string{in.ResourceARN} }

func (a *API) untag(ctx context.Context, account string, in *UntagInput) (*done, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := a.tagged(tx, account, in.ResourceARN); err != nil || len(in.TagKeys) == 0 {
			return err
		}
		return tx.DeleteTags(in.ResourceARN, in.TagKeys...)
	})
}
