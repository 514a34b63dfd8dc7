// Package format is the port every package format implements, and the request
// and response helpers they share. A format sees registry, artifact, upstream,
// fault and digest; never the database, the blob store, policies, or another
// format.
package format

import (
	"net/http"

	"packhouse/internal/artifact"
	"packhouse/internal/registry"
)

// Format is one package format: how its clients talk and what its files say.
type Format interface {
	registry.Ecosystem

	// Name is the API's enum word; it is also the path segment of endpoints.
	Name() artifact.Format
	// Serve answers one client request below a repository's root. Errors are
	// returned, not written: the data plane logs them once and hands them to
	// WriteError. Nothing may have been written when an error is returned.
	Serve(w http.ResponseWriter, r *Request) error
	// WriteError writes err in the dialect the format's clients read.
	WriteError(w http.ResponseWriter, r *Request, err error)
	// Setup gives the settings that point each of the format's client tools at
	// an endpoint; CLI, UI and docs show the same ones.
	Setup(t Target) []Snippet
}

// Request is one client request, located and authenticated.
type Request struct {
	*http.Request
	Repo *registry.Repo // the addressed repository, bound to the caller
	Path string         // below the repository's root, still escaped, without leading slash or query
	Base string         // the repository's endpoint as the client reaches it, ends with a slash
	// Operation is set by Serve as soon as it is known: a word from a small
	// fixed set (packument, tarball, publish, ...) for logs and metrics.
	Operation string
}

// Target is what Setup needs to know.
type Target struct {
	Endpoint string // the repository endpoint, ends with a slash
	Token    string // shown as given; callers hide it by passing a placeholder
	Scope    string // npm scope or swift scope, may be empty
}

// Snippet is one client tool's settings: lines of a file, commands, or both,
// which then do the same.
type Snippet struct {
	Tool     string     // npm, pnpm, yarn, ...
	Commands [][]string // commands to run, as argv; for people where there is a File
	File     string     // the file to edit, ~ is the home folder; empty when Commands do it all
	Settings string     // what File must contain, written as the file is
}
