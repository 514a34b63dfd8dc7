package registry

import (
	"context"
	"io"
	"net/http"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// maxOutside bounds a document that is passed through.
const maxOutside = 8 << 20

// Outside passes on a document of an external connection about a package:
// attestations, say. path is below the connection's root. Coordinates without
// a name mean the connection itself, as for the keys it signs with. A name that
// must not be looked up outside (origin controls, or published inside) is
// NotFound here too, so nothing about it leaves the house.
func (r *Repo) Outside(ctx context.Context, c artifact.Coordinates, path, accept string) ([]byte, error) {
	if err := r.MayRead(ctx); err != nil {
		return nil, err
	}
	s := r.service
	nodes := r.node.reach(s.opt.MaxSearched)
	if c.Name != "" {
		v, err := s.look(ctx, r.node, c)
		if err != nil {
			return nil, err
		}
		nodes = nil
		for _, n := range v.nodes {
			if v.mayAsk(n) {
				nodes = append(nodes, n)
			}
		}
	}
	failed := fault.New(fault.NotFound, "no external connection in reach has %s", path)
	for _, n := range nodes {
		src := n.source(c.Format)
		if src == nil {
			continue
		}
		body, err := getAll(ctx, src.Get, strings.TrimSuffix(src.Connection.URL, "/")+"/"+path, accept)
		if err == nil {
			return body, nil
		}
		if !fault.Is(err, fault.NotFound) {
			failed = fault.Wrap(fault.Upstream, err, "%s did not send %s; try again later", src.Connection.Name, path)
		}
	}
	return nil, failed
}

func getAll(ctx context.Context, get func(context.Context, string, http.Header) (*http.Response, error), url, accept string) ([]byte, error) {
	res, err := get(ctx, url, http.Header{"Accept": {accept}})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxOutside+1))
	if err == nil && len(body) > maxOutside {
		err = fault.New(fault.Upstream, "the document is larger than %d bytes", maxOutside)
	}
	return body, err
}
