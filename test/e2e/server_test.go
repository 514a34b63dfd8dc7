package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"packhouse/internal/porttest"
)

const (
	readyTimeout = 60 * time.Second
	stopTimeout  = 40 * time.Second // the contract gives running requests 30 s
)

// cmdStartServer is
//
//	startserver [-quickstart] [FLAG...]
//
// It starts `packhouse serve` (or quickstart) with $DATA on a free loopback
// port, the same one each time in a story, waits for /readyz and sets $URL,
// $AWS_ENDPOINT_URL and $SERVER_PID.
func (s *story) cmdStartServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! startserver")
	}
	if s.server != nil {
		ts.Fatalf("the server is running")
	}
	sub := "serve"
	if len(args) > 0 && args[0] == "-quickstart" {
		sub, args = "quickstart", args[1:]
	}
	if s.listen == "" {
		port, err := porttest.Port()
		ts.Check(err)
		s.listen = fmt.Sprintf("127.0.0.1:%d", port)
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	defer log.Close()
	if s.database != "" {
		args = append([]string{"--database", s.database}, args...)
	}
	cmd := exec.Command(binary, append([]string{sub, "--data", s.data, "--listen", s.listen}, args...)...)
	cmd.Dir = s.home
	cmd.Env = []string{
		"HOME=" + s.home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + ts.Getenv("TMPDIR"),
		"HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere, // a connection that the story leaves as it is reaches nobody
	}
	cmd.Stdout, cmd.Stderr = log, log
	s.server, err = startProcess(cmd)
	ts.Check(err)

	url := "http://" + s.listen
	ts.Setenv("URL", url)
	ts.Setenv("AWS_ENDPOINT_URL", url)
	ts.Setenv("SERVER_PID", fmt.Sprint(cmd.Process.Pid))
	if err := s.server.awaitReady(url + "/readyz"); err != nil {
		ts.Fatalf("%v", err)
	}
	ts.Logf("packhouse %s is ready at %s", sub, url)
}

// cmdStopServer is `stopserver`: SIGTERM, and status 0 within the time the
// contract gives.
func (s *story) cmdStopServer(ts *testscript.TestScript, _ bool, _ []string) {
	if s.server == nil {
		ts.Fatalf("no server is running")
	}
	err := s.server.stop()
	s.server = nil
	if err != nil {
		ts.Fatalf("%v", err)
	}
}

// cmdKillServer is `killserver`: kill -9, no chance to tidy up.
func (s *story) cmdKillServer(ts *testscript.TestScript, _ bool, _ []string) {
	if s.server == nil {
		ts.Fatalf("no server is running")
	}
	err := s.server.cmd.Process.Kill()
	<-s.server.ended
	s.server = nil
	ts.Check(err)
}

// process is a running server.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // how, once ended is closed
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	if err := startTied(cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// awaitReady polls until url answers 200.
func (p *process) awaitReady(url string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	deadline := time.After(readyTimeout)
	for {
		resp, err := client.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the server ended before it was ready: %w", p.err)
		case <-deadline:
			return fmt.Errorf("the server is not ready after %v: %w", readyTimeout, err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// stop asks the server to end and waits for it; it is killed if it does not.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("the server ended after SIGTERM with: %w", p.err)
		}
		return nil
	case <-time.After(stopTimeout):
		err := p.cmd.Process.Kill()
		<-p.ended
		return errors.Join(fmt.Errorf("the server did not end within %v of SIGTERM", stopTimeout), err)
	}
}
