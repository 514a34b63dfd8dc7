package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"packhouse/internal/artifact"
)

// recorder notes the statements that pass.
type recorder struct {
	querier
	texts []string
	args  [][]any
}

func (r *recorder) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	r.texts, r.args = append(r.texts, text), append(r.args, args)
	return r.querier.ExecContext(ctx, text, args...)
}

func (r *recorder) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	r.texts, r.args = append(r.texts, text), append(r.args, args)
	return r.querier.QueryContext(ctx, text, args...)
}

// TestPlans_NoFullScans asks both engines how they run what requests run, and
// accepts no scan of a whole table nor, on SQLite, a sort where an index has the
// order.
func TestPlans_NoFullScans(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one", "two")
		p := ensure(t, db, repos[0], npmName("left"))[0]
		update(t, db, func(tx *Tx) error { return publish(tx, p, 1) })
		after := artifact.Coordinates{Format: artifact.NPM, Namespace: "a", Name: "b"}
		calls := map[string]func(tx *Tx) error{
			"accounts":   func(tx *Tx) error { _, err := tx.AccountsAfter("1", 10); return err },
			"domain":     func(tx *Tx) error { _, err := tx.Domain(account, d.Name); return err },
			"domains":    func(tx *Tx) error { _, err := tx.Domains(account, "a", 10); return err },
			"usage":      func(tx *Tx) error { _, err := tx.DomainUsage(d.ID); return err },
			"repository": func(tx *Tx) error { _, err := tx.Repository(d.ID, "one"); return err },
			"by id":      func(tx *Tx) error { _, err := tx.RepositoriesByID(repos[0].ID, repos[1].ID); return err },
			"graph":      func(tx *Tx) error { _, err := tx.Repositories(d.ID, RepositoryFilter{}, "", 0); return err },
			"repositories": func(tx *Tx) error {
				_, err := tx.Repositories(d.ID, RepositoryFilter{Prefix: "o"}, "a", 10)
				return err
			},
			"administered": func(tx *Tx) error {
				_, err := tx.AdministeredRepositories(account, "o", RepositoryCursor{Name: "a"}, 10)
				return err
			},
			"package":  func(tx *Tx) error { _, err := tx.Package(repos[0].ID, npmName("left")); return err },
			"packages": func(tx *Tx) error { _, err := tx.Packages(repos[0].ID, PackageFilter{}, after, 10); return err },
			"packages filtered": func(tx *Tx) error {
				_, err := tx.Packages(repos[0].ID, PackageFilter{Format: artifact.NPM, NamespacePrefix: "a", NamePrefix: "b"}, after, 10)
				return err
			},
			"packages in": func(tx *Tx) error {
				_, err := tx.PackagesIn([]string{repos[0].ID, repos[1].ID, "x"}, npmName("left"))
				return err
			},
			"search": func(tx *Tx) error {
				_, err := tx.SearchPackages([]string{repos[0].ID}, artifact.NPM, "l", after, 10)
				return err
			},
			"dist tags": func(tx *Tx) error { _, err := tx.DistTags(p.ID, "x"); return err },
			"version":   func(tx *Tx) error { _, err := tx.Version(p.ID, "1.0.1"); return err },
			"versions":  func(tx *Tx) error { _, err := tx.Versions(p.ID, "x"); return err },
			"version page": func(tx *Tx) error {
				_, err := tx.VersionPage(p.ID, VersionFilter{}, VersionCursor{Number: "0"}, 10)
				return err
			},
			"newest page": func(tx *Tx) error {
				_, err := tx.VersionPage(p.ID, VersionFilter{ByPublished: true}, VersionCursor{"0", 1}, 10)
				return err
			},
			"latest":    func(tx *Tx) error { _, err := tx.LatestVersion(p.ID); return err },
			"manifests": func(tx *Tx) error { return tx.Manifests([]string{"a", "b"}, func(string, []byte) error { return nil }) },
			"asset":     func(tx *Tx) error { _, err := tx.Asset("v", "a"); return ignoreMissing(err) },
			"assets":    func(tx *Tx) error { _, err := tx.Assets("v", "a", 10); return err },
			"assets of": func(tx *Tx) error { return tx.AssetsOf([]string{"a", "b"}, func(Asset) error { return nil }) },
			"blob":      func(tx *Tx) error { _, err := tx.HasBlob("s", "a"); return err },
			"reference": func(tx *Tx) error { _, err := tx.HasBlobReference(d.ID, "a"); return err },
			"sweep":     func(tx *Tx) error { _, err := tx.UnreferencedBlobs(d.ID, time.Now(), StoredBlob{}, 10); return err },
			"document":  func(tx *Tx) error { _, err := tx.RemoteDocument("c", npmName("left")); return ignoreMissing(err) },
			"documents": func(tx *Tx) error { _, err := tx.RemoteDocuments("c", after, 10); return err },
			"waiting":   func(tx *Tx) error { _, err := tx.WaitingTargets(); return err },
			"lease deliveries": func(tx *Tx) error {
				_, err := tx.LeaseEventDeliveries("a/r/1", 4, time.Minute)
				return err
			},
			"expire deliveries": func(tx *Tx) error {
				_, err := tx.ExpireEventDeliveries("a/r/1", tx.Now(), "", 10)
				return err
			},
			"drop deliveries":    func(tx *Tx) error { _, err := tx.DropEventDeliveries("a/r/1", 10); return err },
			"purge dead letters": func(tx *Tx) error { _, err := tx.PurgeDeadLetters(tx.Now(), 10); return err },
			"trim dead letters":  func(tx *Tx) error { _, err := tx.TrimDeadLetters("a/r/1", 10, 10); return err },
			"dead targets":       func(tx *Tx) error { _, err := tx.DeadTargets(); return err },
			"dead letters":       func(tx *Tx) error { _, err := tx.DeadLetters(account, RuleTargets(account, "r"), "a", 10); return err },
			"event rules":        func(tx *Tx) error { _, err := tx.EventRules(account, "a", "b", 10); return err },
			"event target":       func(tx *Tx) error { _, err := tx.EventTargets(account, "r", "a", 10); return err },
			"alarms":             func(tx *Tx) error { _, err := tx.Alarms(account, "a", "b", 10); return err },
			"alarm history": func(tx *Tx) error {
				_, err := tx.AlarmHistory(account, HistoryFilter{Kind: "k", From: time.Now(), After: 7}, 10)
				return err
			},
			"history of an alarm": func(tx *Tx) error {
				_, err := tx.AlarmHistory(account, HistoryFilter{Alarm: "a", Ascending: true, After: 7}, 10)
				return err
			},
			"trim history":         func(tx *Tx) error { _, err := tx.TrimAlarmHistory(tx.Now(), 10); return err },
			"topics":               func(tx *Tx) error { _, err := tx.Topics(account, "a", 10); return err },
			"subscriptions":        func(tx *Tx) error { _, err := tx.Subscriptions(account, "", "a", 10); return err },
			"subscriptions of one": func(tx *Tx) error { _, err := tx.Subscriptions(account, "t", "a", 10); return err },
			"subscription": func(tx *Tx) error {
				_, err := tx.SubscriptionOf(account, "t", "http", "e")
				return ignoreMissing(err)
			},
			"expire subscriptions": func(tx *Tx) error { _, err := tx.ExpireSubscriptions(tx.Now(), 10); return err },
			"upload parts":         func(tx *Tx) error { _, err := tx.UploadParts("u"); return err },
			"upload size":          func(tx *Tx) error { _, _, err := tx.UploadSize("u"); return err },
			"upload part":          func(tx *Tx) error { return tx.PutUploadPart("u", UploadPart{"a", 1}) },
			"drop upload":          func(tx *Tx) error { return tx.DeleteUpload("u") },
			"purge parts":          func(tx *Tx) error { _, err := tx.PurgeUploadParts(tx.Now(), 10); return err },
			"undelivered":          func(tx *Tx) error { _, err := tx.Undelivered(0, 10); return err },
			"access key":           func(tx *Tx) error { _, err := tx.AccessKey("k"); return ignoreMissing(err) },
			"keys of user":         func(tx *Tx) error { _, err := tx.AccessKeys(account, "u"); return err },
			"user":                 func(tx *Tx) error { _, err := tx.User(account, "u"); return ignoreMissing(err) },
			"groups":               func(tx *Tx) error { _, err := tx.PackageGroups(d.ID); return err },
			"domain packages": func(tx *Tx) error {
				_, err := tx.DomainPackages(d.ID, "", after, 10)
				return err
			},
			"domain packages of a format": func(tx *Tx) error {
				_, err := tx.DomainPackages(d.ID, artifact.NPM, after, 10)
				return err
			},
			"policies":      func(tx *Tx) error { _, err := tx.IdentityPolicies(account, PrincipalUser, "u"); return err },
			"policy":        func(tx *Tx) error { _, err := tx.ResourcePolicy("domain", "arn:d"); return ignoreMissing(err) },
			"tags":          func(tx *Tx) error { _, err := tx.Tags("arn:d"); return err },
			"publish":       func(tx *Tx) error { return publish(tx, p, time.Now().UnixNano()) },
			"lease":         func(tx *Tx) error { _, err := tx.LeaseJobs(10, time.Minute); return err },
			"enqueue":       func(tx *Tx) error { return tx.Enqueue(Job{Kind: "k", Key: "x"}) },
			"touch":         func(tx *Tx) error { return ignoreMissing(tx.TouchRemoteDocument("c", npmName("left"), time.Now())) },
			"aging":         func(tx *Tx) error { _, err := tx.Aging(p.ID, "x"); return err },
			"tags of names": func(tx *Tx) error { _, err := tx.TagsInDomain(p.ID); return err },
			"blobs of":      func(tx *Tx) error { return tx.BlobsOf([]string{"a", "b"}, func(HeldBlob) error { return nil }) },
			"holders":       func(tx *Tx) error { _, err := tx.Holders(d.ID, "a", 10); return err },
			"holds":         func(tx *Tx) error { _, err := tx.Holds(repos[0].ID, npmName("a"), npmName("z")); return err },
			"hold page":     func(tx *Tx) error { _, err := tx.HoldPage(repos[0].ID, HoldCursor{}, 10); return err },
			"legal hold":    func(tx *Tx) error { _, _, err := tx.LegalHold(repos[0].ID, npmName("a"), "1"); return err },
			"configured":    func(tx *Tx) error { _, err := tx.RetentionConfigurations(d.ID); return err },
			"due":           func(tx *Tx) error { _, err := tx.DueRetention(tx.Now(), 10); return err },
			"run":           func(tx *Tx) error { _, _, err := tx.ActiveRetentionRun(d.ID); return err },
			"active runs":   func(tx *Tx) error { _, err := tx.ActiveRetentionRuns(); return err },
			"runs":          func(tx *Tx) error { _, err := tx.RetentionRuns(d.ID, "r", 10); return err },
			"removals":      func(tx *Tx) error { _, err := tx.Removals("r", "a", 10); return err },
			"forget runs":   func(tx *Tx) error { _, err := tx.ForgetRetentionRuns(tx.Now(), 10); return err },
			"trash":         func(tx *Tx) error { _, err := tx.Trash(d.ID, TrashFilter{}, "a", 10); return err },
			"trashed": func(tx *Tx) error {
				_, err := tx.TrashedVersion(repos[0].ID, npmName("left"), "1")
				return ignoreMissing(err)
			},
			"purge trash":   func(tx *Tx) error { _, err := tx.PurgeTrash(tx.Now(), 10); return err },
			"delete assets": func(tx *Tx) error { return tx.DeleteAssets(p, "v") },
		}
		for name, call := range calls {
			update(t, db, func(tx *Tx) error {
				rec := &recorder{querier: tx.q}
				plain := tx.q
				tx.q = rec
				if err := call(tx); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				tx.q = plain
				for i, text := range rec.texts {
					plan, err := explain(tx, text, rec.args[i])
					if err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
					for _, line := range plan {
						if strings.Contains(line, "Seq Scan") || strings.HasPrefix(line, "SCAN ") && !strings.Contains(line, "CONSTANT ROW") && !strings.HasPrefix(line, "SCAN a") && !strings.HasPrefix(line, "SCAN d") {
							t.Errorf("%s: %s\n%s", name, text, strings.Join(plan, "\n"))
						}
						if strings.Contains(line, "USE TEMP B-TREE") && name != "search" {
							t.Errorf("%s sorts: %s\n%s", name, text, strings.Join(plan, "\n"))
						}
					}
				}
				return nil
			})
		}
	})
}

func explain(tx *Tx, text string, args []any) (plan []string, err error) {
	if tx.dialect.name == "postgres" {
		if _, err := tx.exec("SET LOCAL enable_seqscan = off"); err != nil { // with few rows it would be taken for cheapness
			return nil, err
		}
		err = tx.each(func(scan func(...any) error) error {
			var line string
			err := scan(&line)
			plan = append(plan, line)
			return err
		}, "EXPLAIN "+text, args...)
		return plan, err
	}
	err = tx.each(func(scan func(...any) error) error {
		var id, parent, unused int
		var line string
		err := scan(&id, &parent, &unused, &line)
		plan = append(plan, line)
		return err
	}, "EXPLAIN QUERY PLAN "+text, args...)
	return plan, err
}
