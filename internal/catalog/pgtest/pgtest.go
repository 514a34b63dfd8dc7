// Package pgtest gives tests a real PostgreSQL: one server for each test
// binary, started when first asked for, and one empty database for each test.
//
// Nothing has to be cleaned up by the tests. A small shell guards the server:
// it waits for the end of a pipe whose other end only the test binary holds,
// so the server and its files go when the binary ends in whatever way,
// kill -9 included.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"packhouse/internal/porttest"
)

const (
	initTimeout  = 60 * time.Second
	startTimeout = 60 * time.Second
	queryTimeout = 60 * time.Second
)

var errNoBinaries = errors.New("initdb and postgres are neither on PATH nor in /usr/lib/postgresql")

// theServer is the one of this test binary.
var theServer = sync.OnceValues(start)

// NewDatabase creates an empty database that is dropped when the test ends,
// and returns its URL. Without PostgreSQL on the machine the test is skipped;
// with PACKHOUSE_TEST_REQUIRE set (as in CI) it fails instead.
//
// The default collation of the database is not bytewise, where PostgreSQL can
// do that, so that a column that forgot its collation shows.
func NewDatabase(t testing.TB) (dsn string) {
	t.Helper()
	s, err := theServer()
	if errors.Is(err, errNoBinaries) && os.Getenv("PACKHOUSE_TEST_REQUIRE") == "" {
		t.Skipf("no PostgreSQL here: %v", err)
	}
	if err != nil {
		t.Fatalf("starting PostgreSQL: %v", err)
	}
	name := "test_" + strconv.FormatInt(s.databases.Add(1), 10)
	if err := s.exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("creating a test database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("dropping a test database: %v", err)
		}
	})
	return s.dsn(name)
}

type server struct {
	port      int
	data      string // its folder, by which it is known
	guard     *exec.Cmd
	lifeline  io.WriteCloser // its closing ends the server; held until this process ends
	databases atomic.Int64
}

// guardScript runs the server until standard input ends, then removes its
// folder. Arguments: folder, then the server's command line.
const guardScript = `
dir=$1; shift
exec 3<&0
"$@" 3<&- </dev/null & server=$!
{ read -r _ <&3; kill -QUIT $server; } 2>/dev/null & watch=$!
exec 3<&-
wait $server; status=$?
cd /; rm -rf "$dir"; kill $watch 2>/dev/null
exit $status`

func start() (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	cred, err := unprivileged()
	if err != nil {
		return nil, err
	}
	for range 3 { // another process may take the port that was free a moment ago
		var s *server
		if s, err = startAnew(bin, cred); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// startAnew starts the server in a folder of its own, which goes with it.
func startAnew(bin string, cred *syscall.Credential) (*server, error) {
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return nil, err
	}
	if cred != nil {
		if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return nil, err
		}
	}
	s, err := startIn(dir, bin, cred)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func startIn(dir, bin string, cred *syscall.Credential) (*server, error) {
	data := filepath.Join(dir, "data")
	initdb := func(locale ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), initTimeout)
		defer cancel()
		args := append([]string{"-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"}, locale...)
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), args...)
		cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: cred}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("initdb: %w\n%s", err, out)
		}
		return nil
	}
	// Before version 15, or built without ICU, there is the bytewise order only.
	if err := initdb("--locale-provider=icu", "--icu-locale=en-US"); err != nil {
		if err := os.RemoveAll(data); err != nil {
			return nil, err
		}
		if err := initdb(); err != nil {
			return nil, err
		}
	}
	return launch(dir, bin, data, cred)
}

// launch starts the server on a free port and waits until it answers.
func launch(dir, bin, data string, cred *syscall.Credential) (*server, error) {
	port, err := porttest.Port()
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp("", "pgtest-log-")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if err := os.Remove(log.Name()); err != nil { // it lives on while it is open
		return nil, err
	}
	stdin, lifeline, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	guard := exec.Command("/bin/sh", "-c", guardScript, "pgtest-guard", dir,
		filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "max_connections=200", "-c", "shared_buffers=64MB")
	guard.Dir = dir
	guard.Stdin, guard.Stdout, guard.Stderr = stdin, log, log
	// A session of its own: Ctrl-C reaches the tests, whose end ends the server.
	guard.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setsid: true}
	if err := guard.Start(); err != nil {
		lifeline.Close()
		return nil, err
	}
	s := &server{port: port, data: data, guard: guard, lifeline: lifeline}
	if err := s.awaitReady(); err != nil {
		lifeline.Close()
		text, _ := io.ReadAll(io.NewSectionReader(log, 0, 64<<10))
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return s, nil
}

func (s *server) awaitReady() error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.answers()
		if err == nil {
			return nil
		}
		var status syscall.WaitStatus
		if pid, _ := syscall.Wait4(s.guard.Process.Pid, &status, syscall.WNOHANG, nil); pid == s.guard.Process.Pid {
			return fmt.Errorf("postgres ended with status %d", status.ExitStatus())
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("postgres is not ready after %v: %w", startTimeout, err)
		}
	}
}

// answers tells whether the server that has the port is this one.
func (s *server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.dsn("postgres"))
	if err != nil {
		return err
	}
	var data string
	err = errors.Join(conn.QueryRow(ctx, "SHOW data_directory").Scan(&data), conn.Close(ctx))
	if err == nil && data != s.data {
		err = errors.New("another server has the port")
	}
	return err
}

func (s *server) dsn(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// exec runs one statement on a connection of its own.
func (s *server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.dsn("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// binaries finds the folder that has both initdb and postgres; of several
// installed versions the newest.
func binaries() (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil && hasServer(filepath.Dir(initdb)) {
			return filepath.Dir(initdb), nil
		}
	}
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range dirs {
		if hasServer(dir) {
			return dir, nil
		}
	}
	return "", errNoBinaries
}

func hasServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// version is the number in /usr/lib/postgresql/15/bin.
func version(dir string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	if err != nil {
		return 0
	}
	return n
}

// unprivileged names the user to run the server as, which refuses to run as
// root; nil when we are somebody else already.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", u.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
