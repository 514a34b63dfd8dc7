package e2e

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"packhouse/test/wire"
)

var update = flag.Bool("update", false, "write what clients send anew into the recordings of test/wire")

// pluginFolder finds the folder with a provider of Terraform ("hashicorp/aws"),
// laid out as Terraform lays out a mirror: HOST/NAMESPACE/NAME/VERSION/PLATFORM.
// It is PACKHOUSE_TEST_TF_PLUGINS, or one of those Terraform looks into by
// itself.
func pluginFolder(provider string) (string, bool) {
	home, _ := os.UserHomeDir()
	data := cmp.Or(os.Getenv("XDG_DATA_HOME"), filepath.Join(home, ".local", "share"))
	folders := []string{os.Getenv("PACKHOUSE_TEST_TF_PLUGINS"), filepath.Join(home, ".terraform.d", "plugins"), filepath.Join(data, "terraform", "plugins")}
	for dir := range strings.SplitSeq(cmp.Or(os.Getenv("XDG_DATA_DIRS"), "/usr/local/share:/usr/share"), ":") {
		folders = append(folders, filepath.Join(dir, "terraform", "plugins"))
	}
	for _, folder := range folders {
		if folder == "" {
			continue
		}
		if found, _ := filepath.Glob(filepath.Join(folder, "*", filepath.FromSlash(provider))); len(found) > 0 {
			return folder, true
		}
	}
	return "", false
}

// plugins finds the providers that a story needs, all in one folder. Without
// Terraform or a provider the story is left out whatever
// PACKHOUSE_TEST_REQUIRE says: ./test.sh cannot install them, and the calls
// are tested without them by package wire.
func plugins(t *testing.T, providers []string) (folder string) {
	t.Helper()
	if len(providers) == 0 {
		return ""
	}
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("terraform is not on PATH, and ./test.sh does not install it")
	}
	for _, provider := range providers {
		found, ok := pluginFolder(provider)
		if !ok {
			t.Skipf("the provider %s of Terraform is in no plugin folder (PACKHOUSE_TEST_TF_PLUGINS names one), and ./test.sh does not install it", provider)
		}
		folder = found
	}
	return folder
}

// setupTerraform lets Terraform find providers in the folder and nowhere else.
func (s *story) setupTerraform(env *testscript.Env) error {
	if s.plugins == "" {
		return nil
	}
	rc := filepath.Join(s.home, "terraform.rc")
	env.Vars = append(env.Vars, "TF_CLI_CONFIG_FILE="+rc, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0", "TF_CLI_ARGS=-no-color")
	return os.WriteFile(rc, fmt.Appendf(nil, "disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", s.plugins), 0o644)
}

// cmdRecorder is
//
//	recorder AGENT
//	recorder -end FILE
//
// It puts a proxy before the server, to which $URL leads from then on, and
// writes down what clients send whose User-Agent matches AGENT. At its end the operations that were called are compared with those of the recording,
// FILE of test/wire/testdata; with -update the recording is written anew.
func (s *story) cmdRecorder(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 1 && s.recorder == nil:
		target, err := url.Parse(ts.Getenv("URL"))
		ts.Check(err)
		agent, err := regexp.Compile(args[0])
		ts.Check(err)
		s.recorder = wire.NewRecorder(target, agent)
		proxy := httptest.NewServer(http.HandlerFunc(s.recorder.ServeHTTP))
		ts.Defer(proxy.Close)
		ts.Setenv("URL", proxy.URL)
		ts.Setenv("AWS_ENDPOINT_URL", proxy.URL)
	case !neg && len(args) == 2 && args[0] == "-end" && s.recorder != nil:
		s.compareRecording(ts, filepath.Join("..", "wire", "testdata", args[1]))
	default:
		ts.Fatalf("usage: recorder AGENT | -end FILE")
	}
}

func (s *story) compareRecording(ts *testscript.TestScript, file string) {
	calls, err := s.recorder.Calls()
	ts.Check(err)
	if *update {
		ts.Check(wire.Save(file, calls))
		return
	}
	recorded, err := wire.Load(file)
	ts.Check(err)
	if want, got := operations(recorded), operations(calls); !slices.Equal(want, got) {
		ts.Fatalf("the client calls other operations than those recorded; write the recording anew with -update\nrecorded %q\n  called %q", want, got)
	}
}

func operations(calls []wire.Call) []string {
	set := map[string]bool{}
	for _, c := range calls {
		set[c.Operation()] = true
	}
	return slices.Sorted(maps.Keys(set))
}

var block = regexp.MustCompile("(?ms)^```[a-z]+\n# ([a-z.]+)\n(.*?)^```$")

// cmdExample is
//
//	example PAGE FILE...
//
// It writes the named files of a page of docs: the blocks whose first line is
// "# FILE".
func cmdExample(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: example PAGE FILE...")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", args[0]))
	ts.Check(err)
	files := map[string]string{}
	for _, found := range block.FindAllStringSubmatch(string(page), -1) {
		files[found[1]] = found[2]
	}
	for _, name := range args[1:] {
		text, ok := files[name]
		if !ok {
			ts.Fatalf("%s has no block %s", args[0], name)
		}
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}
