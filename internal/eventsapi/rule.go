package eventsapi

import (
	"context"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/event/pattern"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

const maxRules = 1000 // of an account

// The states of a rule. The third is as good as the first: it is about events
// that this house does not have.
const (
	enabled    = "ENABLED"
	disabled   = "DISABLED"
	enabledToo = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
)

func (a *API) ruleRows() []restjson.Row {
	return []restjson.Row{
		op(a, "PutRule", "make a rule that selects events, or change it", a.putRule),
		op(a, "DescribeRule", "describe a rule", a.describeRule),
		op(a, "ListRules", "list the rules of the account", a.listRules),
		op(a, "EnableRule", "switch a rule on", a.enableRule),
		op(a, "DisableRule", "switch a rule off", a.disableRule),
		op(a, "DeleteRule", "remove a rule that has no targets left", a.deleteRule),
		op(a, "TestEventPattern", "tell whether a pattern matches an event", testPattern),
	}
}

// Tag is a tag of a resource.
type Tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

// PutRuleInput is a rule.
type PutRuleInput struct {
	Name               string  `json:"Name" required:"true" validate:"Name"`
	EventPattern       string  `json:"EventPattern" validate:"EventPattern"`
	State              string  `json:"State" validate:"RuleState"`
	Description        string  `json:"Description" validate:"Description"`
	RoleArn            string  `json:"RoleArn" validate:"Arn"`
	EventBusName       *string `json:"EventBusName" validate:"EventBus"`
	ScheduleExpression string  `json:"ScheduleExpression" validate:"Schedule"`
	Tags               []Tag   `json:"Tags"`
}

func (in *PutRuleInput) resource(region, account string) string {
	return event.RuleARN(region, account, in.Name)
}

// PutRuleOutput names the rule.
type PutRuleOutput struct {
	RuleArn string `json:"RuleArn"`
}

func (a *API) putRule(ctx context.Context, account string, in *PutRuleInput) (*PutRuleOutput, error) {
	if err := a.onBus(account, in.EventBusName); err != nil {
		return nil, err
	}
	switch {
	case in.ScheduleExpression != "":
		return nil, fault.New(fault.Invalid, "ScheduleExpression: rules on a schedule are not supported")
	case in.EventPattern == "":
		return nil, fault.New(fault.Invalid, "Parameter(s) EventPattern or ScheduleExpression must be specified.")
	case len(in.Tags) > 0:
		return nil, fault.New(fault.Invalid, "Tags: rules have no tags here")
	}
	if _, err := parsePattern(in.EventPattern); err != nil {
		return nil, err
	}
	err := a.db.Update(ctx, func(tx *catalog.Tx) error {
		err := tx.PutEventRule(catalog.EventRule{
			Account: account, Name: in.Name, Pattern: in.EventPattern, Enabled: in.State != disabled,
			Description: in.Description, Role: in.RoleArn, Created: tx.Now(),
		})
		if err != nil {
			return err
		}
		all, err := tx.EventRules(account, "", "", maxRules+1)
		if err == nil && len(all) > maxRules {
			return tooMany("rules", maxRules)
		}
		return err
	})
	return &PutRuleOutput{event.RuleARN(a.region, account, in.Name)}, err
}

func parsePattern(text string) (*pattern.Pattern, error) {
	p, err := pattern.Parse(text)
	return p, restjson.WithCode("InvalidEventPatternException", err)
}

// RuleInput names a rule.
type RuleInput struct {
	Name         string  `json:"Name" required:"true" validate:"Name"`
	EventBusName *string `json:"EventBusName" validate:"EventBus"`
}

func (in *RuleInput) resource(region, account string) string {
	return event.RuleARN(region, account, in.Name)
}

// DescribeRuleOutput is a rule.
type DescribeRuleOutput struct {
	Name         string `json:"Name"`
	Arn          string `json:"Arn"`
	EventPattern string `json:"EventPattern"`
	State        string `json:"State"`
	Description  string `json:"Description,omitempty"`
	RoleArn      string `json:"RoleArn,omitempty"`
	EventBusName string `json:"EventBusName"`
	CreatedBy    string `json:"CreatedBy"`
}

func (a *API) describeRule(ctx context.Context, account string, in *RuleInput) (*DescribeRuleOutput, error) {
	if err := a.onBus(account, in.EventBusName); err != nil {
		return nil, err
	}
	var r Rule
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		row, err := tx.EventRule(account, in.Name)
		r = a.ruleOf(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &DescribeRuleOutput{r.Name, r.Arn, r.EventPattern, r.State, r.Description, r.RoleArn, r.EventBusName, account}, nil
}

// ListRulesInput chooses rules.
type ListRulesInput struct {
	NamePrefix   string  `json:"NamePrefix" validate:"Name"`
	EventBusName *string `json:"EventBusName" validate:"EventBus"`
	NextToken    *string `json:"NextToken" validate:"NextToken"`
	Limit        *int    `json:"Limit" validate:"Limit"`
}

func (in *ListRulesInput) resource(region, account string) string {
	return event.RuleARN(region, account, "*")
}

// Rule is a rule in a list.
type Rule struct {
	Name         string `json:"Name"`
	Arn          string `json:"Arn"`
	EventPattern string `json:"EventPattern"`
	State        string `json:"State"`
	Description  string `json:"Description,omitempty"`
	RoleArn      string `json:"RoleArn,omitempty"`
	EventBusName string `json:"EventBusName"`
}

func (a *API) ruleOf(r catalog.EventRule) Rule {
	state := disabled
	if r.Enabled {
		state = enabled
	}
	return Rule{r.Name, event.RuleARN(a.region, r.Account, r.Name), r.Pattern, state, r.Description, r.Role, bus}
}

// ListRulesOutput is a part of the rules.
type ListRulesOutput struct {
	Rules     []Rule  `json:"Rules"`
	NextToken *string `json:"NextToken,omitempty"`
}

func (a *API) listRules(ctx context.Context, account string, in *ListRulesInput) (*ListRulesOutput, error) {
	if err := a.onBus(account, in.EventBusName); err != nil {
		return nil, err
	}
	var out ListRulesOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		rules, next, err := part(turn{in.NextToken, in.Limit, "ListRules", []string{account, in.NamePrefix}},
			func(after string, limit int) ([]catalog.EventRule, error) {
				return tx.EventRules(account, in.NamePrefix, after, limit)
			}, func(r catalog.EventRule) string { return r.Name })
		out = ListRulesOutput{collect(rules, a.ruleOf), next}
		return err
	})
	return &out, err
}

func (a *API) enableRule(ctx context.Context, account string, in *RuleInput) (*nothing, error) {
	return nil, a.switchRule(ctx, account, in, true)
}

func (a *API) disableRule(ctx context.Context, account string, in *RuleInput) (*nothing, error) {
	return nil, a.switchRule(ctx, account, in, false)
}

func (a *API) switchRule(ctx context.Context, account string, in *RuleInput, on bool) error {
	if err := a.onBus(account, in.EventBusName); err != nil {
		return err
	}
	return a.db.Update(ctx, func(tx *catalog.Tx) error { return tx.EnableEventRule(account, in.Name, on) })
}

// DeleteRuleInput names a rule.
type DeleteRuleInput struct {
	Name         string  `json:"Name" required:"true" validate:"Name"`
	EventBusName *string `json:"EventBusName" validate:"EventBus"`
	Force        bool    `json:"Force"` // is about rules that services of AWS manage: of no effect
}

func (in *DeleteRuleInput) resource(region, account string) string {
	return event.RuleARN(region, account, in.Name)
}

func (a *API) deleteRule(ctx context.Context, account string, in *DeleteRuleInput) (*nothing, error) {
	if err := a.onBus(account, in.EventBusName); err != nil {
		return nil, err
	}
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		targets, err := tx.EventTargets(account, in.Name, "", 1)
		if err != nil {
			return err
		}
		if len(targets) > 0 {
			return fault.New(fault.Invalid, "Rule can't be deleted since it has targets.")
		}
		_, err = tx.DeleteEventRule(account, in.Name) // that there is none is no error, as in EventBridge
		return err
	})
}

// TestEventPatternInput is a pattern and an event.
type TestEventPatternInput struct {
	EventPattern string `json:"EventPattern" required:"true" validate:"EventPattern"`
	Event        string `json:"Event" required:"true"`
}

func (*TestEventPatternInput) resource(string, string) string { return "*" }

// TestEventPatternOutput tells whether they match.
type TestEventPatternOutput struct {
	Result bool `json:"Result"`
}

// testPattern wants the members of an event that EventBridge wants in one.
func testPattern(_ context.Context, _ string, in *TestEventPatternInput) (*TestEventPatternOutput, error) {
	p, err := parsePattern(in.EventPattern)
	if err != nil {
		return nil, err
	}
	v, err := pattern.Decode([]byte(in.Event))
	if err != nil {
		return nil, fault.New(fault.Invalid, "Parameter Event is not valid. Reason: not valid JSON: %s", err.Error())
	}
	for _, name := range []string{"id", "account", "source", "time", "region", "resources", "detail-type"} {
		if !v.Has(name) {
			return nil, fault.New(fault.Invalid, "Parameter Event is not valid. Reason: the event lacks %s", name)
		}
	}
	return &TestEventPatternOutput{p.Match(v)}, nil
}
