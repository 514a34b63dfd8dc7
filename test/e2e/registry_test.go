package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"

	"packhouse/internal/upstream/upstreamtest"
)

// registry is a fake public registry of a story.
type registry = upstreamtest.Registry

// cmdRegistry is
//
//	registry NAME FORMAT FILE|FOLDER   start one (npm, pypi, ...); sets $NAME_URL (upper case, - becomes _)
//	registry NAME add FILE|FOLDER   publish more
//	registry NAME stop              refuse connections, until
//	registry NAME start
//	registry NAME fail PATTERN FAULT...   503, hang, html, corrupt, truncate, delay=2s, times=1, redirect=URL
//	registry NAME heal              end all faults
//	registry NAME forget            count requests from here on
//
// What the files of a folder mean is described in upstreamtest, at the function
// named for the format; a file is the same as txtar.
func (s *story) cmdRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: registry NAME FORMAT|add|stop|start|fail|heal|forget ...")
	}
	name, verb, rest := args[0], args[1], args[2:]
	r := s.registries[name]
	opens := upstreamtest.Kind(verb)
	if (r == nil) != opens {
		ts.Fatalf("registry %s: %s does not fit: it is started once, with a format", name, verb)
	}
	want := 0
	if opens || verb == "add" {
		want = 1
	}
	if verb != "fail" && len(rest) != want {
		ts.Fatalf("registry NAME %s takes %d arguments", verb, want)
	}
	switch {
	case opens:
		r, err := upstreamtest.Open(verb, readArchive(ts, rest[0]))
		ts.Check(err)
		s.registries[name] = r
		ts.Setenv(strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"_URL", r.URL)
	case verb == "add":
		ts.Check(r.Add(readArchive(ts, rest[0])))
	case verb == "stop":
		r.Stop()
	case verb == "start":
		ts.Check(r.Start())
	case verb == "heal":
		r.Heal()
	case verb == "forget":
		r.Forget()
	case verb == "fail":
		if len(rest) < 2 {
			ts.Fatalf("usage: registry NAME fail PATTERN FAULT...")
		}
		r.Fail(rest[0], parseFault(ts, rest[1:]))
	default:
		ts.Fatalf("registry: unknown verb %q", verb)
	}
}

func parseFault(ts *testscript.TestScript, words []string) (f upstreamtest.Fault) {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "hang":
			f.Hang = true
		case "html":
			f.HTML = true
		case "corrupt":
			f.Corrupt = true
		case "truncate":
			f.Truncate = true
		case "redirect":
			f.Redirect = value
		case "delay":
			f.Delay, err = time.ParseDuration(value)
		case "times":
			f.Times, err = strconv.Atoi(value)
		default:
			f.Status, err = strconv.Atoi(word)
		}
		if err != nil {
			ts.Fatalf("fault %q: %v", word, err)
		}
	}
	return f
}

// cmdRequests is
//
//	requests NAME PATTERN N      exactly N requests match (patterns: see upstreamtest)
//	requests NAME PATTERN >=N    at least N
func (s *story) cmdRequests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: requests NAME PATTERN N|>=N")
	}
	r := s.registries[args[0]]
	if r == nil {
		ts.Fatalf("no registry %s", args[0])
	}
	number, least := strings.CutPrefix(args[2], ">=")
	want, err := strconv.Atoi(number)
	ts.Check(err)
	if got := r.Count(args[1]); got != want && (!least || got < want) {
		ts.Fatalf("registry %s: %d requests match %q, want %s", args[0], got, args[1], args[2])
	}
}

// readArchive reads a txtar file, or a folder as if it were one.
func readArchive(ts *testscript.TestScript, name string) *txtar.Archive {
	root := ts.MkAbs(name)
	info, err := os.Stat(root)
	ts.Check(err)
	if !info.IsDir() {
		a, err := txtar.ParseFile(root)
		ts.Check(err)
		return a
	}
	a := &txtar.Archive{}
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		a.Files = append(a.Files, txtar.File{Name: filepath.ToSlash(rel), Data: data})
		return err
	}))
	return a
}
