package snsapi

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/fault"
	"packhouse/internal/mail"
	"packhouse/internal/restjson"
	"packhouse/internal/topic"
)

func (a *API) subscriptionRows() []restjson.Row {
	return []restjson.Row{
		op(a, "Subscribe", "have the messages of a topic sent to an endpoint, once it has confirmed", a.subscribe),
		op(a, "ConfirmSubscription", "confirm a subscription with the token its endpoint was sent", a.confirm),
		op(a, "Unsubscribe", "end a subscription", a.unsubscribe),
		op(a, "ListSubscriptions", "list the subscriptions to the topics of the account", a.listSubscriptions),
		op(a, "ListSubscriptionsByTopic", "list the subscriptions to a topic", a.listByTopic),
		op(a, "GetSubscriptionAttributes", "describe a subscription", a.subscriptionAttributes),
		op(a, "SetSubscriptionAttributes", "change an attribute of a subscription", a.setSubscriptionAttribute),
	}
}

// linkRows are the operations that a token is enough for.
func (a *API) linkRows() []restjson.Row {
	return []restjson.Row{
		restjson.New(restjson.Op[ConfirmInput, SubscriptionOutput]{
			Name: "ConfirmSubscription", Method: http.MethodGet, Path: "/", Unsigned: true,
			Access: func(*restjson.Call, *ConfirmInput) []restjson.Need { return nil },
			Do: func(ctx context.Context, _ *restjson.Call, in *ConfirmInput) (*SubscriptionOutput, error) {
				owner, name, err := topic.ParseARN(in.TopicArn, a.region)
				if err != nil {
					return nil, invalid("TopicArn: %s", fault.Message(err))
				}
				s, err := a.house.Confirm(ctx, owner, name, in.Token, false)
				return &SubscriptionOutput{topic.SubscriptionARN(a.region, s)}, err
			},
		}),
		restjson.New(restjson.Op[LeaveInput, nothing]{
			Name: "Unsubscribe", Method: http.MethodGet, Path: "/", Unsigned: true,
			Access: func(*restjson.Call, *LeaveInput) []restjson.Need { return nil },
			Do: func(ctx context.Context, _ *restjson.Call, in *LeaveInput) (*nothing, error) {
				owner, name, _, err := topic.ParseSubscription(in.SubscriptionArn, a.region)
				if err != nil {
					return nil, invalid("SubscriptionArn: %s", fault.Message(err))
				}
				return nil, a.house.Leave(ctx, owner, name, in.Token)
			},
		}),
	}
}

// SubscribeInput is a subscription.
type SubscribeInput struct {
	TopicArn              string            `json:"TopicArn" required:"true" validate:"ARN"`
	Protocol              string            `json:"Protocol" required:"true" validate:"Protocol"`
	Endpoint              string            `json:"Endpoint" validate:"Endpoint"`
	Attributes            map[string]string `json:"Attributes" validate:"Attributes"`
	ReturnSubscriptionArn *bool             `json:"ReturnSubscriptionArn"`
}

func (in *SubscribeInput) resource(string, string) string { return in.TopicArn }

// SubscriptionOutput names a subscription, or says that it is to be confirmed.
type SubscriptionOutput struct {
	SubscriptionArn string `json:"SubscriptionArn"`
}

const pending = "pending confirmation"

// endpoint gives nil when messages can be sent to one.
func (a *API) endpoint(protocol, endpoint string) error {
	switch protocol {
	case topic.HTTP, topic.HTTPS:
		if err := event.CheckURL(endpoint); err != nil {
			return invalid("Endpoint: %s", fault.Message(err))
		}
		if u, err := url.Parse(endpoint); err != nil || u.Scheme != protocol {
			return invalid("Endpoint must match the specified protocol")
		}
	case topic.Email, topic.EmailJSON:
		if !a.mail {
			return invalid("Protocol: this server sends no mail: its smtp-relay is to be configured first")
		}
		if err := mail.CheckAddress(endpoint); err != nil {
			return invalid("Email address: %s", fault.Message(err))
		}
	default:
		return invalid("Protocol: %q is not one of %s, %s, %s, %s", protocol, topic.HTTP, topic.HTTPS, topic.Email, topic.EmailJSON)
	}
	return nil
}

func setSubscription(s *catalog.SubscriptionSettings, name, value string) error {
	switch name {
	case "RawMessageDelivery":
		raw, err := strconv.ParseBool(value)
		if err != nil {
			return invalid("RawMessageDelivery: want true or false")
		}
		s.Raw = raw
		return nil
	case "FilterPolicy", "FilterPolicyScope", "DeliveryPolicy", "RedrivePolicy", "SubscriptionRoleArn", "ReplayPolicy":
		if value == "" || name == "FilterPolicy" && value == "{}" {
			return nil
		}
		return invalid("%s is not supported", name)
	}
	return invalid("AttributeName")
}

// subscribe asks the endpoint for confirmation, again when it has not answered.
func (a *API) subscribe(ctx context.Context, account string, in *SubscribeInput) (*SubscriptionOutput, error) {
	name, err := a.own(account, in.TopicArn)
	if err != nil {
		return nil, err
	}
	if err := a.endpoint(in.Protocol, in.Endpoint); err != nil {
		return nil, err
	}
	var settings catalog.SubscriptionSettings
	for name, value := range in.Attributes {
		if err := setSubscription(&settings, name, value); err != nil {
			return nil, err
		}
	}
	var s catalog.Subscription
	err = a.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.Topic(account, name); err != nil {
			return err
		}
		s, err = tx.SubscriptionOf(account, name, in.Protocol, in.Endpoint)
		switch {
		case err == nil && !s.Confirmed.IsZero():
			if in.Attributes != nil && s.Settings != settings {
				return invalid("Attributes Reason: Subscription already exists with different attributes")
			}
			return nil
		case err == nil:
			s.Settings, s.Expires = settings, tx.Now().Add(topic.PendingFor)
			if err := tx.UpdateSubscription(s); err != nil {
				return err
			}
		case fault.Is(err, fault.NotFound):
			s = catalog.Subscription{
				ID: topic.NewSubscriptionID(), Account: account, Topic: name, Owner: account, Protocol: in.Protocol, Endpoint: in.Endpoint,
				Settings: settings, Created: tx.Now(), Expires: tx.Now().Add(topic.PendingFor),
			}
			all, err := tx.Subscriptions(account, name, "", maxSubscriptions)
			if err != nil || len(all) == maxSubscriptions {
				return cmp.Or(err, restjson.WithCode("SubscriptionLimitExceeded", fault.New(fault.Quota, "The topic has %d subscriptions, which is the most it may have.", maxSubscriptions)))
			}
			if err := tx.InsertSubscription(s); err != nil {
				return err
			}
		default:
			return err
		}
		return topic.Ask(tx, a.region, s)
	})
	if err != nil {
		return nil, err
	}
	arn := topic.SubscriptionARN(a.region, s)
	if s.Confirmed.IsZero() && (in.ReturnSubscriptionArn == nil || !*in.ReturnSubscriptionArn) {
		arn = pending
	}
	return &SubscriptionOutput{arn}, nil
}

// ConfirmInput confirms a subscription.
type ConfirmInput struct {
	TopicArn                  string `json:"TopicArn" required:"true" validate:"ARN"`
	Token                     string `json:"Token" required:"true" validate:"Token"`
	AuthenticateOnUnsubscribe string `json:"AuthenticateOnUnsubscribe" validate:"Boolean"`
}

func (in *ConfirmInput) resource(string, string) string { return in.TopicArn }

func (a *API) confirm(ctx context.Context, account string, in *ConfirmInput) (*SubscriptionOutput, error) {
	name, err := a.own(account, in.TopicArn)
	if err != nil {
		return nil, err
	}
	s, err := a.house.Confirm(ctx, account, name, in.Token, in.AuthenticateOnUnsubscribe == "true")
	return &SubscriptionOutput{topic.SubscriptionARN(a.region, s)}, err
}

// LeaveInput ends a subscription with the token that its messages carry.
type LeaveInput struct {
	SubscriptionArn string `json:"SubscriptionArn" required:"true" validate:"ARN"`
	Token           string `json:"Token" required:"true" validate:"Token"`
}

// SubscriptionInput names a subscription.
type SubscriptionInput struct {
	SubscriptionArn string `json:"SubscriptionArn" required:"true" validate:"ARN"`
}

// resource is the topic.
func (in *SubscriptionInput) resource(region, account string) string {
	return topicOf(in.SubscriptionArn, region, account)
}

// topicOf is the ARN of the topic of a subscription; of all topics when that
// cannot be told.
func topicOf(arn, region, account string) string {
	owner, name, _, err := topic.ParseSubscription(arn, region)
	if err != nil {
		return topic.ARN(region, account, "*")
	}
	return topic.ARN(region, owner, name)
}

// subscription finds a subscription to a topic of the account.
func (a *API) subscription(tx *catalog.Tx, account, arn string) (catalog.Subscription, error) {
	missing := fault.New(fault.NotFound, "Subscription does not exist")
	owner, name, id, err := topic.ParseSubscription(arn, a.region)
	switch {
	case err != nil:
		return catalog.Subscription{}, invalid("SubscriptionArn Reason: %s", fault.Message(err))
	case owner != account:
		return catalog.Subscription{}, missing
	}
	s, err := tx.Subscription(id)
	if err == nil && (s.Account != account || s.Topic != name) {
		err = missing
	}
	return s, err
}

// unsubscribe succeeds also when there is none any longer, as in SNS.
func (a *API) unsubscribe(ctx context.Context, account string, in *SubscriptionInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		s, err := a.subscription(tx, account, in.SubscriptionArn)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err == nil {
			_, err = tx.DeleteSubscription(s.ID)
		}
		return err
	})
}

// Subscription is a subscription in a list.
type Subscription struct {
	SubscriptionArn string `json:"SubscriptionArn"`
	Owner           string `json:"Owner"`
	Protocol        string `json:"Protocol"`
	Endpoint        string `json:"Endpoint"`
	TopicArn        string `json:"TopicArn"`
}

func (a *API) subscriptionOf(s catalog.Subscription) Subscription {
	out := Subscription{topic.SubscriptionARN(a.region, s), s.Owner, s.Protocol, s.Endpoint, topic.ARN(a.region, s.Account, s.Topic)}
	if s.Confirmed.IsZero() {
		out.SubscriptionArn = "PendingConfirmation"
	}
	return out
}

// ListSubscriptionsOutput is a part of the subscriptions.
type ListSubscriptionsOutput struct {
	Subscriptions []Subscription `json:"Subscriptions"`
	NextToken     *string        `json:"NextToken,omitempty"`
}

func (a *API) listSubscriptions(ctx context.Context, account string, in *ListInput) (*ListSubscriptionsOutput, error) {
	return a.list(ctx, account, "", in.NextToken)
}

// ByTopicInput asks for a part of the subscriptions to a topic.
type ByTopicInput struct {
	TopicArn  string  `json:"TopicArn" required:"true" validate:"ARN"`
	NextToken *string `json:"NextToken" validate:"NextToken"`
}

func (in *ByTopicInput) resource(string, string) string { return in.TopicArn }

func (a *API) listByTopic(ctx context.Context, account string, in *ByTopicInput) (*ListSubscriptionsOutput, error) {
	name, err := a.own(account, in.TopicArn)
	if err != nil {
		return nil, err
	}
	return a.list(ctx, account, name, in.NextToken)
}

func (a *API) list(ctx context.Context, account, name string, token *string) (*ListSubscriptionsOutput, error) {
	var out ListSubscriptionsOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		if name != "" {
			if _, err := tx.Topic(account, name); err != nil {
				return err
			}
		}
		rows, next, err := part(token, "ListSubscriptions", []string{account, name},
			func(after string, limit int) ([]catalog.Subscription, error) {
				return tx.Subscriptions(account, name, after, limit)
			},
			func(s catalog.Subscription) string { return s.ID })
		out = ListSubscriptionsOutput{collect(rows, a.subscriptionOf), next}
		return err
	})
	return &out, err
}

func (a *API) subscriptionAttributes(ctx context.Context, account string, in *SubscriptionInput) (*AttributesOutput, error) {
	var s catalog.Subscription
	err := a.db.View(ctx, func(tx *catalog.Tx) (err error) {
		s, err = a.subscription(tx, account, in.SubscriptionArn)
		return err
	})
	return &AttributesOutput{map[string]string{
		"SubscriptionArn": in.SubscriptionArn, "TopicArn": topic.ARN(a.region, s.Account, s.Topic), "Owner": s.Owner,
		"Protocol": s.Protocol, "Endpoint": s.Endpoint, "RawMessageDelivery": strconv.FormatBool(s.Settings.Raw),
		"PendingConfirmation": strconv.FormatBool(s.Confirmed.IsZero()), "ConfirmationWasAuthenticated": strconv.FormatBool(s.Authenticated),
	}}, err
}

// SetSubscriptionAttributeInput changes an attribute.
type SetSubscriptionAttributeInput struct {
	SubscriptionArn string `json:"SubscriptionArn" required:"true" validate:"ARN"`
	AttributeName   string `json:"AttributeName" required:"true" validate:"Attribute"`
	AttributeValue  string `json:"AttributeValue" validate:"Value"`
}

func (in *SetSubscriptionAttributeInput) resource(region, account string) string {
	return topicOf(in.SubscriptionArn, region, account)
}

func (a *API) setSubscriptionAttribute(ctx context.Context, account string, in *SetSubscriptionAttributeInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		s, err := a.subscription(tx, account, in.SubscriptionArn)
		if err != nil {
			return err
		}
		if err := setSubscription(&s.Settings, in.AttributeName, in.AttributeValue); err != nil {
			return err
		}
		return tx.UpdateSubscription(s)
	})
}
