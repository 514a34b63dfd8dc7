// Command testsum reads the output of `go test -json` and shows what a person
// waits for: one line per package, everything a failed test printed, and every
// half minute what is still running, so that a hang has a name.
//
//	go test -json ./... | testsum [-v] [-label NAME] [-counts FILE] [-failures FILE]
//
// With -counts it appends "NAME passed failed skipped" to FILE, and with
// -failures the end of what each failure printed, for who sees only the end of
// a long log. A test that
// has subtests is counted through them. A package that does not build, or dies
// outside its tests, counts as one failure. The exit status is 1 if anything
// failed or nothing ran.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// event is a line of `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // build-output and build-fail have it in place of Package
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// test is one test, or (with an empty name) its package.
type test struct {
	started  time.Time
	output   []string
	waits    bool // for its turn among the parallel ones
	parent   bool // has subtests
	childBad bool // one of them failed
}

type summary struct {
	w                       io.Writer
	failures                strings.Builder // the end of what each failed test printed
	verbose                 bool
	tests                   map[[2]string]*test
	passed, failed, skipped int
	perPackage              map[string]int
	badPackage              map[string]bool
}

func newSummary(w io.Writer, verbose bool) *summary {
	return &summary{w: w, verbose: verbose, tests: map[[2]string]*test{}, perPackage: map[string]int{}, badPackage: map[string]bool{}}
}

func main() {
	verbose := flag.Bool("v", false, "show every test, not only packages")
	label := flag.String("label", "tests", "what the counts are of")
	counts := flag.String("counts", "", "file the counts are appended to")
	failures := flag.String("failures", "", "file the end of each failure is appended to")
	flag.Parse()
	s := newSummary(os.Stdout, *verbose)
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		s.failed++
	}
	if s.passed+s.failed == 0 {
		fmt.Fprintln(os.Stderr, "testsum: no test ran")
		s.failed++
	}
	fmt.Fprintf(s.w, "== %s: %d ok, %d bad, %d left out\n", *label, s.passed, s.failed, s.skipped)
	for name, text := range map[string]string{*failures: s.failures.String(), *counts: fmt.Sprintf("%s %d %d %d\n", *label, s.passed, s.failed, s.skipped)} {
		if name == "" || text == "" {
			continue
		}
		if err := appendText(name, text); err != nil {
			fmt.Fprintln(os.Stderr, "testsum:", err)
			s.failed++
		}
	}
	if s.failed > 0 {
		os.Exit(1)
	}
}

func appendText(name, text string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// read consumes events until the input ends.
func (s *summary) read(r io.Reader) error {
	lines := make(chan string)
	done := make(chan error, 1)
	go func() {
		in := bufio.NewReader(r)
		for {
			line, err := in.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				if err == io.EOF {
					err = nil
				}
				done <- err
				return
			}
		}
	}()
	beat := time.NewTicker(30 * time.Second)
	defer beat.Stop()
	for {
		select {
		case line := <-lines:
			s.line(line)
		case <-beat.C:
			s.running()
		case err := <-done:
			return err
		}
	}
}

func (s *summary) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(s.w, line)
		return
	}
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.w, e.Output)
		return
	case "pause": // a parallel test that waits for its turn
		s.at(e).waits = true
	case "cont":
		s.at(e).started, s.at(e).waits = time.Now(), false
	case "start", "run":
		s.at(e).started = time.Now()
		for _, parent := range ancestors(e.Test) {
			s.at(event{Package: e.Package, Test: parent}).parent = true
		}
	case "output":
		t := s.at(e)
		t.output = append(t.output, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.packageDone(e)
		} else {
			s.testDone(e)
		}
	}
}

func (s *summary) at(e event) *test {
	key := [2]string{e.Package, e.Test}
	t := s.tests[key]
	if t == nil {
		t = &test{}
		s.tests[key] = t
	}
	return t
}

func (s *summary) testDone(e event) {
	t := s.at(e)
	delete(s.tests, [2]string{e.Package, e.Test})
	if e.Action == "fail" {
		for _, parent := range ancestors(e.Test) {
			s.at(event{Package: e.Package, Test: parent}).childBad = true
		}
	}
	counted := !t.parent
	switch e.Action {
	case "pass":
		if counted {
			s.passed++
		}
	case "skip":
		if counted {
			s.skipped++
		}
		fmt.Fprintf(s.w, "   left out %s %s:%s\n", e.Package, e.Test, strings.TrimRight(reason(t.output), "\n"))
	case "fail":
		s.badPackage[e.Package] = true
		if t.childBad {
			return // told already
		}
		s.failed++
		s.tell(fmt.Sprintf("   FAILED %s %s (%.1fs)\n", e.Package, e.Test, e.Elapsed), t.output)
	}
	if counted {
		s.perPackage[e.Package]++
		if s.verbose && e.Action == "pass" {
			fmt.Fprintf(s.w, "   ok %s (%.1fs)\n", e.Test, e.Elapsed)
		}
	}
}

func (s *summary) packageDone(e event) {
	t := s.at(e)
	delete(s.tests, [2]string{e.Package, ""})
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.w, "ok     %-45s %4d tests %6.1fs\n", e.Package, s.perPackage[e.Package], e.Elapsed)
	case "fail":
		if !s.badPackage[e.Package] { // it did not build, or died outside its tests
			s.failed++
		}
		// A test that was running when the binary died printed the reason.
		for key, left := range s.tests {
			if key[0] == e.Package {
				t.output = append(t.output, left.output...)
				delete(s.tests, key)
			}
		}
		s.tell(fmt.Sprintf("FAILED %-45s %4d tests %6.1fs\n", e.Package, s.perPackage[e.Package], e.Elapsed), t.output)
	}
}

// failureLines is how much of a failure is told once more at the end.
const failureLines, failureWidth = 30, 300

// tell shows a failure whole, and keeps the end of it.
func (s *summary) tell(head string, output []string) {
	fmt.Fprint(s.w, head)
	s.failures.WriteString(head)
	for i, line := range output {
		fmt.Fprint(s.w, "      ", line)
		if i < len(output)-failureLines {
			continue
		}
		if line = strings.TrimRight(line, "\n"); len(line) > failureWidth {
			line = line[:failureWidth] + "..."
		}
		fmt.Fprintln(&s.failures, "     ", line)
	}
}

// running names what has been going on for a while.
func (s *summary) running() {
	var names []string
	for key, t := range s.tests {
		if key[1] != "" && !t.parent && !t.waits && time.Since(t.started) > 20*time.Second {
			names = append(names, fmt.Sprintf("%s %s (%ds)", key[0], key[1], int(time.Since(t.started).Seconds())))
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		names = []string{"nothing for long; building, or short tests"}
	}
	fmt.Fprintf(s.w, "   ... %d ok, %d bad so far; still at: %s\n", s.passed, s.failed, strings.Join(names[:min(len(names), 6)], ", "))
}

func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if !strings.HasPrefix(strings.TrimSpace(line), "---") && !strings.HasPrefix(line, "===") {
			return " " + strings.TrimSpace(line)
		}
	}
	return ""
}

// ancestors are the tests that name may be a subtest of, itself left out.
func ancestors(name string) []string {
	var all []string
	for i, c := range name {
		if c == '/' {
			all = append(all, name[:i])
		}
	}
	return all
}
