// Package config is what a server is told from outside: one struct whose
// fields are the keys, read from defaults, a YAML file, the environment and
// flags, each stronger than the one before, and validated once.
//
// A field's tags are its whole declaration: key names it in the file, as the
// flag --key and as the environment variable PACKHOUSE_KEY; docs/configuration.md
// is printed from them by a test. Lists are written with commas or spaces where
// one line must do (flags may also be repeated), as YAML lists in the file.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"packhouse/internal/artifact"
)

// Config is a validated configuration.
type Config struct {
	Data      string   `key:"data" default:"./packhouse-data" value:"DIR" doc:"Folder that holds everything in the embedded default; created with mode 0700."`
	Listen    string   `key:"listen" default:"127.0.0.1:8470" value:"HOST:PORT" doc:"The one listener for the AWS API and packages; health and metrics too unless they have their own."`
	URL       string   `key:"url" value:"BASE" doc:"Base URL that clients are told in endpoints and tarball addresses. By default it is taken from each request's Host."`
	Region    string   `key:"region" default:"us-east-1" value:"REGION" doc:"The AWS region this server says it is."`
	Account   string   `key:"account" default:"123456789012" value:"ID" doc:"The first account, 12 digits; it is created on the first start."`
	Database  string   `key:"database" default:"sqlite" value:"DSN" doc:"sqlite (a file in the data folder) or postgres://USER:PASSWORD@HOST/NAME."`
	MasterKey []Secret `key:"master-key" value:"FILE|KEY" doc:"What secrets in the database are encrypted with: a file of keys, one a line, or (not as a flag) 32 bytes in base64; of several the first encrypts, all decrypt. By default master.key in the data folder, made by the first start. Replicas of one database need the same."`
	Blobs     string   `key:"blobs" value:"URL" doc:"Folder for package bytes; by default blobs/ in the data folder."`
	TLSCert   string   `key:"tls-cert" value:"FILE" doc:"PEM certificate chain; with tls-key the listener speaks HTTPS."`
	TLSKey    string   `key:"tls-key" value:"FILE" doc:"PEM private key of tls-cert."`

	Connections   []Connection  `key:"connection" value:"NAME=URL" doc:"External connections: another address for a well-known one, or a new custom:NAME, which needs a format and may have credentials (in the file: name, format, url, username, password, token)."`
	MetadataTTL   time.Duration `key:"metadata-ttl" default:"10m" value:"DURATION" doc:"How long the documents of outside registries are served without asking again."`
	NegativeTTL   time.Duration `key:"negative-ttl" default:"60s" value:"DURATION" doc:"How long an outside registry's \"no such package\" is remembered."`
	AllowOutbound []string      `key:"allow-outbound" value:"CIDR|HOST" doc:"Private addresses or hosts that documents and redirects of outside registries may lead to, events may be sent to, and issuers of accounts other than the first may be at. The host of a configured connection needs no entry."`

	MetricsListen  string         `key:"metrics-listen" value:"HOST:PORT" doc:"Own listener for /metrics, /healthz and /readyz; the main one then does not answer /metrics."`
	PprofListen    string         `key:"pprof-listen" value:"HOST:PORT" doc:"Listener for Go's profiler, off by default. Whoever reaches it can read the server's memory."`
	LogFormat      string         `key:"log-format" default:"json" enum:"json,text" value:"json|text" doc:"Form of the log on standard error. The lines of requests are always JSON."`
	LogLevel       slog.Level     `key:"log-level" default:"info" value:"LEVEL" doc:"debug, info, warn or error."`
	LogRequests    bool           `key:"log-requests" default:"true" value:"true|false" doc:"Write one JSON line per request to standard error."`
	TrustedProxies []netip.Prefix `key:"trusted-proxies" value:"CIDR" doc:"Proxies whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are believed."`

	MaxAssetSize Size `key:"max-asset-size" default:"5GB" value:"SIZE" doc:"Largest asset taken from a publisher or an outside registry."`
	WholeVersion Size `key:"whole-version" default:"1GB" value:"SIZE" doc:"When one file of a version that has several comes from outside, the others are fetched behind it, up to this many bytes; 0 fetches only what is asked for."`
	MemoryCache  Size `key:"memory-cache" default:"32MiB" value:"SIZE" doc:"Bound of the finished documents kept in memory."`
	DiskCache    Size `key:"disk-cache" default:"2GiB" value:"SIZE" doc:"Bound of the large finished documents kept as files in the data folder."`
	MaxSearched  int  `key:"max-searched" default:"25" value:"N" doc:"Repositories searched to resolve one package, the addressed one included."`

	MixedNames []string `key:"mixed-names" value:"DOMAIN|ACCOUNT/DOMAIN" doc:"Domains in which a package name that is published in one repository may come from outside in another. Anywhere else it may not: docs/divergences.md. Give all replicas the same."`

	AccessRecords     time.Duration `key:"access-records" default:"2160h" value:"DURATION" doc:"How long the records of who did what are kept: 90 days by default; 0 keeps none. docs/audit.md."`
	AccessRecordsSize Size          `key:"access-records-size" default:"10GiB" value:"SIZE" doc:"Bound of the access records on disk; the oldest go first."`

	EventLogSize Size          `key:"event-log-size" default:"64MiB" value:"SIZE" doc:"Bound of an account's event log, after which the next file is begun; four older ones are kept. docs/events.md."`
	DeadLetters  time.Duration `key:"dead-letters" default:"336h" value:"DURATION" doc:"How long events that could not be delivered are kept: 14 days by default."`

	Trash time.Duration `key:"trash" default:"168h" value:"DURATION" doc:"How long versions that retention removed can be had back, where their domain does not say: 7 days by default. docs/retention.md."`

	SMTPRelay    string `key:"smtp-relay" value:"HOST:PORT" doc:"Mail server that takes notifications to email addresses; without it there are none. docs/monitoring.md."`
	SMTPFrom     string `key:"smtp-from" value:"ADDRESS" doc:"Address that mail is sent from; with smtp-relay it must be given."`
	SMTPUser     string `key:"smtp-user" value:"NAME" doc:"User at the mail server, with smtp-password."`
	SMTPPassword Secret `key:"smtp-password" value:"PASSWORD" doc:"Password of smtp-user."`
	SMTPSecurity string `key:"smtp-security" default:"starttls" enum:"starttls,tls,none" value:"starttls|tls|none" doc:"How the connection to the mail server is protected: TLS after a greeting, from the first byte, or not at all (a password then goes to this machine only)."`

	ShutdownTimeout time.Duration `key:"shutdown-timeout" default:"30s" value:"DURATION" doc:"How long running requests may take to finish after SIGTERM."`
}

// Connection is one external connection as configured. With the name of a
// well-known connection only the URL counts.
type Connection struct {
	Name     string          `yaml:"name"`
	Format   artifact.Format `yaml:"format"`
	URL      string          `yaml:"url"`
	Username string          `yaml:"username"`
	Password Secret          `yaml:"password"`
	Token    Secret          `yaml:"token"`
}

// Secret is text that shows itself to no log or format verb.
type Secret string

const hidden = "[hidden]"

// LogValue hides the text from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// String hides the text from fmt.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return s.String() }

// Size is a number of bytes.
type Size int64
