package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/porttest"
)

// killedFor bounds the rounds of TestKilled.
const killedFor = 25 * time.Second

// kept is how many versions of a package the configuration of the test keeps.
const kept = 3

// replica is one server of a site.
type replica struct {
	data, listen string
	process      *process
}

// site is a domain with its servers, and what the test knows to be in it.
type site struct {
	t        *testing.T
	home     string
	database string // its address; "" is the file in the data folder
	blobs    string
	replicas []*replica
	account  string
	token    string

	mu       sync.Mutex
	contents map[string]string // of each acknowledged version, PACKAGE/VERSION
	numbers  map[string]int    // the highest tried of each package
}

func newSite(t *testing.T, engine string, replicas int) *site {
	t.Helper()
	home := t.TempDir()
	s := &site{t: t, home: home, blobs: filepath.Join(home, "blobs"), contents: map[string]string{}, numbers: map[string]int{}}
	if engine == "postgres" {
		s.database = pgtest.NewDatabase(t)
	}
	for i := range replicas {
		port, err := porttest.Port()
		s.check(err)
		s.replicas = append(s.replicas, &replica{data: filepath.Join(home, fmt.Sprint("data-", i)), listen: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	t.Cleanup(func() {
		for _, r := range s.replicas {
			if r.process != nil {
				s.kill(r)
			}
		}
		if t.Failed() {
			if log, err := os.ReadFile(filepath.Join(home, "log")); err == nil {
				t.Logf("end of the log:\n%s", log[max(0, len(log)-8<<10):])
			}
		}
	})
	return s
}

func (s *site) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) start(r *replica) {
	s.t.Helper()
	args := []string{"serve", "--data", r.data, "--listen", r.listen, "--blobs", s.blobs, "--log-requests", "false"}
	if s.database != "" {
		args = append(args, "--database", s.database)
		if first := s.replicas[0]; r != first {
			args = append(args, "--master-key", filepath.Join(first.data, "master.key"))
		}
	}
	log, err := os.OpenFile(filepath.Join(s.home, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	s.check(err)
	defer log.Close()
	cmd := exec.Command(binary, args...)
	cmd.Env = []string{"HOME=" + s.home, "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = log, log
	r.process, err = startProcess(cmd)
	s.check(err)
	s.check(r.process.awaitReady("http://" + r.listen + "/readyz"))
}

// kill ends a server with no chance to tidy up.
func (s *site) kill(r *replica) {
	_ = r.process.cmd.Process.Kill() // it may have ended
	<-r.process.ended
	r.process = nil
}

// packhouse runs the command against a replica and gives what it printed.
func (s *site) packhouse(r *replica, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{
		"HOME=" + s.home, "PATH=" + os.Getenv("PATH"), "AWS_ENDPOINT_URL=http://" + r.listen, "AWS_REGION=us-east-1", "AWS_MAX_ATTEMPTS=1",
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(s.replicas[0].data, "credentials"),
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("packhouse %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return out, err
}

// must is packhouse for what has to go well.
func (s *site) must(args ...string) []byte {
	s.t.Helper()
	out, err := s.packhouse(s.replicas[0], args...)
	s.check(err)
	return out
}

// answer is must, of which into is made.
func (s *site) answer(into any, args ...string) {
	s.t.Helper()
	s.check(json.Unmarshal(s.must(args...), into))
}

// found sets the domain up.
func (s *site) found() {
	s.t.Helper()
	var who struct{ Account string }
	s.answer(&who, "whoami")
	s.account = who.Account
	s.must("create-domain", "--domain", "acme")
	s.must("create-repository", "--domain", "acme", "--repository", "tools")
	s.must("put-repository-quota", "--domain", "acme", "--repository", "tools", "--max-bytes", "1000000000")
	s.must("put-domain-quota", "--domain", "acme", "--max-bytes", "1000000000")
	s.must("put-repository-retention-configuration", "--domain", "acme", "--repository", "tools", "--max-versions-retained", fmt.Sprint(kept))
	var token struct{ AuthorizationToken string }
	s.answer(&token, "get-authorization-token", "--domain", "acme")
	s.token = token.AuthorizationToken
}

// request asks the first replica for a file of the repository.
func (s *site) request(method, path string, body string) (int, string, error) {
	url := fmt.Sprintf("http://%s/repo/%s/acme/generic/tools/ns/%s", s.replicas[0].listen, s.account, path)
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

// publish adds the next version to a package. Every third content is one that
// other versions, older ones too, have or had: the sweep may be about to take it.
func (s *site) publish(p string) error {
	s.mu.Lock()
	s.numbers[p]++
	n := s.numbers[p]
	s.mu.Unlock()
	content := fmt.Sprintf("%s %d %s", p, n, strings.Repeat("x", n))
	if n%3 == 0 {
		content = fmt.Sprint("the same as elsewhere, ", n%4)
	}
	name := fmt.Sprintf("%s/1.%d", p, n)
	status, answer, err := s.request(http.MethodPut, name+"/file", content)
	if err != nil {
		return err
	}
	if status != http.StatusCreated {
		return fmt.Errorf("publish %s: %d %s", name, status, answer)
	}
	s.mu.Lock()
	s.contents[name] = content
	s.mu.Unlock()
	return nil
}

// pass makes what is stored older, while no server runs: jobs are due, leases
// of the dead are over, the trash can be emptied and bytes swept.
func (s *site) pass(d time.Duration) {
	s.t.Helper()
	driver, address := "sqlite", filepath.Join(s.replicas[0].data, "packhouse.db")
	if s.database != "" {
		driver, address = "pgx", s.database
	}
	db, err := sql.Open(driver, address)
	s.check(err)
	defer db.Close()
	us := d.Microseconds()
	for _, text := range []string{
		"UPDATE job SET run_at = run_at - %[1]d, leased_until = leased_until - %[1]d",
		"UPDATE trash_version SET purge_at = purge_at - %[1]d",
		"UPDATE stored_blob SET created = created - %[1]d",
	} {
		_, err := db.ExecContext(s.t.Context(), fmt.Sprintf(text, us))
		s.check(err)
	}
	// As it was, the clock has been looked at each minute.
	now := time.Now()
	clock := fmt.Sprintf(`{"seen":%d,"steady":%d}`, now.UnixMicro(), now.Add(-24*time.Hour).UnixMicro())
	_, err = db.ExecContext(s.t.Context(), "INSERT INTO meta (meta_key, meta_value) VALUES ('retention_clock', '"+clock+"') ON CONFLICT (meta_key) DO UPDATE SET meta_value = excluded.meta_value")
	s.check(err)
	s.files(func(path string, info fs.FileInfo) {
		then := info.ModTime().Add(-d)
		s.check(os.Chtimes(path, then, then))
	})
}

// files calls fn with each stored content.
func (s *site) files(fn func(path string, info fs.FileInfo)) {
	s.t.Helper()
	s.check(filepath.WalkDir(s.blobs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || len(d.Name()) != 2*sha256.Size {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			fn(path, info)
		}
		return err
	}))
}

// versions are those there are, by what is listed of them: PACKAGE/VERSION.
func (s *site) versions() map[string]bool {
	s.t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(s.must("preview-retention", "--domain", "acme", "--output", "csv"))).ReadAll()
	s.check(err)
	found := map[string]bool{}
	for _, row := range rows[1:] {
		found[row[3]+"/"+row[4]] = true
	}
	return found
}

// whole compares everything with what is known, while nobody publishes.
func (s *site) whole() {
	s.t.Helper()
	there := s.versions()
	var trash struct {
		Versions []struct{ Package, Version string }
	}
	s.answer(&trash, "list-trash", "--domain", "acme")
	for _, v := range trash.Versions {
		// A run may be going on: what was there a moment ago may be in the trash now,
		// and only so.
		if name := v.Package + "/" + v.Version; there[name] {
			if status, _, err := s.request(http.MethodGet, name+"/file", ""); err != nil || status != http.StatusNotFound {
				s.t.Errorf("%s is in the trash, and answered with %d, %v", name, status, err)
			}
			delete(there, name)
		}
	}
	inTrash := map[string]bool{}
	for _, v := range trash.Versions {
		inTrash[v.Package+"/"+v.Version] = true
	}
	listed := map[string][]string{}
	for p := range s.numbers {
		status, answer, err := s.request(http.MethodGet, p, "")
		if err != nil || status != http.StatusOK {
			s.t.Fatalf("%s: %d %s %v", p, status, answer, err)
		}
		var list struct{ Versions []struct{ Version string } }
		s.check(json.Unmarshal([]byte(answer), &list))
		for _, v := range list.Versions {
			listed[p] = append(listed[p], p+"/"+v.Version)
		}
		// The newest stay, whatever happens.
		for n, acknowledged := s.numbers[p], 0; n > 0 && acknowledged < kept; n-- {
			name := fmt.Sprintf("%s/1.%d", p, n)
			if _, ok := s.contents[name]; !ok {
				if slices.Contains(listed[p], name) {
					acknowledged++ // it was kept, and the answer lost
				}
				continue
			}
			acknowledged++
			if !slices.Contains(listed[p], name) {
				s.t.Errorf("%s is lost, which is among the newest; in the trash: %v", name, inTrash[name])
			}
		}
	}
	for _, names := range listed {
		for _, name := range names {
			status, got, err := s.request(http.MethodGet, name+"/file", "")
			switch want, known := s.contents[name]; {
			case err != nil:
				s.t.Fatal(err)
			case status == http.StatusNotFound: // removed since it was listed, or it is half there
				if s.versions()[name] {
					s.t.Errorf("%s is listed and has no file", name)
				}
			case status != http.StatusOK || known && got != want:
				s.t.Errorf("%s: %d %q, want %q", name, status, got, want)
			case !known: // published, but the answer did not arrive
				s.contents[name] = got
			}
		}
	}
}

// recount compares what is kept count of with what is there, while nothing
// happens.
func (s *site) recount(distinct bool) {
	s.t.Helper()
	var bytes, versions int64
	contents := map[string]bool{}
	for name := range s.versions() {
		content, known := s.contents[name]
		if !known {
			_, got, err := s.request(http.MethodGet, name+"/file", "")
			s.check(err)
			content = got
		}
		bytes, versions = bytes+int64(len(content)), versions+1
		contents[content] = true
	}
	var sum int64
	for c := range contents {
		sum += int64(len(c))
	}
	var report struct {
		Bytes        int64
		Repositories []struct{ Bytes, Versions int64 }
	}
	s.answer(&report, "get-storage-report", "--domain", "acme")
	if r := report.Repositories[0]; r.Bytes != bytes || r.Versions != versions {
		s.t.Errorf("the report says %d bytes of %d versions, it is %d of %d", r.Bytes, r.Versions, bytes, versions)
	}
	if distinct && report.Bytes != sum {
		s.t.Errorf("the report says %d bytes of the domain, it is %d", report.Bytes, sum)
	}
	var quota struct {
		Quota struct{ UsedBytes, UsedVersions int64 }
	}
	s.answer(&quota, "get-repository-quota", "--domain", "acme", "--repository", "tools")
	if q := quota.Quota; q.UsedBytes != bytes || q.UsedVersions != versions {
		s.t.Errorf("the quota counts %d bytes of %d versions, it is %d of %d", q.UsedBytes, q.UsedVersions, bytes, versions)
	}
	s.answer(&quota, "get-domain-quota", "--domain", "acme")
	if q := quota.Quota; q.UsedBytes != sum || q.UsedVersions != versions {
		s.t.Errorf("the quota of the domain counts %d bytes of %d versions, it is %d of %d", q.UsedBytes, q.UsedVersions, sum, versions)
	}
}

type describedRun struct {
	RunID, Status string
	Removed       int
	FinishedTime  *json.RawMessage
}

func (s *site) runs() []describedRun {
	s.t.Helper()
	var list struct{ Runs []describedRun }
	s.answer(&list, "list-retention-runs", "--domain", "acme")
	return list.Runs
}

// await waits until done, or fails.
func (s *site) await(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("too late: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestKilled kills the server again and again while it previews, removes,
// sweeps and checks, with somebody publishing: nothing that stays is ever lost,
// nothing is seen half, every run ends, and the counts are right.
func TestKilled(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, engine, 1)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			r := s.replicas[0]
			s.start(r)
			s.found()
			for range 6 {
				for p := range 20 {
					s.check(s.publish(fmt.Sprintf("p%02d", p)))
				}
			}
			done := map[string]int{}
			for begun := time.Now(); time.Since(begun) < killedFor; {
				what := []string{"preview", "run", "run", "sweep", "check"}[random.IntN(5)]
				done[what]++
				if what == "sweep" { // of versions that were removed days ago
					s.kill(r)
					s.pass(9 * 24 * time.Hour)
					s.start(r)
				}
				var busy sync.WaitGroup
				next := random.IntN(20)
				busy.Go(func() {
					for s.publish(fmt.Sprintf("p%02d", next%20)) == nil { // until the end
						next++
					}
				})
				wait := time.Duration(random.IntN(400)) * time.Millisecond
				busy.Go(func() {
					switch what { // each is broken off with the server, or refused because one is under way
					case "preview":
						_, _ = s.packhouse(r, "preview-retention", "--domain", "acme", "--as-of", "2100-01-01T00:00:00Z", "--output", "csv")
					case "run":
						_, _ = s.packhouse(r, "start-retention-run", "--domain", "acme")
					case "check":
						_, _ = s.packhouse(r, "fsck", "--domain", "acme")
					}
				})
				time.Sleep(100*time.Millisecond + wait)
				s.kill(r)
				busy.Wait()
				s.pass(time.Hour) // what the dead one was at is taken up
				s.start(r)
				s.whole()
				if t.Failed() {
					t.FailNow()
				}
			}
			removed := 0
			for _, d := range s.runs() {
				removed += d.Removed
			}
			t.Logf("killed while: %v; %d versions were published, %d runs removed %d", done, len(s.contents), len(s.runs()), removed)

			// What was begun comes to its end, and everything is right.
			s.await("the runs", func() bool {
				return !slices.ContainsFunc(s.runs(), func(d describedRun) bool { return d.FinishedTime == nil })
			})
			s.whole()
			s.recount(false)
			for _, d := range s.runs() {
				if d.Status != "SUCCEEDED" {
					t.Errorf("%+v", d)
				}
			}
			for range 2 { // the trash is emptied, then what nothing refers to is swept
				s.kill(r)
				s.pass(9 * 24 * time.Hour)
				s.start(r)
				s.await("an empty trash", func() bool {
					var trash struct{ Versions []any }
					s.answer(&trash, "list-trash", "--domain", "acme")
					return len(trash.Versions) == 0
				})
			}
			distinct := map[string]bool{}
			for name := range s.versions() {
				distinct[s.contents[name]] = true
			}
			s.await("the sweep", func() bool {
				n := 0
				s.files(func(string, fs.FileInfo) { n++ })
				return n <= len(distinct)
			})
			s.whole()
			s.recount(true)
			s.must("fsck", "--domain", "acme")
			s.check(r.process.stop())
			r.process = nil
		})
	}
}

// TestReplicas_OneRun starts runs through two servers of one database at once,
// kills the one that works on it, and has one come due in both.
func TestReplicas_OneRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, "postgres", 2)
	for _, r := range s.replicas {
		s.start(r)
	}
	s.found()
	for range 8 {
		for p := range 20 {
			s.check(s.publish(fmt.Sprintf("p%02d", p)))
		}
	}
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.packhouse(s.replicas[i%2], "start-retention-run", "--domain", "acme") })
	}
	wg.Wait()
	started := 0
	for _, err := range errs {
		switch {
		case err == nil:
			started++
		case !strings.Contains(err.Error(), "ConflictException"):
			t.Error(err)
		}
	}
	if started == 0 {
		t.Fatal("no run was started")
	}
	if runs := s.runs(); len(runs) != started || slices.ContainsFunc(runs[1:], func(d describedRun) bool { return d.FinishedTime == nil }) {
		t.Errorf("%d were started, and there are %+v", started, runs)
	}
	// Of several that were started, the first may have left nothing to the others.
	s.await("the first versions", func() bool {
		return slices.ContainsFunc(s.runs(), func(d describedRun) bool { return d.Removed > 0 })
	})
	s.kill(s.replicas[1])
	s.pass(time.Hour) // its leases, if it had any
	s.await("the end of the run", func() bool { return s.runs()[0].FinishedTime != nil })
	removed := 0
	for _, d := range s.runs() {
		removed += d.Removed
	}
	if want := 20 * (8 - kept); removed != want {
		t.Errorf("%d versions were removed, want %d", removed, want)
	}
	s.whole()
	s.recount(false)
	if names := slices.Sorted(maps.Keys(s.versions())); len(names) != 20*kept {
		t.Errorf("there are %d versions", len(names))
	}
}
