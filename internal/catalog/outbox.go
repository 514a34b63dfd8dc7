package catalog

import (
	"encoding/json"
	"fmt"
	"time"

	"packhouse/internal/artifact"
)

// OutboxEvent is an event that has not been matched with the rules yet.
type OutboxEvent struct {
	Seq      int64  // place in the outbox; grows, with gaps
	ID       string // the ids of its envelopes are made from it
	At       time.Time
	Sequence int64 // grows per package of a repository: sequenceNumber of section 12.1
	Event    artifact.Event
}

// Emit puts an event into the outbox; it exists exactly if the transaction
// commits.
func (tx *Tx) Emit(e artifact.Event) error {
	detail, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("emit event: %w", err)
	}
	var sequence int64
	_, err = tx.one(`INSERT INTO event_sequence (owner, domain, repository, format, namespace, name, last)
		VALUES ($1, $2, $3, $4, $5, $6, 1)
		ON CONFLICT (owner, domain, repository, format, namespace, name) DO UPDATE SET last = event_sequence.last + 1
		RETURNING last`,
		[]any{e.Owner, e.Domain, e.Repository, string(e.Coordinates.Format), e.Coordinates.Namespace, e.Coordinates.Name}, &sequence)
	if err != nil {
		return err
	}
	_, err = tx.exec("INSERT INTO outbox (id, at, sequence, event, delivered) VALUES ($1, $2, $3, $4, 0)",
		tx.NewID(), tx.now().UnixMicro(), sequence, string(detail))
	return err
}

func scanOutboxEvent(scan func(...any) error) (e OutboxEvent, err error) {
	var at int64
	var detail string
	if err := scan(&e.Seq, &e.ID, &at, &e.Sequence, &detail); err != nil {
		return e, err
	}
	e.At = fromMicros(at)
	return e, json.Unmarshal([]byte(detail), &e.Event)
}

// Undelivered lists events that have not been taken, after seq. On PostgreSQL an
// event may appear below one already seen, so start from 0 again now and then.
func (tx *Tx) Undelivered(seq int64, limit int) ([]OutboxEvent, error) {
	q := newQuery("SELECT seq, id, at, sequence, event FROM outbox WHERE ").add("delivered = 0 AND seq > ?", seq)
	return all(tx, scanOutboxEvent, q.add(" ORDER BY seq").limit(limit))
}

// TakeEvent takes an event out of the outbox and tells whether it was there
// still: of several who try, one takes it.
func (tx *Tx) TakeEvent(seq int64) (bool, error) {
	n, err := tx.exec("DELETE FROM outbox WHERE seq = $1", seq)
	return n > 0, err
}
