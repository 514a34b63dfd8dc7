// Command packhouse is a package repository manager: server, set-up of package
// clients, and a command for every operation of its API.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"packhouse/internal/cli"
)

// version is set when a release is built: -ldflags "-X main.version=...".
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	home, err := os.UserHomeDir()
	if err != nil {
		home = "." // only login needs it, and says what it wrote
	}
	os.Exit(cli.Main(ctx, cli.Env{
		Args:  os.Args[1:],
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Services:  cli.Services(),
		LookupEnv: os.LookupEnv,
		Home:      home,
		Version:   versionText(),
	}))
}

func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
