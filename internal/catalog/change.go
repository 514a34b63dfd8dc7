package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"packhouse/internal/artifact"
)

// Change tells what a committed transaction touched.
type Change struct {
	// Config: domains, repositories, identities, policies or keys; DomainID and
	// Coordinates are empty. Otherwise it is about one package, in whatever
	// repositories of one domain.
	Config      bool                 `json:"c,omitzero"`
	DomainID    string               `json:"d,omitzero"`
	Coordinates artifact.Coordinates `json:"p,omitzero"`
	// Lost: what other processes changed could not be followed; everything
	// remembered is suspect. Config is set too.
	Lost bool `json:"l,omitzero"`
}

// Changed records that the transaction touches what c names; it is announced
// when the transaction has committed. The methods of Tx that write call it
// themselves; what is derived from rows they do not know of may add to it.
func (tx *Tx) Changed(c Change) {
	if _, ok := tx.seen[c]; ok || tx.quiet && !c.Config {
		return
	}
	if tx.seen == nil {
		tx.seen = map[Change]struct{}{}
	}
	tx.seen[c] = struct{}{}
	tx.changes = append(tx.changes, c)
}

// Quietly runs fn without announcing the packages it writes to: for writes that
// cannot alter any answer given before them, such as keeping a copy of a version
// that was visible already.
func (tx *Tx) Quietly(fn func() error) error {
	before := tx.quiet
	tx.quiet = true
	defer func() { tx.quiet = before }()
	return fn()
}

func (tx *Tx) configChanged() { tx.Changed(Change{Config: true}) }

// Subscribe has fn called with the changes of every committed transaction, in
// this process before the Update that made them returns; of other processes
// within about Options.Poll. fn must be quick and must not use the DB. cancel
// ends it; fn may be running still when cancel returns.
func (db *DB) Subscribe(fn func([]Change)) (cancel func()) {
	db.mu.Lock()
	defer db.mu.Unlock()
	id := db.nextID
	db.nextID++
	db.subscribers[id] = fn
	return func() {
		db.mu.Lock()
		defer db.mu.Unlock()
		delete(db.subscribers, id)
	}
}

// Generation grows with every Config change, before the Update that made it
// returns. What was read in a View begun after Generation answered g is valid
// as long as Generation answers g.
func (db *DB) Generation() uint64 { return db.generation.Load() }

// announce publishes committed changes.
func (db *DB) announce(changes []Change) {
	if len(changes) == 0 {
		return
	}
	if slices.ContainsFunc(changes, func(c Change) bool { return c.Config }) {
		db.generation.Add(1)
	}
	db.mu.RLock()
	subscribers := slices.Collect(maps.Values(db.subscribers))
	db.mu.RUnlock()
	for _, fn := range subscribers {
		fn(changes)
	}
}

const insertChange = "INSERT INTO change (at, node, scope) VALUES (?, ?, ?)"

// change is the row that tells other processes what the transaction touches; nil
// when there is nothing to tell or nobody to hear it.
func (tx *Tx) change(node string) ([]any, error) {
	if len(tx.changes) == 0 || !tx.dialect.shared {
		return nil, nil
	}
	scope, err := json.Marshal(tx.changes)
	if err != nil {
		return nil, fmt.Errorf("record changes: %w", err)
	}
	return []any{tx.now().UnixMicro(), node, string(scope)}, nil
}
