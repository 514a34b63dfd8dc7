package log_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/event"
	"packhouse/internal/event/eventtest"
	"packhouse/internal/event/log"
	"packhouse/internal/fault"
)

func lines(t *testing.T, path string) (list [][]byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		list = append(list, bytes.TrimSuffix(line, []byte("\n")))
	}
	return list
}

func open(t *testing.T, path string, o log.Options) *log.File {
	t.Helper()
	l := log.New(path, o)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func deliver(t *testing.T, l *log.File, body string) {
	t.Helper()
	if err := l.Deliver(t.Context(), event.Message{ID: "id", Body: []byte(body)}); err != nil {
		t.Fatal(err)
	}
}

func TestSuite(t *testing.T) {
	eventtest.Run(t, func(t *testing.T) (event.Sink, func() [][]byte) {
		path := filepath.Join(t.TempDir(), "folder", "events.jsonl")
		return open(t, path, log.Options{}), func() [][]byte { return lines(t, path) }
	})
}

func TestLine_IsOneEvent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, log.Options{})
	for _, body := range []string{"{\n  \"a\": 1\r\n}", "no JSON,\ntwo lines", "\xff"} {
		deliver(t, l, body)
	}
	want := []string{`{"a":1}`, `"no JSON,\ntwo lines"`, `"` + "\uFFFD" + `"`}
	var got []string
	for _, line := range lines(t, path) {
		got = append(got, string(line))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRotation_KeepsSoMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, log.Options{MaxBytes: 10, Keep: 2})
	for i := range 9 {
		deliver(t, l, fmt.Sprintf(`"%d"`, i)) // 4 bytes with the line's end, two to a file
	}
	got := map[string]string{}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		got[filepath.Base(f)] = string(bytes.Join(lines(t, f), nil))
	}
	if diff := cmp.Diff(map[string]string{"log": `"8"`, "log.1": `"6""7"`, "log.2": `"4""5"`}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRotation_AnEventLargerThanAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, log.Options{MaxBytes: 10})
	body := `"` + strings.Repeat("x", 100) + `"`
	deliver(t, l, body)
	deliver(t, l, body)
	if len(lines(t, path)) != 1 || len(lines(t, path+".1")) != 1 {
		t.Error("want one event in each file")
	}
}

func TestReopen_MendsHalfALine(t *testing.T) {
	for name, left := range map[string]string{"after lines": "\"a\"\n\"b", "alone": `"b`, "long": "\"a\"\n\"" + strings.Repeat("b", 10000)} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(path, []byte(left), 0o600); err != nil {
				t.Fatal(err)
			}
			deliver(t, open(t, path, log.Options{}), `"c"`)
			want := `"c"`
			if strings.HasPrefix(left, "\"a\"\n") {
				want = `"a""c"`
			}
			if got := string(bytes.Join(lines(t, path), nil)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestDeliver_FolderThatIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := log.New(filepath.Join(file, "log"), log.Options{}).Deliver(t.Context(), event.Message{Body: []byte("1")})
	if !fault.Is(err, fault.Unavailable) || strings.Contains(fault.Message(err), file) {
		t.Errorf("got %v", err)
	}
}
