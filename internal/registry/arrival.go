package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/flight"
	"packhouse/internal/upstream"
)

// arrivalKey names an asset on its way into a domain.
type arrivalKey struct {
	domain, source string
	c              artifact.Coordinates
	version, name  string
}

// arrival is one asset being fetched from outside for all who wait for it. It
// belongs to none of them: clients may leave, the fetch goes on and what it
// brings is retained for every repository that asked.
type arrival struct {
	writer *blob.Writer
	begun  chan struct{} // closed when size is known, or err
	ended  chan struct{} // closed after retention or failure
	size   int64         // bytes as announced, -1 when not; valid after begun
	err    error         // valid after begun when it never began, else after ended
	info   blob.Info     // valid after ended

	modified time.Time // when the remote says it changed the file; zero when it does not say

	cancel context.CancelCauseFunc

	mu     sync.Mutex
	sealed bool            // no further repository can join
	into   map[*node]*node // repositories that asked -> those whose connection they came to
}

// arrivals are those under way.
type arrivals struct {
	mu     sync.Mutex
	open   map[arrivalKey]*arrival
	turn   uint64                // arrivals that have brought something so far
	last   map[arrivalKey]uint64 // of those that did lately: the turn they had
	closed bool
	wait   sync.WaitGroup
}

// rememberedArrivals bounds arrivals.last. Whoever looks something up while so
// many others end may fetch it a second time, no more.
const rememberedArrivals = 4096

// now is a point in time to give to join: taken before the look that found an
// asset to be outside.
func (as *arrivals) now() uint64 {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.turn
}

// end takes an arrival out; one that failed may be tried again at once.
func (as *arrivals) end(k arrivalKey, err error) {
	as.mu.Lock()
	defer as.mu.Unlock()
	delete(as.open, k)
	if err != nil {
		return
	}
	as.turn++
	if as.last == nil || len(as.last) >= rememberedArrivals {
		as.last = map[arrivalKey]uint64{}
	}
	as.last[k] = as.turn
}

// join takes part in the fetch of k for a repository that found it at the
// connection of at, starting it unless it is under way. When it came too late to be retained for, joined is false: wait
// for the arrival, if there still is one, to end and look into the catalog again. start gets ctx's
// values without its cancellation; since is from before that look, see now.
func (as *arrivals) join(ctx context.Context, k arrivalKey, since uint64, root, at *node, start func(context.Context, *arrival)) (a *arrival, joined bool) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if a, ok := as.open[k]; ok {
		a.mu.Lock()
		defer a.mu.Unlock()
		if !a.sealed {
			a.into[root] = at
		}
		return a, !a.sealed
	}
	if as.last[k] > since {
		return nil, false
	}
	a = &arrival{begun: make(chan struct{}), ended: make(chan struct{}), size: -1, into: map[*node]*node{root: at}}
	if as.open == nil {
		as.open = map[arrivalKey]*arrival{}
	}
	as.open[k] = a
	ctx, a.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if as.closed {
		a.cancel(flight.ErrClosed)
	}
	as.wait.Go(func() {
		defer func() {
			a.cancel(nil)
			as.end(k, a.err)
			close(a.ended)
		}()
		start(ctx, a)
	})
	return a, true
}

// close cuts off the fetches under way and waits for them. What has arrived
// whole is retained still.
func (as *arrivals) close() {
	as.mu.Lock()
	as.closed = true
	for _, a := range as.open {
		a.cancel(flight.ErrClosed)
	}
	as.mu.Unlock()
	as.wait.Wait()
}

// seal ends joining and gives the repositories to retain for, as a.into.
func (a *arrival) seal() map[*node]*node {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sealed = true
	return a.into
}

// wait blocks until the asset is stored and retained. A nil arrival has ended.
func (a *arrival) wait(ctx context.Context) (blob.Info, error) {
	if a == nil {
		return blob.Info{}, nil
	}
	select {
	case <-a.ended:
		return a.info, a.err
	case <-ctx.Done():
		return blob.Info{}, context.Cause(ctx)
	}
}

const (
	fetchTimeout  = time.Hour // the whole of one asset; stalls end much earlier
	fetchAttempts = 3         // times a broken transfer is taken up again
	fetchBuffer   = 256 << 10 // bytes
)

// fetch brings an asset in and hands it to retain once it is verified and
// durable; followers see its last bytes after that.
func (s *Service) fetch(ctx context.Context, a *arrival, space string, src *upstream.Source, want upstream.ListedAsset, retain func(blob.Info) error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	fail := func(err error) {
		a.seal()
		a.err = err
		level := slog.LevelWarn
		if want.Guessed && fault.Is(err, fault.NotFound) {
			level = slog.LevelDebug
		}
		s.log.Log(ctx, level, "asset was not fetched", slog.String("connection", src.Connection.Name), slog.String("url", want.URL), slog.Any("error", err))
		select {
		case <-a.begun:
		default:
			close(a.begun)
		}
		if a.writer != nil {
			a.writer.Abort(err)
		}
	}
	defer func() { // nothing that a remote sends may end the process
		if p := recover(); p != nil {
			s.log.ErrorContext(ctx, "panic while fetching an asset", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			fail(fault.New(fault.Internal, "panic: %v", p))
		}
	}()
	expect, err := digest.ParseSRI(want.Integrity)
	if err != nil {
		fail(fault.Wrap(fault.Upstream, err, "%s lists %s with an integrity that cannot be read", src.Connection.Name, want.Name))
		return
	}
	res, err := src.Get(ctx, want.URL, http.Header{"Accept": {"*/*"}})
	if err != nil {
		fail(unreachable(src, want, err))
		return
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		fail(fault.New(fault.Upstream, "%s answered %d where %s belongs", src.Connection.Name, res.StatusCode, want.Name))
		return
	}
	if most := s.opt.MaxAssetBytes; res.ContentLength > most {
		_ = res.Body.Close()
		fail(fault.New(fault.Upstream, "%s has %d bytes, over this server's limit of %d", want.Name, res.ContentLength, most))
		return
	}
	if a.writer, err = s.blobs.Begin(ctx, space); err != nil {
		_ = res.Body.Close()
		fail(err)
		return
	}
	a.size = res.ContentLength
	if at, err := http.ParseTime(res.Header.Get("Last-Modified")); err == nil && at.Before(s.opt.Now()) {
		a.modified = at.UTC()
	}
	close(a.begun)
	promised := s.verifier(ctx, src, want)
	if err := s.transfer(ctx, a, src, want, res); err != nil {
		fail(unreachable(src, want, err))
		return
	}
	if want.Integrity == "" {
		if expect, err = promised(); err != nil {
			fail(unreachable(src, want, err))
			return
		}
	}
	if err := expect.Verify(a.writer.Digests()); err != nil {
		fail(fault.Wrap(fault.Upstream, err, "%s sent %s with other bytes than it lists; nothing was stored", src.Connection.Name, want.Name))
		return
	}
	info, err := a.writer.CommitThen(ctx, retain)
	if err != nil {
		fail(err)
		return
	}
	a.info = info
}

// verifier asks a remote that keeps digests apart for that of an asset while the
// asset is on its way; promised waits for the answer.
func (s *Service) verifier(ctx context.Context, src *upstream.Source, want upstream.ListedAsset) (promised func() (digest.Expectation, error)) {
	v, ok := src.Remote.(upstream.Verifier)
	if !ok || want.Integrity != "" {
		return func() (digest.Expectation, error) { return digest.Expectation{}, nil }
	}
	type answer struct {
		digest.Expectation
		error
	}
	told := make(chan answer, 1)
	go func() { // ends with ctx, which fetch cancels
		defer func() {
			if p := recover(); p != nil {
				told <- answer{error: fault.New(fault.Internal, "panic: %v", p)}
			}
		}()
		text, err := v.Integrity(ctx, src.Get, want)
		if err != nil {
			told <- answer{error: err}
			return
		}
		e, err := digest.ParseSRI(text)
		if err != nil {
			err = fault.Wrap(fault.Upstream, err, "%s has a checksum of %s that cannot be read", src.Connection.Name, want.Name)
		}
		told <- answer{e, err}
	}()
	return func() (digest.Expectation, error) {
		a := <-told
		return a.Expectation, a.error
	}
}

// transfer copies the body and takes a broken one up again where it broke.
func (s *Service) transfer(ctx context.Context, a *arrival, src *upstream.Source, want upstream.ListedAsset, res *http.Response) error {
	buf, tag := make([]byte, fetchBuffer), strongTag(res)
	for attempt := 1; ; attempt++ {
		_, err := io.CopyBuffer(writerOnly{a.writer}, res.Body, buf)
		_ = res.Body.Close()
		if err == nil && a.size >= 0 && a.writer.Size() != a.size {
			err = fmt.Errorf("got %d of %d bytes: %w", a.writer.Size(), a.size, io.ErrUnexpectedEOF)
		}
		if err == nil || attempt == fetchAttempts || ctx.Err() != nil || stuck(err) || a.size >= 0 && a.writer.Size() >= a.size {
			return err
		}
		if want.Integrity == "" && tag == "" {
			return err // nothing could tell whether the rest is of the same file
		}
		if res, err = s.resume(ctx, src, want, a.writer.Size(), a.size); err != nil {
			return err
		}
		if want.Integrity == "" && strongTag(res) != tag {
			_ = res.Body.Close()
			return errChanged
		}
	}
}

var errChanged = errors.New("the file changed between two attempts")

// strongTag is the ETag that names the bytes of a response (RFC 9110 section
// 8.8.1), empty when there is none.
func strongTag(res *http.Response) string {
	tag := res.Header.Get("ETag")
	if strings.HasPrefix(tag, "W/") {
		return ""
	}
	return tag
}

// stuck tells whether trying again cannot help: it is our side that failed.
func stuck(err error) bool {
	k := fault.Of(err)
	return k == fault.Unavailable || k == fault.TooLarge
}

// resume asks for the rest of a body. A remote that ignores the range sends all
// of it again; what is there already is skipped, and the digest tells whether
// both were the same.
func (s *Service) resume(ctx context.Context, src *upstream.Source, want upstream.ListedAsset, have, size int64) (*http.Response, error) {
	h := http.Header{"Accept": {"*/*"}}
	if have > 0 {
		h.Set("Range", "bytes="+strconv.FormatInt(have, 10)+"-")
	}
	res, err := src.Get(ctx, want.URL, h)
	if err != nil {
		return nil, err
	}
	full := res.ContentLength
	switch {
	case res.StatusCode == http.StatusOK:
		_, err = io.CopyN(io.Discard, res.Body, have)
	case res.StatusCode == http.StatusPartialContent && strings.HasPrefix(res.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(have, 10)+"-"):
		full += have
	default:
		err = fmt.Errorf("answered %d and range %q where the rest from %d on belongs", res.StatusCode, res.Header.Get("Content-Range"), have)
	}
	if err == nil && size >= 0 && res.ContentLength >= 0 && full != size {
		err = errChanged
	}
	if err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return res, nil
}

// writerOnly hides other interfaces so that bytes pass through Write.
type writerOnly struct{ io.Writer }

// unreachable words a failed fetch for the client.
func unreachable(src *upstream.Source, want upstream.ListedAsset, err error) error {
	switch fault.Of(err) {
	case fault.Upstream, fault.Unavailable, fault.TooLarge, fault.Throttled:
		return err
	case fault.NotFound:
		if want.Guessed {
			return fault.Wrap(fault.NotFound, err, "%s does not have %s", src.Connection.Name, want.Name)
		}
		return fault.Wrap(fault.Upstream, err, "%s lists %s but does not have it", src.Connection.Name, want.Name)
	default:
		return fault.Wrap(fault.Upstream, err, "%s did not send %s; try again later", src.Connection.Name, want.Name)
	}
}
