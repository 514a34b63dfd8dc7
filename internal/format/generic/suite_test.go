package generic_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"packhouse/internal/artifact"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/generic"
)

func TestFormat(t *testing.T) { formattest.Run(t, driver()) }

func driver() formattest.Driver {
	file := func(v formattest.Version) string { return "tools/" + v.Name + "/" + v.Number + "/app.zip" }
	put := func(content func(formattest.Version) []byte) func(formattest.Version) []formattest.Call {
		return func(v formattest.Version) []formattest.Call {
			return []formattest.Call{{Method: http.MethodPut, Path: file(v), Body: content(v)}}
		}
	}
	data := func(v formattest.Version) []byte { return []byte("the bytes of " + v.Name + " " + v.Number) }
	more := func(v formattest.Version) string { return "tools/" + v.Name + "/" + v.Number + "/more%20(1).txt" }
	return formattest.Driver{
		Format:      generic.New(),
		Names:       [2]string{"cli", "Größe_x.y+z@w"},
		Numbers:     [3]string{"1.0.0", "nightly-9", "nightly-10"},
		Coordinates: coordinates,
		Publish:     put(data),
		Republish:   put(func(formattest.Version) []byte { return []byte("other bytes") }),
		More: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{{Method: http.MethodPut, Path: more(v), Body: []byte("more")}}
		},
		MoreFile: func(v formattest.Version) formattest.Call { return formattest.Call{Path: more(v)} },
		Bytes:    data,
		List:     func(name string) formattest.Call { return formattest.Call{Path: "tools/" + name} },
		Listed: func(body []byte) (numbers []string, err error) {
			var l struct{ Versions []struct{ Version string } }
			err = json.Unmarshal(body, &l)
			for _, v := range l.Versions {
				numbers = append(numbers, v.Version)
			}
			return numbers, err
		},
		File: func(v formattest.Version) formattest.Call { return formattest.Call{Path: file(v)} },
		Bad:  bad(),
	}
}

func coordinates(name string) artifact.Coordinates {
	return artifact.Coordinates{Format: artifact.Generic, Namespace: "tools", Name: name}
}

// bad are requests that no server should take, to get and to put.
func bad() []formattest.Call {
	var calls []formattest.Call
	for _, path := range []string{
		"", "a", "a/", "/a", "a/b/", "a/b/c", "a/b/c/", "a/b//d", "a/b/c/d/e",
		"../b", "%2e%2e/b", "a/..", "a/%2e%2e", "a/b/../d", "a/b/c/..", "a/b/c/%2e%2e", "a/b/c/.", "a/b/%2E/d",
		"a/b/c/..%2fx", "a/b/c/x%2fy", "a/b/..%2f..%2fx/d", "a%2fb/c",
		"a/b/c/d%00", "a/b/c/%0a", "a/b/c/x%5cy", "a/b%5c/c/d", "a/b/c/%ff", "a/b/c/x%7fy",
		"a/b%20c", "a%20/b", "a/b/c%20d/e", "a/b%23/c/d", "a/b/c%C2%A0/d", "a/b/c/d%E2%80%8B",
		strings.Repeat("n", 256) + "/b", "a/" + strings.Repeat("n", 256), "a/b/" + strings.Repeat("1", 256) + "/d", "a/b/c/" + strings.Repeat("d", 256),
	} {
		calls = append(calls, formattest.Call{Path: path}, formattest.Call{Path: path, Method: http.MethodPut, Body: []byte("x")})
	}
	for _, name := range []string{"a%252fb", "a%25b", "a:b", "a*b", "a%3fb", "a%23b", "a%22b", "a|b", "a$b", "%20a", "a%20"} {
		calls = append(calls, formattest.Call{Path: "a/b/c/" + name, Method: http.MethodPut, Body: []byte("x")})
	}
	return append(calls,
		formattest.Call{Path: "a/b", Method: http.MethodPost},
		formattest.Call{Path: "a/b", Method: http.MethodDelete},
		formattest.Call{Path: "a/b/c/d", Method: http.MethodDelete},
		formattest.Call{Path: "a/b/c/d", Method: "PROPFIND"},
	)
}
