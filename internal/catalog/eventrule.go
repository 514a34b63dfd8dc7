package catalog

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"packhouse/internal/fault"
)

// EventRule selects events of an account by a pattern.
type EventRule struct {
	Account     string
	Name        string
	Pattern     string // of EventBridge, JSON
	Enabled     bool
	Description string
	Role        string // ARN, kept and shown; of no effect
	Created     time.Time
}

// EventTarget is where the events of a rule go.
type EventTarget struct {
	Account, Rule, ID string
	ARN               string
	Settings          TargetSettings
}

// TargetSettings say what a target is sent, and for how long that is tried.
type TargetSettings struct {
	Role      string            `json:"role,omitempty"` // ARN, kept and shown; of no effect
	Input     string            `json:"input,omitempty"`
	InputPath string            `json:"inputPath,omitempty"`
	Paths     map[string]string `json:"paths,omitempty"` // of the input transformer
	Template  string            `json:"template,omitempty"`

	PathValues []string          `json:"pathValues,omitempty"` // for the asterisks of a destination's address
	Header     map[string]string `json:"header,omitempty"`
	Query      map[string]string `json:"query,omitempty"`

	Attempts *int `json:"attempts,omitempty"` // after the first; nil: the default
	MaxAge   *int `json:"maxAge,omitempty"`   // seconds; nil: the default
}

// Target names a target among all of them: ACCOUNT/RULE/ID.
func (t EventTarget) Target() string { return t.Account + "/" + t.Rule + "/" + t.ID }

// SplitTarget takes EventTarget.Target apart.
func SplitTarget(target string) (account, rule, id string) {
	account, rest, _ := strings.Cut(target, "/")
	rule, id, _ = strings.Cut(rest, "/")
	return account, rule, id
}

// RuleTargets is what the names of the targets of a rule begin with, those of
// all rules when it is empty.
func RuleTargets(account, rule string) string {
	if rule == "" {
		return account + "/"
	}
	return account + "/" + rule + "/"
}

func ruleMissing(name string) error {
	return fault.New(fault.NotFound, "Rule %s does not exist on EventBus default.", name)
}

const eventRuleColumns = "account, name, pattern, enabled, description, role, created"

func scanEventRule(scan func(...any) error) (r EventRule, err error) {
	var enabled, created int64
	err = scan(&r.Account, &r.Name, &r.Pattern, &enabled, &r.Description, &r.Role, &created)
	r.Enabled, r.Created = enabled != 0, fromMicros(created)
	return r, err
}

// PutEventRule makes a rule or replaces the one of that name, which keeps its
// time.
func (tx *Tx) PutEventRule(r EventRule) error {
	_, err := tx.exec(`INSERT INTO event_rule (account, name, pattern, enabled, description, role, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (account, name) DO UPDATE SET pattern = excluded.pattern, enabled = excluded.enabled,
			description = excluded.description, role = excluded.role`,
		r.Account, r.Name, r.Pattern, bit(r.Enabled), r.Description, r.Role, micros(r.Created))
	tx.configChanged()
	return err
}

// EventRule finds a rule; NotFound when there is none.
func (tx *Tx) EventRule(account, name string) (EventRule, error) {
	return first(tx, scanEventRule, ruleMissing(name), "SELECT "+eventRuleColumns+" FROM event_rule WHERE account = $1 AND name = $2", account, name)
}

// EventRules lists an account's rules by name, those that begin with prefix,
// after a name.
func (tx *Tx) EventRules(account, prefix, after string, limit int) ([]EventRule, error) {
	q := newQuery("SELECT "+eventRuleColumns+" FROM event_rule WHERE ").add("account = ? AND name > ?", account, after)
	return all(tx, scanEventRule, q.prefix("name", prefix).add(" ORDER BY name").limit(limit))
}

// EnableEventRule switches a rule on or off; NotFound without it.
func (tx *Tx) EnableEventRule(account, name string, enabled bool) error {
	n, err := tx.exec("UPDATE event_rule SET enabled = $3 WHERE account = $1 AND name = $2", account, name, bit(enabled))
	if err == nil && n == 0 {
		return ruleMissing(name)
	}
	tx.configChanged()
	return err
}

// DeleteEventRule removes a rule, its targets staying, and tells whether it was
// there.
func (tx *Tx) DeleteEventRule(account, name string) (bool, error) {
	n, err := tx.exec("DELETE FROM event_rule WHERE account = $1 AND name = $2", account, name)
	tx.configChanged()
	return n > 0, err
}

const eventTargetColumns = "account, rule, id, arn, settings"

func scanEventTarget(scan func(...any) error) (t EventTarget, err error) {
	var settings string
	if err := scan(&t.Account, &t.Rule, &t.ID, &t.ARN, &settings); err != nil {
		return t, err
	}
	return t, json.Unmarshal([]byte(settings), &t.Settings)
}

// PutEventTarget makes a target or replaces it.
func (tx *Tx) PutEventTarget(t EventTarget) error {
	settings, err := json.Marshal(t.Settings)
	if err != nil {
		return fmt.Errorf("put event target: %w", err)
	}
	_, err = tx.exec(`INSERT INTO event_target (account, rule, id, arn, settings) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (account, rule, id) DO UPDATE SET arn = excluded.arn, settings = excluded.settings`,
		t.Account, t.Rule, t.ID, t.ARN, string(settings))
	tx.configChanged()
	return err
}

// EventTarget finds a target; NotFound when there is none.
func (tx *Tx) EventTarget(account, rule, id string) (EventTarget, error) {
	return first(tx, scanEventTarget, fault.New(fault.NotFound, "rule %s has no target %s", rule, id),
		"SELECT "+eventTargetColumns+" FROM event_target WHERE account = $1 AND rule = $2 AND id = $3", account, rule, id)
}

// EventTargets lists the targets of a rule by id, after one; an empty rule
// means those of all rules of the account, by rule and id.
func (tx *Tx) EventTargets(account, rule, after string, limit int) ([]EventTarget, error) {
	q := newQuery("SELECT "+eventTargetColumns+" FROM event_target WHERE ").add("account = ?", account)
	if rule != "" {
		q.add(" AND rule = ? AND id > ?", rule, after)
	}
	return all(tx, scanEventTarget, q.add(" ORDER BY rule, id").limit(limit))
}

// EventRulesOfTarget lists the names of the rules that have a target with this
// ARN, after one.
func (tx *Tx) EventRulesOfTarget(account, arn, after string, limit int) ([]string, error) {
	q := newQuery("SELECT DISTINCT rule FROM event_target WHERE ").add("account = ? AND rule > ? AND arn = ?", account, after, arn)
	return all(tx, scanString, q.add(" ORDER BY rule").limit(limit))
}

// DeleteEventTarget removes a target, what is waiting for it staying until its
// delivery, and tells whether it was there.
func (tx *Tx) DeleteEventTarget(account, rule, id string) (bool, error) {
	n, err := tx.exec("DELETE FROM event_target WHERE account = $1 AND rule = $2 AND id = $3", account, rule, id)
	tx.configChanged()
	return n > 0, err
}

// EventSigning is the secret an account's webhooks are signed with; empty when
// there is none yet.
func (tx *Tx) EventSigning(account string) (Secret, error) {
	var text string
	found, err := tx.one("SELECT secret FROM event_signing WHERE account = $1", []any{account}, &text)
	if err != nil || !found {
		return "", err
	}
	secret, err := tx.unsealed("event_signing", account, text)
	return Secret(secret), err
}

// SetEventSigning keeps the secret of an account, in place of an older one.
func (tx *Tx) SetEventSigning(account string, secret Secret) error {
	text, err := tx.sealed("event_signing", account, string(secret))
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO event_signing (account, secret, created) VALUES ($1, $2, $3)
		ON CONFLICT (account) DO UPDATE SET secret = excluded.secret, created = excluded.created`, account, text, tx.now().UnixMicro())
	tx.configChanged()
	return err
}
