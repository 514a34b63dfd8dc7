package npm

import (
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

var errNoAddress = fault.New(fault.NotFound, "not_found")

// cutName takes the package name off the front of an escaped path, in any of
// the spellings clients use: name, @s/name, @s%2fname, @s%2Fname, %40s%2fname.
// rest is what follows the slash after it.
func cutName(p string) (c artifact.Coordinates, rest string, err error) {
	first, rest, _ := strings.Cut(p, "/")
	if !strings.HasPrefix(first, "@") && !strings.HasPrefix(first, "%40") {
		c, err = coordinates("", first)
		return c, rest, err
	}
	if i := escapedSlash(first); i >= 0 {
		c, err = coordinates(first[:i], first[i+3:])
		return c, rest, err
	}
	name, rest, _ := strings.Cut(rest, "/")
	c, err = coordinates(first, name)
	return c, rest, err
}

// escapedSlash is where the first %2f in s is, -1 when there is none.
func escapedSlash(s string) int {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' && s[i+1] == '2' && s[i+2]|0x20 == 'f' {
			return i
		}
	}
	return -1
}

// coordinates unescapes and checks a scope, with its @ or empty, and a name.
func coordinates(scope, name string) (c artifact.Coordinates, err error) {
	if strings.IndexByte(scope, '%') >= 0 {
		if scope, err = format.Segment(scope); err != nil {
			return c, err
		}
	}
	if strings.IndexByte(name, '%') >= 0 {
		if name, err = format.Segment(name); err != nil {
			return c, err
		}
	}
	if scope != "" {
		if scope = scope[1:]; scope == "" {
			return c, errName
		}
	}
	if err := checkName(scope, name); err != nil {
		return c, err
	}
	return artifact.Coordinates{Format: artifact.NPM, Namespace: scope, Name: name}, nil
}

// cutVersion finds the version in a tarball's file name, which may repeat the
// scope: n-1.0.0.tgz, @s/n-1.0.0.tgz, @s%2fn-1.0.0.tgz.
func cutVersion(c artifact.Coordinates, file string) (string, error) {
	if strings.IndexByte(file, '%') >= 0 {
		var err error
		if file, err = format.Unescape(file); err != nil {
			return "", err
		}
	}
	if c.Namespace != "" && len(file) > len(c.Namespace)+2 && file[0] == '@' && file[1:1+len(c.Namespace)] == c.Namespace && file[1+len(c.Namespace)] == '/' {
		file = file[len(c.Namespace)+2:]
	}
	version, ok := strings.CutSuffix(file, ".tgz")
	if !ok || len(version) <= len(c.Name)+1 || version[:len(c.Name)] != c.Name || version[len(c.Name)] != '-' {
		return "", errNoAddress
	}
	version = version[len(c.Name)+1:]
	if !versionSafe(version) {
		return "", errNoAddress
	}
	return version, nil
}
