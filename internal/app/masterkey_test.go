package app_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"packhouse/internal/app"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/config"
	"packhouse/internal/seal"
)

// withKeys is a configuration whose master keys come from the environment.
func withKeys(t *testing.T, data string, keys ...seal.Key) config.Config {
	t.Helper()
	var texts []string
	for _, k := range keys {
		texts = append(texts, k.Text())
	}
	cfg, err := config.Load(config.Sources{
		Flags: map[string][]string{"data": {data}, "listen": {"127.0.0.1:0"}},
		Env: func(name string) (string, bool) {
			if name != "PACKHOUSE_MASTER_KEY" {
				return "", false
			}
			return strings.Join(texts, ","), true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// opens starts a server on a configuration and stops it at once.
func opens(t *testing.T, cfg config.Config) error {
	t.Helper()
	a, err := app.New(t.Context(), cfg, app.Options{Log: &log{}})
	if err != nil {
		return err
	}
	return a.Close()
}

func TestMasterKey_IsMadeByTheFirstStartAndNeededByEveryOther(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	cfg := configure(t, data, nil)
	for range 2 {
		if err := opens(t, cfg); err != nil {
			t.Fatal(err)
		}
	}
	path := app.MasterKeyFile(cfg)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(data, ".master-*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	err = opens(t, cfg)
	if !errors.Is(err, catalog.ErrOtherMasterKey) || !strings.Contains(err.Error(), "put the file master.key back into the data folder") {
		t.Errorf("without the file: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("another key was made")
	}
	if err := opens(t, withKeys(t, data, seal.NewKey())); !errors.Is(err, catalog.ErrOtherMasterKey) {
		t.Errorf("with another key: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := opens(t, cfg); err != nil {
		t.Errorf("with the file back: %v", err)
	}
}

func TestMasterKey_FromTheEnvironmentWithRotation(t *testing.T) {
	data, older, newer := filepath.Join(t.TempDir(), "data"), seal.NewKey(), seal.NewKey()
	for _, keys := range [][]seal.Key{{older}, {older, newer}, {newer, older}, {newer}} {
		if err := opens(t, withKeys(t, data, keys...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := opens(t, withKeys(t, data, older)); !errors.Is(err, catalog.ErrOtherMasterKey) {
		t.Errorf("with the older key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(data, "master.key")); err == nil {
		t.Error("a key was made although one is configured")
	}
}

func TestMasterKey_MistypedIsNotRepeated(t *testing.T) {
	const mistyped = "c2VjcmV0IG9mIHRoZSBtYXN0ZXIga2V5IHNlY3Jld"
	for _, value := range []string{mistyped, filepath.Join(t.TempDir(), "missing")} {
		err := opens(t, configure(t, filepath.Join(t.TempDir(), "data"), map[string]string{"master-key": value}))
		if err == nil || strings.Contains(err.Error(), value) || !strings.Contains(err.Error(), "openssl rand -base64 32") {
			t.Errorf("got %v", err)
		}
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("# mine\n"+mistyped+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := opens(t, configure(t, filepath.Join(t.TempDir(), "data"), map[string]string{"master-key": file}))
	if err == nil || strings.Contains(err.Error(), mistyped) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v", err)
	}
}

func TestMasterKey_ReplicaWithoutItIsRefusedAndLeavesNoKey(t *testing.T) {
	dsn, dir := pgtest.NewDatabase(t), t.TempDir()
	on := func(name string) config.Config {
		return configure(t, filepath.Join(dir, name), map[string]string{"database": dsn, "blobs": filepath.Join(dir, "blobs")})
	}
	if err := opens(t, on("one")); err != nil {
		t.Fatal(err)
	}
	if err := opens(t, on("two")); !errors.Is(err, catalog.ErrOtherMasterKey) || !strings.Contains(err.Error(), "Replicas of one database need the same key") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "two", "master.key")); err == nil {
		t.Error("the refused replica left a key")
	}
}

// TestMasterKey_LostWithoutACopy does what docs/operations.md says.
func TestMasterKey_LostWithoutACopy(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data, nil)
	ctx := t.Context()
	if _, err := codeartifact.NewFromConfig(r.aws(t)).CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: aws.String("corp")}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if err := os.Remove(filepath.Join(data, "master.key")); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "packhouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []string{
		"meta WHERE meta_key = 'master_key'", "access_key", "signing_key", "event_connection", "event_signing",
		"account WHERE id = '123456789012'", "iam_user WHERE account = '123456789012' AND name = 'admin'",
	} {
		if _, err := db.ExecContext(ctx, "DELETE FROM "+rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, data, nil)
	out, err := codeartifact.NewFromConfig(again.aws(t)).ListDomains(ctx, nil)
	if err != nil || len(out.Domains) != 1 {
		t.Errorf("got %+v, %v", out, err)
	}
}

// TestSecrets_AreNowhereButWhereTheyBelong makes every kind of secret by the
// API, and looks for them in the log and in all that the database holds.
func TestSecrets_AreNowhereButWhereTheyBelong(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			data, flags := filepath.Join(t.TempDir(), "data"), map[string]string{"log-level": "debug"}
			if engine == "postgres" {
				flags["database"] = pgtest.NewDatabase(t)
			}
			r := start(t, data, flags)
			ctx, cfg := t.Context(), r.aws(t)
			users, tokens, packages := iam.NewFromConfig(cfg), sts.NewFromConfig(cfg), codeartifact.NewFromConfig(cfg)
			admin, err := cfg.Credentials.Retrieve(ctx)
			if err != nil {
				t.Fatal(err)
			}
			key, err := users.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("admin")})
			if err != nil {
				t.Fatal(err)
			}
			session, err := tokens.GetSessionToken(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := packages.CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: aws.String("corp")}); err != nil {
				t.Fatal(err)
			}
			token, err := packages.GetAuthorizationToken(ctx, &codeartifact.GetAuthorizationTokenInput{Domain: aws.String("corp")})
			if err != nil {
				t.Fatal(err)
			}
			if status, _ := get(t, r.URL()+"/repo/123456789012/corp/npm/none/x?token="+*token.AuthorizationToken); status != 401 && status != 404 {
				t.Errorf("status %d", status)
			}
			if _, err := tokens.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
				RoleArn: aws.String("arn:aws:iam::123456789012:role/x"), RoleSessionName: aws.String("xx"), WebIdentityToken: session.Credentials.SessionToken,
			}); err == nil {
				t.Error("a session token is an identity token")
			}
			r.stop()
			held := r.log.String()
			if len(held) < 1000 {
				t.Errorf("the log is %q", held)
			}
			dsn, driver := flags["database"], "pgx"
			if engine == "sqlite" {
				dsn, driver = "file:"+filepath.Join(data, "packhouse.db"), "sqlite"
			}
			rows := everyRow(t, driver, dsn)
			if !strings.Contains(rows, admin.AccessKeyID) {
				t.Error("the test looks in the wrong place")
			}
			for name, secret := range map[string]string{
				"administrator's key": admin.SecretAccessKey, "new key": *key.AccessKey.SecretAccessKey, "session's key": *session.Credentials.SecretAccessKey,
				"session token": *session.Credentials.SessionToken, "package token": *token.AuthorizationToken, "master key": masterKeyOf(t, data),
			} {
				for where, text := range map[string]string{"log": held, "database": rows} {
					if strings.Contains(text, secret) {
						t.Errorf("the %s is in the %s", name, where)
					}
				}
			}
		})
	}
}

func masterKeyOf(t *testing.T, data string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys[0].Text()
}

// everyRow is every column of every table.
func everyRow(t *testing.T, driver, dsn string) string {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	if driver == "pgx" {
		list = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"
	}
	var tables []string
	read := func(query string, row func(rows *sql.Rows) error) {
		t.Helper()
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := row(rows); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	read(list, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		tables = append(tables, name)
		return err
	})
	if len(tables) < 20 {
		t.Fatalf("tables %v", tables)
	}
	var out strings.Builder
	for _, table := range tables {
		read("SELECT * FROM "+table, func(rows *sql.Rows) error {
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(sql.NullString)
			}
			err = rows.Scan(values...)
			for i, v := range values {
				fmt.Fprintf(&out, "%s.%s=%s\n", table, columns[i], v.(*sql.NullString).String)
			}
			return err
		})
	}
	return out.String()
}
