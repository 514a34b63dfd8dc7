// Package app builds a server from its configuration: it opens what is kept,
// puts the parts together and runs them until it is told to stop. The command
// and the tests start the same App.
//
// New opens everything, the listeners too, so an address is known before the
// first request and whatever is wrong is told at once. Run serves until its
// context ends. Close, which Run does not call, gives everything back in the
// reverse order.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/audit"
	"packhouse/internal/blob"
	"packhouse/internal/blob/fsblob"
	"packhouse/internal/catalog"
	"packhouse/internal/config"
	"packhouse/internal/dataplane"
	"packhouse/internal/format/all"
	"packhouse/internal/identity"
	"packhouse/internal/lane"
	"packhouse/internal/metric"
	"packhouse/internal/ops"
	"packhouse/internal/outbound"
	"packhouse/internal/registry"
	"packhouse/internal/topic"
	"packhouse/internal/upkeep"
	"packhouse/internal/usage"
)

// Options are what a server is given besides its configuration.
type Options struct {
	Log     io.Writer // the log; os.Stderr if nil
	Version string
	Now     func() time.Time // time.Now if nil
	// Prepare, if set, runs once requests are answered; the server is not ready
	// before it has ended, and does not go on when it fails.
	Prepare func(ctx context.Context, a *App) error
}

// App is a server.
type App struct {
	cfg     config.Config
	log     *slog.Logger
	version string
	now     func() time.Time
	prepare func(ctx context.Context, a *App) error

	db         *catalog.DB
	disk       *fsblob.Store
	blobs      *blob.Metered
	identities *identity.Service
	access     *access.Checker
	outbound   *outbound.Client
	registry   *registry.Service
	upkeep     *upkeep.Runner
	metrics    *ops.Metrics
	health     *ops.Health
	requests   *ops.RequestLog
	trail      *audit.Trail // nil without access records
	ledger     *usage.Ledger
	topics     *topic.House
	meter      metric.Source

	repositories catalog.Memo[artifact.RepositoryID, repositoryFacts] // for the records

	lock        *os.File
	known       map[string]artifact.Connection
	credentials string // path of the credentials file
	created     bool   // New made the account
	url         string // what clients are told; "" is the request's Host
	servers     []server
	background  sync.WaitGroup
	closers     []func() error // run in reverse
}

// server is one listener with what answers on it.
type server struct {
	name     string
	http     *http.Server
	listener net.Listener
	loop     loop // http, or what stands before it
}

// loop serves the connections of a listener.
type loop interface {
	Shutdown(ctx context.Context) error
	Close() error
}

// serve answers until Shutdown or Close. Plain reads, nearly everything a
// package server is asked, are answered in a lane of their own; over TLS,
// which brings HTTP/2, net/http does all.
func (s server) serve() error {
	switch l := s.loop.(type) {
	case *lane.Server:
		return l.Serve(s.listener)
	default:
		return s.http.ServeTLS(lane.Patient(s.listener, lane.DefaultPatience), "", "")
	}
}

const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	bodyPatience      = time.Minute
	maxHeaderBytes    = 64 << 10
)

// New opens everything a server needs. On an error nothing stays open.
func New(ctx context.Context, cfg config.Config, opt Options) (_ *App, err error) {
	if opt.Log == nil {
		opt.Log = os.Stderr
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	a := &App{cfg: cfg, version: opt.Version, now: opt.Now, prepare: opt.Prepare, log: newLogger(opt.Log, cfg)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	setMemory(cfg)
	if err := a.openData(ctx); err != nil {
		return nil, err
	}
	a.metrics = ops.NewMetrics(opt.Version)
	if cfg.LogRequests {
		a.requests = ops.NewRequestLog(opt.Log, a.log)
		a.closers = append(a.closers, func() error { a.requests.Close(); return nil })
	}
	if err := a.openTrail(ctx); err != nil {
		return nil, err
	}
	if a.ledger, err = usage.Open(ctx, usage.Options{DB: a.db, Now: a.now, Logger: a.log}); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.ledger.Close)
	if err := a.openRegistry(); err != nil {
		return nil, err
	}
	a.topics = topic.NewHouse(a.db, a.cfg.Region, a.URL)
	a.meter = meter{a.db}
	a.upkeep = upkeep.New(upkeep.Options{
		DB: a.db, Blobs: a.blobs, Identity: a.identities, Records: a.trail, Registry: a.registry,
		Local: []upkeep.Local{upkeep.Spools(a.disk), upkeep.Quarantine(a.disk)}, Restore: a.registry.Refetch,
		Sinks: a.sinks(), Region: a.cfg.Region, Metrics: a.meter, Letters: a.cfg.DeadLetters, Trash: a.cfg.Trash, Event: a.metrics.Event,
		Now: a.now, Logger: a.log, Done: func(kind string, took time.Duration, err error) { a.metrics.Job(kind, took, err == nil) },
	})
	a.health = ops.NewHealth(a.log,
		ops.Check{Name: "database", Run: a.db.Check},
		ops.Check{Name: "blobs", Run: a.disk.Check},
	)
	a.health.Starting(opt.Prepare != nil)
	a.observe()
	if err := a.listen(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

func newLogger(w io.Writer, cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// setMemory bounds the heap softly: the caches plus what requests need. Whoever
// sets GOMEMLIMIT or GOGC knows better.
func setMemory(cfg config.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(cfg.MemoryCache) + workingMemory)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

const (
	workingMemory = 16 << 20
	gcPercent     = 50 // little garbage is made per request; at 100 some 20 MiB more stay with the process after a peak
)

// openData opens the folder, the database and the blobs, and makes the first
// account when there is none.
func (a *App) openData(ctx context.Context) error {
	if err := os.MkdirAll(a.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	lock, err := lockFolder(filepath.Join(a.cfg.Data, lockName))
	if err != nil {
		return fmt.Errorf("data folder %s: %w", a.cfg.Data, err)
	}
	a.lock = lock
	a.closers = append(a.closers, lock.Close)
	if err := writeRunning(lock, Running{Process: os.Getpid()}); err != nil {
		return fmt.Errorf("data folder %s: %w", a.cfg.Data, err)
	}

	if a.db, err = a.openCatalog(ctx); err != nil {
		return err
	}
	a.closers = append(a.closers, a.db.Close)
	if err := a.db.Update(ctx, func(tx *catalog.Tx) error { return tx.ReleaseJobs() }); err != nil {
		return err
	}

	folder := blobFolder(a.cfg)
	a.disk, err = fsblob.Open(ctx, folder, fsblob.Options{Log: a.log, Limits: blob.Limits{MaxBytes: int64(a.cfg.MaxAssetSize)}})
	if err != nil {
		return fmt.Errorf("open the blobs: %w", err)
	}
	a.closers = append(a.closers, a.disk.Close)
	a.blobs = blob.Meter(a.disk, blob.Hooks{})

	if a.outbound, err = a.newOutbound(); err != nil {
		return err
	}
	a.closers = append(a.closers, func() error { a.outbound.Close(); return nil })
	a.credentials = CredentialsFile(a.cfg)
	a.identities = identity.New(a.db, identity.Options{
		Region: a.cfg.Region, Account: a.cfg.Account, Now: a.now, Logger: a.log, TrustedProxies: a.cfg.TrustedProxies,
		KeepKey:  func(key identity.NewKey) error { return identity.WriteCredentials(a.credentials, key, a.cfg.Region) },
		Outbound: a.outbound,
	})
	a.closers = append(a.closers, func() error { a.identities.Close(); return nil })
	a.access = access.New(a.db)
	return a.bootstrap(ctx)
}

// DatabaseFile is where the embedded database is.
func DatabaseFile(cfg config.Config) string { return filepath.Join(cfg.Data, "packhouse.db") }

// CredentialsFile is where the first start leaves the administrator's key.
func CredentialsFile(cfg config.Config) string { return filepath.Join(cfg.Data, "credentials") }

func databaseOf(cfg config.Config) string {
	if cfg.Database == "sqlite" {
		return "sqlite:" + DatabaseFile(cfg)
	}
	return cfg.Database
}

func blobFolder(cfg config.Config) string {
	if cfg.Blobs == "" {
		return filepath.Join(cfg.Data, "blobs")
	}
	return trimFileScheme(cfg.Blobs)
}

func (a *App) bootstrap(ctx context.Context) error {
	key, err := a.identities.Bootstrap(ctx, a.cfg.Account)
	a.created = key != nil
	return err
}

func (a *App) openRegistry() error {
	remotes, err := a.connections()
	if err != nil {
		return err
	}
	var ecosystems []registry.Ecosystem
	for _, f := range all.Formats() {
		ecosystems = append(ecosystems, f)
	}
	a.registry, err = registry.New(a.db, a.blobs, a.access, ecosystems, registry.Options{
		Region: a.cfg.Region, Connections: a.known, MaxSearched: a.cfg.MaxSearched, Lifetimes: lifetimes(a.cfg),
		MemoryBytes: int64(a.cfg.MemoryCache), RenderDir: filepath.Join(a.cfg.Data, "documents"), RenderBytes: int64(a.cfg.DiskCache),
		MaxAssetBytes: int64(a.cfg.MaxAssetSize), MaxWholeBytes: wholeBytes(a.cfg.WholeVersion), Now: a.now, Logger: a.log,
		Get:     a.getter(remotes),
		Observe: func(o registry.Observation) { a.metrics.Cache(string(o.Format), o.What) },
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() error { a.registry.Close(); return nil })
	return nil
}

// observe shows what is counted elsewhere.
func (a *App) observe() {
	a.metrics.Storage(a.blobs.Stats)
	stored := &storedBytes{app: a}
	a.observeEvents()
	a.metrics.Gauge("stored_bytes", "Bytes kept, each content once per domain.", stored.total)
	a.metrics.Usage(a.ledger.Totals, stored.each)
	a.metrics.Counter("usage_crowded_total", "Requests counted for their repository, but not for their version, because too many versions were used at once.",
		func() float64 { return float64(a.ledger.Stats().Crowded) })
	a.observeTrail()
	folder := blobFolder(a.cfg)
	a.metrics.Gauge("disk_free_bytes", "Bytes left on the disk that holds the blobs.", func() float64 {
		free, _ := freeSpace(folder)
		return float64(free)
	})
	if a.requests != nil {
		a.metrics.Counter("request_log_dropped_total", "Lines of the request log lost because its writer did not keep up.",
			func() float64 { return float64(a.requests.Dropped()) })
	}
}

// listen makes the listeners and what answers on them.
func (a *App) listen(ctx context.Context) error {
	a.url = trimSlash(a.cfg.URL)
	packages := dataplane.New(dataplane.Options{
		Registry: a.registry, Formats: all.Formats(), Authenticate: a.identities.AuthenticatePackages,
		URL: a.url, Logger: a.log, Scheme: a.scheme, Audit: a.trail,
	})
	main := &router{
		packages: packages, api: a.newAPI(), health: a.health, proxies: a.cfg.TrustedProxies, log: a.log,
	}
	own := &http.ServeMux{}
	own.HandleFunc("GET /healthz", a.health.Alive)
	own.HandleFunc("GET /readyz", a.health.Ready)
	own.Handle("GET /metrics", a.metrics.Handler())
	if a.cfg.MetricsListen == "" {
		main.metrics = a.metrics.Handler()
	}
	edge := &ops.Edge{
		Next: main, Metrics: a.metrics, Log: a.requests, Audit: a.trail, Usage: a.ledger, Errors: a.log, Now: a.now,
		Trusted: a.cfg.TrustedProxies, BodyPatience: bodyPatience,
	}
	for _, s := range []struct {
		name, address string
		handler       http.Handler
	}{
		{"main", a.cfg.Listen, edge},
		{"metrics", a.cfg.MetricsListen, own},
		{"pprof", a.cfg.PprofListen, ops.Pprof()},
	} {
		if s.address == "" {
			continue
		}
		if err := a.listenOn(ctx, s.name, s.address, s.handler); err != nil {
			return err
		}
	}
	running := Running{Process: os.Getpid(), URL: a.URL(), Connections: map[string]string{}}
	for name, c := range a.known {
		running.Connections[name] = c.URL
	}
	return writeRunning(a.lock, running)
}

func (a *App) listenOn(ctx context.Context, name, address string, handler http.Handler) error {
	l, err := listenConfig().Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen at %s: %w; packhouse doctor tells more, --listen chooses another address", address, err)
	}
	a.closers = append(a.closers, func() error { // when Run never served on it
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	s := server{name: name, listener: l, http: &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), // what clients do wrong while connecting
	}}
	if name == "main" && a.cfg.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(a.cfg.TLSCert, a.cfg.TLSKey)
		if err != nil {
			return fmt.Errorf("tls-cert and tls-key: %w", err)
		}
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	s.loop = s.http
	if s.http.TLSConfig == nil {
		s.loop = &lane.Server{Rest: s.http, Log: a.log}
	}
	a.servers = append(a.servers, s)
	return nil
}

// Addr is the address of the main listener, with the port that was found for :0.
func (a *App) Addr() string { return a.servers[0].listener.Addr().String() }

// URL is what clients are told, without final slash.
func (a *App) URL() string {
	if a.url != "" {
		return a.url
	}
	return a.LocalURL()
}

// Region is the one the server says it is.
func (a *App) Region() string { return a.cfg.Region }

// LocalURL is where this machine reaches the server, whatever name others know
// it by.
func (a *App) LocalURL() string {
	scheme := "http"
	if a.cfg.TLSCert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(a.Addr())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return scheme + "://127.0.0.1:" + port
	}
	return scheme + "://" + a.Addr()
}

// MetricsAddr is the address of the metrics listener; "" without one.
func (a *App) MetricsAddr() string {
	for _, s := range a.servers {
		if s.name == "metrics" {
			return s.listener.Addr().String()
		}
	}
	return ""
}

// Credentials is the path of the credentials file, and whether this start made
// it.
func (a *App) Credentials() (path string, created bool) { return a.credentials, a.created }

// Run serves until ctx ends, then lets running requests finish, for as long as
// the configuration says. It returns nil after an orderly stop.
func (a *App) Run(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	a.background.Go(func() {
		if err := a.upkeep.Run(work); err != nil {
			a.log.Error("upkeep has ended", slog.Any("error", err))
		}
	})
	a.background.Go(func() { a.guardNames(work) })
	ended := make(chan error, len(a.servers))
	for _, s := range a.servers {
		go func() { //nolint:contextcheck // connections end with Shutdown, not with ctx
			ended <- s.serve()
		}()
	}
	a.log.Info("serving", slog.String("address", a.Addr()), slog.String("version", a.version), slog.String("data", a.cfg.Data))
	prepared := a.prepareIn(ctx)
	running := len(a.servers)
	failed := func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case err := <-ended:
				running--
				return fmt.Errorf("serve: %w", err)
			case err := <-prepared:
				if err != nil && ctx.Err() == nil {
					return err
				}
				a.health.Starting(err != nil)
				prepared = nil
			}
		}
	}()
	a.log.Info("stopping", slog.Duration("patience", a.cfg.ShutdownTimeout))
	a.health.Stopping()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.ShutdownTimeout)
	defer cancel()
	var group sync.WaitGroup
	for _, s := range a.servers {
		group.Go(func() {
			if err := s.loop.Shutdown(deadline); err != nil {
				a.log.Warn("requests were cut off", slog.String("listener", s.name), slog.Any("error", err))
				_ = s.loop.Close() // nothing is left to tell
			}
		})
	}
	group.Wait()
	for range running {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			failed = errors.Join(failed, fmt.Errorf("serve: %w", err))
		}
	}
	stopWork()
	a.background.Wait()
	return failed
}

// prepareIn runs Options.Prepare; nil is not to be waited for.
func (a *App) prepareIn(ctx context.Context) <-chan error {
	if a.prepare == nil {
		return nil
	}
	done := make(chan error, 1)
	a.background.Go(func() { done <- a.prepare(ctx, a) })
	return done
}

// Close gives everything back. Run must have returned.
func (a *App) Close() error {
	var errs []error
	for _, give := range slices.Backward(a.closers) {
		errs = append(errs, give())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// wholeBytes is the setting as the registry takes it, where nothing at all is
// below zero.
func wholeBytes(s config.Size) int64 {
	if s == 0 {
		return -1
	}
	return int64(s)
}
