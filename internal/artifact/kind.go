package artifact

import "strings"

// Kind is what sort of version a number names.
type Kind string

// The kinds.
const (
	ReleaseKind    Kind = "RELEASE"
	PrereleaseKind Kind = "PRERELEASE" // comes before a release: an alpha, a candidate, a milestone
	BuildKind      Kind = "SNAPSHOT"   // a version that changes, or one build of it
)

// KindOf guesses the kind of a version whose format does not say. Only words
// that are always meant so make a prerelease: of "32.1.2-jre" the dash is part
// of a release.
func KindOf(number string) Kind {
	lower := strings.ToLower(number)
	if build := strings.TrimSuffix(lower, "-snapshot"); build != lower || stampedBuild(lower) {
		return BuildKind
	}
	lower, _, _ = strings.Cut(lower, "+")
	begin := -1
	for i := 0; i <= len(lower); i++ {
		if i < len(lower) && 'a' <= lower[i] && lower[i] <= 'z' {
			if begin < 0 {
				begin = i
			}
			continue
		}
		if begin < 0 {
			continue
		}
		if prereleaseWord(lower[begin:i], lower[:begin], lower[i:]) {
			return PrereleaseKind
		}
		begin = -1
	}
	return ReleaseKind
}

// prereleaseWord tells whether word, which stands between before and after,
// says that a version comes before a release.
func prereleaseWord(word, before, after string) bool {
	if before == "" { // "beta" alone is a name, not what a version comes before
		return false
	}
	switch word {
	case "alpha", "beta", "pre", "preview", "rc", "cr", "dev", "milestone", "snapshot", "canary", "nightly", "next", "ea", "insider", "insiders":
		return true
	case "a", "b", "c", "m": // 1.0a1, 1.0-M2: with a number
		return after != "" && '0' <= after[0] && after[0] <= '9'
	}
	return false
}

// stampedBuild tells whether s ends as builds of a snapshot do:
// -20240131.120000-3.
func stampedBuild(s string) bool {
	at := strings.LastIndexByte(s, '-')
	if at < 0 || !digitsOnly(s[at+1:]) {
		return false
	}
	const stamp = len("-20240131.120000")
	head := s[:at]
	if len(head) <= stamp {
		return false
	}
	s = head[len(head)-stamp:]
	return s[0] == '-' && digitsOnly(s[1:9]) && s[9] == '.' && digitsOnly(s[10:])
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
