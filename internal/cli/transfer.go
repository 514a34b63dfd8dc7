package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"packhouse/internal/config"
)

// targetFlags name one version of a package, for upload and download.
type targetFlags struct {
	clientFlags

	Domain         string  `name:"domain" required:"" help:"Domain of the repository."`
	DomainOwner    *string `name:"domain-owner" type:"text" placeholder:"ACCOUNT" help:"Account that owns the domain; by default your own."`
	Repository     string  `name:"repository" required:"" help:"Repository that has the package."`
	Namespace      string  `name:"namespace" help:"Namespace of the package; generic packages have one."`
	Package        string  `name:"package" required:"" help:"Name of the package."`
	PackageVersion string  `name:"package-version" required:"" placeholder:"VERSION" help:"Version of the package."`

	Parallel int         `name:"parallel" default:"4" placeholder:"N" help:"Requests at a time, 1 to 32."`
	PartSize config.Size `name:"part-size" default:"16MiB" placeholder:"SIZE" help:"Larger files go in parts of this size."`
	Retries  int         `name:"retries" default:"10" placeholder:"N" help:"How often a request that makes no headway is tried again, with growing pauses; 10 is about a minute and a half."`
}

const (
	maxParallel = 32
	minPart     = 64 << 10
	mostPart    = 1 << 30
)

func (f *targetFlags) check() error {
	switch {
	case f.Parallel < 1 || f.Parallel > maxParallel:
		return usagef("--parallel: must be 1 to %d", maxParallel)
	case f.PartSize < minPart || f.PartSize > mostPart:
		return usagef("--part-size: must be 64KiB to 1GiB")
	case f.Retries < 0:
		return usagef("--retries: must not be less than 0")
	}
	return nil
}

// named is the input of operations on the version.
func (f *targetFlags) named(format string) input {
	in := input{"Domain": f.Domain, "Repository": f.Repository, "Format": format, "Package": f.Package, "PackageVersion": f.PackageVersion}
	if f.DomainOwner != nil {
		in["DomainOwner"] = *f.DomainOwner
	}
	if f.Namespace != "" {
		in["Namespace"] = f.Namespace
	}
	return in
}

func (f *targetFlags) String() string {
	return strings.TrimPrefix(f.Namespace+"/"+f.Package, "/") + " " + f.PackageVersion
}

// transfer moves files to and from the endpoint of a repository, some requests
// at a time. A token that has expired is asked for anew, and what fails for a
// while is tried again.
type transfer struct {
	http    doer
	agent   string
	base    string // endpoint, ends with a slash
	retries int
	slots   chan struct{} // one for each request at a time
	idle    time.Duration // without a byte for so long a request is given up
	pause   func(ctx context.Context, d time.Duration) error
	login   func(ctx context.Context) (token string, expires time.Time, err error)

	mu      sync.Mutex
	token   string
	expires time.Time
}

// newTransfer asks for the endpoint of a repository's generic packages.
func newTransfer(ctx context.Context, env *Env, api *apiClient, flags *targetFlags) (*transfer, error) {
	who := domainArgs{flags.Domain, flags.DomainOwner}
	endpoint, err := api.repositoryEndpoint(ctx, who, flags.Repository, "generic")
	if err != nil {
		return nil, err
	}
	t := newTransferOver(env, api, flags)
	t.base = endpoint
	t.login = func(ctx context.Context) (string, time.Time, error) { return api.token(ctx, who, nil) }
	return t, nil
}

func newTransferOver(env *Env, api *apiClient, flags *targetFlags) *transfer {
	t := &transfer{
		http: api.http, agent: api.agent, retries: flags.Retries,
		slots: make(chan struct{}, flags.Parallel), idle: time.Minute, pause: env.pause,
	}
	if t.pause == nil {
		t.pause = pauseFor
	}
	return t
}

func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// address is that of a file at the endpoint.
func (t *transfer) address(flags *targetFlags, asset string) string {
	names := []string{flags.Namespace, flags.Package, flags.PackageVersion, asset}
	for i, n := range names {
		names[i] = url.PathEscape(n)
	}
	return t.base + strings.Join(names, "/")
}

// credential gives a token that lasts for a while yet.
func (t *transfer) credential(ctx context.Context) (string, error) {
	const margin = time.Minute
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" && (t.expires.IsZero() || time.Until(t.expires) > margin) {
		return t.token, nil
	}
	token, expires, err := t.login(ctx)
	if err != nil {
		return "", err
	}
	t.token, t.expires = token, expires
	return token, nil
}

// refused forgets a token that the server does not take.
func (t *transfer) refused(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

// statusError is an answer of the endpoint that is no success.
type statusError struct {
	status  int
	message string
	wait    time.Duration // as long as the server asks for
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answers %d: %s", e.status, e.message)
}

// lasting are errors that trying again does not mend.
type lasting struct{ error }

func (l lasting) Unwrap() error { return l.error }

func isLasting(err error) bool {
	if _, ok := errors.AsType[lasting](err); ok {
		return true
	}
	if s, ok := errors.AsType[*statusError](err); ok {
		return !mayPass(s.status)
	}
	if c, ok := errors.AsType[*callError](err); ok {
		return !mayPass(c.Status)
	}
	_, ok := errors.AsType[usageError](err)
	return ok
}

// mayPass tells whether an answer may be another one later.
func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= http.StatusInternalServerError
}

// again runs try until it succeeds or fails for good. try tells whether it has
// made headway; only failures without any are counted.
func (t *transfer) again(ctx context.Context, try func(ctx context.Context) (moved bool, err error)) error {
	for failures := 0; ; {
		moved, err := t.inSlot(ctx, try)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if isLasting(err) {
			return err
		}
		if moved {
			failures = 0
		}
		if failures == t.retries {
			return fmt.Errorf("gave up after %d attempts: %w", failures+1, err)
		}
		wait := min(500*time.Millisecond<<min(failures, 10), 15*time.Second)
		if s, ok := errors.AsType[*statusError](err); ok {
			wait = max(wait, s.wait)
		}
		failures++
		if err := t.pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (t *transfer) inSlot(ctx context.Context, try func(ctx context.Context) (bool, error)) (bool, error) {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	return try(ctx)
}

var errStalled = errors.New("the connection stands still")

// guard ends a request over which nothing passes.
type guard struct {
	timer *time.Timer
	idle  time.Duration
	stop  func()
}

// watch gives a context that ends when the guard is not kept awake.
func (t *transfer) watch(ctx context.Context) (context.Context, *guard) {
	ctx, cancel := context.WithCancelCause(ctx)
	g := &guard{idle: t.idle}
	g.timer = time.AfterFunc(t.idle, func() { cancel(errStalled) })
	g.stop = func() { g.timer.Stop(); cancel(nil) }
	return ctx, g
}

// awake says that bytes have passed.
func (g *guard) awake() { g.timer.Reset(g.idle) }

// asleep lets the server think as long as it likes; a host that is gone is
// found by the keep-alive of the connection.
func (g *guard) asleep() { g.timer.Stop() }

// send makes one request with the current token, and gives a good answer or an
// error. body may be nil; it is asked for again when a token has expired.
func (t *transfer) send(ctx context.Context, method, address string, header http.Header, size int64, body func() io.Reader) (*http.Response, error) {
	for fresh := false; ; fresh = true {
		token, err := t.credential(ctx)
		if err != nil {
			return nil, err
		}
		var content io.Reader = http.NoBody
		if body != nil && size > 0 {
			content = io.NopCloser(body())
		}
		req, err := http.NewRequestWithContext(ctx, method, address, content)
		if err != nil {
			return nil, lasting{err}
		}
		maps.Copy(req.Header, header)
		req.ContentLength = size
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("User-Agent", t.agent)
		req.Header.Set("Accept-Encoding", "identity") // sizes and ranges are of the bytes themselves
		resp, err := t.http.Do(req)
		if err != nil {
			if errors.Is(context.Cause(ctx), errStalled) {
				err = errStalled
			}
			return nil, unreached(err)
		}
		if resp.StatusCode/100 == 2 {
			return resp, nil
		}
		failure := readStatus(resp)
		if resp.StatusCode != http.StatusUnauthorized || fresh {
			return nil, failure
		}
		t.refused(token)
	}
}

// unreached leaves the address out of the error of a request: whoever reads it
// knows the repository, and the address is long.
func unreached(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fmt.Errorf("the server cannot be reached: %w", err)
	}
	return err
}

func readStatus(resp *http.Response) error {
	defer resp.Body.Close()
	e := &statusError{status: resp.StatusCode, message: http.StatusText(resp.StatusCode)}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what could be read is shown
	var body struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(data, &body) == nil && body.Error != "" {
		e.message = body.Error
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.wait = time.Duration(min(max(seconds, 0), 60)) * time.Second
	}
	return e
}

// bytesText is a size for people.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, prefix := float64(n)/unit, 0
	for f >= unit && prefix < len("KMGTP")-1 {
		f /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[prefix])
}

// brokenOff says of an interrupt what to do next.
func brokenOff(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		return errors.New("broken off; the same command goes on where it was")
	}
	return err
}
