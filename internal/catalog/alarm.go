package catalog

import (
	"encoding/json"
	"fmt"
	"time"

	"packhouse/internal/fault"
	"packhouse/internal/metric"
)

// Alarm watches a metric of an account.
type Alarm struct {
	Account, Name string
	Settings      AlarmSettings
	Actions       bool // somebody is told of changes
	Created       time.Time
	Modified      time.Time // when the settings were put, or actions switched

	State   metric.State
	Reason  string
	Data    string    // JSON of CloudWatch about the reason, or empty
	Updated time.Time // when the state was last set
	Changed time.Time // when it became another one
}

// AlarmSettings are what an alarm watches and who is told.
type AlarmSettings struct {
	Description string             `json:"description,omitempty"`
	Namespace   string             `json:"namespace"`
	Metric      string             `json:"metric"`
	Dimensions  []metric.Dimension `json:"dimensions,omitempty"`
	Unit        string             `json:"unit,omitempty"`
	Statistic   metric.Statistic   `json:"statistic"`
	Operator    metric.Operator    `json:"operator"`
	Threshold   float64            `json:"threshold"`
	Period      int                `json:"period"` // seconds
	Periods     int                `json:"periods"`
	Datapoints  int                `json:"datapoints,omitempty"` // 0: as many as Periods
	Missing     metric.Missing     `json:"missing"`

	OK           []string `json:"ok,omitempty"` // ARNs of topics
	Alarm        []string `json:"alarm,omitempty"`
	Insufficient []string `json:"insufficient,omitempty"`
}

// Rule is what the settings come to.
func (s AlarmSettings) Rule() metric.Rule {
	r := metric.Rule{
		Statistic: s.Statistic, Operator: s.Operator, Threshold: s.Threshold, Period: time.Duration(s.Period) * time.Second,
		Periods: s.Periods, Datapoints: s.Datapoints, Missing: s.Missing,
	}
	if r.Datapoints == 0 {
		r.Datapoints = r.Periods
	}
	return r
}

// ActionsOf are the ARNs that are told when an alarm gets into a state.
func (s AlarmSettings) ActionsOf(state metric.State) []string {
	switch state {
	case metric.OK:
		return s.OK
	case metric.Alarm:
		return s.Alarm
	case metric.InsufficientData:
		return s.Insufficient
	}
	return nil
}

// JobEvaluateAlarms is the kind of the job that looks whether alarms are to change.
const JobEvaluateAlarms = "evaluate-alarms"

const alarmColumns = "account, name, settings, actions, created, modified, state, reason, data, updated, changed"

func scanAlarm(scan func(...any) error) (a Alarm, err error) {
	var settings string
	var actions, created, modified, updated, changed int64
	if err := scan(&a.Account, &a.Name, &settings, &actions, &created, &modified, &a.State, &a.Reason, &a.Data, &updated, &changed); err != nil {
		return a, err
	}
	a.Actions, a.Created, a.Modified, a.Updated, a.Changed = actions != 0, fromMicros(created), fromMicros(modified), fromMicros(updated), fromMicros(changed)
	return a, json.Unmarshal([]byte(settings), &a.Settings)
}

// PutAlarm makes an alarm or replaces the settings of the one of that name, which
// keeps its state.
func (tx *Tx) PutAlarm(a Alarm) error {
	settings, err := json.Marshal(a.Settings)
	if err != nil {
		return fmt.Errorf("put alarm: %w", err)
	}
	_, err = tx.exec(`INSERT INTO alarm (account, name, settings, actions, created, modified, state, reason, data, updated, changed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (account, name) DO UPDATE SET settings = excluded.settings, actions = excluded.actions, modified = excluded.modified`,
		a.Account, a.Name, string(settings), bit(a.Actions), micros(a.Created), micros(a.Modified), string(a.State), a.Reason, a.Data, micros(a.Updated), micros(a.Changed))
	return err
}

func alarmMissing(name string) error {
	return fault.New(fault.NotFound, "Alarm %s does not exist.", name)
}

// Alarm finds an alarm; NotFound when there is none.
func (tx *Tx) Alarm(account, name string) (Alarm, error) {
	return first(tx, scanAlarm, alarmMissing(name), "SELECT "+alarmColumns+" FROM alarm WHERE account = $1 AND name = $2", account, name)
}

// Alarms lists an account's alarms by name, those that begin with prefix, after
// a name.
func (tx *Tx) Alarms(account, prefix, after string, limit int) ([]Alarm, error) {
	q := newQuery("SELECT "+alarmColumns+" FROM alarm WHERE ").add("account = ? AND name > ?", account, after)
	return all(tx, scanAlarm, q.prefix("name", prefix).add(" ORDER BY name").limit(limit))
}

// EveryAlarm lists those of all accounts, by account and name after one.
func (tx *Tx) EveryAlarm(account, name string, limit int) ([]Alarm, error) {
	q := newQuery("SELECT "+alarmColumns+" FROM alarm WHERE ").add("account > ? OR account = ? AND name > ?", account, account, name)
	return all(tx, scanAlarm, q.add(" ORDER BY account, name").limit(limit))
}

// CountAlarms counts those of an account.
func (tx *Tx) CountAlarms(account string) (n int64, err error) {
	_, err = tx.one("SELECT count(*) FROM alarm WHERE account = $1", []any{account}, &n)
	return n, err
}

// SetAlarmState writes the state of a, with its reason and times, unless the alarm
// is not the one that was read any longer: then it tells false.
func (tx *Tx) SetAlarmState(was, a Alarm) (bool, error) {
	n, err := tx.exec(`UPDATE alarm SET state = $3, reason = $4, data = $5, updated = $6, changed = $7
		WHERE account = $1 AND name = $2 AND modified = $8 AND state = $9 AND updated = $10`,
		a.Account, a.Name, string(a.State), a.Reason, a.Data, micros(a.Updated), micros(a.Changed), micros(was.Modified), string(was.State), micros(was.Updated))
	return n > 0, err
}

// SwitchAlarmActions switches telling on or off.
func (tx *Tx) SwitchAlarmActions(account, name string, on bool) error {
	_, err := tx.exec("UPDATE alarm SET actions = $3, modified = $4 WHERE account = $1 AND name = $2", account, name, bit(on), tx.now().UnixMicro())
	return err
}

// DeleteAlarm removes an alarm, its history staying, and tells whether it was
// there.
func (tx *Tx) DeleteAlarm(account, name string) (bool, error) {
	n, err := tx.exec("DELETE FROM alarm WHERE account = $1 AND name = $2", account, name)
	return n > 0, err
}

// AlarmHistory is something that has happened to an alarm.
type AlarmHistory struct {
	Seq            int64 // grows
	Account, Alarm string
	Kind           string // HistoryItemType of CloudWatch
	At             time.Time
	Summary        string
	Data           string // JSON
}

// AddAlarmHistory adds an entry.
func (tx *Tx) AddAlarmHistory(h AlarmHistory) error {
	_, err := tx.exec("INSERT INTO alarm_history (account, alarm, kind, at, summary, data) VALUES ($1, $2, $3, $4, $5, $6)",
		h.Account, h.Alarm, h.Kind, micros(h.At), h.Summary, h.Data)
	return err
}

// HistoryFilter chooses entries: of an alarm, of a kind, in [From, To); what is
// zero does not count.
type HistoryFilter struct {
	Alarm, Kind string
	From, To    time.Time
	Ascending   bool  // oldest first
	After       int64 // Seq that the list goes on from; 0: from its beginning
}

// AlarmHistory lists entries of an account.
func (tx *Tx) AlarmHistory(account string, f HistoryFilter, limit int) ([]AlarmHistory, error) {
	q := newQuery("SELECT seq, account, alarm, kind, at, summary, data FROM alarm_history WHERE ").add("account = ?", account)
	if f.Alarm != "" {
		q.add(" AND alarm = ?", f.Alarm)
	}
	if f.Kind != "" {
		q.add(" AND kind = ?", f.Kind)
	}
	if !f.From.IsZero() {
		q.add(" AND at >= ?", micros(f.From))
	}
	if !f.To.IsZero() {
		q.add(" AND at < ?", micros(f.To))
	}
	order, beyond := " ORDER BY seq DESC", " AND seq < ?"
	if f.Ascending {
		order, beyond = " ORDER BY seq", " AND seq > ?"
	}
	if f.After != 0 {
		q.add(beyond, f.After)
	}
	return all(tx, func(scan func(...any) error) (h AlarmHistory, err error) {
		var at int64
		err = scan(&h.Seq, &h.Account, &h.Alarm, &h.Kind, &at, &h.Summary, &h.Data)
		h.At = fromMicros(at)
		return h, err
	}, q.add(order).limit(limit))
}

// TrimAlarmHistory deletes up to limit entries from before t and tells how many.
func (tx *Tx) TrimAlarmHistory(t time.Time, limit int) (int64, error) {
	return tx.exec("DELETE FROM alarm_history WHERE seq IN (SELECT seq FROM alarm_history WHERE at < $1 LIMIT $2)", micros(t), limitOf(limit))
}
