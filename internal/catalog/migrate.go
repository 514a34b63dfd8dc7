package catalog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migration is one numbered step of the schema. Steps only go forward.
type migration struct {
	number int64
	name   string
	text   string
}

// loadMigrations reads NNNN_what.sql files in order; numbers start at 1 without gaps.
func loadMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	steps := make([]migration, 0, len(names))
	for i, name := range names {
		digits, _, _ := strings.Cut(path.Base(name), "_")
		number, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || number != int64(i)+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", name, i+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, migration{number, path.Base(name), string(text)})
	}
	return steps, nil
}

// migrate brings the schema up to the newest step, each step in a transaction
// of its own. conn must hold whatever lock keeps other processes out. A
// database newer than this program is refused: it may hold what the program
// does not understand. keep chooses the steps this database has.
func migrate(ctx context.Context, conn *sql.Conn, d *dialect, files fs.FS, begin string, keep func(migration) bool) error {
	steps, err := loadMigrations(files)
	if err != nil {
		return err
	}
	const table = "CREATE TABLE IF NOT EXISTS schema_migration (number BIGINT PRIMARY KEY, name TEXT NOT NULL, at BIGINT NOT NULL)"
	if _, err := conn.ExecContext(ctx, table); err != nil {
		return fmt.Errorf("create schema_migration: %w", err)
	}
	var done int64
	if err := conn.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) FROM schema_migration").Scan(&done); err != nil {
		return fmt.Errorf("read schema_migration: %w", err)
	}
	if done > int64(len(steps)) {
		return fmt.Errorf("the database has schema %d, this program knows %d: start a newer program", done, len(steps))
	}
	for _, step := range steps[done:] {
		if !keep(step) {
			continue
		}
		if err := apply(ctx, conn, d, step, begin); err != nil {
			return fmt.Errorf("migration %s: %w", step.name, err)
		}
	}
	return nil
}

func apply(ctx context.Context, conn *sql.Conn, d *dialect, step migration, begin string) (err error) {
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, rollback := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			err = errors.Join(err, rollback)
		}
	}()
	var done int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM schema_migration WHERE number = $1", step.number).Scan(&done); err != nil {
		return err
	}
	if done > 0 { // another process was faster
		_, err = conn.ExecContext(ctx, "ROLLBACK")
		return err
	}
	// Without arguments both drivers run a text of several statements.
	if _, err := conn.ExecContext(ctx, d.schema.Replace(step.text)); err != nil {
		return err
	}
	const row = "INSERT INTO schema_migration (number, name, at) VALUES ($1, $2, $3)"
	if _, err := conn.ExecContext(ctx, row, step.number, step.name, time.Now().UnixMicro()); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}
