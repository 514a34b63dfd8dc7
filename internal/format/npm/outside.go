package npm

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

const (
	attestationsPath = "npm/v1/attestations/"
	keysPath         = "npm/v1/keys"
)

// serveAttestations passes on what the outside registry attests of
// {package}@{version}. Only a version that came from there and is visible here
// has any: a version published here would borrow somebody else's.
func serveAttestations(w http.ResponseWriter, r *format.Request, spec string) error {
	r.Operation = "attestations"
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	spec, err := format.Unescape(spec)
	if err != nil {
		return err
	}
	i := strings.LastIndexByte(spec, '@')
	if i <= 0 {
		return errNoAddress
	}
	c, rest, err := cutName(spec[:i])
	if err != nil {
		return err
	}
	if rest != "" {
		return errNoAddress
	}
	l, err := r.Repo.Listing(r.Context(), c)
	if err != nil {
		return err
	}
	v := find(l, spec[i+1:])
	if v == nil || v.Origin.Type != artifact.External || !attested(v.Manifest) {
		return errNoAddress
	}
	return passOn(w, r, c, "-/"+attestationsPath+escapedName(c)+"@"+v.Number)
}

// repeated tells whether a request is one of npm up to 10 for attestations, and
// for which: it puts the whole path of the address that the manifest names
// behind the registry's, so that the repository's path stands there twice.
func repeated(r *format.Request) (spec string, ok bool) {
	before, spec, ok := strings.Cut(r.Path, "/-/"+attestationsPath)
	return spec, ok && strings.HasSuffix(r.Base, "/"+before+"/")
}

// attested tells whether a manifest names attestations.
func attested(manifest []byte) bool {
	f, ok := inspect(manifest)
	if !ok {
		return false
	}
	dist := f.dist.of(manifest)
	c, _ := walk(dist)
	for m, more := c.next(); more; m, more = c.next() {
		if string(m.name) == "attestations" {
			return dist[m.value.from] == '{'
		}
	}
	return false
}

// serveKeys passes on the public keys that dist.signatures are made with.
func serveKeys(w http.ResponseWriter, r *format.Request) error {
	r.Operation = "keys"
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	return passOn(w, r, artifact.Coordinates{Format: artifact.NPM}, "-/"+keysPath)
}

func passOn(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, path string) error {
	body, err := r.Repo.Outside(r.Context(), c, path, jsonType)
	if err != nil {
		return err
	}
	if !jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true)) {
		return fault.New(fault.Upstream, "the remote's answer is not JSON")
	}
	return format.Respond(w, http.StatusOK, jsonType, body)
}
