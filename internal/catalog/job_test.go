package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"packhouse/internal/fault"
)

func lease(t testing.TB, db *DB, limit int, kinds ...string) (jobs []Job) {
	t.Helper()
	update(t, db, func(tx *Tx) (err error) { jobs, err = tx.LeaseJobs(limit, time.Minute, kinds...); return err })
	return jobs
}

func TestJob_EnqueueIsIdempotent(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		update(t, db, func(tx *Tx) error {
			for _, j := range []Job{
				{Kind: "sweep", Key: "d1", Payload: json.RawMessage(`1`), RunAt: c.Now().Add(time.Hour)},
				{Kind: "sweep", Key: "d1", Payload: json.RawMessage(`2`)},
				{Kind: "sweep", Key: "d2", RunAt: c.Now().Add(time.Hour)},
				{Kind: "refresh", Key: "d1"},
			} {
				if err := tx.Enqueue(j); err != nil {
					return err
				}
			}
			return nil
		})
		jobs := lease(t, db, 10, "sweep")
		if len(jobs) != 1 || jobs[0].Key != "d1" || string(jobs[0].Payload) != "2" || jobs[0].Attempts != 1 {
			t.Errorf("leased %+v, want d1 once with the newer payload and the earlier time", jobs)
		}
	})
}

func TestJob_EnqueuedWhileRunningRunsOnceMore(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		enqueue := func() { update(t, db, func(tx *Tx) error { return tx.Enqueue(Job{Kind: "k", Key: "x"}) }) }
		enqueue()
		first := lease(t, db, 1)[0]
		enqueue()
		if again := lease(t, db, 1); len(again) != 0 {
			t.Fatalf("leased twice: %+v", again)
		}
		update(t, db, func(tx *Tx) error { return tx.CompleteJob(first) })
		second := lease(t, db, 1)
		if len(second) != 1 || second[0].Attempts != 1 {
			t.Fatalf("leased %+v, want it once more", second)
		}
		update(t, db, func(tx *Tx) error { return tx.CompleteJob(second[0]) })
		c.advance(time.Hour)
		if left := lease(t, db, 1); len(left) != 0 {
			t.Errorf("%+v is left", left)
		}
	})
}

func TestJob_LostLeaseCannotEndIt(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		update(t, db, func(tx *Tx) error { return tx.Enqueue(Job{Kind: "k", Key: "x"}) })
		slow := lease(t, db, 1)[0]
		c.advance(2 * time.Minute)
		quick := lease(t, db, 1)[0]
		update(t, db, func(tx *Tx) error {
			wantKind(t, tx.CompleteJob(slow), fault.Conflict, "")
			wantKind(t, tx.FailJob(slow, "late", 0), fault.Conflict, "")
			return tx.CompleteJob(quick)
		})
	})
}

func TestJob_FailureBacksOff(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		update(t, db, func(tx *Tx) error { return tx.Enqueue(Job{Kind: "k", Key: "x"}) })
		for i, pause := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
			job := lease(t, db, 1)[0]
			update(t, db, func(tx *Tx) error { return tx.FailJob(job, fmt.Sprintf("no luck %d", i), -1) })
			c.advance(pause - time.Millisecond)
			if early := lease(t, db, 1); len(early) != 0 {
				t.Fatalf("attempt %d: due before %s", i, pause)
			}
			c.advance(time.Millisecond)
		}
		view(t, db, func(tx *Tx) error {
			jobs, err := tx.Jobs("k", "", 0)
			if len(jobs) != 1 || jobs[0].LastError != "no luck 2" || jobs[0].Attempts != 3 {
				t.Errorf("jobs %+v", jobs)
			}
			return err
		})
	})
}

func TestJob_ConcurrentLeasesNeverShare(t *testing.T) {
	const jobs, workers = 60, 6
	eachEngine(t, func(t *testing.T, db *DB) {
		update(t, db, func(tx *Tx) error {
			for i := range jobs {
				if err := tx.Enqueue(Job{Kind: "k", Key: fmt.Sprint(i)}); err != nil {
					return err
				}
			}
			return nil
		})
		var mu sync.Mutex
		times := map[string]int{}
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for {
					var mine []Job
					err := db.Update(t.Context(), func(tx *Tx) (err error) {
						mine, err = tx.LeaseJobs(4, time.Hour)
						return err
					})
					if err != nil {
						t.Error(err)
						return
					}
					if len(mine) == 0 {
						return
					}
					mu.Lock()
					for _, j := range mine {
						times[j.Key]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for key, n := range times {
			if n != 1 {
				t.Errorf("job %s was leased %d times", key, n)
			}
		}
		if len(times) > jobs || len(times) == 0 {
			t.Errorf("%d jobs were leased of %d", len(times), jobs)
		}
		if rest := lease(t, db, jobs); len(rest)+len(times) != jobs { // SKIP LOCKED may leave some for later
			t.Errorf("%d leased, %d left, of %d", len(times), len(rest), jobs)
		}
	})
}

// modelJob is what the model knows of a job.
type modelJob struct {
	payload  string
	runAt    int64
	leased   int64
	attempts int
	again    bool
}

// TestJob_Model drives the job table and a model of it with the same random
// calls.
func TestJob_Model(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			c := newClock()
			db := openTest(t, newDSN(t, engine), Options{Now: c.Now})
			rapid.Check(t, func(rt *rapid.T) {
				update(t, db, func(tx *Tx) error { _, err := tx.exec("DELETE FROM job"); return err })
				model := map[string]*modelJob{}
				held := map[string]Job{} // the newest lease of each key
				due := func() (keys []string) {
					now := c.Now().UnixMicro()
					for key, j := range model {
						if j.runAt <= now && j.leased <= now {
							keys = append(keys, key)
						}
					}
					slices.Sort(keys)
					return keys
				}
				heldKey := func(rt *rapid.T) string {
					if len(held) == 0 {
						rt.Skip("nothing is leased")
					}
					return rapid.SampledFrom(slices.Sorted(maps.Keys(held))).Draw(rt, "held")
				}
				rt.Repeat(map[string]func(*rapid.T){
					"enqueue": func(rt *rapid.T) {
						key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "key")
						at := c.Now().Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "delay")) * time.Second)
						payload := fmt.Sprint(rapid.IntRange(0, 9).Draw(rt, "payload"))
						update(t, db, func(tx *Tx) error {
							return tx.Enqueue(Job{Kind: "k", Key: key, Payload: json.RawMessage(payload), RunAt: at})
						})
						j := model[key]
						if j == nil {
							j = &modelJob{runAt: at.UnixMicro()}
							model[key] = j
						}
						j.payload, j.runAt, j.again = payload, min(j.runAt, at.UnixMicro()), j.leased > c.Now().UnixMicro()
					},
					"lease": func(rt *rapid.T) {
						want := due()
						var got []string
						for _, job := range lease(t, db, 10) {
							got = append(got, job.Key)
							held[job.Key] = job
							j := model[job.Key]
							j.attempts++
							j.leased = c.Now().Add(time.Minute).UnixMicro()
							if job.Attempts != j.attempts || string(job.Payload) != j.payload {
								rt.Errorf("leased %+v, model %+v", job, j)
							}
						}
						slices.Sort(got)
						if diff := cmp.Diff(want, got); diff != "" {
							rt.Fatal(diff)
						}
					},
					"complete": func(rt *rapid.T) {
						key := heldKey(rt)
						update(t, db, func(tx *Tx) error { return tx.CompleteJob(held[key]) })
						delete(held, key)
						if j := model[key]; j.again {
							j.again, j.attempts, j.leased = false, 0, 0
						} else {
							delete(model, key)
						}
					},
					"fail": func(rt *rapid.T) {
						key := heldKey(rt)
						update(t, db, func(tx *Tx) error { return tx.FailJob(held[key], "x", 30*time.Second) })
						delete(held, key)
						j := model[key]
						if !j.again {
							j.runAt = c.Now().Add(30 * time.Second).UnixMicro()
						}
						j.again, j.leased = false, 0
					},
					"wait": func(rt *rapid.T) {
						c.advance(time.Duration(rapid.IntRange(1, 100).Draw(rt, "seconds")) * time.Second)
					},
				})
			})
		})
	}
}
