package snsapi

import (
	"context"
	"encoding/base64"
	"log/slog"
	"strings"

	"github.com/go-json-experiment/json"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
	"packhouse/internal/topic"
)

const (
	maxMessage = 256 << 10 // bytes
	maxSubject = 100       // characters
)

func (a *API) publishRows() []restjson.Row {
	return []restjson.Row{op(a, "Publish", "send a message to the endpoints that have subscribed to a topic", a.publish)}
}

// Text is what a message says. No log and no access record shows it.
type Text string

// LogValue hides the text.
func (Text) LogValue() slog.Value { return slog.StringValue("[hidden]") }

// MessageAttribute is an attribute of a message.
type MessageAttribute struct {
	DataType    string `json:"DataType" required:"true" validate:"DataType"`
	StringValue *Text  `json:"StringValue" validate:"Value"`
	BinaryValue *Text  `json:"BinaryValue"` // base64
}

// PublishInput is a message.
type PublishInput struct {
	TopicArn               string                      `json:"TopicArn" validate:"ARN"`
	TargetArn              string                      `json:"TargetArn" validate:"ARN"`
	PhoneNumber            string                      `json:"PhoneNumber"`
	Message                Text                        `json:"Message" required:"true"`
	Subject                *Text                       `json:"Subject"`
	MessageStructure       string                      `json:"MessageStructure" validate:"Structure"`
	MessageAttributes      map[string]MessageAttribute `json:"MessageAttributes" validate:"Marks"`
	MessageDeduplicationID string                      `json:"MessageDeduplicationId"`
	MessageGroupID         string                      `json:"MessageGroupId"`
}

func (in *PublishInput) arn() string {
	if in.TopicArn != "" {
		return in.TopicArn
	}
	return in.TargetArn
}

func (in *PublishInput) resource(region, account string) string {
	if in.arn() == "" {
		return topic.ARN(region, account, "*")
	}
	return in.arn()
}

// PublishOutput names the message.
type PublishOutput struct {
	MessageID string `json:"MessageId"`
}

// message checks what is to be published.
func (in *PublishInput) message() (m topic.Message, err error) {
	switch {
	case in.PhoneNumber != "":
		return m, invalid("PhoneNumber: messages go to topics here")
	case in.TopicArn == "" && in.TargetArn == "":
		return m, invalid("TopicArn or TargetArn Reason: no value for required parameter")
	case in.MessageDeduplicationID != "" || in.MessageGroupID != "":
		return m, invalid("MessageGroupId and MessageDeduplicationId are of FIFO topics, of which there are none")
	case len(in.Message) > maxMessage:
		return m, invalid("Message too long: %d bytes at most", maxMessage)
	}
	m = topic.Message{Text: string(in.Message)}
	if in.Subject != nil {
		m.Subject = string(*in.Subject)
		if n := len([]rune(m.Subject)); n == 0 || n > maxSubject || strings.ContainsFunc(m.Subject, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return m, invalid("Subject: want 1 to %d characters on one line", maxSubject)
		}
	}
	if in.MessageStructure == "json" {
		texts := map[string]string{}
		if err := json.Unmarshal([]byte(in.Message), &texts); err != nil {
			return m, invalid("Message Structure - JSON message body failed to parse: want an object of texts")
		}
		text, ok := texts["default"]
		if !ok {
			return m, invalid("Message Structure - No default entry in JSON message body")
		}
		m.Text, m.Of = text, texts
	}
	for name, given := range in.MessageAttributes {
		attribute, err := given.attribute(name)
		if err != nil {
			return m, err
		}
		if m.Attributes == nil {
			m.Attributes = map[string]topic.Attribute{}
		}
		m.Attributes[name] = attribute
	}
	return m, nil
}

func (g MessageAttribute) attribute(name string) (topic.Attribute, error) {
	out := topic.Attribute{Type: g.DataType}
	switch binary := strings.HasPrefix(g.DataType, "Binary"); {
	case !binary && g.StringValue != nil && g.BinaryValue == nil:
		out.Value = string(*g.StringValue)
	case binary && g.BinaryValue != nil && g.StringValue == nil:
		if _, err := base64.StdEncoding.DecodeString(string(*g.BinaryValue)); err != nil {
			return out, restjson.WithCode("ParameterValueInvalid", invalid("the BinaryValue of the message attribute '%s' is not base64", name))
		}
		out.Value = string(*g.BinaryValue)
	default:
		return out, restjson.WithCode("ParameterValueInvalid", invalid("the message attribute '%s' must have the one value that its DataType says", name))
	}
	return out, nil
}

func (a *API) publish(ctx context.Context, account string, in *PublishInput) (*PublishOutput, error) {
	m, err := in.message()
	if err != nil {
		return nil, err
	}
	name, err := a.own(account, in.arn())
	if err != nil {
		return nil, err
	}
	out := &PublishOutput{}
	err = a.db.Update(ctx, func(tx *catalog.Tx) (err error) {
		out.MessageID, err = topic.Publish(tx, a.region, account, name, m)
		return err
	})
	return out, err
}

func (a *API) tagRows() []restjson.Row {
	return []restjson.Row{
		op(a, "ListTagsForResource", "list the tags of a topic", a.listTags),
		op(a, "TagResource", "set tags of a topic", a.tag),
		op(a, "UntagResource", "remove tags of a topic", a.untag),
	}
}

// ListTagsInput names a topic.
type ListTagsInput struct {
	ResourceArn string `json:"ResourceArn" required:"true" validate:"ARN"`
}

func (in *ListTagsInput) resource(string, string) string { return in.ResourceArn }

// ListTagsOutput is its tags.
type ListTagsOutput struct {
	Tags []Tag `json:"Tags"`
}

// tagged gives nil when an ARN is that of a topic of the account.
func (a *API) tagged(tx *catalog.Tx, account, arn string) error {
	name, err := a.own(account, arn)
	if err == nil {
		_, err = tx.Topic(account, name)
	}
	if fault.Is(err, fault.NotFound) {
		return restjson.WithCode("ResourceNotFound", err)
	}
	return err
}

func (a *API) listTags(ctx context.Context, account string, in *ListTagsInput) (*ListTagsOutput, error) {
	var list []catalog.Tag
	err := a.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if err := a.tagged(tx, account, in.ResourceArn); err != nil {
			return err
		}
		list, err = tx.Tags(in.ResourceArn)
		return err
	})
	return &ListTagsOutput{collect(list, func(t catalog.Tag) Tag { return Tag{t.Key, &t.Value} })}, err
}

// TagInput sets tags of a topic.
type TagInput struct {
	ResourceArn string `json:"ResourceArn" required:"true" validate:"ARN"`
	Tags        []Tag  `json:"Tags" required:"true" validate:"Tags"`
}

func (in *TagInput) resource(string, string) string { return in.ResourceArn }

func (a *API) tag(ctx context.Context, account string, in *TagInput) (*done, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := a.tagged(tx, account, in.ResourceArn); err != nil {
			return err
		}
		return putTags(tx, in.ResourceArn, in.Tags)
	})
}

func putTags(tx *catalog.Tx, arn string, tags []Tag) error {
	var list []catalog.Tag
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return invalid("tag keys must not begin with aws: (%s)", t.Key)
		}
		list = append(list, catalog.Tag{Key: t.Key, Value: *t.Value})
	}
	if err := tx.PutTags(arn, list); err != nil {
		return err
	}
	all, err := tx.Tags(arn)
	if err == nil && len(all) > maxTags {
		return restjson.WithCode("TagLimitExceeded", fault.New(fault.Invalid, "a topic has %d tags at most", maxTags))
	}
	return err
}

// UntagInput removes tags of a topic.
type UntagInput struct {
	ResourceArn string   `json:"ResourceArn" required:"true" validate:"ARN"`
	TagKeys     []string `json:"TagKeys" required:"true" validate:"TagKeys"`
}

func (in *UntagInput) resource(string, string) string { return in.ResourceArn }

func (a *API) untag(ctx context.Context, account string, in *UntagInput) (*done, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := a.tagged(tx, account, in.ResourceArn); err != nil || len(in.TagKeys) == 0 {
			return err
		}
		return tx.DeleteTags(in.ResourceArn, in.TagKeys...)
	})
}
