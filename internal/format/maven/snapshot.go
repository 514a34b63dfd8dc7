package maven

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"packhouse/internal/artifact"
)

// A snapshot, 1.0-SNAPSHOT, is a version whose content is its newest build. A
// build on its way in, and one that is no longer the newest, is a version of its
// own, 1.0-TIMESTAMP-NUMBER; clients put and get the files of all builds below
// the folder 1.0-SNAPSHOT.

const current = "SNAPSHOT"

// isSnapshot tells whether a version is a snapshot or a build of one.
func isSnapshot(version string) bool {
	if isCurrent(version) {
		return true
	}
	_, _, ok := cutVersion(version)
	return ok
}

// isCurrent tells whether a version is a snapshot itself.
func isCurrent(version string) bool {
	return version == current || strings.HasSuffix(version, "-"+current)
}

// base is what a snapshot shares with its builds: "1.0-".
func base(snapshot string) string { return strings.TrimSuffix(snapshot, current) }

// build is TIMESTAMP-NUMBER as clients write it: 20240131.235959-7.
type build struct {
	time   string // 20240131.235959, UTC
	number int
}

func (b build) String() string { return b.time + "-" + strconv.Itoa(b.number) }

// compare orders builds by when they were made.
func (b build) compare(o build) int {
	return cmp.Or(strings.Compare(b.time, o.time), cmp.Compare(b.number, o.number))
}

const (
	stampLayout    = "20060102.150405"
	maxBuildDigits = 9
)

// parseBuild reads the start of s.
func parseBuild(s string) (b build, rest string, ok bool) {
	if len(s) < len(stampLayout)+2 || s[len(stampLayout)] != '-' {
		return b, s, false
	}
	b.time = s[:len(stampLayout)]
	for i := range len(b.time) {
		if (i == 8) != (b.time[i] == '.') || i != 8 && !isDigit(b.time[i]) {
			return b, s, false
		}
	}
	rest = s[len(stampLayout)+1:]
	end := 0
	for end < len(rest) && isDigit(rest[end]) {
		end++
	}
	if end == 0 || end > maxBuildDigits || end > 1 && rest[0] == '0' { // one spelling of each
		return b, s, false
	}
	b.number, _ = strconv.Atoi(rest[:end])
	return b, rest[end:], true
}

// cutVersion cuts the number of a build's version into base and build.
func cutVersion(version string) (base string, b build, ok bool) {
	// The build has a known length but for its number.
	dash := strings.LastIndexByte(version, '-')
	at := dash - len(stampLayout)
	if at < 0 || at > 0 && version[at-1] != '-' {
		return "", b, false
	}
	b, rest, ok := parseBuild(version[at:])
	return version[:at], b, ok && rest == ""
}

// buildFile is a file of a build, or of a snapshot that is not built but
// overwritten.
type buildFile struct {
	build build  // zero of one that is overwritten
	rest  string // of the name, with classifier and extension: "-sources.jar"
}

// cutBuild reads the name of a file below the folder of a snapshot; version may
// be the snapshot's or a build's.
func cutBuild(c artifact.Coordinates, version, name string) (f buildFile, ok bool) {
	b := base(version)
	if !isCurrent(version) {
		if b, _, ok = cutVersion(version); !ok {
			return f, false
		}
	}
	rest, ok := strings.CutPrefix(name, c.Name+"-"+b)
	if !ok {
		return f, false
	}
	if after, literal := strings.CutPrefix(rest, current); literal {
		f.rest = after
	} else if f.build, f.rest, ok = parseBuild(rest); !ok {
		return f, false
	}
	return f, f.rest != "" && (f.rest[0] == '-' || f.rest[0] == '.')
}

// split cuts the end of a file's name into classifier and extension. Either may
// hold dots; with no classifier everything is extension.
func split(rest string) (classifier, extension string) {
	if rest[0] == '.' {
		return "", rest[1:]
	}
	rest = rest[1:]
	dot := strings.LastIndexByte(rest, '.')
	if dot < 0 {
		return rest, ""
	}
	for {
		extension = rest[dot+1:]
		before := strings.LastIndexByte(rest[:dot], '.')
		word, _, _ := strings.Cut(extension, ".")
		whole := false // whether the word makes a pair with the one before
		switch word {
		case "asc", "sig", "sigstore":
			whole = true
		case "json":
			whole = strings.HasSuffix(rest[:dot], ".sigstore")
		case "gz", "bz2", "xz", "zst", "lzma", "Z":
			whole = strings.HasSuffix(rest[:dot], ".tar") || strings.HasSuffix(rest[:dot], ".cpio")
		}
		if !whole || before < 0 {
			return rest[:dot], extension
		}
		dot = before
	}
}

// number is under what an earlier build is kept: that of its files, or, of a
// snapshot that was overwritten in place, one made of the time it came to be.
func (m manifest) number(snapshot string, published time.Time) string {
	if b, rest, ok := parseBuild(m.Build); ok && rest == "" {
		return base(snapshot) + b.String()
	}
	return base(snapshot) + build{published.UTC().Format(stampLayout), 0}.String()
}
