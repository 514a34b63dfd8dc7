package format

import (
	"strings"
	"unicode/utf8"

	"packhouse/internal/fault"
)

// Unescape decodes percent escapes of a path or a part of one and refuses what
// no package address needs and what has broken servers before: control
// characters, backslashes, bytes that are not UTF-8, and empty, "." and ".."
// segments, escaped or not. It allocates only when there is an escape.
func Unescape(path string) (string, error) {
	if strings.IndexByte(path, '%') >= 0 {
		decoded := make([]byte, 0, len(path))
		for i := 0; i < len(path); i++ {
			if path[i] != '%' {
				decoded = append(decoded, path[i])
				continue
			}
			if i+2 >= len(path) {
				return "", badPath()
			}
			hi, lo := unhex(path[i+1]), unhex(path[i+2])
			if hi < 0 || lo < 0 {
				return "", badPath()
			}
			decoded = append(decoded, byte(hi<<4|lo))
			i += 2
		}
		path = string(decoded)
	}
	ascii := true
	for i := range len(path) {
		switch c := path[i]; {
		case c < ' ' || c == 0x7f || c == '\\':
			return "", badPath()
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if !ascii && !utf8.ValidString(path) {
		return "", badPath()
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return "", badPath()
		}
	}
	return path, nil
}

// Segment is Unescape for one segment: an escaped slash is refused too.
func Segment(segment string) (string, error) {
	s, err := Unescape(segment)
	if err != nil {
		return "", err
	}
	if strings.IndexByte(s, '/') >= 0 {
		return "", badPath()
	}
	return s, nil
}

func badPath() error { return fault.New(fault.Invalid, "the address is not well-formed") }

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
