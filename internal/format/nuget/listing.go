package nuget

import (
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// escapedID is an ID as one segment of an address.
func escapedID(c artifact.Coordinates) string { return url.PathEscape(c.Name) }

// claimed are the members of a remote's catalogEntry that are looked at before
// anybody asks for the version.
type claimed struct {
	ID            text  `json:"id"`
	Version       text  `json:"version"`
	Listed        *flag `json:"listed"`
	Published     text  `json:"published"`
	Hash          text  `json:"packageHash"`
	HashAlgorithm text  `json:"packageHashAlgorithm"`
}

// Parse implements upstream.Remote. A document about another package, or that
// says a version twice, is an error; an entry that says no version, or no
// address to fetch it from, is left out: it could not be installed from here.
func (r *remote) Parse(c artifact.Coordinates, doc []byte) (*upstream.Listing, error) {
	var all struct {
		Content text `json:"content"`
		Items   []struct {
			Items list[struct {
				CatalogEntry   jsontext.Value `json:"catalogEntry"`
				PackageContent text           `json:"packageContent"`
			}] `json:"items"`
		} `json:"items"`
	}
	if err := json.Unmarshal(doc, &all, lenient()); err != nil {
		return nil, unreadable(err, c)
	}
	l := &upstream.Listing{}
	seen := map[string]bool{}
	for _, p := range all.Items {
		for _, item := range p.Items {
			var e claimed
			if item.CatalogEntry.Kind() != '{' || json.Unmarshal(item.CatalogEntry, &e, lenient()) != nil {
				continue
			}
			if e.ID != "" && !strings.EqualFold(string(e.ID), c.Name) {
				return nil, fault.New(fault.Upstream, "the remote answered for %s with an entry about another package", c.Name)
			}
			v, ok := e.listed(c, string(all.Content), string(item.PackageContent))
			if !ok {
				continue
			}
			if seen[v.Number] {
				return nil, fault.New(fault.Upstream, "the remote's registration of %s says version %s twice", c.Name, v.Number)
			}
			seen[v.Number] = true
			v.Manifest = item.CatalogEntry
			l.Versions = append(l.Versions, v)
			if v.Published.After(l.Modified) {
				l.Modified = v.Published
			}
		}
	}
	return l, nil
}

func (e *claimed) listed(c artifact.Coordinates, content, address string) (v upstream.ListedVersion, ok bool) {
	number, ok := normalize(string(e.Version))
	if !ok {
		return v, false
	}
	v.Number = number
	v.Published, v.Unlisted = parseTime(string(e.Published))
	if e.Listed != nil {
		v.Unlisted = !bool(*e.Listed)
	}
	name := packageFile(c, number)
	if !absolute(address) {
		if content == "" {
			return v, false
		}
		address = content + escapedID(c) + "/" + number + "/" + url.PathEscape(name)
	}
	a := upstream.ListedAsset{Name: name, URL: address}
	if strings.EqualFold(string(e.HashAlgorithm), "SHA512") && e.Hash != "" {
		a.Integrity = "sha512-" + string(e.Hash)
	}
	v.Assets = []upstream.ListedAsset{a}
	return v, true
}

// Locate implements upstream.Remote.
func (r *remote) Locate(c artifact.Coordinates, version, asset string, l *upstream.Listing) (upstream.ListedAsset, error) {
	if l != nil {
		for i := range l.Versions {
			if v := &l.Versions[i]; v.Number == version && len(v.Assets) == 1 && v.Assets[0].Name == asset {
				return v.Assets[0], nil
			}
		}
	}
	return upstream.ListedAsset{}, fault.About(fault.NotFound, "asset", asset, "version %s of %s has no file %s at the remote", version, c.Name, asset)
}
