package npm

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

// splitAll splits a body and gives what was attached as "file=bytes".
func splitAll(body io.Reader, limit int) (rest string, attached []string, err error) {
	b, err := split(body, limit, func(file string, data io.Reader) error {
		got, err := io.ReadAll(data)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		attached = append(attached, file+"="+string(got))
		return nil
	})
	return string(b), attached, err
}

func TestSplit_DivertsDataWhereverItStands(t *testing.T) {
	for name, c := range map[string]struct {
		body, rest string
		attached   []string
	}{
		"last":         {`{"name":"x","_attachments":{"x.tgz":{"data":"aGk=","length":2}}}`, `{"name":"x","_attachments":{"x.tgz":{"data":"","length":2}}}`, []string{"x.tgz=hi"}},
		"first":        {`{"_attachments":{"x.tgz":{"length":2,"data":"aGk="}},"name":"x"}`, `{"_attachments":{"x.tgz":{"length":2,"data":""}},"name":"x"}`, []string{"x.tgz=hi"}},
		"spaced":       {" {\n\"_attachments\" : { \"x\" : { \"data\" : \"aGk=\" } } }\r\n ", `{"_attachments":{"x":{"data":""}}}`, []string{"x=hi"}},
		"escaped":      {`{"\u005fattachments":{"a\/b":{"d\u0061ta":"\/\u002B\u003d\u003D"}}}`, `{"\u005fattachments":{"a\/b":{"d\u0061ta":""}}}`, []string{"a/b=\xff"}},
		"line breaks":  {`{"_attachments":{"x":{"data":"aG\nk=\r\n"}}}`, `{"_attachments":{"x":{"data":""}}}`, []string{"x=hi"}},
		"empty":        {`{"_attachments":{"x":{"data":""}}}`, `{"_attachments":{"x":{"data":""}}}`, []string{"x="}},
		"two":          {`{"_attachments":{"x":{"data":"aGk="},"y":{"data":"aG8="}}}`, `{"_attachments":{"x":{"data":""},"y":{"data":""}}}`, []string{"x=hi", "y=ho"}},
		"none":         {`{"a":[1,{"b":"]}\"\\"}],"c":-1.5e3,"d":null}`, `{"a":[1,{"b":"]}\"\\"}],"c":-1.5e3,"d":null}`, nil},
		"deeper":       {`{"a":{"_attachments":{"x":{"data":"aGk="}}}}`, `{"a":{"_attachments":{"x":{"data":"aGk="}}}}`, nil},
		"other kinds":  {`{"_attachments":{"x":7,"y":{"data":{"data":"aGk="}},"z":[]}}`, `{"_attachments":{"x":7,"y":{"data":{"data":"aGk="}},"z":[]}}`, nil},
		"not attached": {`{"_attachments":"x"}`, `{"_attachments":"x"}`, nil},
		"nothing":      {`{}`, `{}`, nil},
	} {
		for how, body := range map[string]io.Reader{"whole": strings.NewReader(c.body), "byte by byte": iotest.OneByteReader(strings.NewReader(c.body))} {
			rest, attached, err := splitAll(body, 1000)
			if err != nil {
				t.Errorf("%s, %s: %v", name, how, err)
			}
			if diff := cmp.Diff(c.rest, rest); diff != "" {
				t.Errorf("%s, %s: rest (-want +got):\n%s", name, how, diff)
			}
			if diff := cmp.Diff(c.attached, attached); diff != "" {
				t.Errorf("%s, %s: attached (-want +got):\n%s", name, how, diff)
			}
		}
	}
}

func TestSplit_Refuses(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		kind fault.Kind
	}{
		"empty":                {``, fault.Invalid},
		"no object":            {`[]`, fault.Invalid},
		"cut in a name":        {`{"na`, fault.Invalid},
		"cut after a name":     {`{"name"`, fault.Invalid},
		"cut in a value":       {`{"name":"x`, fault.Invalid},
		"cut in an object":     {`{"a":{"b":1`, fault.Invalid},
		"cut in the data":      {`{"_attachments":{"x":{"data":"aGk`, fault.Invalid},
		"cut after the data":   {`{"_attachments":{"x":{"data":"aGk="`, fault.Invalid},
		"cut in an escape":     {`{"_attachments":{"x":{"data":"aG\`, fault.Invalid},
		"not base64":           {`{"_attachments":{"x":{"data":"a*k="}}}`, fault.Invalid},
		"base64 of URLs":       {`{"_attachments":{"x":{"data":"_-_-"}}}`, fault.Invalid},
		"base64 cut":           {`{"_attachments":{"x":{"data":"aGk"}}}`, fault.Invalid},
		"base64 goes on":       {`{"_attachments":{"x":{"data":"aGk=aGk="}}}`, fault.Invalid},
		"odd escape":           {`{"_attachments":{"x":{"data":"aG\tk="}}}`, fault.Invalid},
		"escape of no ASCII":   {`{"_attachments":{"x":{"data":"aG\u00e9k="}}}`, fault.Invalid},
		"broken escape":        {`{"_attachments":{"x":{"data":"aG\u00zzk="}}}`, fault.Invalid},
		"something after":      {`{} {}`, fault.Invalid},
		"no colon":             {`{"a" 1}`, fault.Invalid},
		"no comma":             {`{"a":1 "b":2}`, fault.Invalid},
		"no value":             {`{"a":}`, fault.Invalid},
		"name without quotes":  {`{a:1}`, fault.Invalid},
		"too large a document": {`{"a":"` + strings.Repeat("x", 1000) + `"}`, fault.TooLarge},
		"too large a name":     {`{"` + strings.Repeat("x", 1000) + `":1}`, fault.TooLarge},
		"too many members":     {`{` + strings.Repeat(`"a":1,`, 200) + `"b":2}`, fault.TooLarge},
	} {
		if _, _, err := splitAll(strings.NewReader(c.body), 1000); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSplit_LargeDataIsNotHeld(t *testing.T) {
	const size = 8 << 20
	body := io.MultiReader(strings.NewReader(`{"_attachments":{"x":{"data":"`), base64Zeros(size), strings.NewReader(`"}}}`))
	got := int64(0)
	rest, err := split(body, 1000, func(_ string, data io.Reader) (err error) {
		got, err = io.Copy(io.Discard, data)
		return err
	})
	if err != nil || got != size || len(rest) > 100 {
		t.Errorf("%d bytes attached, %d kept, %v", got, len(rest), err)
	}
}

// base64Zeros is the base64 of size zero bytes, size being a multiple of 3 MiB
// or near it.
func base64Zeros(size int) io.Reader {
	return strings.NewReader(base64.StdEncoding.EncodeToString(make([]byte, size)))
}

func TestSplit_KeepsTheReasonOfTheStore(t *testing.T) {
	full := fault.New(fault.Unavailable, "disk full")
	_, err := split(strings.NewReader(`{"_attachments":{"x":{"data":"aGk="}}}`), 1000, func(string, io.Reader) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestSplit_BrokenConnectionIsInvalid(t *testing.T) {
	body := io.MultiReader(strings.NewReader(`{"_attachments":{"x":{"data":"aGk`), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, _, err := splitAll(body, 1000); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

// FuzzPublishBody: whatever comes, split ends with an error of a known kind or
// with a document no larger than the limit; of sound JSON nothing but the data
// is changed.
func FuzzPublishBody(f *testing.F) {
	f.Add([]byte(`{"name":"x","_attachments":{"x.tgz":{"data":"aGk=","length":2}},"versions":{"1.0.0":{}}}`))
	f.Add([]byte(`{"_attachments":{"a\/b":{"d\u0061ta":"\/\u002B\u003d\u003D"}}}`))
	f.Add([]byte(`{"a":[1,{"b":"]}\"\\"}],"c":-1.5e3,"d":null} `))
	f.Add([]byte(`{"_attachments":{"x":{"data":"`))
	f.Fuzz(func(t *testing.T, body []byte) {
		rest, _, err := splitAll(bytes.NewReader(body), 1<<16)
		if err != nil {
			if k := fault.Of(err); k != fault.Invalid && k != fault.TooLarge {
				t.Errorf("kind %v: %v", k, err)
			}
			return
		}
		options := []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)}
		if !jsontext.Value(body).IsValid(options...) {
			return // the parser of the rest has the last word, or the damage was in the data
		}
		if !jsontext.Value(rest).IsValid(options...) {
			t.Errorf("%q became %q", body, rest)
		}
		if doc, err := parseDocument([]byte(rest), hello); err == nil && doc.Name != "hello" {
			t.Errorf("a document about %q passes for hello", doc.Name)
		}
	})
}

// TestSplit_BlanksCountToo: compressed they cost a client nothing.
func TestSplit_BlanksCountToo(t *testing.T) {
	for _, before := range []string{"", "{", `{"name":`, `{"name":"x"`, `{"name":"x"}`} {
		sent := 0
		blanks := blankReader(func(p []byte) (int, error) {
			for i := range p {
				p[i] = " \n\r\t"[i%4]
			}
			sent += len(p)
			if sent > 8<<20 {
				return 0, io.EOF
			}
			return len(p), nil
		})
		if _, err := split(io.MultiReader(strings.NewReader(before), blanks), 1<<20, nil); !fault.Is(err, fault.TooLarge) {
			t.Errorf("after %q: %v, having read %d bytes", before, err, sent)
		}
	}
}

type blankReader func([]byte) (int, error)

func (f blankReader) Read(p []byte) (int, error) { return f(p) }
