package config_test

import (
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/config"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

func env(vars map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := vars[k]; return v, ok }
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "packhouse.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad_DefaultsAreValid(t *testing.T) {
	got, err := config.Load(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Data: "./packhouse-data", Listen: "127.0.0.1:8470", Region: "us-east-1", Account: "123456789012", Database: "sqlite",
		MetadataTTL: 10 * time.Minute, NegativeTTL: time.Minute, LogFormat: "json", LogRequests: true,
		MaxAssetSize: 5e9, WholeVersion: 1e9, MemoryCache: 32 << 20, DiskCache: 2 << 30, MaxSearched: 25, ShutdownTimeout: 30 * time.Second,
		AccessRecords: 90 * 24 * time.Hour, AccessRecordsSize: 10 << 30,
		EventLogSize: 64 << 20, DeadLetters: 14 * 24 * time.Hour, Trash: 7 * 24 * time.Hour, SMTPSecurity: "starttls",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_StrongerSourceWins(t *testing.T) {
	file := write(t, "region: eu-west-1\nmetadata-ttl: 1m\nlog-level: debug\nlisten: :1\n")
	got, err := config.Load(config.Sources{
		File:  file,
		Env:   env(map[string]string{"PACKHOUSE_METADATA_TTL": "2m", "PACKHOUSE_LISTEN": ":2", "PACKHOUSE_DATA": ""}),
		Flags: map[string][]string{"listen": {":3"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"eu-west-1", 2 * time.Minute, slog.LevelDebug, ":3", "./packhouse-data"},
		[]any{got.Region, got.MetadataTTL, got.LogLevel, got.Listen, got.Data}); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_FileNamedByEnvironment(t *testing.T) {
	got, err := config.Load(config.Sources{Env: env(map[string]string{config.EnvFile: write(t, "region: eu-west-1")})})
	if err != nil || got.Region != "eu-west-1" {
		t.Errorf("region %q, %v", got.Region, err)
	}
}

func TestLoad_ConnectionsMergeByName(t *testing.T) {
	file := write(t, `
connection:
  - public:npmjs=http://one.test/
  - name: custom:site
    format: npm
    url: http://two.test/npm/
    username: u
    password: p
`)
	got, err := config.Load(config.Sources{File: file, Flags: map[string][]string{
		"connection": {"public:pypi=http://three.test/simple/", "custom:site=http://four.test/"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Connection{
		{Name: "public:npmjs", URL: "http://one.test/"},
		{Name: "custom:site", Format: "npm", URL: "http://four.test/", Username: "u", Password: "p"},
		{Name: "public:pypi", URL: "http://three.test/simple/"},
	}
	if diff := cmp.Diff(want, got.Connections); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_ListsOnOneLine(t *testing.T) {
	got, err := config.Load(config.Sources{Env: env(map[string]string{"PACKHOUSE_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1/32"})})
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}
	if diff := cmp.Diff(want, got.TrustedProxies, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_ErrorsNameKeySourceAndCure(t *testing.T) {
	for _, c := range []struct {
		name, file string
		flags      map[string][]string
		env        map[string]string
		want       []string
	}{
		{name: "duration", env: map[string]string{"PACKHOUSE_METADATA_TTL": "soon"}, want: []string{"metadata-ttl (from environment variable PACKHOUSE_METADATA_TTL)", "like 30s, 10m"}},
		{name: "unknown key", file: "regoin: x\n", want: []string{"regoin", "line 1", "docs/configuration.md"}},
		{name: "twice", file: "region: eu-west-1\nregion: eu-west-2\n", want: []string{"line 2", "twice"}},
		{name: "account", flags: map[string][]string{"account": {"12"}}, want: []string{"account (from flag --account)", "12 digits"}},
		{name: "two at once", flags: map[string][]string{"account": {"12"}, "region": {"mars"}}, want: []string{"account", "region"}},
		{name: "enum", flags: map[string][]string{"log-format": {"xml"}}, want: []string{"log-format", "json,text"}},
		{name: "size", flags: map[string][]string{"memory-cache": {"lots"}}, want: []string{"memory-cache", "64MiB"}},
		{name: "master key on the command line", flags: map[string][]string{"master-key": {"c2VjcmV0IG9mIHRoZSBtYXN0ZXIga2V5IHNlY3JldCE="}}, want: []string{"master-key", "PACKHOUSE_MASTER_KEY"}},
		{name: "half tls", flags: map[string][]string{"tls-cert": {"a.pem"}}, want: []string{"tls-cert", "go together"}},
		{name: "custom without format", flags: map[string][]string{"connection": {"custom:x=http://x.test/"}}, want: []string{"custom:x", "needs a format"}},
		{name: "connection name", flags: map[string][]string{"connection": {"npm=http://x.test/"}}, want: []string{"public:NAME"}},
		{name: "url with a path", flags: map[string][]string{"url": {"https://packages.test/packhouse/"}}, want: []string{"--url", "has a path"}},
		{name: "password in url", flags: map[string][]string{"connection": {"public:npmjs=http://u:secret@x.test/"}}, want: []string{"password"}},
		{name: "password in what is no url", file: "connection:\n  - {name: 'public:npmjs', url: 'ftp://u:secret@x.test/'}\n", want: []string{"public:npmjs", "is not a URL"}},
		{name: "password without a name", flags: map[string][]string{"connection": {"http://u:secret@x.test/"}}, want: []string{"want NAME=URL"}},
		{name: "token in url", flags: map[string][]string{"connection": {"public:npmjs=http://x.test/?token=secret"}}, want: []string{"query"}},
		{name: "connection member", file: "connection:\n  - {name: 'custom:x', fromat: npm, url: 'http://x.test/'}\n", want: []string{"line 2", "fromat"}},
		{name: "s3", flags: map[string][]string{"blobs": {"s3://b/p"}}, want: []string{"blobs", "not served by this release"}},
		{name: "not yaml", file: ":\n\t-", want: []string{"config file"}},
		{name: "no mapping", file: "- a\n", want: []string{"key: value"}},
		{name: "listen", flags: map[string][]string{"listen": {"8470"}}, want: []string{"listen", "HOST:PORT"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := config.Sources{Env: env(c.env), Flags: c.flags}
			if c.file != "" {
				s.File = write(t, c.file)
			}
			_, err := config.Load(s)
			for _, want := range c.want {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%v: want %q in it", err, want)
				}
			}
			if strings.Contains(fmt.Sprint(err), "secret") || strings.Contains(fmt.Sprint(err), "c2VjcmV0") {
				t.Errorf("the error repeats a password: %v", err)
			}
		})
	}
}

func TestSecret_ShowsItselfToNobody(t *testing.T) {
	c := config.Connection{Name: "custom:x", Password: "hush", Token: "hush"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, c); strings.Contains(text, "hush") {
			t.Errorf("%s: %s", verb, text)
		}
	}
}

// TestReference_IsCurrent prints docs/configuration.md from the struct.
func TestReference_IsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "configuration.md")
	want := config.Reference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("run go test ./internal/config -update\n%s", diff)
	}
}

func FuzzLoad_File(f *testing.F) {
	f.Add("region: eu-west-1\nconnection:\n  - {name: a, url: b}\n")
	f.Add("data: [a]\nlisten: {a: b}\ntrusted-proxies: 10.0.0.0/8\n")
	path := filepath.Join(f.TempDir(), "f.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if cfg, err := config.Load(config.Sources{File: path}); err == nil && cfg.Listen == "" {
			t.Error("valid without a listener")
		}
	})
}
