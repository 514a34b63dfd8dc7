package cli

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/control/api"
)

var update = flag.Bool("update", false, "write the files that tests compare with")

// sdkShapes lists the structures of the SDK with their members, under the names
// they have in the service model.
func sdkShapes() knownShapes {
	known := knownShapes{}
	var add func(name string, t reflect.Type)
	add = func(name string, t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
			return
		}
		if name == "" {
			name = t.Name()
		}
		if known[name] != nil {
			return
		}
		known[name] = map[string]bool{}
		for f := range t.Fields() {
			if f.IsExported() && f.Name != "ResultMetadata" {
				known[name][string(unicode.ToLower(rune(f.Name[0])))+f.Name[1:]] = true
				add("", f.Type)
			}
		}
	}
	client := reflect.TypeFor[*codeartifact.Client]()
	for m := range client.Methods() {
		if m.Type.NumIn() == 4 && m.Type.NumOut() == 2 && strings.HasSuffix(m.Type.In(2).String(), "."+m.Name+"Input") {
			add(m.Name+"Request", m.Type.In(2))
			add(m.Name+"Result", m.Type.Out(0))
		}
	}
	return known
}

// TestAWSModel_ListIsTheSDKs keeps the list of what AWS has in step with the
// SDK: run it with -update when the SDK is a newer one.
func TestAWSModel_ListIsTheSDKs(t *testing.T) {
	var b strings.Builder
	known := sdkShapes()
	if len(known) < 2*48 {
		t.Fatalf("only %d shapes found in the SDK", len(known))
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(slices.Sorted(maps.Keys(known[name])), " "))
	}
	if *update {
		if err := os.WriteFile(filepath.Join("awsmodel", "codeartifact.txt"), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(b.String(), awsShapes); diff != "" {
		t.Errorf("go test ./internal/cli -run AWSModel -update\n%s", diff)
	}
}

func model(t *testing.T, text string) (m modelExtras) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAWSModel_HasWhatIsOursAndNothingElse(t *testing.T) {
	r := runCommand(t.Context(), isolate(t), "aws-model", "print")
	m := model(t, r.stdout)
	known := parseShapes(awsShapes)
	if known["GetPackageVersionAssetResult"] == nil || m.Merge.Shapes["GetPackageVersionAssetResult"] != nil {
		t.Error("a header of HTTP itself is taken for a member")
	}
	for _, row := range Services()[0].Rows {
		_, ofAWS := known[row.Name()+"Request"]
		o, written := m.Merge.Operations[row.Name()]
		if ofAWS == written {
			t.Errorf("%s: of AWS %v, in the file %v", row.Name(), ofAWS, written)
		}
		if written && (o.HTTP.Method != row.Method() || o.HTTP.RequestURI != row.Path() || !strings.HasPrefix(o.Documentation, "<p>")) {
			t.Errorf("%+v", o)
		}
	}
	for name, s := range m.Merge.Shapes {
		members, ofAWS := known[name]
		if !ofAWS {
			if s.Type == "" {
				t.Errorf("%s has no type", name)
			}
			continue
		}
		if s.Type != "" || len(s.Required) > 0 || s.Payload != "" {
			t.Errorf("%s of AWS is changed: %+v", name, s)
		}
		for member := range s.Members {
			if members[member] {
				t.Errorf("%s.%s of AWS is changed", name, member)
			}
		}
	}
	// Every shape that is referred to is there.
	check := func(where string, ref *modelRef) {
		if ref == nil {
			return
		}
		if m.Merge.Shapes[ref.Shape] == nil && known[ref.Shape] == nil {
			t.Errorf("%s: no shape %s", where, ref.Shape)
		}
	}
	for name, s := range m.Merge.Shapes {
		for member, ref := range s.Members {
			check(name+"."+member, &ref)
		}
		check(name, s.Member)
		check(name, s.Key)
		check(name, s.Value)
	}
	if diff := cmp.Diff(map[string]modelRef{
		"format": {Shape: "PackhousePackageFormat"}, "upstreamRepositories": {Shape: "PackhouseOwnedUpstreamRepositoryList"},
		"versionPolicy": {Shape: "PackhouseVersionPolicy"},
	}, m.Merge.Shapes["CreateRepositoryRequest"].Members); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"repositoryName"}, m.Merge.Shapes["OwnedUpstreamRepository"].Required); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(modelRef{Shape: "PackhouseMaxResults", Location: "querystring", LocationName: "max-results"}, m.Merge.Shapes["ListAccountsRequest"].Members["maxResults"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(api.Shapes()["PackageFormat"].Enum, m.Merge.Shapes["PackhousePackageFormat"].Enum); diff != "" {
		t.Error(diff)
	}
}

func TestAWSModel_OfEventsHasWholeOperations(t *testing.T) {
	r := runCommand(t.Context(), isolate(t), "aws-model", "print", "--service", "events")
	m := model(t, r.stdout)
	for name := range m.Merge.Operations {
		if slices.Contains(strings.Fields(awsEvents), name) {
			t.Errorf("%s is an operation of AWS", name)
		}
	}
	for _, name := range []string{"ListDeadLetters", "ReplayDeadLetters"} {
		o, ok := m.Merge.Operations[name]
		if !ok || m.Merge.Shapes[o.Input.Shape] == nil || m.Merge.Shapes[o.Output.Shape] == nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestAWSModel_InstallAndCheck(t *testing.T) {
	home := isolate(t)
	path := filepath.Join(home, ".aws", "models", "codeartifact", "2018-09-22", "service-2.sdk-extras.json")
	run := func(args ...string) result {
		t.Helper()
		return runCommand(t.Context(), home, append([]string{"aws-model"}, args...)...)
	}
	if r := run("install", "--check"); r.code != exitFailed || !strings.Contains(r.stderr, path) {
		t.Errorf("check before: %+v", r)
	}
	if r := run("install"); r.code != exitOK || !strings.HasPrefix(r.stdout, "Wrote "+path+"\n") || strings.Count(r.stdout, "\n") != 2 {
		t.Errorf("install: %+v", r)
	}
	if r := run("install", "--check"); r.code != exitOK {
		t.Errorf("check after: %+v", r)
	}
	text, err := os.ReadFile(path)
	if err != nil || run("print").stdout != string(text) {
		t.Errorf("%v: print gives another text", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte(`{"version": 1.0}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := run("install", "--check"); r.code != exitFailed || !strings.Contains(r.stderr, "not the one of this version") {
		t.Errorf("check of another: %+v", r)
	}
	if r := run("install"); r.code != exitOK || run("install", "--check").code != exitOK {
		t.Errorf("install over another: %+v", r)
	}
	dir := filepath.Join(home, "my models")
	if r := run("install", "--dir", dir); r.code != exitOK || !strings.Contains(r.stdout, "export AWS_DATA_PATH='"+dir+"'") {
		t.Errorf("elsewhere: %+v", r)
	}
	if err := os.WriteFile(filepath.Join(home, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"install", "--dir", filepath.Join(home, "file")}, exitFailed},
		{[]string{}, exitUsage},
		{[]string{"remove"}, exitUsage},
		{[]string{"install", "extra"}, exitUsage},
		{[]string{"print", "--dir", dir}, exitUsage},
		{[]string{"print", "--service", "iam"}, exitUsage},
	} {
		if r := run(c.args...); r.code != c.code || r.stderr == "" {
			t.Errorf("aws-model %s: %+v", c.args, r)
		}
	}
}
