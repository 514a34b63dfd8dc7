package digest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/digest"
)

// The digests of "abc": RFC 1321 A.5, FIPS 180-2 appendices A to C.
const (
	abcMD5    = "900150983cd24fb0d6963f7d28e17f72"
	abcSHA1   = "a9993e364706816aba3e25717850c26c9cd0d89d"
	abcSHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	abcSHA512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
	abcSRI512 = "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
	abcSRI256 = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
)

func TestHasher_ComputesChosenAlgorithms(t *testing.T) {
	tests := []struct {
		name   string
		choose []digest.Algorithm
		want   [4]string
	}{
		{"all by default", nil, [4]string{abcMD5, abcSHA1, abcSHA256, abcSHA512}},
		{"one", []digest.Algorithm{digest.SHA256}, [4]string{"", "", abcSHA256, ""}},
		{"two", []digest.Algorithm{digest.SHA1, digest.SHA512}, [4]string{"", abcSHA1, "", abcSHA512}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := digest.NewHasher(tt.choose...)
			for _, part := range []string{"a", "", "bc"} {
				if _, err := h.Write([]byte(part)); err != nil {
					t.Fatal(err)
				}
			}
			s := h.Sum()
			got := [4]string{s.Hex(digest.MD5), s.Hex(digest.SHA1), s.Hex(digest.SHA256), s.Hex(digest.SHA512)}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if h.Written() != 3 {
				t.Errorf("written %d, want 3", h.Written())
			}
		})
	}
}

func TestHasher_LongWritesEqualOneShot(t *testing.T) {
	b := bytes.Repeat([]byte("packhouse"), 100_000)
	h := digest.NewHasher()
	h.Write([]byte("something before the reset"))
	h.Reset()
	h.Write(b[:70_001])
	h.Write(b[70_001:])
	if diff := cmp.Diff(digest.Of(b), h.Sum()); diff != "" {
		t.Error(diff)
	}
}

func TestSet_Texts(t *testing.T) {
	s := digest.Of([]byte("abc"))
	if got := s.Integrity(); got != abcSRI512 {
		t.Errorf("integrity %q, want %q", got, abcSRI512)
	}
	if got := s.Shasum(); got != abcSHA1 {
		t.Errorf("shasum %q, want %q", got, abcSHA1)
	}
	if got := (digest.Set{SHA256: s.SHA256}).Integrity(); got != abcSRI256 {
		t.Errorf("integrity %q, want %q", got, abcSRI256)
	}
	if got := (digest.Set{}).Integrity(); got != "" {
		t.Errorf("integrity of nothing is %q", got)
	}
}

func TestSet_JSONRoundTrip(t *testing.T) {
	full := digest.Of([]byte("abc"))
	for _, want := range []digest.Set{{}, full, {SHA1: full.SHA1}} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got digest.Set
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if got != want {
			t.Errorf("%s came back as another set", b)
		}
	}
	b, err := json.Marshal(digest.Set{SHA1: full.SHA1})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"sha1":"`+abcSHA1+`"}`, string(b)); diff != "" {
		t.Error(diff)
	}
}

func TestFromHex_RefusesBadText(t *testing.T) {
	for _, bad := range []string{"ab", abcSHA1 + "00", strings.Repeat("g", 40), strings.Repeat(" ", 40)} {
		if _, err := digest.FromHex("", bad, "", ""); err == nil {
			t.Errorf("%q was taken for a SHA-1", bad)
		}
	}
	if _, err := digest.FromHex(abcMD5, strings.ToUpper(abcSHA1), abcSHA256, abcSHA512); err != nil {
		t.Error(err)
	}
}

func TestExpectation_Verify(t *testing.T) {
	abc := digest.Of([]byte("abc"))
	other := digest.Of([]byte("other"))
	tests := []struct {
		name string
		sri  string
		got  digest.Set
		ok   bool
	}{
		{"nothing promised", "  ", abc, true},
		{"match", abcSRI512, abc, true},
		{"mismatch", abcSRI512, other, false},
		{"strongest wins over a wrong weak one", abc.SRI(digest.SHA512) + " " + other.SRI(digest.SHA1), abc, true},
		{"strongest wins over a right weak one", other.SRI(digest.SHA512) + " " + abc.SRI(digest.SHA1), abc, false},
		{"any of the strongest", other.SRI(digest.SHA512) + "\n" + abc.SRI(digest.SHA512), abc, true},
		{"options are ignored", abcSRI256 + "?ct=text/plain", abc, true},
		{"unknown algorithm passed over", "sha384-AAAA " + abcSRI256, abc, true},
		{"not computed", abcSRI512, digest.Set{SHA256: abc.SHA256}, false},
		{"weak alone", abc.SRI(digest.MD5), abc, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := digest.ParseSRI(tt.sri)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Verify(tt.got); (err == nil) != tt.ok {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

func TestParseSRI_Refuses(t *testing.T) {
	for _, bad := range []string{"sha512", "sha512-", "sha512-!!!!", "sha256-YWJj", "sha1-" + abcSHA1, abcSRI256 + "="} {
		if _, err := digest.ParseSRI(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if _, err := digest.ParseSRI("sha384-AAAA"); !errors.Is(err, digest.ErrUnsupported) {
		t.Errorf("sha384 alone: %v, want ErrUnsupported", err)
	}
}

func TestExpectation_AndSet(t *testing.T) {
	abc := digest.Of([]byte("abc"))
	integrity, err := digest.ParseSRI(abcSRI512)
	if err != nil {
		t.Fatal(err)
	}
	shasum, err := digest.ExpectHex(digest.SHA1, abcSHA1)
	if err != nil {
		t.Fatal(err)
	}
	both := shasum.And(integrity)
	if both.Algorithm() != digest.SHA512 {
		t.Errorf("%s decides, want sha512", both.Algorithm())
	}
	if diff := cmp.Diff(digest.Set{SHA1: abc.SHA1, SHA512: abc.SHA512}, both.Set()); diff != "" {
		t.Error(diff)
	}
	mismatch, ok := errors.AsType[*digest.MismatchError](both.Verify(digest.Of(nil)))
	if !ok || mismatch.Algorithm != digest.SHA512 || mismatch.Want[0] != abcSHA512 {
		t.Errorf("mismatch %+v", mismatch)
	}
}

func FuzzParseSRI(f *testing.F) {
	for _, seed := range []string{"", abcSRI512, abcSRI256 + " " + abcSRI512, "sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0=?x", "sha384-x", "-", "md5-", "sha512-====\t"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := digest.ParseSRI(text)
		if err != nil {
			return
		}
		again, err := digest.ParseSRI(e.String())
		if err != nil || again.String() != e.String() {
			t.Fatalf("%q reads as %q, which reads as %q, %v", text, e, again, err)
		}
		if got := e.Set(); !e.IsZero() && got.Known() != 0 {
			if err := e.Verify(got); err != nil && got.Known()&e.Algorithm() != 0 {
				t.Fatalf("%q does not match itself: %v", text, err)
			}
		}
	})
}

func BenchmarkHasher(b *testing.B) {
	data := make([]byte, 1<<20)
	for _, a := range []digest.Algorithm{digest.All, digest.MD5, digest.SHA1, digest.SHA256, digest.SHA512} {
		b.Run(a.String(), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			h := digest.NewHasher(a)
			for b.Loop() {
				h.Write(data)
			}
		})
	}
}
