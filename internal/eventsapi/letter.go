package eventsapi

import (
	"context"
	"strings"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
	"packhouse/internal/topic"
)

func (a *API) letterRows() []restjson.Row {
	return []restjson.Row{
		op(a, "ListDeadLetters", "list messages that could not be delivered", a.listLetters),
		op(a, "ReplayDeadLetters", "deliver messages that could not be delivered again", a.replayLetters),
	}
}

// ListDeadLettersInput chooses dead letters: those of a rule, of the messages to
// a topic, or of all rules.
type ListDeadLettersInput struct {
	Rule      string  `json:"Rule" validate:"Name"`
	Topic     string  `json:"Topic" validate:"TopicName"`
	NextToken *string `json:"NextToken" validate:"NextToken"`
	Limit     *int    `json:"Limit" validate:"Limit"`
}

func (in *ListDeadLettersInput) resource(region, account string) string {
	return lettersOf(region, account, in.Rule, in.Topic)
}

func lettersOf(region, account, rule, name string) string {
	switch {
	case name != "":
		return topic.ARN(region, account, name)
	case rule == "":
		rule = "*"
	}
	return event.RuleARN(region, account, rule)
}

// targetsOf is what the names of the targets begin with that a rule or topic has.
func targetsOf(account, rule, name string) (prefix string, err error) {
	switch {
	case rule != "" && name != "":
		return "", fault.New(fault.Invalid, "Rule and Topic go one at a time")
	case name != "":
		return catalog.TopicTargets(account, name), nil
	}
	return catalog.RuleTargets(account, rule), nil
}

// DeadLetter is a message that was given up.
type DeadLetter struct {
	DeadLetterID string         `json:"DeadLetterId"`
	Rule         string         `json:"Rule,omitempty"`
	Topic        string         `json:"Topic,omitempty"`
	TargetID     string         `json:"TargetId"` // or the id of the subscription
	TargetArn    string         `json:"TargetArn"`
	EventID      string         `json:"EventId"`
	Attempts     int            `json:"Attempts"`
	ErrorMessage string         `json:"ErrorMessage"`
	FirstTried   *restjson.Time `json:"FirstTried"`
	GivenUp      *restjson.Time `json:"GivenUp"`
	Message      string         `json:"Message"`
}

func letterOf(d catalog.EventDelivery) DeadLetter {
	_, rule, id := catalog.SplitTarget(d.Target)
	name := ""
	if _, of, subscription, ok := catalog.SplitSubscription(d.Target); ok {
		rule, name, id = "", of, subscription
	}
	return DeadLetter{d.ID, rule, name, id, d.TargetARN, d.EventID, d.Attempts, d.LastError, at(d.Since), at(d.Dead), d.Body}
}

// ListDeadLettersOutput is a part of the dead letters.
type ListDeadLettersOutput struct {
	DeadLetters []DeadLetter `json:"DeadLetters"`
	NextToken   *string      `json:"NextToken,omitempty"`
}

func (a *API) listLetters(ctx context.Context, account string, in *ListDeadLettersInput) (*ListDeadLettersOutput, error) {
	prefix, err := targetsOf(account, in.Rule, in.Topic)
	if err != nil {
		return nil, err
	}
	var out ListDeadLettersOutput
	err = a.db.View(ctx, func(tx *catalog.Tx) error {
		rows, next, err := part(turn{in.NextToken, in.Limit, "ListDeadLetters", []string{account, in.Rule, in.Topic}},
			func(after string, limit int) ([]catalog.EventDelivery, error) {
				return tx.DeadLetters(account, prefix, after, limit)
			}, func(d catalog.EventDelivery) string { return d.ID })
		out = ListDeadLettersOutput{collect(rows, letterOf), next}
		return err
	})
	return &out, err
}

// ReplayDeadLettersInput names dead letters, or the rule or topic whose dead
// letters they are; nothing means those of all rules.
type ReplayDeadLettersInput struct {
	Rule          string   `json:"Rule" validate:"Name"`
	Topic         string   `json:"Topic" validate:"TopicName"`
	DeadLetterIDs []string `json:"DeadLetterIds" validate:"DeadLetterIDs"`
}

func (in *ReplayDeadLettersInput) resource(region, account string) string {
	return lettersOf(region, account, in.Rule, in.Topic)
}

// ReplayDeadLettersOutput tells what is on its way again.
type ReplayDeadLettersOutput struct {
	ReplayedCount    int            `json:"ReplayedCount"`
	FailedEntryCount int            `json:"FailedEntryCount"`
	FailedEntries    []FailedReplay `json:"FailedEntries"`
}

// FailedReplay is a dead letter that cannot be delivered again.
type FailedReplay struct {
	DeadLetterID string `json:"DeadLetterId"`
	ErrorCode    string `json:"ErrorCode"`
	ErrorMessage string `json:"ErrorMessage"`
}

// replayLetters goes in steps: what has been replayed stays so if a later step
// fails. Not every failed entry is named when there are very many.
func (a *API) replayLetters(ctx context.Context, account string, in *ReplayDeadLettersInput) (*ReplayDeadLettersOutput, error) {
	prefix, err := targetsOf(account, in.Rule, in.Topic)
	if err != nil {
		return nil, err
	}
	out := &ReplayDeadLettersOutput{FailedEntries: []FailedReplay{}}
	if in.DeadLetterIDs != nil {
		return out, a.replay(ctx, out, func(tx *catalog.Tx) (rows []catalog.EventDelivery, missing []string, err error) {
			for _, id := range in.DeadLetterIDs {
				d, err := tx.DeadLetter(account, id)
				switch {
				case fault.Is(err, fault.NotFound) || err == nil && !strings.HasPrefix(d.Target, prefix):
					missing = append(missing, id)
				case err != nil:
					return nil, nil, err
				default:
					rows = append(rows, d)
				}
			}
			return rows, missing, nil
		})
	}
	for after, next, more := "", "", true; more; after = next {
		err := a.replay(ctx, out, func(tx *catalog.Tx) ([]catalog.EventDelivery, []string, error) {
			rows, err := tx.DeadLetters(account, prefix, after, maxItems)
			if more = len(rows) == maxItems; len(rows) > 0 {
				next = rows[len(rows)-1].ID
			}
			return rows, nil, err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// replay revives the rows that choose gives, and adds to out. choose may run
// more than once.
func (a *API) replay(ctx context.Context, out *ReplayDeadLettersOutput, choose func(*catalog.Tx) (rows []catalog.EventDelivery, missing []string, err error)) error {
	var done int
	var failed []FailedReplay
	err := a.db.Update(ctx, func(tx *catalog.Tx) error {
		done, failed = 0, nil
		rows, missing, err := choose(tx)
		if err != nil {
			return err
		}
		for _, id := range missing {
			failed = append(failed, FailedReplay{id, "ResourceNotFoundException", "Dead letter " + id + " does not exist."})
		}
		for _, d := range rows {
			gone, err := targetGone(tx, d.Target)
			switch {
			case gone != "":
				failed = append(failed, FailedReplay{d.ID, "ResourceNotFoundException", gone})
				continue
			case err != nil:
				return err
			}
			if err := tx.ReviveEventDelivery(d); err != nil {
				return err
			}
			done++
		}
		return nil
	})
	if err != nil {
		return err
	}
	out.ReplayedCount += done
	out.FailedEntryCount += len(failed)
	out.FailedEntries = append(out.FailedEntries, failed[:min(len(failed), maxItems-min(maxItems, len(out.FailedEntries)))]...)
	return nil
}

// targetGone says what of a target is not there any longer; empty when it is
// there.
func targetGone(tx *catalog.Tx, target string) (string, error) {
	var text string
	var err error
	if _, name, id, ok := catalog.SplitSubscription(target); ok {
		_, err = tx.Subscription(id)
		text = "Topic " + name + " does not have subscription " + id + " any longer."
	} else {
		account, rule, id := catalog.SplitTarget(target)
		_, err = tx.EventTarget(account, rule, id)
		text = "Rule " + rule + " does not have target " + id + " any longer."
	}
	switch {
	case fault.Is(err, fault.NotFound):
		return text, nil
	case err != nil:
		return "", err
	}
	return "", nil
}
