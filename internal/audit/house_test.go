package audit

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account, domain = "123456789012", "corp"

// house is a trail on one engine.
type house struct {
	*Trail
	options Options
}

// eachEngine runs a test with both places for records: a file beside the
// catalog, and the catalog's own PostgreSQL.
func eachEngine(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			quiet := slog.New(slog.DiscardHandler)
			o := Options{Every: time.Hour, Logger: quiet} // written when told
			if engine == "postgres" {
				o.DB = openTest(t, pgtest.NewDatabase(t), catalog.Options{Logger: quiet})
			} else {
				folder := t.TempDir()
				o.DB = openTest(t, "sqlite:"+filepath.Join(folder, "catalog.db"), catalog.Options{Logger: quiet})
				o.Records = openTest(t, "sqlite:"+filepath.Join(folder, "access.db"), catalog.Options{Logger: quiet, Records: true})
			}
			h := &house{options: o}
			h.start(t)
			test(t, h)
		})
	}
}

func openTest(t *testing.T, dsn string, o catalog.Options) *catalog.DB {
	t.Helper()
	db, err := catalog.Open(t.Context(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (h *house) start(t *testing.T) {
	t.Helper()
	trail, err := Open(t.Context(), h.options)
	if err != nil {
		t.Fatal(err)
	}
	h.Trail = trail
	t.Cleanup(func() {
		if h.Trail == trail {
			_ = trail.Close()
		}
	})
}

// crash ends the trail as kill -9 does: what is in memory is gone.
func (h *house) crash() {
	close(h.stop)
	<-h.finished
	h.Trail = nil
}

// user is somebody of the account.
func user(name string) *identity.Subject {
	return &identity.Subject{
		Principal:   policy.Principal{Type: policy.User, ARN: "arn:aws:iam::" + account + ":user/" + name, Account: account, UserID: "AIDA" + name, UserName: name},
		AccessKeyID: "AKIA" + name,
	}
}

func npm(name string) artifact.Coordinates {
	return artifact.Coordinates{Format: artifact.NPM, Name: name}
}

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// download is the record of a tarball, n seconds after the beginning.
func download(n int, who *identity.Subject, name, version string) Entry {
	e := Entry{
		Time: begin.Add(time.Duration(n) * time.Second), Method: "GET", Status: 200,
		Client: netip.MustParseAddr("192.0.2.7"), Agent: "npm/11.0.0 node/v22.0.0",
		Source: CodeArtifact, Event: "ReadFromRepository", ReadOnly: true, Subject: who,
		Package: npm(name), Version: version, Path: name + "/-/" + name + "-" + version + ".tgz",
	}
	copy(e.ID[:], fmt.Sprintf("%016d", n))
	e.About(artifact.RepositoryID{Owner: account, Domain: domain, Name: "app"})
	return e
}

func (h *house) addAll(entries ...Entry) {
	for i := range entries {
		h.Add(&entries[i])
	}
}

// list gives all pages of a query, as "event package@version by name".
func (h *house) list(t *testing.T, q Query) []string {
	t.Helper()
	if q.Account == "" {
		q.Account, q.Domain = account, domain
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	var lines []string
	for {
		records, next, more, err := h.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			lines = append(lines, fmt.Sprintf("%s %s@%s by %s", r.Event, r.Package.Name, r.Version, r.UserName))
		}
		if !more {
			return lines
		}
		q.After = next
	}
}

// foldAll folds everything that was written.
func (h *house) foldAll(t *testing.T) {
	t.Helper()
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		var err error
		if more, err = h.fold(context.WithoutCancel(t.Context()), "", time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
}
