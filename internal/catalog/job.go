package catalog

import (
	"encoding/json"
	"time"

	"packhouse/internal/fault"
)

// Job is a durable task. There is at most one of a Kind and Key at a time.
type Job struct {
	ID          string
	Kind        string
	Key         string // unique in its kind
	Payload     json.RawMessage
	RunAt       time.Time // not before; zero when enqueued means now
	Attempts    int       // leases so far
	LeasedUntil time.Time // zero when nobody holds it; tells one lease from the next
	LastError   string
}

// Enqueue adds a job. When one of its kind and key waits already, that one takes
// the new payload and the earlier time; when it is running, it runs once more
// afterwards.
func (tx *Tx) Enqueue(j Job) error {
	now := tx.now().UnixMicro()
	at := now
	if !j.RunAt.IsZero() {
		at = micros(j.RunAt)
	}
	payload := string(j.Payload)
	if payload == "" {
		payload = "null"
	}
	_, err := tx.exec(`INSERT INTO job (id, kind, job_key, payload, run_at, attempts, leased_until, again, last_error)
		VALUES ($1, $2, $3, $4, $5, 0, 0, 0, '')
		ON CONFLICT (kind, job_key) DO UPDATE SET
			payload = excluded.payload,
			run_at = CASE WHEN excluded.run_at < job.run_at THEN excluded.run_at ELSE job.run_at END,
			again = CASE WHEN job.leased_until > $6 THEN 1 ELSE 0 END`,
		tx.NewID(), j.Kind, j.Key, payload, at, now)
	return err
}

const jobColumns = "id, kind, job_key, payload, run_at, attempts, leased_until, last_error"

func scanJob(scan func(...any) error) (j Job, err error) {
	var at, leased int64
	var payload string
	err = scan(&j.ID, &j.Kind, &j.Key, &payload, &at, &j.Attempts, &leased, &j.LastError)
	j.Payload, j.RunAt, j.LeasedUntil = json.RawMessage(payload), fromMicros(at), fromMicros(leased)
	return j, err
}

// DueKinds lists the kinds of jobs that are due, the one that has waited longest
// first.
func (tx *Tx) DueKinds() ([]string, error) {
	now := tx.now().UnixMicro()
	q := newQuery("SELECT kind FROM job WHERE ").add("run_at <= ? AND leased_until <= ?", now, now)
	return all(tx, scanString, q.add(" GROUP BY kind ORDER BY min(run_at), kind"))
}

// LeaseJobs takes up to limit due jobs of some kinds, oldest first, for the given
// time; no kinds means every kind. No two callers hold the same job. A lease
// that runs out makes the job due again.
func (tx *Tx) LeaseJobs(limit int, lease time.Duration, kinds ...string) ([]Job, error) {
	now := tx.now()
	q := newQuery("SELECT "+jobColumns+" FROM job WHERE ").
		add("run_at <= ? AND leased_until <= ?", now.UnixMicro(), now.UnixMicro())
	if len(kinds) > 0 {
		q.add(" AND ").in("kind", kinds)
	}
	q.add(" ORDER BY run_at, id").limit(limit).add(tx.dialect.skipLocked)
	jobs, err := all(tx, scanJob, q)
	if err != nil {
		return nil, err
	}
	until := now.Add(lease)
	for i := range jobs {
		j := &jobs[i]
		j.Attempts++
		j.LeasedUntil = fromMicros(until.UnixMicro())
		if _, err := tx.exec("UPDATE job SET attempts = $2, leased_until = $3 WHERE id = $1", j.ID, int64(j.Attempts), until.UnixMicro()); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// ReleaseJobs makes the jobs free that a process before this one held. It does
// nothing on a database that other processes share: they may hold them still.
func (tx *Tx) ReleaseJobs() error {
	if tx.dialect.shared {
		return nil
	}
	_, err := tx.exec("UPDATE job SET leased_until = 0 WHERE leased_until > 0")
	return err
}

// RecallJobs makes the jobs of a kind due that wait for longer than any does, and
// free that are held for longer: the clock was ahead when these times were set.
func (tx *Tx) RecallJobs(kind string, wait, lease time.Duration) error {
	now := tx.now()
	_, err := tx.exec(`UPDATE job SET run_at = CASE WHEN run_at > $3 THEN $2 ELSE run_at END, leased_until = CASE WHEN leased_until > $4 THEN 0 ELSE leased_until END
		WHERE kind = $1 AND (run_at > $3 OR leased_until > $4)`, kind, now.UnixMicro(), now.Add(wait).UnixMicro(), now.Add(lease).UnixMicro())
	return err
}

var errLeaseLost = fault.New(fault.Conflict, "the lease of the job has passed to somebody else")

// CompleteJob ends a leased job; if it was enqueued again meanwhile it becomes
// due afresh. Conflict when the lease has passed on.
func (tx *Tx) CompleteJob(j Job) error {
	n, err := tx.exec(`UPDATE job SET again = 0, attempts = 0, leased_until = 0, last_error = ''
		WHERE id = $1 AND leased_until = $2 AND again = 1`, j.ID, micros(j.LeasedUntil))
	if err != nil || n > 0 {
		return err
	}
	n, err = tx.exec("DELETE FROM job WHERE id = $1 AND leased_until = $2", j.ID, micros(j.LeasedUntil))
	if err == nil && n == 0 {
		return errLeaseLost
	}
	return err
}

// MaxJobPause is the longest pause after a failure.
const MaxJobPause = time.Hour

// FailJob gives a leased job back to run after a pause; a pause below zero asks
// for the usual one, which doubles with every attempt from 5 s up to an hour.
// Conflict when the lease has passed on.
func (tx *Tx) FailJob(j Job, cause string, pause time.Duration) error {
	if pause < 0 {
		pause = min(5*time.Second<<min(max(j.Attempts-1, 0), 10), MaxJobPause)
	}
	n, err := tx.exec(`UPDATE job SET run_at = CASE WHEN again = 1 THEN run_at ELSE $3 END, leased_until = 0, again = 0, last_error = $4
		WHERE id = $1 AND leased_until = $2`, j.ID, micros(j.LeasedUntil), tx.now().Add(pause).UnixMicro(), cause)
	if err == nil && n == 0 {
		return errLeaseLost
	}
	return err
}

// Jobs lists jobs of a kind, empty for every kind, by ID after the given one.
func (tx *Tx) Jobs(kind, after string, limit int) ([]Job, error) {
	q := newQuery("SELECT "+jobColumns+" FROM job WHERE ").add("id > ?", after)
	if kind != "" {
		q.add(" AND kind = ?", kind)
	}
	return all(tx, scanJob, q.add(" ORDER BY id").limit(limit))
}
