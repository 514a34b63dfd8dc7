package pgtest

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestNewDatabase_EmptyAndSeparate(t *testing.T) {
	first, second := NewDatabase(t), NewDatabase(t)
	if first == second {
		t.Fatalf("both databases are %s", first)
	}
	query(t, first, "CREATE TABLE thing (id int); SELECT 1")
	if n := query(t, second, "SELECT count(*) FROM pg_tables WHERE tablename = 'thing'"); n != 0 {
		t.Errorf("a table of the first database shows in the second")
	}
}

func TestNewDatabase_DroppedWithTheTest(t *testing.T) {
	other := NewDatabase(t)
	var dsn string
	t.Run("user", func(t *testing.T) { dsn = NewDatabase(t) })
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if n := query(t, other, "SELECT count(*) FROM pg_database WHERE datname = '"+u.Path[1:]+"'"); n != 0 {
		t.Errorf("database %s is still there", u.Path[1:])
	}
}

// TestHelper is the test binary that the next test kills; otherwise nothing.
func TestHelper(t *testing.T) {
	if os.Getenv("PGTEST_HELPER") == "" {
		return
	}
	fmt.Println("DSN", NewDatabase(t))
	select {}
}

func TestServer_EndsWithAKilledTestBinary(t *testing.T) {
	NewDatabase(t) // skips where there is no PostgreSQL
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelper$")
	cmd.Env = append(os.Environ(), "PGTEST_HELPER=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dsn string
	for lines := bufio.NewScanner(out); dsn == "" && lines.Scan(); {
		dsn, _ = strings.CutPrefix(lines.Text(), "DSN ")
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatalf("helper's server at %q: %v", dsn, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"

	if err := conn.PgConn().Conn().SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// The server closes the connection when it goes; until then the read waits.
	buf := make([]byte, 4096)
	for {
		if _, err = conn.PgConn().Conn().Read(buf); err != nil {
			break
		}
	}
	if os.IsTimeout(err) {
		t.Error("the server outlives the test binary")
	}
}

func query(t *testing.T, dsn, sql string) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscan(string(results[len(results)-1].Rows[0][0]), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
