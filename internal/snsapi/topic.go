package snsapi

import (
	"cmp"
	"context"
	"regexp"
	"strconv"
	"strings"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
	"packhouse/internal/topic"
)

const (
	maxTopics        = 10_000 // of an account
	maxSubscriptions = 1_000  // to a topic: a message is written down for each
	maxTags          = 50
)

func (a *API) topicRows() []restjson.Row {
	return []restjson.Row{
		op(a, "CreateTopic", "make a topic", a.createTopic),
		op(a, "DeleteTopic", "remove a topic with its subscriptions", a.deleteTopic),
		op(a, "ListTopics", "list the topics of the account", a.listTopics),
		op(a, "GetTopicAttributes", "describe a topic", a.topicAttributes),
		op(a, "SetTopicAttributes", "change an attribute of a topic", a.setTopicAttribute),
	}
}

// Tag is a tag of a topic.
type Tag struct {
	Key   string  `json:"Key" required:"true" validate:"TagKey"`
	Value *string `json:"Value" required:"true" validate:"TagValue"`
}

// CreateTopicInput is a topic.
type CreateTopicInput struct {
	Name                 string            `json:"Name" required:"true" validate:"TopicName"`
	Attributes           map[string]string `json:"Attributes" validate:"Attributes"`
	Tags                 []Tag             `json:"Tags" validate:"Tags"`
	DataProtectionPolicy string            `json:"DataProtectionPolicy" validate:"Value"`
}

func (in *CreateTopicInput) resource(region, account string) string {
	return topic.ARN(region, account, in.Name)
}

func (in *CreateTopicInput) alsoNeeds() string {
	if len(in.Tags) > 0 {
		return "TagResource"
	}
	return ""
}

// CreateTopicOutput names the topic.
type CreateTopicOutput struct {
	TopicArn string `json:"TopicArn"`
}

// set changes an attribute of a topic. Those that SNS has and this house has not
// may only have the value that means nothing.
func set(t *catalog.TopicSettings, name, value string) error {
	switch name {
	case "DisplayName":
		if len([]rune(value)) > 100 || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' }) {
			return invalid("DisplayName must be of 100 printable characters at most")
		}
		t.DisplayName = value
		return nil
	case "SignatureVersion":
		if value != "2" {
			return invalid("SignatureVersion: messages are signed in version 2 here")
		}
		return nil
	case "TracingConfig":
		if value == "PassThrough" || value == "" {
			return nil
		}
	case "FifoTopic", "ContentBasedDeduplication":
		if value == "false" || value == "" {
			return nil
		}
	case "Policy":
		return invalid("Policy: topics have no policies here; what may be done is in the policies of users, groups and roles")
	case "DeliveryPolicy", "KmsMasterKeyId", "ArchivePolicy":
		if value == "" {
			return nil
		}
	default:
		if !feedback.MatchString(name) {
			return invalid("AttributeName")
		}
		if value == "" || value == "0" {
			return nil
		}
	}
	return invalid("%s is not supported", name)
}

// feedback are the attributes about logs of deliveries, which Terraform sets to
// nothing.
var feedback = regexp.MustCompile(`^(Application|Firehose|HTTP|Lambda|SQS)((Success|Failure)FeedbackRoleArn|SuccessFeedbackSampleRate)$`)

// createTopic gives the topic of that name when there is one with the same
// attributes.
func (a *API) createTopic(ctx context.Context, account string, in *CreateTopicInput) (*CreateTopicOutput, error) {
	if in.DataProtectionPolicy != "" {
		return nil, invalid("DataProtectionPolicy is not supported")
	}
	t := catalog.Topic{Account: account, Name: in.Name}
	for name, value := range in.Attributes {
		if err := set(&t.Settings, name, value); err != nil {
			return nil, err
		}
	}
	arn := topic.ARN(a.region, account, in.Name)
	return &CreateTopicOutput{arn}, a.db.Update(ctx, func(tx *catalog.Tx) error {
		there, err := tx.Topic(account, in.Name)
		switch {
		case fault.Is(err, fault.NotFound):
		case err != nil:
			return err
		default:
			if _, given := in.Attributes["DisplayName"]; given && there.Settings != t.Settings {
				return invalid("Attributes Reason: Topic already exists with different attributes")
			}
			return sameTags(tx, arn, in.Tags)
		}
		t.Created = tx.Now()
		if err := tx.PutTopic(t); err != nil {
			return err
		}
		if all, err := tx.Topics(account, "", maxTopics+1); err != nil || len(all) > maxTopics {
			return cmp.Or(err, fault.New(fault.Quota, "The account has %d topics, which is the most it may have.", maxTopics))
		}
		if err := tx.DeleteTags(arn); err != nil { // of one of that name before
			return err
		}
		return putTags(tx, arn, in.Tags)
	})
}

func sameTags(tx *catalog.Tx, arn string, tags []Tag) error {
	if len(tags) == 0 {
		return nil
	}
	list, err := tx.Tags(arn)
	if err != nil {
		return err
	}
	kept := map[string]string{}
	for _, t := range list {
		kept[t.Key] = t.Value
	}
	for _, t := range tags {
		if value, ok := kept[t.Key]; !ok || value != *t.Value {
			return invalid("Tags Reason: Topic already exists with different tags")
		}
	}
	return nil
}

// TopicInput names a topic.
type TopicInput struct {
	TopicArn string `json:"TopicArn" required:"true" validate:"ARN"`
}

func (in *TopicInput) resource(string, string) string { return in.TopicArn }

// deleteTopic succeeds also when there is none, as in SNS.
func (a *API) deleteTopic(ctx context.Context, account string, in *TopicInput) (*nothing, error) {
	name, err := a.own(account, in.TopicArn)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.DeleteTopic(account, name); err != nil {
			return err
		}
		return tx.DeleteTags(in.TopicArn)
	})
}

// ListInput asks for a part of a list.
type ListInput struct {
	NextToken *string `json:"NextToken" validate:"NextToken"`
}

func (*ListInput) resource(region, account string) string { return topic.ARN(region, account, "*") }

// Topic is a topic in a list.
type Topic struct {
	TopicArn string `json:"TopicArn"`
}

// ListTopicsOutput is a part of the topics.
type ListTopicsOutput struct {
	Topics    []Topic `json:"Topics"`
	NextToken *string `json:"NextToken,omitempty"`
}

func (a *API) listTopics(ctx context.Context, account string, in *ListInput) (*ListTopicsOutput, error) {
	var out ListTopicsOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		rows, next, err := part(in.NextToken, "ListTopics", []string{account},
			func(after string, limit int) ([]catalog.Topic, error) { return tx.Topics(account, after, limit) },
			func(t catalog.Topic) string { return t.Name })
		out = ListTopicsOutput{collect(rows, func(t catalog.Topic) Topic { return Topic{topic.ARN(a.region, account, t.Name)} }), next}
		return err
	})
	return &out, err
}

// AttributesOutput is what is known of something.
type AttributesOutput struct {
	Attributes map[string]string `json:"Attributes"`
}

func (a *API) topicAttributes(ctx context.Context, account string, in *TopicInput) (*AttributesOutput, error) {
	name, err := a.own(account, in.TopicArn)
	if err != nil {
		return nil, err
	}
	var t catalog.Topic
	pending, confirmed := 0, 0
	err = a.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if t, err = tx.Topic(account, name); err != nil {
			return err
		}
		list, err := tx.Subscriptions(account, name, "", 0)
		for _, s := range list {
			if s.Confirmed.IsZero() {
				pending++
			} else {
				confirmed++
			}
		}
		return err
	})
	return &AttributesOutput{map[string]string{
		"TopicArn": in.TopicArn, "Owner": account, "DisplayName": t.Settings.DisplayName, "SignatureVersion": "2", "TracingConfig": "PassThrough",
		"SubscriptionsConfirmed": strconv.Itoa(confirmed), "SubscriptionsPending": strconv.Itoa(pending), "SubscriptionsDeleted": "0",
		"Policy": policyOf(in.TopicArn, account),
	}}, err
}

// policyOf is the policy that SNS gives a topic that has been given none: whoever
// in the account is permitted may.
func policyOf(arn, account string) string {
	return `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},` +
		`"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],` +
		`"Resource":"` + arn + `","Condition":{"StringEquals":{"AWS:SourceOwner":"` + account + `"}}}]}`
}

// SetTopicAttributeInput changes an attribute.
type SetTopicAttributeInput struct {
	TopicArn       string `json:"TopicArn" required:"true" validate:"ARN"`
	AttributeName  string `json:"AttributeName" required:"true" validate:"Attribute"`
	AttributeValue string `json:"AttributeValue" validate:"Value"`
}

func (in *SetTopicAttributeInput) resource(string, string) string { return in.TopicArn }

func (a *API) setTopicAttribute(ctx context.Context, account string, in *SetTopicAttributeInput) (*nothing, error) {
	name, err := a.own(account, in.TopicArn)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		t, err := tx.Topic(account, name)
		if err != nil {
			return err
		}
		if err := set(&t.Settings, in.AttributeName, in.AttributeValue); err != nil {
			return err
		}
		return tx.PutTopic(t)
	})
}
