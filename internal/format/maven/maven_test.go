package maven_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/maven"
	"packhouse/internal/registry"
	"packhouse/internal/upstream/upstreamtest"
)

const lib = "com.example:lib"

var algorithms = []digest.Algorithm{digest.MD5, digest.SHA1, digest.SHA256, digest.SHA512}

// house has the repositories repo and, above it, app.
func house(t testing.TB) *formattest.House {
	t.Helper()
	h := formattest.NewHouse(t, maven.New(), formattest.Options{})
	h.Repository("repo")
	h.Repository("app", "repo")
	return h
}

func do(t *testing.T, h *formattest.House, status int, text string, calls ...formattest.Call) {
	t.Helper()
	for _, c := range calls {
		if a := h.Do(formattest.Admin, "repo", c); a.Status != status || !strings.Contains(string(a.Body), text) {
			t.Errorf("%s %s: %d %s, want %d with %q", c.Method, c.Path, a.Status, a.Body, status, text)
		}
	}
}

func put(t *testing.T, h *formattest.House, status int, text, path, body string) {
	t.Helper()
	do(t, h, status, text, upload(path, []byte(body)))
}

func get(t *testing.T, h *formattest.House, repo, path string, status int, body string) {
	t.Helper()
	a := h.Get(repo, path)
	if a.Status != status || status == http.StatusOK && string(a.Body) != body {
		t.Errorf("get %s from %s: %d %s, want %d %s", path, repo, a.Status, a.Body, status, body)
	}
}

func metadata(t *testing.T, h *formattest.House, repo, path string) read {
	t.Helper()
	a := h.Get(repo, path)
	m, err := parse(a.Body)
	if a.Status != http.StatusOK || err != nil {
		t.Fatalf("get %s from %s: %d %s, %v", path, repo, a.Status, a.Body, err)
	}
	if got := a.Header.Get("X-Checksum-Sha1") + a.Header.Get("X-Checksum-Md5"); got != sumOf(a.Body, digest.SHA1)+sumOf(a.Body, digest.MD5) {
		t.Errorf("the headers of %s say %q", path, got)
	}
	for _, sum := range algorithms {
		if c := h.Get(repo, path+"."+sum.String()); string(c.Body) != sumOf(a.Body, sum) {
			t.Errorf("the %s of %s is %q, want %q", sum, path, c.Body, sumOf(a.Body, sum))
		}
	}
	return m
}

// held gives the versions of a package that repo holds, as "number status
// asset,asset".
func held(t *testing.T, h *formattest.House, name string) (out []string) {
	t.Helper()
	repo, err := h.Open(t.Context(), formattest.Admin, "repo")
	if err != nil {
		t.Fatal(err)
	}
	all, err := repo.Held(t.Context(), coordinates(name))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		var names []string
		for _, a := range v.Assets {
			names = append(names, a.Name)
		}
		out = append(out, fmt.Sprintf("%s %s %s", v.Number, v.Status, strings.Join(names, ",")))
	}
	slices.Sort(out)
	return out
}

func wantHeld(t *testing.T, h *formattest.House, name string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, held(t, h, name)); diff != "" {
		t.Errorf("held of %s (-want +got):\n%s", name, diff)
	}
}

func TestPut_UnfinishedUntilItsMetadata(t *testing.T) {
	h := house(t)
	jar, pom := path(lib, "1.0", ".jar"), path(lib, "1.0", ".pom")
	do(t, h, http.StatusCreated, "", withSums(jar, []byte("the jar"))...)
	do(t, h, http.StatusCreated, "", withSums(pom, pomOf(coordinates(lib), "1.0"))...)
	get(t, h, "repo", jar, http.StatusNotFound, "")
	get(t, h, "repo", folder(lib)+"maven-metadata.xml", http.StatusNotFound, "")
	wantHeld(t, h, lib, "1.0 Unfinished lib-1.0.jar,lib-1.0.pom")

	do(t, h, http.StatusCreated, "", withSums(folder(lib)+"maven-metadata.xml", metadataOf(lib, "0.9", "1.0"))...)
	wantHeld(t, h, lib, "1.0 Published lib-1.0.jar,lib-1.0.pom,maven-metadata.xml")
	get(t, h, "app", jar, http.StatusOK, "the jar")
	for _, sum := range algorithms {
		get(t, h, "app", jar+"."+sum.String(), http.StatusOK, sumOf([]byte("the jar"), sum))
	}
	got := metadata(t, h, "app", folder(lib)+"maven-metadata.xml")
	want := read{GroupID: "com.example", ArtifactID: "lib", Latest: "1.0", Release: "1.0", Versions: []string{"1.0"}, Updated: got.Updated}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if a := h.Do(formattest.Admin, "app", formattest.Call{Method: http.MethodHead, Path: jar}); a.Header.Get("X-Checksum-Sha1") != sumOf([]byte("the jar"), digest.SHA1) {
		t.Errorf("header of the file: %v", a.Header)
	}
}

func TestPut_SameAgainAndOther(t *testing.T) {
	h := house(t)
	do(t, h, http.StatusCreated, "", deployment(lib, "1.0", map[string][]byte{".jar": []byte("the jar"), ".pom": pomOf(coordinates(lib), "1.0")})...)
	before := held(t, h, lib)
	do(t, h, http.StatusCreated, "", deployment(lib, "1.0", map[string][]byte{".jar": []byte("the jar"), ".pom": pomOf(coordinates(lib), "1.0")})...)
	wantHeld(t, h, lib, before...)
	put(t, h, http.StatusConflict, "other content", path(lib, "1.0", ".jar"), "another jar")
	put(t, h, http.StatusCreated, "", path(lib, "1.0", ".jar.asc"), "signature")
	put(t, h, http.StatusCreated, "", path(lib, "1.0", ".module"), "{}")
	put(t, h, http.StatusCreated, "", path(lib, "1.0", "-linux-x86_64.tar.gz"), "classified")
	get(t, h, "app", path(lib, "1.0", ".jar.asc"), http.StatusOK, "signature")
	get(t, h, "app", path(lib, "1.0", ".jar.asc.sha1"), http.StatusOK, sumOf([]byte("signature"), digest.SHA1))
	get(t, h, "app", path(lib, "1.0", "-linux-x86_64.tar.gz"), http.StatusOK, "classified")
	// A wrong checksum of a Published file is refused, and the file stays.
	put(t, h, http.StatusBadRequest, "is "+sumOf([]byte("{}"), digest.SHA1), path(lib, "1.0", ".module.sha1"), strings.Repeat("a", 40))
	get(t, h, "app", path(lib, "1.0", ".module"), http.StatusOK, "{}")
	get(t, h, "app", path(lib, "1.0", ".module.sha1"), http.StatusOK, sumOf([]byte("{}"), digest.SHA1))
}

func TestPutChecksum_AWrongOneKeepsItsVersionUnfinished(t *testing.T) {
	h := house(t)
	jar, meta := path(lib, "1.0", ".jar"), folder(lib)+"maven-metadata.xml"
	put(t, h, http.StatusNotFound, "upload it before", jar+".sha1", strings.Repeat("0", 40))
	put(t, h, http.StatusCreated, "", jar, "the jar")
	put(t, h, http.StatusNotFound, "upload it before", path(lib, "1.0", ".pom.sha1"), strings.Repeat("0", 40))
	put(t, h, http.StatusBadRequest, "not "+strings.Repeat("a", 40), jar+".sha1", strings.Repeat("a", 40))
	do(t, h, http.StatusBadRequest, "lib-1.0.jar", upload(meta, metadataOf(lib, "1.0")))
	wantHeld(t, h, lib, "1.0 Unfinished lib-1.0.jar")
	put(t, h, http.StatusCreated, "", jar+".md5", sumOf([]byte("the jar"), digest.MD5)) // which says nothing of the other
	do(t, h, http.StatusBadRequest, "lib-1.0.jar", upload(meta, metadataOf(lib, "1.0")))
	put(t, h, http.StatusCreated, "", jar+".sha1", strings.ToUpper(sumOf([]byte("the jar"), digest.SHA1))+"  lib-1.0.jar\n")
	do(t, h, http.StatusCreated, "", upload(meta, metadataOf(lib, "1.0")))
	wantHeld(t, h, lib, "1.0 Published lib-1.0.jar,maven-metadata.xml")
	for _, body := range []string{"", "no checksum", strings.Repeat("a", 39), "<html>" + strings.Repeat("g", 40), strings.Repeat(" ", 9000)} {
		a := h.Do(formattest.Admin, "repo", upload(jar+".sha1", []byte(body)))
		if a.Status != http.StatusBadRequest && a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("checksum %.50q: %d %s", body, a.Status, a.Body)
		}
	}
}

func TestPutMetadata_Refused(t *testing.T) {
	h := house(t)
	put(t, h, http.StatusCreated, "", path(lib, "1.0", ".jar"), "the jar")
	meta := folder(lib) + "maven-metadata.xml"
	for body, text := range map[string]string{
		"": "is not a maven-metadata.xml", "<html><body>": "its root is", "{}": "is not a", "<metadata><versioning><versions><version>1.0": "is not a",
		"<metadata><groupId>com.example</groupId><artifactId>other</artifactId><versioning/></metadata>":      "is about com.example:other",
		"<!DOCTYPE x [<!ENTITY a \"1.0\">]><metadata><versioning><versions><version>&a;</version></versions>": "is not a",
	} {
		put(t, h, http.StatusBadRequest, text, meta, body)
	}
	put(t, h, http.StatusCreated, "", meta, "<!DOCTYPE x [<!ENTITY a \"1.0\">]><metadata><versioning><versions><version>&a;</version></versions></versioning></metadata>")
	wantHeld(t, h, lib, "1.0 Unfinished lib-1.0.jar")
	put(t, h, http.StatusRequestEntityTooLarge, "larger", meta, strings.Repeat(" ", 5<<20))
	h.User("publisher", "codeartifact:PublishPackageVersion", "codeartifact:ReadFromRepository")
	if a := h.Do("publisher", "repo", upload(meta, metadataOf(lib, "1.0"))); a.Status != http.StatusForbidden {
		t.Errorf("without PutPackageMetadata: %d %s", a.Status, a.Body)
	}
	put(t, h, http.StatusBadRequest, "is not a POM", path(lib, "1.0", ".pom"), "<html></html>")
	put(t, h, http.StatusBadRequest, "web page", path(lib, "1.0", "-x.jar"), "\n<!DOCTYPE HTML><html>")
	put(t, h, http.StatusBadRequest, "below the folder of its snapshot", "com/example/lib/1.0-20240101.120000-1/lib-1.0-20240101.120000-1.jar", "x")
	wantHeld(t, h, lib, "1.0 Unfinished lib-1.0.jar")
}

// TestPut_Finish is for clients that never send metadata.
func TestPut_Finish(t *testing.T) {
	h := house(t)
	put(t, h, http.StatusCreated, "", "+finish/"+path(lib, "1.0", "-sources.jar"), "sources")
	put(t, h, http.StatusCreated, "", "+finish/"+path(lib, "1.0", ".pom"), string(pomOf(coordinates(lib), "1.0")))
	wantHeld(t, h, lib, "1.0 Unfinished lib-1.0-sources.jar,lib-1.0.pom")
	put(t, h, http.StatusCreated, "", "+finish/"+path(lib, "1.0", ".jar"), "the jar")
	wantHeld(t, h, lib, "1.0 Published lib-1.0-sources.jar,lib-1.0.jar,lib-1.0.pom")
	put(t, h, http.StatusCreated, "", "+finish/"+path("parent", "1.0", ".pom"), string(pomOf(coordinates("parent"), "1.0", "<packaging>pom</packaging>")))
	wantHeld(t, h, "parent", "1.0 Published parent-1.0.pom")
	get(t, h, "repo", "+finish/"+path(lib, "1.0", ".jar"), http.StatusOK, "the jar")
	for _, escaped := range []string{"%2Bfinish/", "%2bfinis%68/"} { // as Ivy sends it, and as anybody might
		get(t, h, "repo", escaped+path(lib, "1.0", ".jar"), http.StatusOK, "the jar")
	}
	put(t, h, http.StatusCreated, "", "%2Bfinish/"+path(lib, "2.0", ".jar"), "the jar")
	put(t, h, http.StatusCreated, "", "%2Bfinish/"+path(lib, "2.0", ".pom"), string(pomOf(coordinates(lib), "2.0")))
	get(t, h, "repo", path(lib, "2.0", ".jar"), http.StatusOK, "the jar")
	// A wrong checksum keeps it back, and the right one lets it go.
	put(t, h, http.StatusCreated, "", "+finish/"+path(lib, "3.0", ".pom"), string(pomOf(coordinates(lib), "3.0")))
	put(t, h, http.StatusBadRequest, "not "+strings.Repeat("a", 40), "+finish/"+path(lib, "3.0", ".pom.sha1"), strings.Repeat("a", 40))
	put(t, h, http.StatusCreated, "", "+finish/"+path(lib, "3.0", ".jar"), "the jar")
	get(t, h, "repo", path(lib, "3.0", ".jar"), http.StatusNotFound, "")
	put(t, h, http.StatusCreated, "", "+finish/"+path(lib, "3.0", ".pom.sha1"), sumOf(pomOf(coordinates(lib), "3.0"), digest.SHA1))
	get(t, h, "repo", path(lib, "3.0", ".jar"), http.StatusOK, "the jar")
	h.User("publisher", "codeartifact:PublishPackageVersion")
	if a := h.Do("publisher", "repo", upload("+finish/"+path(lib, "1.1", ".jar"), []byte("x"))); a.Status != http.StatusForbidden {
		t.Errorf("without PutPackageMetadata: %d %s", a.Status, a.Body)
	}
}

// snapshot is what mvn deploy sends of a build: files, then the metadata that
// names it.
func snapshot(stamp string, number int, rests ...string) (calls []formattest.Call) {
	build := fmt.Sprintf("%s-%d", stamp, number)
	for _, rest := range rests {
		calls = append(calls, withSums("com/example/lib/1.0-SNAPSHOT/lib-1.0-"+build+rest, contentOf(build, rest))...)
	}
	calls = append(calls, withSums("com/example/lib/1.0-SNAPSHOT/maven-metadata.xml", snapshotMetadata(stamp, number))...)
	return append(calls, withSums("com/example/lib/maven-metadata.xml", metadataOf(lib, "1.0-SNAPSHOT"))...)
}

func contentOf(build, rest string) []byte {
	if rest == ".pom" {
		return pomOf(coordinates(lib), "1.0-SNAPSHOT", "<!-- "+build+" -->")
	}
	return []byte("build " + build + " " + rest)
}

func snapshotMetadata(stamp string, number int) []byte {
	return fmt.Appendf(nil, `<metadata modelVersion="1.1.0"><groupId>com.example</groupId><artifactId>lib</artifactId><version>1.0-SNAPSHOT</version>
<versioning><snapshot><timestamp>%s</timestamp><buildNumber>%d</buildNumber></snapshot><lastUpdated>20240101000000</lastUpdated></versioning></metadata>`, stamp, number)
}

const snapshots = "com/example/lib/1.0-SNAPSHOT/"

func TestSnapshot_NewestBuildIsTheContent(t *testing.T) {
	h := house(t)
	first, second := snapshot("20240101.120000", 1, ".pom", ".jar", "-sources.jar"), snapshot("20240102.120000", 2, ".pom", ".jar")
	do(t, h, http.StatusCreated, "", first[:9]...) // the files
	get(t, h, "app", snapshots+"lib-1.0-20240101.120000-1.jar", http.StatusNotFound, "")
	get(t, h, "app", snapshots+"maven-metadata.xml", http.StatusNotFound, "")
	wantHeld(t, h, lib, "1.0-20240101.120000-1 Unfinished lib-1.0-20240101.120000-1-sources.jar,lib-1.0-20240101.120000-1.jar,lib-1.0-20240101.120000-1.pom")
	do(t, h, http.StatusCreated, "", first[9:]...)
	get(t, h, "app", snapshots+"lib-1.0-20240101.120000-1.jar", http.StatusOK, "build 20240101.120000-1 .jar")
	do(t, h, http.StatusCreated, "", second...)
	wantHeld(t, h, lib,
		"1.0-20240101.120000-1 Unlisted lib-1.0-20240101.120000-1-sources.jar,lib-1.0-20240101.120000-1.jar,lib-1.0-20240101.120000-1.pom",
		"1.0-SNAPSHOT Published lib-1.0-20240102.120000-2.jar,lib-1.0-20240102.120000-2.pom")
	for _, repo := range []string{"app", "repo"} {
		get(t, h, repo, snapshots+"lib-1.0-20240102.120000-2.jar", http.StatusOK, "build 20240102.120000-2 .jar")
		get(t, h, repo, snapshots+"lib-1.0-20240101.120000-1.jar", http.StatusOK, "build 20240101.120000-1 .jar")
		get(t, h, repo, snapshots+"lib-1.0-SNAPSHOT.jar", http.StatusOK, "build 20240102.120000-2 .jar")
		get(t, h, repo, snapshots+"lib-1.0-SNAPSHOT.jar.sha1", http.StatusOK, sumOf([]byte("build 20240102.120000-2 .jar"), digest.SHA1))
		m := metadata(t, h, repo, snapshots+"maven-metadata.xml")
		if m.Timestamp != "20240102.120000" || m.Number != 2 || m.Updated != "20240102120000" || m.Version != "1.0-SNAPSHOT" {
			t.Errorf("metadata: %+v", m)
		}
		var files []string
		for _, f := range m.Files {
			files = append(files, f.Classifier+"."+f.Extension+" "+f.Value+" "+f.Updated)
		}
		slices.Sort(files)
		want := []string{".jar 1.0-20240102.120000-2 20240102120000", ".pom 1.0-20240102.120000-2 20240102120000", "sources.jar 1.0-20240101.120000-1 20240101120000"}
		if diff := cmp.Diff(want, files); diff != "" {
			t.Errorf("files in %s (-want +got):\n%s", repo, diff)
		}
		m = metadata(t, h, repo, "com/example/lib/maven-metadata.xml")
		if !slices.Equal(m.Versions, []string{"1.0-SNAPSHOT"}) || m.Latest != "1.0-SNAPSHOT" || m.Release != "" {
			t.Errorf("package: %+v", m)
		}
	}
	if a := h.Get("repo", snapshots+"lib-1.0-SNAPSHOT.jar"); strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("a snapshot is said to be %s", a.Header.Get("Cache-Control"))
	}
	// Nothing of it was retained above.
	app, err := h.Open(t.Context(), formattest.Admin, "app")
	if err != nil {
		t.Fatal(err)
	}
	if all, err := app.Held(t.Context(), coordinates(lib)); err != nil || len(all) > 0 {
		t.Errorf("retained: %v, %v", all, err)
	}
}

func TestSnapshot_LateFilesAndLateBuilds(t *testing.T) {
	h := house(t)
	older, newer := snapshot("20240101.120000", 7, ".jar"), snapshot("20240103.120000", 8, ".jar")
	do(t, h, http.StatusCreated, "", older[:3]...)
	do(t, h, http.StatusCreated, "", newer...)
	do(t, h, http.StatusCreated, "", older[3:]...) // its metadata comes after that of the newer one
	do(t, h, http.StatusCreated, "", newer...)     // and again
	do(t, h, http.StatusCreated, "", older...)
	do(t, h, http.StatusCreated, "", withSums(snapshots+"lib-1.0-20240103.120000-8.jar.asc", []byte("late"))...)
	do(t, h, http.StatusCreated, "", withSums(snapshots+"lib-1.0-20240101.120000-7.jar.asc", []byte("later"))...)
	wantHeld(t, h, lib,
		"1.0-20240101.120000-7 Unlisted lib-1.0-20240101.120000-7.jar,lib-1.0-20240101.120000-7.jar.asc",
		"1.0-SNAPSHOT Published lib-1.0-20240103.120000-8.jar,lib-1.0-20240103.120000-8.jar.asc")
	put(t, h, http.StatusConflict, "other content", snapshots+"lib-1.0-20240103.120000-8.jar", "changed")
	do(t, h, http.StatusBadRequest, "no file of build", upload(snapshots+"maven-metadata.xml", snapshotMetadata("20240105.120000", 9)))
	do(t, h, http.StatusBadRequest, "build that is none", upload(snapshots+"maven-metadata.xml", snapshotMetadata("yesterday", 9)))
	// A build with a wrong checksum does not become the content.
	broken := "lib-1.0-20240106.120000-10.jar"
	put(t, h, http.StatusCreated, "", snapshots+broken, "x")
	put(t, h, http.StatusBadRequest, "", snapshots+broken+".md5", strings.Repeat("0", 32))
	do(t, h, http.StatusBadRequest, broken, upload(snapshots+"maven-metadata.xml", snapshotMetadata("20240106.120000", 10)))
	get(t, h, "repo", snapshots+"lib-1.0-SNAPSHOT.jar", http.StatusOK, "build 20240103.120000-8 .jar")
}

// TestSnapshot_ThatWasTakenAwayStaysAway: a build in place of a snapshot that is
// Archived or Disposed would bring it back (section 8).
func TestSnapshot_ThatWasTakenAwayStaysAway(t *testing.T) {
	for _, status := range []artifact.Status{artifact.Archived, artifact.Disposed} {
		h := house(t)
		do(t, h, http.StatusCreated, "", snapshot("20240101.120000", 1, ".pom", ".jar")...)
		h.SetStatus("repo", coordinates(lib), "1.0-SNAPSHOT", status)
		next := snapshot("20240102.120000", 2, ".jar")
		do(t, h, http.StatusCreated, "", next[:3]...)
		do(t, h, http.StatusConflict, "is "+string(status)+"; delete it to publish it again", next[3])
		wantHeld(t, h, lib,
			"1.0-20240102.120000-2 Unfinished lib-1.0-20240102.120000-2.jar",
			"1.0-SNAPSHOT "+string(status)+" lib-1.0-20240101.120000-1.jar,lib-1.0-20240101.120000-1.pom")
		get(t, h, "app", snapshots+"lib-1.0-20240101.120000-1.jar", http.StatusNotFound, "")
	}
}

// TestSnapshot_OnLegalHoldKeepsItsContent: neither a build nor a file of the same
// name takes the place of what nobody may remove.
func TestSnapshot_OnLegalHoldKeepsItsContent(t *testing.T) {
	h := house(t)
	put(t, h, http.StatusCreated, "", snapshots+"lib-1.0-SNAPSHOT.jar", "one")
	do(t, h, http.StatusCreated, "", upload("com/example/lib/maven-metadata.xml", metadataOf(lib, "1.0-SNAPSHOT")))
	h.Hold("repo", coordinates(lib), "1.0-SNAPSHOT")
	put(t, h, http.StatusConflict, "on legal hold", snapshots+"lib-1.0-SNAPSHOT.jar", "two")
	next := snapshot("20240102.120000", 2, ".jar")
	do(t, h, http.StatusCreated, "", next[:3]...)
	do(t, h, http.StatusConflict, "on legal hold", next[3])
	get(t, h, "app", snapshots+"lib-1.0-SNAPSHOT.jar", http.StatusOK, "one")
}

// TestSnapshot_OverwrittenInPlace is how sbt and Ivy publish.
func TestSnapshot_OverwrittenInPlace(t *testing.T) {
	h := house(t)
	put(t, h, http.StatusCreated, "", snapshots+"lib-1.0-SNAPSHOT.jar", "one")
	put(t, h, http.StatusCreated, "", snapshots+"lib-1.0-SNAPSHOT.pom", string(pomOf(coordinates(lib), "1.0-SNAPSHOT")))
	do(t, h, http.StatusCreated, "", upload("com/example/lib/maven-metadata.xml", metadataOf(lib, "1.0-SNAPSHOT")))
	get(t, h, "app", snapshots+"lib-1.0-SNAPSHOT.jar", http.StatusOK, "one")
	put(t, h, http.StatusCreated, "", snapshots+"lib-1.0-SNAPSHOT.jar", "two")
	get(t, h, "app", snapshots+"lib-1.0-SNAPSHOT.jar", http.StatusOK, "two")
	m := metadata(t, h, "app", snapshots+"maven-metadata.xml")
	if m.Timestamp != "" || len(m.Files) != 2 || m.Files[0].Value != "1.0-SNAPSHOT" {
		t.Errorf("metadata: %+v", m)
	}
	// A build takes its place and loses nothing.
	do(t, h, http.StatusCreated, "", snapshot("20240101.120000", 1, ".jar")...)
	get(t, h, "app", snapshots+"lib-1.0-SNAPSHOT.jar", http.StatusOK, "build 20240101.120000-1 .jar")
	if got := held(t, h, lib); len(got) != 2 || !strings.Contains(got[0]+got[1], "Unlisted lib-1.0-SNAPSHOT.jar,lib-1.0-SNAPSHOT.pom") {
		t.Errorf("held: %v", got)
	}
}

// TestSnapshot_ManyDeploysAtOnce: whatever the order in which requests of many
// builds come, all files of all builds can be had, and the newest is current.
func TestSnapshot_ManyDeploysAtOnce(t *testing.T) {
	h := house(t)
	const builds = 24
	var wg sync.WaitGroup
	for i := range builds {
		wg.Go(func() {
			do(t, h, http.StatusCreated, "", snapshot(fmt.Sprintf("20240101.1200%02d", i), i/2+1, ".pom", ".jar")...)
		})
	}
	wg.Wait()
	var want []string
	for i := range builds {
		build := fmt.Sprintf("20240101.1200%02d-%d", i, i/2+1)
		get(t, h, "app", snapshots+"lib-1.0-"+build+".jar", http.StatusOK, "build "+build+" .jar")
		number, status := "1.0-"+build, "Unlisted"
		if i == builds-1 {
			number, status = "1.0-SNAPSHOT", "Published"
		}
		want = append(want, fmt.Sprintf("%s %s lib-1.0-%s.jar,lib-1.0-%s.pom", number, status, build, build))
	}
	wantHeld(t, h, lib, want...)
	if m := metadata(t, h, "app", snapshots+"maven-metadata.xml"); m.Timestamp != "20240101.120023" {
		t.Errorf("current: %+v", m)
	}
}

// TestDeploy_ManyVersionsAtOnce: two publishers of one package do not overwrite
// each other's list of versions.
func TestDeploy_ManyVersionsAtOnce(t *testing.T) {
	h := house(t)
	var wg sync.WaitGroup
	var want []string
	for i := range 20 {
		version := fmt.Sprintf("1.%d", i)
		want = append(want, version)
		wg.Go(func() {
			do(t, h, http.StatusCreated, "", deployment(lib, version, map[string][]byte{".pom": pomOf(coordinates(lib), version), ".jar": []byte(version)})...)
		})
	}
	wg.Wait()
	if got := metadata(t, h, "app", folder(lib)+"maven-metadata.xml"); !slices.Equal(got.Versions, want) || got.Release != "1.19" {
		t.Errorf("metadata: %+v", got)
	}
}

func TestSnapshot_NeverFromOutside(t *testing.T) {
	outside := upstreamtest.Maven(t, txtar.Parse([]byte(`
-- com/example/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar --
jar
-- com/example/lib/1.0-SNAPSHOT/maven-metadata.xml --
<metadata><versioning/></metadata>
-- com/example/lib/0.9/lib-0.9.jar --
jar
`)))
	h := formattest.NewHouse(t, maven.New(), formattest.Options{Outside: outside.URL})
	h.Repository("repo", formattest.Connection)
	get(t, h, "repo", snapshots+"lib-1.0-SNAPSHOT.jar", http.StatusNotFound, "")
	get(t, h, "repo", snapshots+"maven-metadata.xml", http.StatusNotFound, "")
	if m := metadata(t, h, "repo", folder(lib)+"maven-metadata.xml"); !slices.Equal(m.Versions, []string{"0.9"}) {
		t.Errorf("versions: %v", m.Versions)
	}
	if n := outside.Count("*SNAPSHOT*"); n != 0 {
		t.Errorf("the outside was asked %d times for snapshots", n)
	}
}

func TestOutside_FilesByRule(t *testing.T) {
	outside := upstreamtest.Maven(t, txtar.Parse([]byte(`
-- com/example/lib/1.0/lib-1.0.pom --
<project><groupId>com.example</groupId><artifactId>lib</artifactId><version>1.0</version><name>Lib</name></project>
-- com/example/lib/1.0/lib-1.0.jar --
jar
-- com/example/lib/1.0/lib-1.0.jar.asc --
signature
-- com/example/lib/1.0/lib-1.0-sources.jar --
sources
-- com/example/lib/1.0/lib-1.0.module --
{"x": 1}
-- com/example/lib/1.0/lib-1.0.module.sha1 --
0000000000000000000000000000000000000000
`)))
	h := formattest.NewHouse(t, maven.New(), formattest.Options{Outside: outside.URL})
	h.Repository("repo", formattest.Connection)
	h.Repository("app", "repo")
	get(t, h, "app", path(lib, "1.0", ".jar.sha1"), http.StatusOK, sumOf([]byte("jar\n"), digest.SHA1)) // before the file itself
	get(t, h, "app", path(lib, "1.0", ".jar"), http.StatusOK, "jar\n")
	get(t, h, "app", path(lib, "1.0", ".jar.asc"), http.StatusOK, "signature\n")
	get(t, h, "app", path(lib, "1.0", "-sources.jar"), http.StatusOK, "sources\n")
	if a := h.Get("app", path(lib, "1.0", ".module")); a.Status != http.StatusBadGateway && !a.Broken {
		t.Errorf("a file with another checksum than the remote says: %d %s", a.Status, a.Body)
	}
	for range 3 {
		get(t, h, "app", path(lib, "1.0", "-javadoc.jar"), http.StatusNotFound, "")
	}
	if n := outside.Count("*javadoc.jar"); n != 1 {
		t.Errorf("what is not there was asked for %d times", n)
	}
	// What was retained is there without the outside, the rest is no 404.
	get(t, h, "app", path(lib, "1.0", ".pom"), http.StatusOK, string(outside.Bytes(path(lib, "1.0", ".pom"))))
	outside.Stop()
	get(t, h, "app", path(lib, "1.0", ".pom"), http.StatusOK, "<project><groupId>com.example</groupId><artifactId>lib</artifactId><version>1.0</version><name>Lib</name></project>\n")
	if a := h.Get("app", path(lib, "1.0", "-tests.jar")); a.Status/100 != 5 {
		t.Errorf("an unknown file while the outside is down: %d", a.Status)
	}
	repo, err := h.Open(t.Context(), formattest.Admin, "app")
	if err != nil {
		t.Fatal(err)
	}
	l, err := repo.Listing(t.Context(), coordinates(lib))
	if err != nil || len(l.Versions) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	if d, err := maven.New().Describe(coordinates(lib), l.Versions[0].Manifest); err != nil || d.DisplayName != "Lib" {
		t.Errorf("details: %+v, %v", d, err)
	}
}

func TestPlugins_OfOutsideAndOwn(t *testing.T) {
	outside := upstreamtest.Maven(t, txtar.Parse([]byte(`
-- com/example/tools/maven-metadata.xml --
<metadata><plugins>
<plugin><name>Far</name><prefix>far</prefix><artifactId>far-maven-plugin</artifactId></plugin>
</plugins></metadata>
`)))
	h := formattest.NewHouse(t, maven.New(), formattest.Options{Outside: outside.URL})
	h.Repository("repo")
	h.Repository("public", formattest.Connection)
	h.Repository("app", "repo", "public")
	prefixes := func(repo string) (out []string) {
		for _, p := range metadata(t, h, repo, "com/example/tools/maven-metadata.xml").Plugins {
			out = append(out, p.Prefix+"="+p.ArtifactID)
		}
		return out
	}
	want := func(repo string, expected ...string) {
		t.Helper()
		if diff := cmp.Diff(expected, prefixes(repo)); diff != "" {
			t.Errorf("plugins in %s (-want +got):\n%s", repo, diff)
		}
	}
	want("app", "far=far-maven-plugin")
	packaging := "<packaging>maven-plugin</packaging>"
	for name, jar := range map[string][]byte{
		"near-maven-plugin": []byte("no archive"),
		"maven-told-plugin": zipOf("META-INF/maven/plugin.xml", "<plugin><mojos><mojo><goalPrefix>no</goalPrefix></mojo></mojos><goalPrefix> said </goalPrefix></plugin>"),
		"put-maven-plugin":  zipOf("x", "y"),
	} {
		full := "com.example.tools:" + name
		do(t, h, http.StatusCreated, "", deployment(full, "1.0", map[string][]byte{".pom": pomOf(coordinates(full), "1.0", packaging), ".jar": jar})...)
	}
	bare := "com.example.tools:zz-maven-plugin" // whose POM is that of a plain jar
	do(t, h, http.StatusCreated, "", deployment(bare, "1.0", map[string][]byte{".pom": pomOf(coordinates(bare), "1.0"), ".jar": zipOf("META-INF/maven/plugin.xml", "<plugin><goalPrefix>bare</goalPrefix></plugin>")})...)
	do(t, h, http.StatusCreated, "", deployment("com.example.tools:plain", "1.0", map[string][]byte{".pom": pomOf(coordinates("com.example.tools:plain"), "1.0")})...)
	want("app", "far=far-maven-plugin", "said=maven-told-plugin", "near=near-maven-plugin", "put=put-maven-plugin", "bare=zz-maven-plugin")
	do(t, h, http.StatusCreated, "", withSums("com/example/tools/maven-metadata.xml", []byte(`<metadata><plugins>
		<plugin><prefix>other</prefix><artifactId>put-maven-plugin</artifactId></plugin>
		<plugin><prefix>x</prefix><artifactId>not-here</artifactId></plugin></plugins></metadata>`))...)
	want("app", "far=far-maven-plugin", "said=maven-told-plugin", "near=near-maven-plugin", "other=put-maven-plugin", "bare=zz-maven-plugin")
	want("repo", "said=maven-told-plugin", "near=near-maven-plugin", "other=put-maven-plugin", "bare=zz-maven-plugin")
	get(t, h, "app", "com/example/maven-metadata.xml", http.StatusNotFound, "")
}

// TestPlugins_OfOthersAreNoneOfWhoDeploys: mvn deploy puts the whole group as it
// was told it, with its own plugin added.
func TestPlugins_OfOthersAreNoneOfWhoDeploys(t *testing.T) {
	h := house(t)
	for _, name := range []string{"a-maven-plugin", "z-maven-plugin"} {
		full := "com.example:" + name
		do(t, h, http.StatusCreated, "", deployment(full, "1.0", map[string][]byte{".pom": pomOf(coordinates(full), "1.0", "<packaging>maven-plugin</packaging>")})...)
	}
	h.UserOn("ann", "arn:aws:codeartifact:us-east-1:"+formattest.Owner+":package/corp/repo/maven/com.example/z-*", "codeartifact:PublishPackageVersion", "codeartifact:PutPackageMetadata")
	h.Update(func(tx *catalog.Tx) error {
		return tx.PutIdentityPolicy(catalog.IdentityPolicy{
			Account: formattest.Owner, PrincipalKind: catalog.PrincipalUser, PrincipalName: "ann", PolicyName: "read",
			Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"codeartifact:ReadFromRepository","Resource":"*"}]}`,
		})
	})
	group := func(a, z string) formattest.Call {
		return upload("com/example/maven-metadata.xml", fmt.Appendf(nil, `<metadata><plugins>
			<plugin><prefix>%s</prefix><artifactId>a-maven-plugin</artifactId></plugin>
			<plugin><prefix>%s</prefix><artifactId>z-maven-plugin</artifactId></plugin></plugins></metadata>`, a, z))
	}
	if a := h.Do("ann", "repo", group("a", "mine")); a.Status != http.StatusCreated {
		t.Errorf("her own plugin: %d %s", a.Status, a.Body)
	}
	if a := h.Do("ann", "repo", group("taken", "mine")); a.Status != http.StatusForbidden {
		t.Errorf("the prefix of another plugin: %d %s", a.Status, a.Body)
	}
	if got := metadata(t, h, "repo", "com/example/maven-metadata.xml").Plugins; len(got) != 2 || got[0].Prefix != "a" || got[1].Prefix != "mine" {
		t.Errorf("plugins: %v", got)
	}
}

// TestInspect_POMsThatMavenReads: what is in a public repository for good must
// get through, however it is written.
func TestInspect_POMsThatMavenReads(t *testing.T) {
	for name, pom := range map[string]string{
		"an encoding that is not known": `<?xml version="1.0" encoding="GBK"?><project><name>lib` + "\xd6\xd0" + `</name></project>`,
		"not the encoding it says":      `<?xml version="1.0" encoding="UTF-8"?><project><name>lib` + "\xf8" + `</name></project>`,
		"a control character":           "<project><name>lib\x0c</name></project>",
	} {
		facts, err := maven.New().Inspect(coordinates(lib), "1.0", "lib-1.0.pom", strings.NewReader(pom), int64(len(pom)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d, err := maven.New().Describe(coordinates(lib), facts); err != nil || !strings.HasPrefix(d.DisplayName, "lib") {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// TestInspect_ArchivesThatPromiseTooMuch: the end of an archive says how many
// entries it has, and room is not made for what cannot be.
func TestInspect_ArchivesThatPromiseTooMuch(t *testing.T) {
	const size = 1 << 30
	content := formattest.PromisingZip(size, 30<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := maven.New().Inspect(coordinates(lib), "1.0", "lib-1.0.jar", content, size); err != nil {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
		t.Errorf("%d MB were allocated", n>>20)
	}
}

func TestDescribe(t *testing.T) {
	pom := `<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE project [<!ENTITY bomb "x">]>
<project>
  <parent><groupId>org.parent</groupId><artifactId>parent</artifactId><version>7</version></parent>
  <artifactId>lib</artifactId>
  <name>The Lib</name>
  <description>
    J` + "\xf8" + `rgen &oslash; does
    things</description>
  <url>https://lib.test</url>
  <scm><url>https://code.test/lib</url></scm>
  <licenses><license><name>Apache-2.0</name><url>https://licence.test</url></license></licenses>
  <properties><v>${w}</v><w>2.0</w><loop>${loop}${loop}</loop></properties>
  <dependencyManagement><dependencies><dependency><groupId>no</groupId><artifactId>no</artifactId></dependency></dependencies></dependencyManagement>
  <dependencies>
    <dependency><groupId>a</groupId><artifactId>compile</artifactId><version>${v}</version></dependency>
    <dependency><groupId>${project.groupId}</groupId><artifactId>test</artifactId><version>${project.version}</version><scope>test</scope></dependency>
    <dependency><groupId>a</groupId><artifactId>optional</artifactId><version>${unknown}</version><optional>true</optional></dependency>
    <dependency><groupId>a</groupId><artifactId>provided</artifactId><version>${loop}</version><scope>provided</scope></dependency>
  </dependencies>
</project>`
	f := maven.New()
	facts, err := f.Inspect(coordinates(lib), "1.0", "lib-1.0.pom", strings.NewReader(pom), int64(len(pom)))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := f.Merge(nil, facts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Describe(coordinates(lib), stored)
	want := artifact.Details{
		DisplayName: "The Lib", Summary: "Jørgen ø does things", HomePage: "https://lib.test", Source: "https://code.test/lib",
		Licenses: []artifact.License{{Name: "Apache-2.0", URL: "https://licence.test"}},
		Dependencies: []artifact.Dependency{
			{Namespace: "org.parent", Package: "parent", Type: "parent", Requirement: "7"},
			{Namespace: "a", Package: "compile", Type: "compile", Requirement: "2.0"},
			{Namespace: "org.parent", Package: "test", Type: "test", Requirement: "7"},
			{Namespace: "a", Package: "optional", Type: "optional", Requirement: "${unknown}"},
			{Namespace: "a", Package: "provided", Type: "provided", Requirement: got.Dependencies[min(4, len(got.Dependencies)-1)].Requirement},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("details: %v (-want +got):\n%s", err, diff)
	}
	if n := len(got.Dependencies[4].Requirement); n > 1000 {
		t.Errorf("a property that repeats itself grew to %d characters", n)
	}
	if d, err := f.Describe(coordinates(lib), nil); err != nil || d.DisplayName != "lib" {
		t.Errorf("without a POM: %+v, %v", d, err)
	}
	if _, err := f.Readme(nil, nil, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("readme: %v", err)
	}
}

func TestNormalize(t *testing.T) {
	f := maven.New()
	for _, bad := range []artifact.Coordinates{
		{Name: "x"},
		{Namespace: "a", Name: "maven-metadata.xml"},
		{Namespace: "a..b", Name: "x"},
		{Namespace: ".a", Name: "x"},
		{Namespace: "a.", Name: "x"},
		{Namespace: "a/b", Name: "x"},
		{Namespace: "a", Name: "x:y"},
		{Namespace: "a", Name: "ü"},
		{Namespace: "a b", Name: "x"},
	} {
		if c, err := f.Normalize(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v became %v, %v", bad, c, err)
		}
	}
}

// TestWriteError_TellsWhoAsks: RFC 9457 for the Mavens that show it; never of a
// file that is not there, which they would take for a failure of the server.
func TestWriteError_TellsWhoAsks(t *testing.T) {
	h := house(t)
	asks := http.Header{"Accept": {"application/problem+json,*/*"}}
	bad := upload(path(lib, "1.0", ".pom"), []byte("<html></html>"))
	plain := h.Do(formattest.Admin, "repo", bad)
	if got := plain.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") || plain.Status != http.StatusBadRequest {
		t.Errorf("%d %s", plain.Status, got)
	}
	bad.Header = asks
	a := h.Do(formattest.Admin, "repo", bad)
	want := fmt.Sprintf(`{"title":"Bad Request","status":400,"detail":%q}`, strings.TrimSuffix(string(plain.Body), "\n"))
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" || a.Status != http.StatusBadRequest || string(a.Body) != want {
		t.Errorf("%d %s %s, want %s", a.Status, got, a.Body, want)
	}
	for _, c := range []formattest.Call{{Path: path("none", "1.0", ".jar"), Header: asks}, {Path: "a", Header: asks, Method: http.MethodHead}} {
		if a := h.Do(formattest.Admin, "repo", c); !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %d %v", c.Path, a.Status, a.Header)
		}
	}
}

// FuzzServe sends any path and body: nothing may fail.
func FuzzServe(f *testing.F) {
	for _, path := range []string{
		"com/example/lib/1.0/lib-1.0.pom", "com/example/lib/1.0/lib-1.0.jar.sha1", "com/example/lib/maven-metadata.xml", "com/maven-metadata.xml.md5",
		"com/example/lib/1.0-SNAPSHOT/lib-1.0-20240101.120000-1.jar", "com/example/lib/SNAPSHOT/maven-metadata.xml", "+finish/a/b/c/d", "%2Bfinish/a/b/1/b-1.jar", "a/b/-SNAPSHOT/b--.jar", "a/b/SNAPSHOT/b-SNAPSHOT-",
	} {
		f.Add(path, "<metadata><versioning><snapshot><timestamp>20240101.120000</timestamp><buildNumber>1</buildNumber></snapshot></versioning></metadata>")
		f.Add(path, "<project/>")
	}
	h := formattest.NewHouse(f, maven.New(), formattest.Options{})
	h.Repository("repo")
	f.Fuzz(func(t *testing.T, path, body string) {
		if strings.ContainsAny(path, "#?") {
			return
		}
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			r, err := http.NewRequestWithContext(context.Background(), method, h.URL+"repo/"+path, bytes.NewReader([]byte(body)))
			if err != nil {
				return
			}
			r.Header.Set("Authorization", "Bearer "+formattest.Admin)
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				return // not a request that can be sent
			}
			_ = res.Body.Close()
			if res.StatusCode >= http.StatusInternalServerError {
				t.Errorf("%s %q: %d", method, path, res.StatusCode)
			}
		}
	})
}

// FuzzInspect reads any bytes as POM, as jar and as metadata of a remote.
func FuzzInspect(f *testing.F) {
	for _, s := range []string{
		"<project><name>x</name></project>", "<metadata><versioning><versions><version>1</version></versions></versioning></metadata>", "<html>", "",
		"<!DOCTYPE a [<!ENTITY b \"&b;&b;\">]><project>&b;</project>", strings.Repeat("<project>", 200), "<project><properties><a>${a}${a}</a></properties><name>${a}</name></project>",
		string(zipOf("META-INF/maven/plugin.xml", "<plugin><goalPrefix>x</goalPrefix></plugin>")),
	} {
		f.Add([]byte(s))
	}
	m := maven.New()
	f.Fuzz(func(t *testing.T, b []byte) {
		c := coordinates(lib)
		for _, name := range []string{"lib-1.0.pom", "lib-1.0.jar", "x"} {
			facts, err := m.Inspect(c, "1.0", name, bytes.NewReader(b), int64(len(b)))
			if err != nil || facts == nil {
				continue
			}
			stored, err := m.Merge(nil, facts)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := m.Merge(stored, facts); err != nil || !bytes.Equal(stored, again) {
				t.Errorf("merged twice: %s became %s, %v", stored, again, err)
			}
			if _, err := m.Describe(c, stored); err != nil {
				t.Error(err)
			}
		}
		l, err := m.Remote("http://outside.test/").Parse(c, b)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, v := range l.Versions {
			if seen[v.Number] || artifact.CheckName("version", v.Number) != nil {
				t.Errorf("version %q", v.Number)
			}
			seen[v.Number] = true
		}
	})
}

var _ registry.Inspector = maven.New()
