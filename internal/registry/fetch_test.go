package registry

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// scripted is a remote of one file whose answers are given in advance.
type scripted struct {
	answers []*http.Response
}

func (s *scripted) get(context.Context, string, http.Header) (*http.Response, error) {
	if len(s.answers) == 0 {
		return nil, fault.New(fault.Upstream, "no more answers")
	}
	res := s.answers[0]
	s.answers = s.answers[1:]
	return res, nil
}

// answer is a response; one whose body is shorter than length breaks off.
func answer(status int, length int64, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, ContentLength: length, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// What came in several pieces is stored only if something tells that all are of
// one file; the digest, where the remote lists one, is tested elsewhere.
func TestFetch_WithoutDigest(t *testing.T) {
	const file = "the whole file"
	rest := func(tag string) *http.Response {
		return answer(http.StatusPartialContent, 5, file[9:], "Content-Range", "bytes 9-13/14", "ETag", tag)
	}
	for name, c := range map[string]struct {
		answers []*http.Response
		want    bool
	}{
		"whole":                   {[]*http.Response{answer(200, 14, file)}, true},
		"not modified":            {[]*http.Response{answer(304, 0, "")}, false},
		"a part nobody asked for": {[]*http.Response{answer(206, 5, file[9:], "Content-Range", "bytes 9-13/14")}, false},
		"no content":              {[]*http.Response{answer(204, 0, "")}, false},
		"two pieces, same tag":    {[]*http.Response{answer(200, 14, file[:9], "ETag", `"a"`), rest(`"a"`)}, true},
		"two pieces, other tag":   {[]*http.Response{answer(200, 14, file[:9], "ETag", `"a"`), rest(`"b"`)}, false},
		"two pieces, weak tag":    {[]*http.Response{answer(200, 14, file[:9], "ETag", `W/"a"`), rest(`W/"a"`)}, false},
		"two pieces, no tag":      {[]*http.Response{answer(200, 14, file[:9]), rest("")}, false},
		"another range": {[]*http.Response{
			answer(200, 14, file[:9], "ETag", `"a"`), answer(206, 5, file[:5], "Content-Range", "bytes 0-4/14", "ETag", `"a"`),
		}, false},
		"from the start again": {[]*http.Response{answer(200, 14, file[:9], "ETag", `"a"`), answer(200, 14, file, "ETag", `"a"`)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := org(t)
			remote := &scripted{answers: c.answers}
			src := &upstream.Source{Connection: artifact.Connection{Name: public}, Get: remote.get}
			a, _ := h.service.arrivals.join(t.Context(), arrivalKey{}, 0, nil, nil, func(ctx context.Context, a *arrival) {
				h.service.fetch(ctx, a, "space", src, upstream.ListedAsset{Name: "file", URL: "https://remote.test/file"}, func(blob.Info) error { return nil })
			})
			info, err := a.wait(t.Context())
			if stored := err == nil; stored != c.want || stored && info.Size != int64(len(file)) {
				t.Errorf("stored: %v, %d bytes, %v", stored, info.Size, err)
			}
			if err != nil && !fault.Is(err, fault.Upstream) {
				t.Errorf("not the remote's fault: %v", err)
			}
		})
	}
}

// TestArrivals_JoinAfterTheEnd: who looked before an arrival ended and comes
// after it is sent to look again, not to fetch again; who looks later fetches.
func TestArrivals_JoinAfterTheEnd(t *testing.T) {
	var as arrivals
	k, fetched := arrivalKey{name: "a"}, 0
	fetch := func(context.Context, *arrival) { fetched++ }
	before := as.now()
	a, joined := as.join(t.Context(), k, before, nil, nil, fetch)
	if _, err := a.wait(t.Context()); err != nil || !joined {
		t.Fatal(joined, err)
	}
	late, joined := as.join(t.Context(), k, before, nil, nil, fetch)
	if _, err := late.wait(t.Context()); err != nil || joined || fetched != 1 {
		t.Errorf("late: joined %v, %d fetched, %v", joined, fetched, err)
	}
	b, joined := as.join(t.Context(), k, as.now(), nil, nil, fetch)
	if _, err := b.wait(t.Context()); err != nil || !joined || fetched != 2 {
		t.Errorf("again: joined %v, %d fetched, %v", joined, fetched, err)
	}
	failing, before := arrivalKey{name: "b"}, as.now()
	c, _ := as.join(t.Context(), failing, before, nil, nil, func(_ context.Context, a *arrival) { a.err = errChanged })
	if _, err := c.wait(t.Context()); err == nil {
		t.Error("the failure is not told")
	}
	if _, joined := as.join(t.Context(), failing, before, nil, nil, fetch); !joined {
		t.Error("a failure counts as brought in")
	}
	as.wait.Wait()
}
