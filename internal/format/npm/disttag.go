package npm

import (
	"bufio"
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// maxTagBody bounds the body of a dist-tag request, in bytes.
const maxTagBody = 64 << 10

// maxTags bounds the tags set by one request.
const maxTags = 100

var errManyTags = fault.Field("tag", "a request sets at most %d tags", maxTags)

// serveTags answers -/package/{package}/dist-tags and .../dist-tags/{tag}.
func serveTags(w http.ResponseWriter, r *format.Request, p string) error {
	c, rest, err := cutName(p)
	if err != nil {
		return err
	}
	tag, one := strings.CutPrefix(rest, "dist-tags/")
	if !one && rest != "dist-tags" {
		return errNoAddress
	}
	r.Operation = "dist-tags"
	if !one {
		return serveAllTags(w, r, c)
	}
	if tag, err = format.Segment(tag); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodPut, http.MethodPost:
		version := ""
		if err := readJSON(r, &version); err != nil {
			return err
		}
		if err := setTag(r, c, tag, version); err != nil {
			return err
		}
	case http.MethodDelete:
		if err := deleteTag(r, c, tag); err != nil {
			return err
		}
	default:
		return format.NotAllowed(r.Method, "PUT, POST, DELETE")
	}
	return format.Respond(w, http.StatusOK, jsonType, []byte(`{"ok":true}`))
}

// serveAllTags shows the tags, adds to them (POST) or replaces them (PUT).
func serveAllTags(w http.ResponseWriter, r *format.Request, c artifact.Coordinates) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPut, http.MethodPost:
		var tags map[string]string
		if err := readJSON(r, &tags); err != nil {
			return err
		}
		if len(tags) > maxTags {
			return errManyTags
		}
		for _, tag := range slices.Sorted(maps.Keys(tags)) {
			if err := setTag(r, c, tag, tags[tag]); err != nil {
				return err
			}
		}
		if r.Method == http.MethodPut {
			if err := keepTags(r, c, tags); err != nil {
				return err
			}
		}
	default:
		return format.NotAllowed(r.Method, "GET, HEAD, PUT, POST")
	}
	l, err := r.Repo.Listing(r.Context(), c)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	out := printer{Writer: bufio.NewWriter(&body)}
	out.tags(distTags(l))
	if err := out.Flush(); err != nil {
		return err
	}
	return format.Respond(w, http.StatusOK, jsonType, body.Bytes())
}

// keepTags removes the tags that are not in tags; latest always stays.
func keepTags(r *format.Request, c artifact.Coordinates, tags map[string]string) error {
	l, err := r.Repo.Listing(r.Context(), c)
	if err != nil {
		return err
	}
	for _, tag := range slices.Sorted(maps.Keys(l.Tags)) {
		if _, ok := tags[tag]; ok || tag == "latest" {
			continue
		}
		if err := r.Repo.DeleteTag(r.Context(), c, tag); err != nil {
			return err
		}
	}
	return nil
}

func setTag(r *format.Request, c artifact.Coordinates, tag, version string) error {
	if err := checkTag(tag); err != nil {
		return err
	}
	if !versionSafe(version) {
		return fault.Field("version", "not a version: %q", clip(version))
	}
	return r.Repo.SetTag(r.Context(), c, tag, version)
}

func deleteTag(r *format.Request, c artifact.Coordinates, tag string) error {
	if tag == "latest" {
		return fault.Field("tag", "latest cannot be removed; point it at another version")
	}
	return r.Repo.DeleteTag(r.Context(), c, tag)
}

// readJSON reads a small JSON body into out.
func readJSON(r *format.Request, out any) error {
	body, err := format.Body(r.Request)
	if err != nil {
		return err
	}
	b, err := format.ReadBody(body, maxTagBody)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fault.Wrap(fault.Invalid, err, "the body is not the JSON that belongs here")
	}
	return nil
}
