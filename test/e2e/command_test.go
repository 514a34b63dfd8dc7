package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdGet is
//
//	get [-status N] [-token T] [-method M] URL
//
// It asks for URL (no proxy, no redirects) and puts status line, header and
// body into stdout; the status must be N (200).
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	status := flags.Int("status", http.StatusOK, "")
	token := flags.String("token", "", "")
	method := flags.String("method", http.MethodGet, "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 || neg {
		ts.Fatalf("usage: get [-status N] [-token T] [-method M] URL")
	}
	req, err := http.NewRequest(*method, flags.Arg(0), nil)
	ts.Check(err)
	if *token != "" {
		req.Header.Set("Authorization", "Bearer "+*token)
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       60 * time.Second,
	}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	out := ts.Stdout()
	fmt.Fprintln(out, resp.Proto, resp.Status)
	ts.Check(resp.Header.Write(out))
	fmt.Fprintf(out, "\n%s", body)
	if resp.StatusCode != *status {
		ts.Fatalf("%s %s: %s, want %d\n%s", *method, flags.Arg(0), resp.Status, *status, body)
	}
}

// cmdJSONEnv is
//
//	jsonenv NAME PATH [FILE]
//
// It sets $NAME to the value at PATH (members and indexes between dots) of the
// JSON in FILE, or in what the last command printed.
func cmdJSONEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: jsonenv NAME PATH [FILE]")
	}
	file := "stdout"
	if len(args) == 3 {
		file = args[2]
	}
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile(file)), &v); err != nil {
		ts.Fatalf("%s: %v", file, err)
	}
	for step := range strings.SplitSeq(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				ts.Fatalf("%s: no element %q in a list of %d", args[1], step, len(at))
			}
			v = at[i]
		default:
			v = nil
		}
		if v == nil {
			ts.Fatalf("%s: nothing at %q", args[1], step)
		}
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// cmdExpand is
//
//	expand FILE...
//
// It replaces ${NAME} in files of the story by the variables of the script.
func cmdExpand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE...")
	}
	for _, name := range args {
		path := ts.MkAbs(name)
		ts.Check(os.WriteFile(path, []byte(os.Expand(ts.ReadFile(name), ts.Getenv)), 0o644))
	}
}
