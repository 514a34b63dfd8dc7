package maven_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/maven"
	"packhouse/internal/upstream/upstreamtest"
)

func TestFormat(t *testing.T) {
	formattest.Run(t, formattest.Driver{
		Format:      maven.New(),
		Names:       [2]string{"com.example:lib", "org.elsewhere.Some_Group:left.pad"},
		Numbers:     [3]string{"1.1", "1.2-beta-2", "1.2.1"},
		Coordinates: coordinates,
		Outside: func(t *testing.T, versions ...formattest.Version) *upstreamtest.Registry {
			t.Helper()
			var a txtar.Archive
			for _, v := range versions {
				c := coordinates(v.Name)
				a.Files = append(a.Files,
					txtar.File{Name: path(v.Name, v.Number, ".pom"), Data: pomOf(c, v.Number)},
					txtar.File{Name: path(v.Name, v.Number, ".jar"), Data: []byte("jar of " + v.Name + " " + v.Number + " from outside")})
			}
			return upstreamtest.Maven(t, &a)
		},
		OutsideList: func(name string) string { return "GET /" + folder(name) + "maven-metadata.xml" },
		OutsideFile: func(name string) string { return "GET /" + folder(name) + "*.jar" },
		OutsideBytes: func(r *upstreamtest.Registry, v formattest.Version) []byte {
			return r.Bytes(path(v.Name, v.Number, ".jar"))
		},
		Publish: func(v formattest.Version) []formattest.Call {
			return deployment(v.Name, v.Number, map[string][]byte{".pom": pomOf(coordinates(v.Name), v.Number), ".jar": jarOf(v)})
		},
		Bytes: jarOf,
		Republish: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{upload(path(v.Name, v.Number, ".jar"), []byte("another jar"))}
		},
		More: func(v formattest.Version) []formattest.Call {
			return []formattest.Call{upload(path(v.Name, v.Number, "-sources.jar"), []byte("sources"))}
		},
		MoreFile: func(v formattest.Version) formattest.Call {
			return formattest.Call{Path: path(v.Name, v.Number, "-sources.jar")}
		},
		List: func(name string) formattest.Call {
			return formattest.Call{Path: folder(name) + "maven-metadata.xml"}
		},
		Listed: func(body []byte) ([]string, error) {
			m, err := parse(body)
			return m.Versions, err
		},
		File: func(v formattest.Version) formattest.Call {
			return formattest.Call{Path: path(v.Name, v.Number, ".jar")}
		},
		Bad: []formattest.Call{
			{Path: ""},
			{Path: "maven-metadata.xml"},
			{Path: "a"},
			{Path: "a/b"},
			{Path: "a/b/c"},
			{Path: "com/example/lib/1.0/"},
			{Path: "com//example/lib/1.0/lib-1.0.jar"},
			{Path: "com/example/../lib/1.0/lib-1.0.jar"},
			{Path: "com/example/%2e%2e/1.0/lib-1.0.jar"},
			{Path: "com%2fexample/lib/1.0/lib-1.0.jar"},
			{Path: "com.example/lib/1.0/lib-1.0.jar"},
			{Path: "com.example/lib/maven-metadata.xml"},
			{Path: "com/example/lib/1%000/lib-1.0.jar"},
			{Path: "com/example/lib/1.0/lib%5c..%5c1.0.jar"},
			{Path: "com/example/lib/1.0/..%2flib-1.0.jar"},
			{Path: "com/example/lib/1.0/lib-1.0.jar.sha1.md5"},
			{Path: "com/example/lib/1%3a0/lib-1.0.jar"},
			{Path: "com/example/li%20b/1.0/lib-1.0.jar"},
			{Path: "com/example/caf%C3%A9/1.0/x.jar"},
			{Path: "com/example/maven-metadata.xml/1.0/x.jar"},
			{Path: "com/example/lib/1.0/x%2ajar"},
			{Path: "com/example/lib/1.0/" + strings.Repeat("a", 256)},
			{Path: "com/example/lib/1.0/lib-1.0.jar", Method: http.MethodPost},
			{Path: "com/example/lib/1.0/lib-1.0.jar", Method: http.MethodDelete},
			{Path: "%ff/b/c/d"},
			{Path: "com/example/lib/1.0/..%2flib-1.0.jar", Method: http.MethodPut, Body: []byte("x")},
			{Path: "com/example/lib/1%2a0/lib-1.0.jar", Method: http.MethodPut, Body: []byte("x")},
		},
	})
}

// coordinates reads groupId:artifactId, or an artifactId of com.example.
func coordinates(name string) artifact.Coordinates {
	group, id, ok := strings.Cut(name, ":")
	if !ok {
		group, id = "com.example", name
	}
	return artifact.Coordinates{Format: artifact.Maven, Namespace: group, Name: id}
}

func folder(name string) string {
	c := coordinates(name)
	return strings.ReplaceAll(c.Namespace, ".", "/") + "/" + c.Name + "/"
}

// path is that of a version's file, by what follows the version in its name.
func path(name, version, rest string) string {
	return folder(name) + version + "/" + coordinates(name).Name + "-" + version + rest
}

func upload(path string, body []byte) formattest.Call {
	return formattest.Call{Method: http.MethodPut, Path: path, Body: body}
}

// withSums is a file and its checksums, as a client puts them.
func withSums(path string, body []byte) []formattest.Call {
	sums := digest.Of(body)
	return []formattest.Call{
		upload(path, body),
		upload(path+".md5", []byte(sums.Hex(digest.MD5))),
		upload(path+".sha1", []byte(sums.Hex(digest.SHA1))),
	}
}

// deployment is what mvn deploy sends of a release.
func deployment(name, version string, files map[string][]byte) (calls []formattest.Call) {
	for _, rest := range []string{".jar", ".pom", "-sources.jar"} {
		if body, ok := files[rest]; ok {
			calls = append(calls, withSums(path(name, version, rest), body)...)
		}
	}
	return append(calls, withSums(folder(name)+"maven-metadata.xml", metadataOf(name, version))...)
}

func metadataOf(name string, versions ...string) []byte {
	c := coordinates(name)
	var list strings.Builder
	for _, v := range versions {
		list.WriteString("<version>" + v + "</version>")
	}
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<metadata><groupId>%s</groupId><artifactId>%s</artifactId>
<versioning><release>%s</release><versions>%s</versions><lastUpdated>20240131235959</lastUpdated></versioning></metadata>`,
		c.Namespace, c.Name, versions[len(versions)-1], list.String())
}

func pomOf(c artifact.Coordinates, version string, more ...string) []byte {
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="urn:pom"><modelVersion>4.0.0</modelVersion>
<groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>%s</project>`, c.Namespace, c.Name, version, strings.Join(more, ""))
}

func jarOf(v formattest.Version) []byte { return []byte("jar of " + v.Name + " " + v.Number) }

// zipOf is an archive of files, given as name and content.
func zipOf(files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, _ := z.Create(files[i])
		_, _ = w.Write([]byte(files[i+1]))
	}
	_ = z.Close()
	return b.Bytes()
}

// read is a metadata as a client reads it.
type read struct {
	GroupID    string   `xml:"groupId"`
	ArtifactID string   `xml:"artifactId"`
	Version    string   `xml:"version"`
	Latest     string   `xml:"versioning>latest"`
	Release    string   `xml:"versioning>release"`
	Updated    string   `xml:"versioning>lastUpdated"`
	Versions   []string `xml:"versioning>versions>version"`
	Timestamp  string   `xml:"versioning>snapshot>timestamp"`
	Number     int      `xml:"versioning>snapshot>buildNumber"`
	Files      []struct {
		Classifier string `xml:"classifier"`
		Extension  string `xml:"extension"`
		Value      string `xml:"value"`
		Updated    string `xml:"updated"`
	} `xml:"versioning>snapshotVersions>snapshotVersion"`
	Plugins []struct {
		Prefix     string `xml:"prefix"`
		ArtifactID string `xml:"artifactId"`
	} `xml:"plugins>plugin"`
}

func parse(body []byte) (m read, err error) {
	err = xml.Unmarshal(body, &m)
	return m, err
}

func sumOf(body []byte, a digest.Algorithm) string { return digest.Of(body).Hex(a) }
