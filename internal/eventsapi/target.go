package eventsapi

import (
	"context"
	"crypto/rand"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/event/webhook"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

const maxTargets = 5 // of a rule

func (a *API) targetRows() []restjson.Row {
	return []restjson.Row{
		op(a, "PutTargets", "send the events of a rule somewhere", a.putTargets),
		op(a, "ListTargetsByRule", "list where the events of a rule go", a.listTargets),
		op(a, "ListRuleNamesByTarget", "list the rules whose events go to a target", a.listRulesOfTarget),
		op(a, "RemoveTargets", "send the events of a rule there no longer", a.removeTargets),
		op(a, "GetSigningSecret", "show the secret that messages to a target are signed with", a.getSigningSecret),
		op(a, "RotateSigningSecret", "sign messages to all targets with new secrets", a.rotateSigningSecret),
	}
}

// InputTransformer makes the message of parts of the event.
type InputTransformer struct {
	InputPathsMap map[string]string `json:"InputPathsMap" validate:"InputPaths"`
	InputTemplate string            `json:"InputTemplate" required:"true" validate:"InputTemplate"`
}

// HTTPParameters go with the request to a target.
type HTTPParameters struct {
	PathParameterValues   []string          `json:"PathParameterValues" validate:"PathValues"`
	HeaderParameters      map[string]string `json:"HeaderParameters" validate:"Headers"`
	QueryStringParameters map[string]string `json:"QueryStringParameters" validate:"Query"`
}

// DeadLetterConfig names a queue.
type DeadLetterConfig struct {
	Arn string `json:"Arn" validate:"Arn"`
}

// RetryPolicy says for how long a message is tried.
type RetryPolicy struct {
	MaximumRetryAttempts     *int `json:"MaximumRetryAttempts" validate:"RetryAttempts"`
	MaximumEventAgeInSeconds *int `json:"MaximumEventAgeInSeconds" validate:"EventAge"`
}

// Target is where events go.
type Target struct {
	ID               string            `json:"Id" required:"true" validate:"Name"`
	Arn              string            `json:"Arn" required:"true" validate:"Arn"`
	RoleArn          string            `json:"RoleArn" validate:"Arn"`
	Input            string            `json:"Input" validate:"Input"`
	InputPath        string            `json:"InputPath" validate:"InputPath"`
	InputTransformer *InputTransformer `json:"InputTransformer"`
	HttpParameters   *HTTPParameters   `json:"HttpParameters"`
	DeadLetterConfig *DeadLetterConfig `json:"DeadLetterConfig"`
	RetryPolicy      *RetryPolicy      `json:"RetryPolicy"`
}

// settings are a target's as they are kept.
func (t *Target) settings() catalog.TargetSettings {
	s := catalog.TargetSettings{Role: t.RoleArn, Input: t.Input, InputPath: t.InputPath}
	if i := t.InputTransformer; i != nil {
		s.Paths, s.Template = i.InputPathsMap, i.InputTemplate
	}
	if h := t.HttpParameters; h != nil {
		s.PathValues, s.Header, s.Query = h.PathParameterValues, h.HeaderParameters, h.QueryStringParameters
	}
	if r := t.RetryPolicy; r != nil {
		s.Attempts, s.MaxAge = r.MaximumRetryAttempts, r.MaximumEventAgeInSeconds
	}
	return s
}

// TargetInList is a target as it is shown.
type TargetInList struct {
	ID               string               `json:"Id"`
	Arn              string               `json:"Arn"`
	RoleArn          string               `json:"RoleArn,omitempty"`
	Input            string               `json:"Input,omitempty"`
	InputPath        string               `json:"InputPath,omitempty"`
	InputTransformer *ShownTransformer    `json:"InputTransformer,omitempty"`
	HttpParameters   *ShownHTTPParameters `json:"HttpParameters,omitempty"`
	RetryPolicy      *ShownRetryPolicy    `json:"RetryPolicy,omitempty"`
}

// ShownTransformer is an InputTransformer in an answer.
type ShownTransformer struct {
	InputPathsMap map[string]string `json:"InputPathsMap,omitempty"`
	InputTemplate string            `json:"InputTemplate"`
}

// ShownHTTPParameters are HTTPParameters in an answer.
type ShownHTTPParameters struct {
	PathParameterValues   []string          `json:"PathParameterValues,omitempty"`
	HeaderParameters      map[string]string `json:"HeaderParameters,omitempty"`
	QueryStringParameters map[string]string `json:"QueryStringParameters,omitempty"`
}

// ShownRetryPolicy is a RetryPolicy in an answer.
type ShownRetryPolicy struct {
	MaximumRetryAttempts     *int `json:"MaximumRetryAttempts,omitempty"`
	MaximumEventAgeInSeconds *int `json:"MaximumEventAgeInSeconds,omitempty"`
}

func shown(t catalog.EventTarget) TargetInList {
	s := t.Settings
	out := TargetInList{ID: t.ID, Arn: t.ARN, RoleArn: s.Role, Input: s.Input, InputPath: s.InputPath}
	if s.Template != "" {
		out.InputTransformer = &ShownTransformer{s.Paths, s.Template}
	}
	if len(s.PathValues)+len(s.Header)+len(s.Query) > 0 {
		out.HttpParameters = &ShownHTTPParameters{s.PathValues, s.Header, s.Query}
	}
	if s.Attempts != nil || s.MaxAge != nil {
		out.RetryPolicy = &ShownRetryPolicy{s.Attempts, s.MaxAge}
	}
	return out
}

// PutTargetsInput names a rule and its targets.
type PutTargetsInput struct {
	Rule         string   `json:"Rule" required:"true" validate:"Name"`
	EventBusName *string  `json:"EventBusName" validate:"EventBus"`
	Targets      []Target `json:"Targets" required:"true" validate:"Targets"`
}

func (in *PutTargetsInput) resource(region, account string) string {
	return event.RuleARN(region, account, in.Rule)
}

// TargetsOutput tells what could not be done.
type TargetsOutput struct {
	FailedEntryCount int           `json:"FailedEntryCount"`
	FailedEntries    []FailedEntry `json:"FailedEntries"`
}

// FailedEntry is a target with which something could not be done.
type FailedEntry struct {
	TargetID     string `json:"TargetId"`
	ErrorCode    string `json:"ErrorCode"`
	ErrorMessage string `json:"ErrorMessage"`
}

// putTargets takes all of the targets or none.
func (a *API) putTargets(ctx context.Context, account string, in *PutTargetsInput) (*TargetsOutput, error) {
	if err := a.onBus(account, in.EventBusName); err != nil {
		return nil, err
	}
	err := a.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.EventRule(account, in.Rule); err != nil {
			return err
		}
		for _, t := range in.Targets {
			row := catalog.EventTarget{Account: account, Rule: in.Rule, ID: t.ID, ARN: t.Arn, Settings: t.settings()}
			if err := a.checkTarget(tx, account, t, row.Settings); err != nil {
				return err
			}
			if err := tx.PutEventTarget(row); err != nil {
				return err
			}
		}
		all, err := tx.EventTargets(account, in.Rule, "", maxTargets+1)
		if err == nil && len(all) > maxTargets {
			return tooMany("targets of a rule", maxTargets)
		}
		if err == nil {
			_, err = signing(tx, account)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &TargetsOutput{FailedEntries: []FailedEntry{}}, nil
}

func (a *API) checkTarget(tx *catalog.Tx, account string, t Target, s catalog.TargetSettings) error {
	bad := func(err error) error {
		return fault.New(fault.Invalid, "Target %s: %s", t.ID, fault.Message(err))
	}
	if t.DeadLetterConfig != nil {
		return bad(fault.New(fault.Invalid, "DeadLetterConfig: dead letters are kept by this server (ListDeadLetters), for every target"))
	}
	transform := event.Transform{Input: s.Input, Path: s.InputPath, Paths: s.Paths, Template: s.Template}
	if err := transform.Check(); err != nil {
		return bad(err)
	}
	address, err := event.ParseTarget(t.Arn, a.region, account)
	if err != nil {
		return bad(err)
	}
	if address.Destination.Name == "" {
		return nil
	}
	d, err := tx.EventDestination(account, address.Destination.Name)
	switch {
	case fault.Is(err, fault.NotFound) || err == nil && d.ID != address.Destination.ID:
		return bad(fault.New(fault.Invalid, "there is no api-destination %s", t.Arn))
	default:
		return err
	}
}

// ListTargetsInput names a rule.
type ListTargetsInput struct {
	Rule         string  `json:"Rule" required:"true" validate:"Name"`
	EventBusName *string `json:"EventBusName" validate:"EventBus"`
	NextToken    *string `json:"NextToken" validate:"NextToken"`
	Limit        *int    `json:"Limit" validate:"Limit"`
}

func (in *ListTargetsInput) resource(region, account string) string {
	return event.RuleARN(region, account, in.Rule)
}

// ListTargetsOutput is a part of the targets.
type ListTargetsOutput struct {
	Targets   []TargetInList `json:"Targets"`
	NextToken *string        `json:"NextToken,omitempty"`
}

func (a *API) listTargets(ctx context.Context, account string, in *ListTargetsInput) (*ListTargetsOutput, error) {
	if err := a.onBus(account, in.EventBusName); err != nil {
		return nil, err
	}
	var out ListTargetsOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.EventRule(account, in.Rule); err != nil {
			return err
		}
		targets, next, err := part(turn{in.NextToken, in.Limit, "ListTargetsByRule", []string{account, in.Rule}},
			func(after string, limit int) ([]catalog.EventTarget, error) {
				return tx.EventTargets(account, in.Rule, after, limit)
			}, func(t catalog.EventTarget) string { return t.ID })
		out = ListTargetsOutput{collect(targets, shown), next}
		return err
	})
	return &out, err
}

// ListRulesOfTargetInput names a target by its ARN.
type ListRulesOfTargetInput struct {
	TargetArn    string  `json:"TargetArn" required:"true" validate:"Arn"`
	EventBusName *string `json:"EventBusName" validate:"EventBus"`
	NextToken    *string `json:"NextToken" validate:"NextToken"`
	Limit        *int    `json:"Limit" validate:"Limit"`
}

func (*ListRulesOfTargetInput) resource(region, account string) string {
	return event.RuleARN(region, account, "*")
}

// ListRulesOfTargetOutput is a part of the rules' names.
type ListRulesOfTargetOutput struct {
	RuleNames []string `json:"RuleNames"`
	NextToken *string  `json:"NextToken,omitempty"`
}

func (a *API) listRulesOfTarget(ctx context.Context, account string, in *ListRulesOfTargetInput) (*ListRulesOfTargetOutput, error) {
	if err := a.onBus(account, in.EventBusName); err != nil {
		return nil, err
	}
	var out ListRulesOfTargetOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		names, next, err := part(turn{in.NextToken, in.Limit, "ListRuleNamesByTarget", []string{account, in.TargetArn}},
			func(after string, limit int) ([]string, error) {
				return tx.EventRulesOfTarget(account, in.TargetArn, after, limit)
			},
			func(name string) string { return name })
		out = ListRulesOfTargetOutput{collect(names, func(name string) string { return name }), next}
		return err
	})
	return &out, err
}

// RemoveTargetsInput names a rule and targets of it.
type RemoveTargetsInput struct {
	Rule         string   `json:"Rule" required:"true" validate:"Name"`
	EventBusName *string  `json:"EventBusName" validate:"EventBus"`
	IDs          []string `json:"Ids" required:"true" validate:"TargetIDs"`
	Force        bool     `json:"Force"` // is about rules that services of AWS manage: of no effect
}

func (in *RemoveTargetsInput) resource(region, account string) string {
	return event.RuleARN(region, account, in.Rule)
}

// removeTargets leaves what waits for them to the delivery, which drops it.
func (a *API) removeTargets(ctx context.Context, account string, in *RemoveTargetsInput) (*TargetsOutput, error) {
	if err := a.onBus(account, in.EventBusName); err != nil {
		return nil, err
	}
	var out TargetsOutput
	err := a.db.Update(ctx, func(tx *catalog.Tx) error {
		out = TargetsOutput{FailedEntries: []FailedEntry{}}
		if _, err := tx.EventRule(account, in.Rule); err != nil {
			return err
		}
		for _, id := range in.IDs {
			found, err := tx.DeleteEventTarget(account, in.Rule, id)
			if err != nil {
				return err
			}
			if !found {
				out.FailedEntries = append(out.FailedEntries, FailedEntry{id, "ResourceNotFoundException", "Rule " + in.Rule + " does not have target " + id + "."})
			}
		}
		out.FailedEntryCount = len(out.FailedEntries)
		return nil
	})
	return &out, err
}

// signing gives the secret that the keys of an account's targets are made from,
// and makes it when there is none.
func signing(tx *catalog.Tx, account string) (catalog.Secret, error) {
	secret, err := tx.EventSigning(account)
	if err != nil || secret != "" {
		return secret, err
	}
	secret = newSecret()
	return secret, tx.SetEventSigning(account, secret)
}

// newSecret has 26 letters and digits of chance, 130 bits, twice.
func newSecret() catalog.Secret { return catalog.Secret(rand.Text() + rand.Text()) }

// SigningSecretInput names a target by its ARN.
type SigningSecretInput struct {
	TargetArn string `json:"TargetArn" required:"true" validate:"Arn"`
}

func (*SigningSecretInput) resource(region, account string) string {
	return event.SigningARN(region, account)
}

// SigningSecretOutput is what the receiver verifies messages with.
type SigningSecretOutput struct {
	SigningSecret string `json:"SigningSecret"`
}

func (a *API) getSigningSecret(ctx context.Context, account string, in *SigningSecretInput) (*SigningSecretOutput, error) {
	address, err := event.ParseTarget(in.TargetArn, a.region, account)
	if err != nil {
		return nil, err
	}
	if address.Log {
		return nil, fault.New(fault.Invalid, "what is written to the log is not signed")
	}
	var out SigningSecretOutput
	err = a.db.Update(ctx, func(tx *catalog.Tx) error {
		secret, err := signing(tx, account)
		out.SigningSecret = webhook.Secret(webhook.KeyOf([]byte(secret), in.TargetArn))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// RotateSigningSecretInput has no members.
type RotateSigningSecretInput struct{}

func (*RotateSigningSecretInput) resource(region, account string) string {
	return event.SigningARN(region, account)
}

func (a *API) rotateSigningSecret(ctx context.Context, account string, _ *RotateSigningSecretInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error { return tx.SetEventSigning(account, newSecret()) })
}
