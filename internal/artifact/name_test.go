package artifact

import (
	"strings"
	"testing"
	"unicode/utf8"

	"packhouse/internal/fault"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "1.0.0", "...", "lib+x_y-z", "käse", "構成", "a:b@c", strings.Repeat("ä", 255), "-", "~"} {
		if err := CheckName("package", name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, "a#b", "a b", "a\u00a0b", "a\nb", "a\x00", "a\u200bb", "\xff", strings.Repeat("a", 256)} {
		if err := CheckName("package", name); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.Message(err), "package: ") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCheckAssetName(t *testing.T) {
	for _, name := range []string{"a", "app-1.0.tar.gz", "~!@^&()-_+[]{};,.`", "my file (2).zip", "größe.txt", "構成.zip", "e\u0301.txt", "٣", "...", strings.Repeat("ä", 255)} {
		if err := CheckAssetName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "../a", `a\b`, "a#b", "a%2fb", "a:b", "a*b", "a?b", "a\nb", "a\x00", "a\u200bb", "a\u00a0b", " a", "a ", "\xff", "a|b", "a\"b", "a$b", strings.Repeat("a", 256)} {
		if err := CheckAssetName(name); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.Message(err), "asset: ") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzCheckAssetName(f *testing.F) {
	for _, seed := range []string{"a.zip", "../a", "a/b", "e\u0301", "\xff", "a\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckAssetName(name) != nil {
			return
		}
		if name == "." || name == ".." || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\\x00\r\n%\"") || len([]rune(name)) > 255 {
			t.Errorf("%q is taken", name)
		}
	})
}
