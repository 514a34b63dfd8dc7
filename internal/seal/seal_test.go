package seal_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/seal"
)

func sealed(t *testing.T, r seal.Ring, place, secret string) string {
	t.Helper()
	text, err := r.Seal(place, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSeal_OpensWhereItWasSealed(t *testing.T) {
	key := seal.NewKey()
	again, err := seal.ParseKey(key.Text())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"", "x", strings.Repeat("long ", 1000)} {
		text := sealed(t, seal.NewRing(key), "access_key/A", secret)
		got, err := seal.NewRing(again).Open("access_key/A", text)
		if err != nil || string(got) != secret {
			t.Errorf("got %q, %v", got, err)
		}
		if id, ok := seal.KeyID(text); !ok || id != key.ID() {
			t.Errorf("%s is sealed with %q", text, id)
		}
	}
}

func TestSeal_TwiceGivesTwoTexts(t *testing.T) {
	r := seal.NewRing(seal.NewKey())
	one, two := sealed(t, r, "p", "secret"), sealed(t, r, "p", "secret")
	if one == two {
		t.Error("equal secrets can be seen to be equal")
	}
}

func TestOpen_Refuses(t *testing.T) {
	key := seal.NewKey()
	r := seal.NewRing(key)
	text := sealed(t, r, "access_key/A", "top")
	other := sealed(t, seal.NewRing(seal.NewKey()), "access_key/A", "top")
	flipped := []byte(text)
	flipped[len(flipped)-3] ^= 1
	for name, c := range map[string]struct{ place, text, want string }{
		"another row":  {"access_key/B", text, "moved"},
		"another key":  {"access_key/A", other, "not among"},
		"not sealed":   {"access_key/A", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "not sealed"},
		"changed":      {"access_key/A", string(flipped), "changed"},
		"cut":          {"access_key/A", text[:len(text)-20], "changed"},
		"key id alone": {"access_key/A", "s1." + key.ID() + ".", "changed"},
		"empty":        {"access_key/A", "", "not sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Open(c.place, c.text)
			if got != nil || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if _, err := (seal.Ring{}).Seal("p", nil); err == nil {
		t.Error("a ring without keys seals")
	}
}

func TestRing_FirstSealsAllOpen(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	text := sealed(t, seal.NewRing(older), "p", "top")
	r := seal.NewRing(newer, older)
	if got, err := r.Open("p", text); err != nil || string(got) != "top" {
		t.Errorf("got %q, %v", got, err)
	}
	if r.Current(text) || !r.Current(sealed(t, r, "p", "top")) {
		t.Error("the first key does not seal")
	}
	if diff := cmp.Diff([]string{newer.ID(), older.ID()}, r.IDs()); diff != "" {
		t.Error(diff)
	}
}

func TestParseKeys(t *testing.T) {
	a, b := seal.NewKey(), seal.NewKey()
	keys, err := seal.ParseKeys([]byte("# newest first\n" + a.Text() + "\n\n  " + b.Text() + "  \r\n"))
	if err != nil || len(keys) != 2 || keys[0].ID() != a.ID() || keys[1].ID() != b.ID() {
		t.Errorf("got %v, %v", keys, err)
	}
	for _, text := range []string{"", "# nothing\n", "short=\n", strings.Repeat("a", 44), strings.Repeat("!", 43) + "=", a.Text() + "\nx\n"} {
		if keys, err := seal.ParseKeys([]byte(text)); err == nil || len(text) > 20 && strings.Contains(err.Error(), text[:20]) {
			t.Errorf("%q: %v, %v", text, keys, err)
		}
	}
}

func TestKey_ShowsNoMoreThanItsID(t *testing.T) {
	key := seal.NewKey()
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", slog.Any("key", key))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, key)
		fmt.Fprintf(&out, verb, seal.NewRing(key))
	}
	hex := fmt.Sprintf("%x", key.Text())
	if text := out.String(); strings.Contains(text, key.Text()[:20]) || strings.Contains(text, hex[:16]) || len(text) > 1000 {
		t.Error(text)
	}
}

func FuzzOpen(f *testing.F) {
	r := seal.NewRing(seal.NewKey())
	text, err := r.Seal("p", []byte("top"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("s1.00000000.AAAA")
	f.Add("s1..")
	f.Fuzz(func(t *testing.T, other string) {
		if got, err := r.Open("p", other); err == nil && other != text {
			t.Errorf("%q opens to %q", other, got)
		}
	})
}
