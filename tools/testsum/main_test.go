package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestRead_Counts(t *testing.T) {
	for name, c := range map[string]struct {
		events                  string
		passed, failed, skipped int
	}{
		"pass": {`
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`, 1, 0, 0},
		"skip": {`
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p"}`, 0, 0, 1},
		"a parent counts through its subtests": {`
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x/y"}
{"Action":"run","Package":"p","Test":"TestA/z"}
{"Action":"fail","Package":"p","Test":"TestA/x/y"}
{"Action":"pass","Package":"p","Test":"TestA/z"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, 1, 1, 0},
		"a parent fails by itself": {`
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, 1, 1, 0},
		"does not build": {`
{"Action":"build-output","ImportPath":"p","Output":"undefined: x\n"}
{"Action":"build-fail","ImportPath":"p"}
{"Action":"start","Package":"p"}
{"Action":"fail","Package":"p","FailedBuild":"p"}`, 0, 1, 0},
		"dies in a test": {`
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"panic: time-out\n"}
{"Action":"fail","Package":"p"}`, 0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			s := newSummary(&out, false)
			if err := s.read(strings.NewReader(strings.TrimSpace(c.events) + "\n")); err != nil {
				t.Fatal(err)
			}
			if s.passed != c.passed || s.failed != c.failed || s.skipped != c.skipped {
				t.Errorf("%d passed, %d failed, %d skipped; want %d, %d, %d\n%s", s.passed, s.failed, s.skipped, c.passed, c.failed, c.skipped, &out)
			}
		})
	}
}

func TestRead_KeepsTheEndOfAFailure(t *testing.T) {
	var in, out bytes.Buffer
	in.WriteString(`{"Action":"run","Package":"p","Test":"TestA"}` + "\n")
	for i := range 2 * failureLines {
		fmt.Fprintf(&in, `{"Action":"output","Package":"p","Test":"TestA","Output":"line %d\n"}`+"\n", i)
	}
	in.WriteString(`{"Action":"fail","Package":"p","Test":"TestA"}` + "\n")
	s := newSummary(&out, false)
	if err := s.read(&in); err != nil {
		t.Fatal(err)
	}
	got := s.failures.String()
	last := fmt.Sprintf("      line %d\n", 2*failureLines-1)
	if !strings.HasPrefix(got, "   FAILED p TestA") || !strings.HasSuffix(got, last) || strings.Count(got, "line") != failureLines {
		t.Errorf("kept:\n%s", got)
	}
	if !strings.Contains(out.String(), "      line 0\n") {
		t.Errorf("shown:\n%s", &out)
	}
}
