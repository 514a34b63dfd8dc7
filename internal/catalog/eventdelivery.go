package catalog

import (
	"time"

	"packhouse/internal/fault"
)

// EventDelivery is one event on its way to one target.
type EventDelivery struct {
	ID        string // the same in every attempt
	Account   string
	Target    string // see EventTarget.Target and Subscription.Target
	TargetARN string // when the event was matched
	EventID   string // of the envelope, or of the message to a topic
	Body      string
	Since     time.Time // when the time for trying began
	Attempts  int       // so far, the one under way included
	Due       time.Time // when it may be taken; of a leased one the end of the lease
	Dead      time.Time // when it was given up; zero: it was not
	LastError string
}

const eventDeliveryColumns = "id, account, target, target_arn, event_id, body, since, attempts, due, dead, last_error"

func scanEventDelivery(scan func(...any) error) (d EventDelivery, err error) {
	var since, due, dead int64
	err = scan(&d.ID, &d.Account, &d.Target, &d.TargetARN, &d.EventID, &d.Body, &since, &d.Attempts, &due, &dead, &d.LastError)
	d.Since, d.Due, d.Dead = fromMicros(since), fromMicros(due), fromMicros(dead)
	return d, err
}

// InsertEventDelivery adds one that is due at once.
func (tx *Tx) InsertEventDelivery(d EventDelivery) error {
	_, err := tx.exec(`INSERT INTO event_delivery (id, account, target, target_arn, event_id, body, since, attempts, due, dead, last_error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, '')`,
		tx.NewID(), d.Account, d.Target, d.TargetARN, d.EventID, d.Body, micros(d.Since), tx.now().UnixMicro())
	return err
}

// WaitingTarget is a target for which deliveries are waiting.
type WaitingTarget struct {
	Target string
	Due    time.Time // when the first may be taken
}

// WaitingTargets lists them by name. It is quick however many deliveries one of
// them has.
func (tx *Tx) WaitingTargets() ([]WaitingTarget, error) {
	return all(tx, func(scan func(...any) error) (w WaitingTarget, err error) {
		var due int64
		err = scan(&w.Target, &due)
		w.Due = fromMicros(due)
		return w, err
	}, newQuery(targetsWhere("dead = 0")+`
		SELECT a.target, (SELECT min(d.due) FROM event_delivery d WHERE d.dead = 0 AND d.target = a.target)
		FROM waiting a WHERE a.target IS NOT NULL`))
}

// targetsWhere begins a query of the different targets of deliveries that meet a
// condition, as waiting(target); its last row is null.
func targetsWhere(condition string) string {
	// The index has no list of its targets: step from each to the next.
	return `WITH RECURSIVE waiting(target) AS (
			SELECT min(target) FROM event_delivery WHERE ` + condition + `
			UNION ALL
			SELECT (SELECT min(d.target) FROM event_delivery d WHERE d.` + condition + ` AND d.target > a.target) FROM waiting a WHERE a.target IS NOT NULL
		)`
}

// LeaseEventDeliveries takes up to limit due deliveries of a target for the
// given time, those that have waited longest first. No two callers hold the
// same one. A lease that runs out makes it due again.
func (tx *Tx) LeaseEventDeliveries(target string, limit int, lease time.Duration) ([]EventDelivery, error) {
	now := tx.now()
	q := newQuery("SELECT "+eventDeliveryColumns+" FROM event_delivery WHERE ").
		add("dead = 0 AND target = ? AND due <= ?", target, now.UnixMicro())
	list, err := all(tx, scanEventDelivery, q.add(" ORDER BY due").limit(limit).add(tx.dialect.skipLocked))
	if err != nil {
		return nil, err
	}
	until := now.Add(lease).UnixMicro()
	for i := range list {
		d := &list[i]
		d.Attempts++
		d.Due = fromMicros(until)
		if _, err := tx.exec("UPDATE event_delivery SET attempts = $2, due = $3 WHERE id = $1", d.ID, int64(d.Attempts), until); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// held answers for a lease: an error of kind Conflict when it has run out and
// somebody else has taken the delivery, or it is gone.
func held(n int64, err error) error {
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "the lease of the delivery has passed on")
	}
	return err
}

// CompleteEventDelivery ends a leased delivery.
func (tx *Tx) CompleteEventDelivery(d EventDelivery) error {
	return held(tx.exec("DELETE FROM event_delivery WHERE id = $1 AND due = $2 AND dead = 0", d.ID, micros(d.Due)))
}

// PutOffEventDelivery gives a leased delivery back until a time. attempts is how
// many count.
func (tx *Tx) PutOffEventDelivery(d EventDelivery, attempts int, until time.Time, cause string) error {
	return held(tx.exec("UPDATE event_delivery SET attempts = $3, due = $4, last_error = $5 WHERE id = $1 AND due = $2 AND dead = 0",
		d.ID, micros(d.Due), int64(attempts), micros(until), cause))
}

// BuryEventDelivery makes a leased delivery a dead letter.
func (tx *Tx) BuryEventDelivery(d EventDelivery, attempts int, cause string) error {
	return held(tx.exec("UPDATE event_delivery SET attempts = $3, dead = $4, last_error = $5 WHERE id = $1 AND due = $2 AND dead = 0",
		d.ID, micros(d.Due), int64(attempts), tx.now().UnixMicro(), cause))
}

// ExpireEventDeliveries makes dead letters of up to limit deliveries that have
// waited for a target since before t and nobody holds, and tells how many. cause
// is for those that have never failed.
func (tx *Tx) ExpireEventDeliveries(target string, t time.Time, cause string, limit int) (int64, error) {
	return tx.exec(`UPDATE event_delivery SET dead = $1, last_error = CASE WHEN last_error = '' THEN $4 ELSE last_error END
		WHERE id IN (SELECT id FROM event_delivery WHERE dead = 0 AND target = $2 AND due <= $1 AND since < $3 LIMIT $5`+tx.dialect.skipLocked+")",
		tx.now().UnixMicro(), target, micros(t), cause, limitOf(limit))
}

// RecallEventDeliveries makes up to limit deliveries due that are not before t,
// and tells how many. None waits for so long: a clock that was ahead has put them
// off.
func (tx *Tx) RecallEventDeliveries(t time.Time, limit int) (int64, error) {
	return tx.exec("UPDATE event_delivery SET due = $1 WHERE id IN (SELECT id FROM event_delivery WHERE dead = 0 AND due >= $2 LIMIT $3"+tx.dialect.skipLocked+")",
		tx.now().UnixMicro(), micros(t), limitOf(limit))
}

// DropEventDeliveries removes up to limit of what waits for a target and tells
// how many.
func (tx *Tx) DropEventDeliveries(target string, limit int) (int64, error) {
	return tx.exec("DELETE FROM event_delivery WHERE id IN (SELECT id FROM event_delivery WHERE dead = 0 AND target = $1 LIMIT $2"+tx.dialect.skipLocked+")",
		target, limitOf(limit))
}

// DeadLetters lists what was given up of an account for the targets whose names
// begin with prefix (RuleTargets, TopicTargets), by id after one.
func (tx *Tx) DeadLetters(account, prefix, after string, limit int) ([]EventDelivery, error) {
	q := newQuery("SELECT "+eventDeliveryColumns+" FROM event_delivery WHERE ").add("dead > 0 AND account = ? AND id > ?", account, after)
	return all(tx, scanEventDelivery, q.prefix("target", prefix).add(" ORDER BY id").limit(limit))
}

// DeadLetter finds one of an account; NotFound when there is none.
func (tx *Tx) DeadLetter(account, id string) (EventDelivery, error) {
	return first(tx, scanEventDelivery, fault.New(fault.NotFound, "Dead letter %s does not exist.", id),
		"SELECT "+eventDeliveryColumns+" FROM event_delivery WHERE dead > 0 AND account = $1 AND id = $2", account, id)
}

// ReviveEventDelivery makes a dead letter due, as if its event had just
// happened.
func (tx *Tx) ReviveEventDelivery(d EventDelivery) error {
	now := tx.now().UnixMicro()
	_, err := tx.exec("UPDATE event_delivery SET dead = 0, attempts = 0, since = $2, due = $2, last_error = '' WHERE id = $1 AND dead > 0", d.ID, now)
	return err
}

// PurgeDeadLetters deletes up to limit of those given up before t and tells how
// many.
func (tx *Tx) PurgeDeadLetters(t time.Time, limit int) (int64, error) {
	return tx.exec("DELETE FROM event_delivery WHERE id IN (SELECT id FROM event_delivery WHERE dead > 0 AND dead < $1 LIMIT $2"+tx.dialect.skipLocked+")",
		micros(t), limitOf(limit))
}

// DeadTargets lists the targets that have dead letters, by name. It is quick
// however many one of them has.
func (tx *Tx) DeadTargets() ([]string, error) {
	return all(tx, scanString, newQuery(targetsWhere("dead > 0")+" SELECT a.target FROM waiting a WHERE a.target IS NOT NULL"))
}

// TrimDeadLetters deletes up to limit dead letters of a target besides the
// newest it is to keep, and tells how many.
func (tx *Tx) TrimDeadLetters(target string, keep, limit int) (int64, error) {
	// One that is revived meanwhile is none any longer: hence the first condition.
	return tx.exec(`DELETE FROM event_delivery WHERE dead > 0 AND id IN (
		SELECT id FROM event_delivery WHERE dead > 0 AND target = $1 ORDER BY dead DESC LIMIT $2 OFFSET $3)`, target, limitOf(limit), int64(keep))
}

// EventBacklog is how much is waiting.
type EventBacklog struct {
	Waiting int64     // events to match and deliveries to make
	Dead    int64     // dead letters
	Oldest  time.Time // of the oldest that is waiting; zero when nothing is
}

// EventBacklog counts what is waiting, in the whole house.
func (tx *Tx) EventBacklog() (b EventBacklog, err error) {
	var unmatched, waiting, at, since int64
	if _, err := tx.one("SELECT count(*), coalesce(min(at), 0) FROM outbox WHERE delivered = 0", nil, &unmatched, &at); err != nil {
		return b, err
	}
	if _, err := tx.one("SELECT count(*), coalesce(min(since), 0) FROM event_delivery WHERE dead = 0", nil, &waiting, &since); err != nil {
		return b, err
	}
	if _, err := tx.one("SELECT count(*) FROM event_delivery WHERE dead > 0", nil, &b.Dead); err != nil {
		return b, err
	}
	b.Waiting = unmatched + waiting
	if at == 0 || since != 0 && since < at {
		at = since
	}
	b.Oldest = fromMicros(at)
	return b, nil
}
