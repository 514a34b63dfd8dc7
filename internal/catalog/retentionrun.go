package catalog

import (
	"encoding/json"
	"fmt"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// JobRetention is the kind of the job that goes on with the retention run of a
// domain; its key is the domain's ID.
const JobRetention = "retention-run"

// RunStatus is how far a retention run has come.
type RunStatus string

// The statuses. The last three are final.
const (
	RunQueued    RunStatus = "QUEUED"
	RunRunning   RunStatus = "RUNNING"
	RunStopping  RunStatus = "STOPPING" // somebody has asked for its end
	RunSucceeded RunStatus = "SUCCEEDED"
	RunStopped   RunStatus = "STOPPED"
	RunFailed    RunStatus = "FAILED"
)

// RunOrigin is what a run was started by.
type RunOrigin string

// The origins.
const (
	RunScheduled RunOrigin = "SCHEDULE"
	RunRequested RunOrigin = "REQUEST"
)

// RetentionRun is one run over a domain or one of its repositories.
type RetentionRun struct {
	ID         string
	DomainID   string
	Repository string // the only one; empty: every one that has a configuration
	Origin     RunOrigin
	Status     RunStatus
	Worker     string    // whoever works on it; the one before finds another name here and stops
	AsOf       time.Time // what ages count to
	Created    time.Time
	Finished   time.Time // zero: not yet
	RunProgress
}

// RunProgress is how far a run has come and what it has done, as it is stored.
type RunProgress struct {
	Force        bool                 `json:"force,omitempty"` // it may leave nothing of a repository
	InRepository string               `json:"in,omitempty"`    // the repository (its name) it is in, or the last it was through with
	After        artifact.Coordinates `json:"after,omitzero"`  // the last package it is through with, in that repository
	Through      bool                 `json:"through,omitempty"`

	// Whether everything of a repository would go, as far as that has been looked
	// into before the run enters it.
	CheckIn    string               `json:"checkIn,omitempty"`
	CheckAfter artifact.Coordinates `json:"checkAfter,omitzero"`
	CheckGone  int                  `json:"checkGone,omitempty"` // versions, all of which would

	PackagesTotal int64        `json:"total,omitempty"` // in the repositories it goes through, when it began
	Packages      int64        `json:"packages,omitempty"`
	Kept          int64        `json:"kept,omitempty"` // versions of these packages
	Removed       int64        `json:"removed,omitempty"`
	Spared        int64        `json:"spared,omitempty"` // would have gone, but were wanted meanwhile
	Freed         int64        `json:"freed,omitempty"`  // bytes that no version refers to any more
	Refused       []RefusedRun `json:"refused,omitempty"`
	Failures      int          `json:"failures,omitempty"` // in a row
	Error         string       `json:"error,omitempty"`    // of the last of them, for people
}

// RefusedRun is a repository that a run left alone.
type RefusedRun struct {
	Repository string `json:"repository"`
	Reason     string `json:"reason"`
}

const retentionRunColumns = "id, domain_id, repository, origin, status, worker, as_of, created, finished, progress"

func scanRetentionRun(scan func(...any) error) (r RetentionRun, err error) {
	var asOf, created, finished int64
	var progress string
	if err := scan(&r.ID, &r.DomainID, &r.Repository, (*string)(&r.Origin), (*string)(&r.Status), &r.Worker, &asOf, &created, &finished, &progress); err != nil {
		return r, err
	}
	r.AsOf, r.Created, r.Finished = fromMicros(asOf), fromMicros(created), fromMicros(finished)
	if err := json.Unmarshal([]byte(progress), &r.RunProgress); err != nil {
		return r, fmt.Errorf("stored retention run: %w", err)
	}
	return r, nil
}

func retentionRunMissing(id string) error {
	return fault.New(fault.NotFound, "there is no retention run %s in this domain", id)
}

// InsertRetentionRun adds a run and returns it with ID, Status and Created filled
// in. Conflict when one of the domain is not finished.
func (tx *Tx) InsertRetentionRun(r RetentionRun) (RetentionRun, error) {
	r.ID, r.Created, r.Status, r.Finished = tx.NewID(), tx.Now(), RunQueued, time.Time{}
	progress, err := json.Marshal(r.RunProgress)
	if err != nil {
		return r, fmt.Errorf("insert retention run: %w", err)
	}
	n, err := tx.exec("INSERT INTO retention_run ("+retentionRunColumns+") VALUES ($1, $2, $3, $4, $5, '', $6, $7, 0, $8) ON CONFLICT DO NOTHING",
		r.ID, r.DomainID, r.Repository, string(r.Origin), string(r.Status), micros(r.AsOf), micros(r.Created), string(progress))
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "a retention run of this domain is under way; list-retention-runs shows it")
	}
	return r, err
}

// UpdateRetentionRun writes status, worker, end and progress of a run; NotFound
// when it is gone.
func (tx *Tx) UpdateRetentionRun(r RetentionRun) error {
	progress, err := json.Marshal(r.RunProgress)
	if err != nil {
		return fmt.Errorf("update retention run: %w", err)
	}
	n, err := tx.exec("UPDATE retention_run SET status = $2, worker = $3, finished = $4, progress = $5 WHERE id = $1",
		r.ID, string(r.Status), r.Worker, micros(r.Finished), string(progress))
	if err == nil && n == 0 {
		err = retentionRunMissing(r.ID)
	}
	return err
}

// RetentionRun finds a run of a domain; NotFound when there is none.
func (tx *Tx) RetentionRun(domainID, id string) (RetentionRun, error) {
	return first(tx, scanRetentionRun, retentionRunMissing(id), "SELECT "+retentionRunColumns+" FROM retention_run WHERE id = $1 AND domain_id = $2", id, domainID)
}

// ActiveRetentionRun finds the run of a domain that is not finished; found is
// false when there is none.
func (tx *Tx) ActiveRetentionRun(domainID string) (r RetentionRun, found bool, err error) {
	rows, err := all(tx, scanRetentionRun, newQuery("SELECT "+retentionRunColumns+" FROM retention_run WHERE ").add("domain_id = ? AND finished = 0", domainID))
	if err != nil || len(rows) == 0 {
		return r, false, err
	}
	return rows[0], true, nil
}

// ActiveRetentionRuns lists the runs of all domains that are not finished.
func (tx *Tx) ActiveRetentionRuns() ([]RetentionRun, error) {
	return all(tx, scanRetentionRun, newQuery("SELECT "+retentionRunColumns+" FROM retention_run WHERE finished = 0"))
}

// RetentionRuns lists the runs of a domain, the newest first, before the given
// ID; empty is the start.
func (tx *Tx) RetentionRuns(domainID, before string, limit int) ([]RetentionRun, error) {
	q := newQuery("SELECT "+retentionRunColumns+" FROM retention_run WHERE ").add("domain_id = ?", domainID)
	if before != "" {
		q.add(" AND id < ?", before)
	}
	return all(tx, scanRetentionRun, q.add(" ORDER BY id DESC").limit(limit))
}

// Removal is a version that a run removed.
type Removal struct {
	VersionID   string
	Repository  string // its name
	Coordinates artifact.Coordinates
	Number      string
	Rule        string
	Freed       int64 // bytes
}

// InsertRemoval records what a run removed; a version that is recorded stays so.
func (tx *Tx) InsertRemoval(runID string, r Removal) error {
	_, err := tx.exec(`INSERT INTO retention_removal (run_id, version_id, repository, format, namespace, name, number, rule, freed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		runID, r.VersionID, r.Repository, string(r.Coordinates.Format), r.Coordinates.Namespace, r.Coordinates.Name, r.Number, r.Rule, r.Freed)
	return err
}

// Removals lists what a run removed, by version ID after the given one.
func (tx *Tx) Removals(runID, after string, limit int) ([]Removal, error) {
	read := func(scan func(...any) error) (r Removal, err error) {
		c := &r.Coordinates
		err = scan(&r.VersionID, &r.Repository, (*string)(&c.Format), &c.Namespace, &c.Name, &r.Number, &r.Rule, &r.Freed)
		return r, err
	}
	return all(tx, read, newQuery("SELECT version_id, repository, format, namespace, name, number, rule, freed FROM retention_removal WHERE ").
		add("run_id = ? AND version_id > ? ORDER BY version_id", runID, after).limit(limit))
}

// ForgetRetentionRuns deletes up to limit records of runs that were finished
// before t, and tells how many.
func (tx *Tx) ForgetRetentionRuns(t time.Time, limit int) (int64, error) {
	ids, err := all(tx, scanString, newQuery("SELECT id FROM retention_run WHERE ").add("finished > 0 AND finished < ?", micros(t)).limit(maxIn))
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	q := newQuery("DELETE FROM retention_removal WHERE (run_id, version_id) IN (SELECT run_id, version_id FROM retention_removal WHERE ").
		in("run_id", ids).limit(limit).add(")")
	n, err := tx.exec(q.text.String(), q.args...)
	if err != nil || n >= int64(limit) {
		return n, err
	}
	return n, tx.deleteIn("retention_run", "id", ids)
}
