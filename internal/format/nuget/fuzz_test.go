package nuget

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format/formattest"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

var pad = artifact.Coordinates{Format: artifact.NuGet, Name: "pad"}

const goodSpec = `<package><metadata minClientVersion="3.0"><id>Pad</id><version>1.0</version><tags>a,b</tags><license type="file">l</license>` +
	`<dependencies><dependency id="x" version="[1,2)"/><group targetFramework="net45"><dependency id="y"/></group></dependencies></metadata></package>`

func FuzzNuspec(f *testing.F) {
	for _, seed := range []string{goodSpec, "", "<package/>", "\xff\xfe<\x00", `<?xml version="1.0" encoding="iso-8859-1"?>` + goodSpec, `<!DOCTYPE a [<!ENTITY b "c">]><package>&b;</package>`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseNuspec(b)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		manifest, err := m.manifest()
		if err != nil {
			t.Fatal(err)
		}
		again, err := readMetadata(manifest)
		if err != nil || again.Version != m.Version || len(again.DependencyGroups) != len(m.DependencyGroups) {
			t.Errorf("%s, %v", manifest, err)
		}
		if _, err := New().Describe(pad, manifest); err != nil {
			t.Error(err)
		}
		if merged, err := New().Merge(nil, manifest); err != nil || !bytes.Equal(merged, manifest) {
			t.Errorf("merged %s, %v", merged, err)
		}
	})
}

func goodPackage() []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range map[string]string{"Pad.nuspec": goodSpec, "l": "text"} {
		w, _ := z.Create(name)
		_, _ = w.Write([]byte(content))
	}
	_ = z.Close()
	return b.Bytes()
}

func FuzzPackage(f *testing.F) {
	good := goodPackage()
	f.Add(good)
	f.Add(good[:len(good)-5])
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, c, number, err := readPackage(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			if n, ok := normalize(number); !ok || n != number || c.Name == "" || artifact.CheckAssetName(packageFile(c, number)) != nil {
				t.Errorf("%v %q", c, number)
			}
		} else if !fault.Is(err, fault.Invalid) {
			t.Errorf("%v", err)
		}
		if c, ok := hintOf(bufio.NewReaderSize(bytes.NewReader(b), maxHint)); ok && c.Name == "" {
			t.Error("a hint without a name")
		}
		_, _ = New().Readme([]byte(`{"readmeFile":"l"}`), []artifact.Asset{{Name: "pad.1.0.0.nupkg", Size: int64(len(b))}}, func(string) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b)), nil
		})
	})
}

const goodRegistration = `{"items":[{"items":[{"catalogEntry":{"id":"Pad","version":"1.0","listed":true,"published":"2020-01-01T00:00:00Z",` +
	`"dependencyGroups":[{"dependencies":[{"id":"x","range":"1.0"}]}]},"packageContent":"http://r.test/pad.nupkg"}]}]}`

func FuzzRegistration(f *testing.F) {
	for _, seed := range []string{
		goodRegistration, "{}", `{"items":{}}`, `{"items":[{"items":{}}]}`, strings.Replace(goodRegistration, `"Pad"`, `["Pad"]`, 1),
		strings.Replace(goodRegistration, `[{"dependencies"`, `{"dependencies"`, 1), strings.Repeat(`{"items":[`, 100), strings.Replace(goodRegistration, "true", `"false"`, 1),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newRemote("http://r.test/v3/index.json")
		l, err := r.Parse(pad, b)
		if err != nil {
			if !fault.Is(err, fault.Upstream) {
				t.Errorf("%v", err)
			}
			return
		}
		for _, v := range l.Versions {
			if n, ok := normalize(v.Number); !ok || n != v.Number || len(v.Assets) != 1 || !absolute(v.Assets[0].URL) {
				t.Errorf("%+v", v)
			}
			if _, err := New().Describe(pad, v.Manifest); err != nil {
				t.Errorf("%s: %v", v.Manifest, err)
			}
			if _, err := New().Merge(v.Manifest, []byte(`{"id":"Pad"}`)); err != nil {
				t.Errorf("%s: %v", v.Manifest, err)
			}
		}
		all := listingOf(l)
		for i := range hives {
			if book := newBook(all, "http://h.test/", &hives[i]); len(book.versions) > 0 {
				if err := book.index(io.Discard); err != nil {
					t.Errorf("%s: %v", b, err)
				}
			}
		}
	})
}

// listingOf is what a repository with one connection would list.
func listingOf(l *upstream.Listing) *registry.Listing {
	all := &registry.Listing{Coordinates: pad, Remotes: []*upstream.Listing{l}}
	for _, v := range l.Versions {
		all.Versions = append(all.Versions, registry.Listed{
			Version: artifact.Version{Number: v.Number, Status: artifact.Published, Published: v.Published, Manifest: v.Manifest}, Remote: v.Assets,
		})
	}
	return all
}

// FuzzSource gives a source's two documents of any content to the remote.
func FuzzSource(f *testing.F) {
	index := `{"resources":[{"@id":"http://r.test/reg","@type":"RegistrationsBaseUrl/3.6.0"}]}`
	f.Add([]byte(index), []byte(goodRegistration))
	f.Add([]byte(index), []byte(`{"items":[{"@id":"http://r.test/page"}]}`))
	f.Add([]byte(`{"resources":{}}`), []byte(``))
	f.Fuzz(func(t *testing.T, index, registration []byte) {
		get := func(_ context.Context, address string, _ http.Header) (*http.Response, error) {
			body := registration
			if strings.HasSuffix(address, "v3/index.json") {
				body = index
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}}, nil
		}
		r := newRemote("http://r.test/")
		doc, err := r.List(t.Context(), get, pad, upstream.Validator{})
		if err == nil {
			_, err = r.Parse(pad, doc.Body)
		}
		if err != nil && !fault.Is(err, fault.Upstream) {
			t.Errorf("%v", err)
		}
	})
}

// TestList_FollowsASourceThatMoves: a 404 is believed only of a source whose
// index still names the place.
func TestList_FollowsASourceThatMoves(t *testing.T) {
	place := "old"
	asked := map[string]int{}
	get := func(_ context.Context, address string, _ http.Header) (*http.Response, error) {
		asked[address]++
		var body string
		switch address {
		case "http://r.test/v3/index.json":
			body = `{"resources":[{"@id":"http://r.test/` + place + `/","@type":["RegistrationsBaseUrl/3.6.0","x"]}]}`
		case "http://r.test/" + place + "/pad/index.json":
			body = goodRegistration
		default:
			return nil, fault.New(fault.NotFound, "gone")
		}
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
	}
	r := newRemote("http://r.test/v3/index.json/")
	at := r.now()
	r.now = func() time.Time { return at }
	list := func() error {
		_, err := r.List(t.Context(), get, pad, upstream.Validator{ETag: `"x"`})
		return err
	}
	if err := list(); err != nil {
		t.Fatal(err)
	}
	place = "new"
	if err := list(); !fault.Is(err, fault.NotFound) {
		t.Errorf("within the minute: %v", err)
	}
	at = at.Add(2 * time.Minute)
	if err := list(); err != nil {
		t.Errorf("after it: %v", err)
	}
	if n := asked["http://r.test/v3/index.json"]; n != 2 {
		t.Errorf("the index was asked for %d times", n)
	}
	r.turn <- struct{}{} // somebody else asks, for ever
	at = at.Add(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.List(ctx, get, pad, upstream.Validator{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestOpenArchive_Bounds: the directory of a zip is read no further than that.
func TestOpenArchive_Bounds(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for range (8 << 20) / 1000 {
		_, _ = z.Create(strings.Repeat("a", 1000))
	}
	_ = z.Close()
	if _, err := openArchive(bytes.NewReader(b.Bytes()), int64(b.Len())); !errors.Is(err, errDirectory) {
		t.Errorf("got %v", err)
	}
}

// TestOpenArchive_PromisesTooMuch: the end of an archive says how many entries it
// has, and room is not made for what cannot be.
func TestOpenArchive_PromisesTooMuch(t *testing.T) {
	const size = 1 << 30
	content := formattest.PromisingZip(size, 30<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := openArchive(content, size); !errors.Is(err, errDirectory) {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
		t.Errorf("%d MB were allocated", n>>20)
	}
}

// TestCheck_EntriesThatUnpackToNothing: what is read counts too.
func TestCheck_EntriesThatUnpackToNothing(t *testing.T) {
	nothing := append(bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), 20_000), "\x01\x00\x00\xff\xff"...) // blocks without content
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("pad.nuspec")
	_, _ = w.Write([]byte(goodSpec))
	const entries = 50
	for i := range entries {
		w, _ := z.CreateRaw(&zip.FileHeader{Name: strings.Repeat("a", i+1), Method: zip.Deflate, CompressedSize64: uint64(len(nothing))})
		_, _ = w.Write(nothing)
	}
	_ = z.Close()
	counted := &countingAt{r: bytes.NewReader(b.Bytes())}
	a, err := openArchive(counted, int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.check(1 << 40); err != nil || counted.n < int64(entries*len(nothing)) {
		t.Errorf("%d bytes were read, %v", counted.n, err)
	}
	counted.n = 0
	if err := a.check(1000); err != nil || counted.n > int64(2*len(nothing)) {
		t.Errorf("%d bytes were read where a thousand may be unpacked, %v", counted.n, err)
	}
}

type countingAt struct {
	r io.ReaderAt
	n int64
}

// ReadAt implements io.ReaderAt.
func (c *countingAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}
