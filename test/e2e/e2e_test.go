// Package e2e tells stories: each file below testdata is a tiny project and a
// script that runs real clients against the real server, with the public
// registries played on loopback.
//
// A story is a testscript (github.com/rogpeppe/go-internal/testscript). Lines
// of its head say what it needs:
//
//	# clients: npm-10 npm-11   run once with each; its programs come first on PATH
//	# needs: aws curl          programs of the machine; python3:boto3 needs that module
//	# providers: hashicorp/aws Terraform, with these providers in a local folder
//	# databases: sqlite postgres   run once with each; without this line with sqlite
//
// What is missing leaves the story out, or fails it when PACKHOUSE_TEST_REQUIRE
// is set. ./test.sh installs everything. PACKHOUSE_TEST_BINARY names a built
// server to use in place of building one.
//
// Beyond testscript's own commands (documented where they are declared):
//
//	startserver [-quickstart] [FLAG...]
//	stopserver
//	killserver
//	registry NAME FORMAT FILE|FOLDER | add FILE|FOLDER | stop | start | forget | heal | fail PATTERN FAULT...
//	requests NAME PATTERN N | >=N
//	issuer NAME
//	identity ISSUER CLAIM=VALUE...
//	follow PAGE NAME OLD=NEW...
//	get [-status N] [-token T] [-method M] URL
//	jsonenv NAME PATH [FILE]
//	expand FILE...
//	example PAGE FILE...
//	recorder AGENT | -end FILE
//	hook start | stop | answer STATUS | await N FILE | verify SECRET
//	relay start | await N FILE
package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/mail/mailtest"
	"packhouse/test/wire"
)

// storyTimeout bounds one story, counted from when it begins to run. The longest
// take two minutes, and several times that on a machine that is busy: it is there
// for what hangs.
const storyTimeout = 15 * time.Minute

// binary is the server under test.
var binary string

func TestMain(m *testing.M) { os.Exit(runMain(m)) }

func runMain(m *testing.M) int {
	binary = os.Getenv("PACKHOUSE_TEST_BINARY")
	if binary == "" {
		dir, err := os.MkdirTemp("", "packhouse-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "packhouse")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/packhouse")
		build.Dir = filepath.Join("..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "e2e: building the server: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

func TestStories(t *testing.T) {
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txtar" {
			return err
		}
		h, err := head(path)
		if err != nil {
			return err
		}
		if len(h.clients) == 0 {
			h.clients = []string{""}
		}
		if len(h.databases) == 0 {
			h.databases = []string{""}
		}
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(path), "testdata/"), ".txtar")
		for _, client := range h.clients {
			full := name
			if client != "" {
				full += "/" + client
			}
			for _, database := range h.databases {
				on := full
				if database != "" {
					on += "/" + database
				}
				t.Run(on, func(t *testing.T) {
					t.Parallel()
					tell(t, path, client, database, h)
				})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tell runs one story with one client on one kind of database.
func tell(t *testing.T, path, client, database string, h heading) {
	t.Helper()
	for _, need := range h.needs {
		program, module, _ := strings.Cut(need, ":")
		if _, err := exec.LookPath(program); err != nil {
			leaveOut(t, program+" is not on PATH")
		}
		if module != "" && exec.Command(program, "-c", "import "+module).Run() != nil {
			leaveOut(t, program+" has no module "+module)
		}
	}
	s := &story{t: t, client: client, log: filepath.Join(t.TempDir(), "server.log"), registries: map[string]*registry{}}
	switch database {
	case "", "sqlite":
	case "postgres":
		s.database = pgtest.NewDatabase(t)
	default:
		t.Fatalf("%s: %q is no kind of database", path, database)
	}
	s.plugins = plugins(t, h.providers)
	if client != "" {
		s.clientBin = filepath.Join(clientsDir(), client, "node_modules", ".bin")
		if _, err := os.Stat(s.clientBin); err != nil {
			s.clientBin = filepath.Join(clientsDir(), client, "bin") // a virtual environment, or a program alone
		}
		if _, err := os.Stat(s.clientBin); err != nil {
			leaveOut(t, client+" is not installed")
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.explain()
		}
	})
	testscript.RunT(&single{t}, testscript.Params{
		Files:               []string{path},
		Setup:               s.setup,
		Cmds:                s.commands(),
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(storyTimeout),
	})
}

func leaveOut(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("PACKHOUSE_TEST_REQUIRE") != "" {
		t.Fatalf("%s; ./test.sh installs what the stories need", why)
	}
	t.Skipf("%s; ./test.sh installs what the stories need", why)
}

// clientsDir is where test.sh puts the clients.
func clientsDir() string {
	if dir := os.Getenv("PACKHOUSE_TEST_CLIENTS"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "packhouse-test", "clients")
}

// heading is what the lines before a script say.
type heading struct{ clients, needs, providers, databases []string }

// head reads the "# clients:", "# needs:", "# providers:" and "# databases:"
// lines before the script.
func head(path string) (h heading, err error) {
	f, err := os.Open(path)
	if err != nil {
		return h, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, comment := strings.CutPrefix(lines.Text(), "#")
		if !comment {
			break
		}
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), ":"); key {
		case "clients":
			h.clients = strings.Fields(value)
		case "needs":
			h.needs = strings.Fields(value)
		case "providers":
			h.providers = strings.Fields(value)
		case "databases":
			h.databases = strings.Fields(value)
		}
	}
	return h, nil
}

// single lets testscript run its one script in the test we have, at once.
type single struct{ *testing.T }

func (s *single) Parallel()                          {}
func (s *single) Run(_ string, f func(testscript.T)) { f(s) }
func (s *single) Verbose() bool                      { return false } // a failed phase shows itself
func (s *story) commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"startserver": s.cmdStartServer,
		"stopserver":  s.cmdStopServer,
		"killserver":  s.cmdKillServer,
		"registry":    s.cmdRegistry,
		"requests":    s.cmdRequests,
		"issuer":      s.cmdIssuer,
		"identity":    s.cmdIdentity,
		"follow":      s.cmdFollow,
		"get":         cmdGet,
		"jsonenv":     cmdJSONEnv,
		"expand":      cmdExpand,
		"hook":        s.cmdHook,
		"relay":       s.cmdRelay,
		"example":     cmdExample,
		"recorder":    s.cmdRecorder,
	}
}

// story is the state of one running script.
type story struct {
	t          *testing.T
	client     string // "" when the story needs none
	clientBin  string
	log        string // what all servers of this story printed
	home       string
	data       string
	database   string // its address; "" is the file in data
	listen     string // host:port, the same for every server of the story
	issuers    issuers
	server     *process
	registries map[string]*registry
	hook       *hook // nil until the story has one
	relay      *mailtest.Server
	plugins    string         // the folder with providers of Terraform, if the story needs some
	recorder   *wire.Recorder // what recorder has put before the server
}

// nowhere refuses every connection. It is the proxy for any host but this
// machine, so that a client which forgets its settings cannot reach a public
// registry.
const nowhere = "http://127.0.0.1:9"

// setup gives the story a home of its own and takes the outside away.
func (s *story) setup(env *testscript.Env) error {
	s.home = filepath.Join(env.WorkDir, "home")
	s.data = filepath.Join(env.WorkDir, "data")
	tmp := filepath.Join(env.WorkDir, ".tmp")
	files := map[string]string{
		// The lowest of npm's levels: what `login` writes wins over it.
		"global-npmrc": "registry=" + nowhere + "/\nupdate-notifier=false\nfund=false\nfetch-retries=1\nfetch-retry-mintimeout=100\n",
		".yarnrc.yml":  "npmRegistryServer: " + nowhere + "\nenableTelemetry: false\nenableGlobalCache: false\n",
	}
	if err := os.MkdirAll(s.home, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.home, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	path := slices.DeleteFunc([]string{filepath.Dir(binary), s.clientBin, os.Getenv("PATH")}, func(dir string) bool { return dir == "" })
	env.Vars = append(env.Vars,
		"PATH="+strings.Join(path, string(os.PathListSeparator)),
		"CLIENT="+s.client,
		"HOME="+s.home, "TMPDIR="+tmp,
		"XDG_CONFIG_HOME="+filepath.Join(s.home, ".config"),
		"XDG_CACHE_HOME="+filepath.Join(s.home, ".cache"),
		"XDG_DATA_HOME="+filepath.Join(s.home, ".local", "share"),
		"XDG_STATE_HOME="+filepath.Join(s.home, ".local", "state"),
		"LANG=C.UTF-8", "NO_COLOR=1", "YARN_ENABLE_COLORS=false",

		"HTTP_PROXY="+nowhere, "HTTPS_PROXY="+nowhere, "http_proxy="+nowhere, "https_proxy="+nowhere,
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",

		"npm_config_globalconfig="+filepath.Join(s.home, "global-npmrc"),
		"npm_config_cache="+filepath.Join(s.home, ".npm"),
		"npm_config_update_notifier=false",
		"YARN_CACHE_FOLDER="+filepath.Join(s.home, ".yarn-cache"),
		"PNPM_HOME="+filepath.Join(s.home, ".pnpm"),
		"BUN_INSTALL_CACHE_DIR="+filepath.Join(s.home, ".bun-cache"),
		"COREPACK_ENABLE_DOWNLOAD_PROMPT=0", "DO_NOT_TRACK=1",

		"PIP_CONFIG_FILE="+filepath.Join(s.home, ".config", "pip", "pip.conf"), // and no other
		"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_RETRIES=0", "UV_HTTP_RETRIES=0", "UV_NO_PROGRESS=1", "UV_PYTHON_DOWNLOADS=never",
		"POETRY_NO_INTERACTION=1", "POETRY_REQUESTS_MAX_RETRIES=0", "PDM_CHECK_UPDATE=false", "PDM_NON_INTERACTIVE=1",
		"PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring", "PYTHONDONTWRITEBYTECODE=1",
		// Java asks the system for the home folder, not HOME.
		"MAVEN_OPTS=-Duser.home="+s.home+" -XX:TieredStopAtLevel=1", "GRADLE_OPTS=-Duser.home="+s.home,
		"GRADLE_USER_HOME="+filepath.Join(s.home, ".gradle"),
		"MAVEN_REPOSITORY="+filepath.Join(clientsDir(), "maven-repository"), // plugins, as a public repository has them

		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		"AWS_CONFIG_FILE="+filepath.Join(s.home, ".aws", "config"),
		"AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(s.data, "credentials"),
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_RETRY_MODE=standard", "AWS_MAX_ATTEMPTS=1",
		"DATA="+s.data,
	)
	env.Defer(s.end)
	return s.setupTerraform(env)
}

// end stops whatever the story left running.
func (s *story) end() {
	if s.server != nil {
		if err := s.server.stop(); err != nil {
			s.t.Errorf("stopping the server at the end: %v", err)
		}
		s.server = nil
	}
	for _, r := range s.registries {
		r.Stop()
	}
}

// explain shows what a failed story's servers saw.
func (s *story) explain() {
	if log, err := os.ReadFile(s.log); err == nil {
		const most = 8 << 10
		s.t.Logf("end of the server's log:\n%s", log[max(0, len(log)-most):])
	}
	for name, r := range s.registries {
		var lines strings.Builder
		for _, q := range r.Requests() {
			fmt.Fprintf(&lines, "  %s %s\n", q.Method, q.URI)
		}
		s.t.Logf("asked of registry %s:\n%s", name, lines.String())
	}
}
