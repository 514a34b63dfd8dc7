package upstreamtest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// Maven starts a public Maven repository that ends with the test.
//
// Files of the archive lie as in a repository:
//
//	GROUP/AS/FOLDERS/ARTIFACT/VERSION/FILE
//
// Of each, .md5 and .sha1 are made, and of an artifact its maven-metadata.xml
// with the versions in the order of the archive, unless they are in the archive
// themselves; so is the metadata of groups. What a local repository of a client
// has beside (.*, _remote.repositories, *.lastUpdated, maven-metadata-*.xml) is
// passed over, so that one can be served. Files were changed a day apart from
// 2020-01-01.
func Maven(t testing.TB, a *txtar.Archive) *Registry {
	t.Helper()
	return running(t, "maven", a)
}

type mavenFormat struct {
	mu       sync.Mutex
	files    map[string][]byte // by path below the root
	changed  map[string]time.Time
	versions map[string][]string // by folder of the artifact, as published
}

func newMaven() *mavenFormat {
	return &mavenFormat{files: map[string][]byte{}, changed: map[string]time.Time{}, versions: map[string][]string{}}
}

func (f *mavenFormat) add(a *txtar.Archive) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range a.Files {
		base := path.Base(file.Name)
		if strings.HasPrefix(file.Name, ".") || base == "_remote.repositories" || base == "resolver-status.properties" || strings.HasSuffix(base, ".lastUpdated") ||
			strings.HasPrefix(base, "maven-metadata-") {
			continue
		}
		if strings.Count(file.Name, "/") < 1 {
			return fmt.Errorf("%s: want GROUP/ARTIFACT/VERSION/FILE or the metadata of a group", file.Name)
		}
		f.files[file.Name] = file.Data
		f.changed[file.Name] = time.Date(2020, 1, 1+len(f.changed), 0, 0, 0, 0, time.UTC)
		if base == "maven-metadata.xml" || strings.Count(file.Name, "/") < 3 {
			continue
		}
		folder, version := path.Split(path.Dir(file.Name))
		if folder = strings.TrimSuffix(folder, "/"); !slices.Contains(f.versions[folder], version) {
			f.versions[folder] = append(f.versions[folder], version)
		}
	}
	return nil
}

// ServeHTTP answers GET and HEAD.
func (f *mavenFormat) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := strings.TrimPrefix(q.URL.Path, "/")
	body, changed, ok := f.find(name)
	if !ok {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	sum := sha256.Sum256(body)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, q, "", changed, strings.NewReader(string(body)))
}

// find gives a file, or makes one.
func (f *mavenFormat) find(name string) (body []byte, changed time.Time, ok bool) {
	if body, ok = f.files[name]; ok {
		return body, f.changed[name], true
	}
	if folder, isMetadata := strings.CutSuffix(name, "/maven-metadata.xml"); isMetadata && len(f.versions[folder]) > 0 {
		body, changed = f.metadata(folder)
		return body, changed, true
	}
	// The stronger ones are only where the archive has them, as at most repositories.
	for suffix, sum := range map[string]func() hash.Hash{".md5": md5.New, ".sha1": sha1.New} {
		base, isSum := strings.CutSuffix(name, suffix)
		if !isSum {
			continue
		}
		if body, changed, ok = f.find(base); ok {
			h := sum()
			h.Write(body)
			return []byte(hex.EncodeToString(h.Sum(nil))), changed, true
		}
	}
	return nil, time.Time{}, false
}

func (f *mavenFormat) metadata(folder string) ([]byte, time.Time) {
	var b strings.Builder
	versions := f.versions[folder]
	group, artifact := path.Split(folder)
	fmt.Fprintf(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata>\n  <groupId>%s</groupId>\n  <artifactId>%s</artifactId>\n  <versioning>\n",
		strings.ReplaceAll(strings.TrimSuffix(group, "/"), "/", "."), artifact)
	last := versions[len(versions)-1]
	fmt.Fprintf(&b, "    <latest>%s</latest>\n    <release>%s</release>\n    <versions>\n", last, last)
	var changed time.Time
	for _, v := range versions {
		fmt.Fprintf(&b, "      <version>%s</version>\n", v)
	}
	for name, at := range f.changed {
		if strings.HasPrefix(name, folder+"/") && at.After(changed) {
			changed = at
		}
	}
	fmt.Fprintf(&b, "    </versions>\n    <lastUpdated>%s</lastUpdated>\n  </versioning>\n</metadata>\n", changed.Format("20060102150405"))
	return []byte(b.String()), changed
}
