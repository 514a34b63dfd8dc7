package cli

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"packhouse/internal/app"
	"packhouse/internal/artifact"
	"packhouse/internal/config"
	"packhouse/internal/format/all"
)

type doctorArgs struct {
	Output string `name:"output" enum:"text,json" default:"text" help:"text or json."`
}

func doctorCommand() command {
	args, flags := withConfig(&doctorArgs{})
	return command{
		name: "doctor", group: serverGroup, args: args, help: "Check data folder, database, master key, clock, ports and external connections.",
		run: func(ctx context.Context, env *Env) error {
			cfg, err := flags.load(env)
			if err != nil {
				return err
			}
			d := &doctor{env: env, cfg: cfg, now: time.Now}
			d.examine(ctx)
			form := "text"
			if own, ok := flags.own().(*doctorArgs); ok {
				form = own.Output
			}
			return d.report(form)
		},
	}
}

// finding is the outcome of one check.
type finding struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, note, fail
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`
}

const (
	statusOK   = "ok"
	statusNote = "note" // worth knowing; nothing is broken
	statusFail = "fail"

	leastFree     = 1 << 30 // bytes of disk below which a server will be in trouble soon
	clockSkew     = 5 * time.Minute
	clockNote     = 30 * time.Second
	remotePatient = 5 * time.Second
)

type doctor struct {
	env      *Env
	cfg      config.Config
	now      func() time.Time
	running  app.Running
	isUp     bool
	findings []finding
	dates    []clockReading
}

// clockReading is what another machine's clock said.
type clockReading struct {
	from   string
	behind time.Duration // ours behind theirs
}

func (d *doctor) add(name, status, detail, advice string) {
	d.findings = append(d.findings, finding{name, status, detail, advice})
}

func (d *doctor) examine(ctx context.Context) {
	d.dataFolder()
	d.blobFolder()
	d.database(ctx)
	d.masterKey(ctx)
	d.server(ctx)
	d.connections(ctx)
	d.clock()
}

func (d *doctor) report(form string) error {
	bad := slices.ContainsFunc(d.findings, func(f finding) bool { return f.Status == statusFail })
	if form == "json" {
		e := json.NewEncoder(d.env.Stdout)
		e.SetIndent("", "    ")
		if err := e.Encode(struct {
			OK     bool      `json:"ok"`
			Checks []finding `json:"checks"`
		}{!bad, d.findings}); err != nil {
			return err
		}
	} else {
		for _, f := range d.findings {
			fmt.Fprintf(d.env.Stdout, "%-4s  %-24s %s\n", f.Status, f.Name, f.Detail)
			if f.Advice != "" {
				fmt.Fprintf(d.env.Stdout, "%-4s  %-24s -> %s\n", "", "", f.Advice)
			}
		}
	}
	if bad {
		return errReported
	}
	return nil
}

// dataFolder checks rights, space and that what is written reaches the disk.
func (d *doctor) dataFolder() {
	const name = "data folder"
	info, err := os.Stat(d.cfg.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.add(name, statusNote, d.cfg.Data+" is not there yet", "the first start makes it; --data names another")
		d.writable(name, nearest(d.cfg.Data))
		return
	case err != nil:
		d.add(name, statusFail, err.Error(), "give the user that runs the server access to it")
		return
	case !info.IsDir():
		d.add(name, statusFail, d.cfg.Data+" is not a folder", "name a folder with --data")
		return
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		d.add(name, statusFail, fmt.Sprintf("%s has mode %04o: others on this machine can read packages and keys", d.cfg.Data, mode), "chmod 700 "+d.cfg.Data)
	}
	if info, err := os.Stat(app.CredentialsFile(d.cfg)); err == nil && info.Mode().Perm()&0o077 != 0 {
		d.add("credentials", statusFail, "others on this machine can read the administrator's key", "chmod 600 "+app.CredentialsFile(d.cfg))
	}
	d.running, d.isUp, err = app.FindRunning(d.cfg.Data)
	if err != nil {
		d.add(name, statusFail, err.Error(), "give the user that runs the server access to the files in it")
		return
	}
	d.writable(name, d.cfg.Data)
}

// blobFolder checks a folder for blobs that is not in the data folder.
func (d *doctor) blobFolder() {
	folder := strings.TrimPrefix(d.cfg.Blobs, "file://")
	if folder == "" {
		return
	}
	d.writable("blobs", nearest(folder))
}

// nearest is the folder itself or the first one above it that is there.
func nearest(path string) string {
	for !exists(path) {
		up := filepath.Dir(path)
		if up == path {
			break
		}
		path = up
	}
	return path
}

func (d *doctor) writable(name, folder string) {
	start := time.Now()
	if err := writeAndSync(folder); err != nil {
		d.add(name, statusFail, fmt.Sprintf("cannot write in %s: %v", folder, err), "check its owner, its mode and the space and inodes that are left (df, df -i)")
		return
	}
	took := time.Since(start).Round(10 * time.Microsecond)
	free, known := app.FreeSpace(folder)
	detail := fmt.Sprintf("%s: writable, flushed to disk in %v", folder, took)
	switch {
	case !known:
		d.add(name, statusOK, detail, "")
	case free < leastFree:
		d.add(name, statusFail, fmt.Sprintf("%s has only %s left", folder, inBytes(free)), "make room, or move the data to a larger disk; publishing fails when it is full")
	default:
		d.add(name, statusOK, detail+", "+inBytes(free)+" free", "")
	}
}

func writeAndSync(folder string) error {
	f, err := os.CreateTemp(folder, ".packhouse-doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("written by packhouse doctor\n")
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

func inBytes(n uint64) string {
	const unit = 1 << 10
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for value >= unit && i < len(units)-1 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}

// database looks without changing anything: the schema is migrated by a
// server's start only.
func (d *doctor) database(ctx context.Context) {
	const name = "database"
	ctx, cancel := context.WithTimeout(ctx, remotePatient)
	defer cancel()
	path, embedded := d.sqliteFile()
	if !embedded {
		d.postgres(ctx, name)
		return
	}
	if !exists(path) {
		d.add(name, statusNote, path+" is not there yet", "the first start makes it")
		return
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro")
	if err != nil {
		d.add(name, statusFail, err.Error(), "")
		return
	}
	defer db.Close()
	var result string
	switch err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); {
	case errors.Is(err, context.DeadlineExceeded):
		d.add(name, statusNote, path+" is too large to be checked quickly", "")
	case err != nil:
		d.add(name, statusFail, fmt.Sprintf("%s: %v", path, err), "check that the user that runs the server owns it")
	case result != statusOK:
		d.add(name, statusFail, fmt.Sprintf("%s is damaged: %s", path, result), "stop the server and restore the folder from a backup")
	default:
		d.add(name, statusOK, path+" is sound", "")
	}
}

func (d *doctor) postgres(ctx context.Context, name string) {
	db, err := sql.Open("pgx", d.cfg.Database)
	if err != nil {
		d.add(name, statusFail, "the DSN cannot be read", "write it like postgres://USER:PASSWORD@HOST/NAME")
		return
	}
	defer db.Close()
	var now time.Time
	if err := db.QueryRowContext(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		d.add(name, statusFail, strings.ReplaceAll(err.Error(), "\n", " "), "check host, port, user and password of the DSN, and that PostgreSQL runs")
		return
	}
	d.dates = append(d.dates, clockReading{"the database", now.Sub(d.now())})
	d.add(name, statusOK, "PostgreSQL answers", "")
}

// server checks the port: ours may be there, or somebody else's.
func (d *doctor) server(ctx context.Context) {
	const name = "server"
	if d.isUp {
		if d.running.URL == "" {
			d.add(name, statusNote, d.running.String()+" uses the data folder and does not listen yet", "")
			return
		}
		got, err := d.ask(ctx, http.MethodGet, d.running.URL+"/readyz")
		switch {
		case err != nil:
			d.add(name, statusFail, fmt.Sprintf("%s does not answer: %v", d.running, err), "look into its log")
		case got.code != http.StatusOK:
			d.add(name, statusFail, fmt.Sprintf("%s is not ready (%s)", d.running, got.status), "look into its log")
		default:
			d.add(name, statusOK, d.running.String()+" is ready", "")
		}
		return
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.cfg.Listen)
	if err == nil {
		_ = l.Close() // it was only to see
		d.add(name, statusOK, "no server runs on this data folder; "+d.cfg.Listen+" is free", "")
		return
	}
	if got, asked := d.ask(ctx, http.MethodGet, "http://"+d.cfg.Listen+"/healthz"); asked == nil && got.code == http.StatusOK {
		d.add(name, statusNote, "a packhouse server of another data folder is at "+d.cfg.Listen, "--data names the folder to check")
		return
	}
	d.add(name, statusFail, err.Error(), "another program is there; choose another address with --listen")
}

// reply is what matters of an answer; date is zero when it had none.
type reply struct {
	code   int
	status string
	date   time.Time
}

// ask sends a request with a short time-out. The body is not read.
func (d *doctor) ask(ctx context.Context, method, address string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, remotePatient)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("User-Agent", "packhouse/"+d.env.Version)
	resp, err := d.env.client().Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return reply{}, fmt.Errorf("no answer within %v", remotePatient)
		}
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return reply{}, err
	}
	date, _ := http.ParseTime(resp.Header.Get("Date")) // zero when it says nothing of use
	return reply{resp.StatusCode, resp.Status, date}, resp.Body.Close()
}

// connections asks every outside registry of a format that is served.
func (d *doctor) connections(ctx context.Context) {
	served := map[artifact.Format]bool{}
	for _, f := range all.Formats() {
		served[f.Name()] = true
	}
	given := map[string]bool{}
	for _, c := range d.cfg.Connections {
		given[c.Name] = true
	}
	known := app.Connections(d.cfg)
	found := map[string]finding{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for name, c := range known {
		if at, ok := d.running.Connections[name]; ok && d.isUp {
			c.URL = at // as the server was told, which a flag may have done
		}
		if !served[c.Format] || c.URL == "" {
			continue
		}
		group.Go(func() {
			f, date := d.connection(ctx, c, given[name])
			mu.Lock()
			defer mu.Unlock()
			found[name] = f
			if !date.IsZero() {
				d.dates = append(d.dates, clockReading{name, date.Sub(d.now())})
			}
		})
	}
	group.Wait()
	for _, name := range slices.Sorted(maps.Keys(found)) {
		d.findings = append(d.findings, found[name])
	}
}

// connection asks one. A well-known one that nobody configured may be out of
// reach on purpose: what is stored is served all the same.
func (d *doctor) connection(ctx context.Context, c artifact.Connection, given bool) (finding, time.Time) {
	f := finding{Name: c.Name, Status: statusOK}
	got, err := d.ask(ctx, http.MethodHead, c.URL)
	if err != nil {
		f.Status, f.Detail = statusNote, fmt.Sprintf("%s cannot be reached: %v", c.URL, err)
		f.Advice = "packages that are not stored yet cannot be fetched; check name service, firewall and HTTPS_PROXY, or point the connection at a mirror: --connection " + c.Name + "=URL"
		if given {
			f.Status = statusFail
		}
		return f, time.Time{}
	}
	f.Detail = fmt.Sprintf("%s answers (%s)", c.URL, got.status)
	if got.code >= http.StatusInternalServerError {
		f.Status, f.Advice = statusNote, "it may heal by itself"
	}
	return f, got.date
}

// clock compares ours with those of whoever answered: signatures of requests
// are good for five minutes.
func (d *doctor) clock() {
	const name = "clock"
	if len(d.dates) == 0 {
		d.add(name, statusNote, "nobody was reached whose clock could be compared", "")
		return
	}
	worst := slices.MaxFunc(d.dates, func(a, b clockReading) int { return int(a.behind.Abs() - b.behind.Abs()) })
	detail := fmt.Sprintf("%v off that of %s", worst.behind.Abs().Round(time.Second), worst.from)
	switch off := worst.behind.Abs(); {
	case off > clockSkew:
		d.add(name, statusFail, detail, "set the clock (NTP): signed requests are refused and tokens expire at the wrong time")
	case off > clockNote:
		d.add(name, statusNote, detail, "keep it right with NTP")
	default:
		d.add(name, statusOK, detail, "")
	}
}
