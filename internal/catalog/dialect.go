package catalog

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"packhouse/internal/fault"
)

// dialect is everything that differs between the two engines' SQL. Rows files
// hold one text for both and reach here for the little that is not common.
type dialect struct {
	name       string
	schema     *strings.Replacer // the words of the migrations this engine spells otherwise
	skipLocked string            // appended to a SELECT that picks rows to change
	// overwriteOn and overwriteOff switch the overwriting of deleted content in
	// the file, where the engine has that.
	overwriteOn, overwriteOff string
	shared                    bool                   // other processes may write: changes go through the change table
	retry                     func(error) bool       // the transaction lost a race and may be tried again
	classify                  func(error) fault.Kind // what a driver's error means to a client
}

func sqliteDialect() *dialect {
	return &dialect{
		name: "sqlite",
		// keytext needs no help: a type name with TEXT in it has text affinity,
		// and SQLite compares text by its bytes.
		schema: strings.NewReplacer(
			" autonumber,", " INTEGER PRIMARY KEY AUTOINCREMENT,",
			" bytes ", " BLOB ",
		),
		overwriteOn: "PRAGMA secure_delete = ON", overwriteOff: "PRAGMA secure_delete = OFF",
		retry: func(err error) bool {
			code, ok := sqliteCode(err)
			return ok && (code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED)
		},
		classify: func(err error) fault.Kind {
			switch code, _ := sqliteCode(err); code {
			case sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY:
				return fault.Unavailable
			}
			return fault.Internal
		},
	}
}

// sqliteCode is the primary result code in err.
func sqliteCode(err error) (int, bool) {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff, true
	}
	return 0, false
}

func postgresDialect() *dialect {
	return &dialect{
		name: "postgres",
		schema: strings.NewReplacer(
			" keytext", ` TEXT COLLATE "C"`,
			" autonumber,", " BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,",
			" bytes ", " BYTEA ",
			") WITHOUT ROWID;", ");",
		),
		skipLocked: " FOR UPDATE SKIP LOCKED",
		shared:     true,
		retry: func(err error) bool {
			e, ok := errors.AsType[*pgconn.PgError](err)
			return ok && (e.Code == "40001" || e.Code == "40P01") // serialization_failure, deadlock_detected
		},
		classify: func(err error) fault.Kind {
			if e, ok := errors.AsType[*pgconn.PgError](err); ok {
				switch e.Code[:2] {
				case "53", "57", "40": // insufficient resources, operator intervention, lost races
					return fault.Unavailable
				}
				return fault.Internal
			}
			if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || pgconn.SafeToRetry(err) {
				return fault.Unavailable
			}
			return fault.Internal
		},
	}
}
