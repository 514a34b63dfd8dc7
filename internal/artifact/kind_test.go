package artifact

import "testing"

func TestKindOf(t *testing.T) {
	for number, want := range map[string]Kind{
		"1.0.0": ReleaseKind, "1.0": ReleaseKind, "32.1.2-jre": ReleaseKind, "4.1.100.Final": ReleaseKind, "2.0.0.RELEASE": ReleaseKind,
		"1.0.post1": ReleaseKind, "1.0+local.rc1": ReleaseKind, "beta": ReleaseKind, "": ReleaseKind, "1.0-20240131": ReleaseKind, "r09": ReleaseKind,
		"1.0-b": ReleaseKind, "1.2.3-1": ReleaseKind, "-": ReleaseKind,
		"1.0a1": PrereleaseKind, "1.0b2": PrereleaseKind, "1.0rc1": PrereleaseKind, "1.0.dev4": PrereleaseKind, "1.0-M2": PrereleaseKind, "1.0-RC1": PrereleaseKind,
		"1.0.0-beta.1": PrereleaseKind, "1.0.0-alpha": PrereleaseKind, "2.0.0-next.3": PrereleaseKind, "1.0-CR1": PrereleaseKind, "1!2.0c1": PrereleaseKind,
		"1.0-SNAPSHOT": BuildKind, "1.0-20240131.120000-3": BuildKind, "1.0.0-snapshot": BuildKind,
	} {
		if got := KindOf(number); got != want {
			t.Errorf("%q is taken for %s, want %s", number, got, want)
		}
	}
}

func FuzzKindOf(f *testing.F) {
	for _, s := range []string{"1.0-20240131.120000-3", "1.0a1", "-", "1.0-", "é1-rc", "+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, number string) {
		switch KindOf(number) {
		case ReleaseKind, PrereleaseKind, BuildKind:
		default:
			t.Errorf("%q has no kind", number)
		}
	})
}
