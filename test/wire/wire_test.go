package wire_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/app"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/config"
	"packhouse/test/wire"
)

// server is a whole server on loopback, and its administrator.
type server struct {
	url   string
	admin aws.Credentials
}

func start(t *testing.T, flags map[string]string) *server {
	t.Helper()
	all := map[string][]string{"data": {filepath.Join(t.TempDir(), "data")}, "listen": {"127.0.0.1:0"}}
	for name, value := range flags {
		all[name] = []string{value}
	}
	cfg, err := config.Load(config.Sources{Flags: all})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg, app.Options{Log: io.Discard, Version: "test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, a.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	path, _ := a.Credentials()
	found, err := awsconfig.LoadDefaultConfig(t.Context(), awsconfig.WithSharedCredentialsFiles([]string{path}), awsconfig.WithSharedConfigFiles([]string{}))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: a.URL()}
	if s.admin, err = found.Credentials.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// send makes a call, signed by the administrator.
func (s *server) send(ctx context.Context, c wire.Call) (status int, answer []byte, err error) {
	address := s.url + c.Path
	if c.Query != "" {
		address += "?" + c.Query
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, address, strings.NewReader(c.Body))
	if err != nil {
		return 0, nil, err
	}
	if c.Type != "" {
		req.Header.Set("Content-Type", c.Type)
	}
	sum := sha256.Sum256([]byte(c.Body))
	if err := v4.NewSigner().SignHTTP(ctx, s.admin, req, hex.EncodeToString(sum[:]), c.Service, "us-east-1", time.Now()); err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, errors.Join(err, resp.Body.Close())
}

// TestTerraform makes the calls of the AWS provider of Terraform again: those
// of the story test/e2e/testdata/terraform/aws.txtar, recorded by
//
//	go test ./test/e2e -run TestStories/terraform -update
//
// Every value that the provider was given has to be there, more may be.
func TestTerraform(t *testing.T) {
	calls, err := wire.Load(filepath.Join("testdata", "terraform.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			flags := map[string]string{}
			if engine == "postgres" {
				flags["database"] = pgtest.NewDatabase(t)
			}
			replay(t, start(t, flags), calls)
		})
	}
}

func replay(t *testing.T, s *server, calls []wire.Call) {
	t.Helper()
	var names wire.Names
	names.Server(s.url)
	for i, c := range calls {
		for _, text := range []*string{&c.Path, &c.Query, &c.Body} {
			*text = names.Show(*text)
		}
		status, text, err := s.send(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.Members(text)
		if err != nil {
			t.Fatalf("call %d, %s: %v", i+1, c.Operation(), err)
		}
		names.Learn(got)
		var missing []string
		left := slices.Clone(got)
		for _, member := range c.Answer {
			if at := slices.Index(left, names.Show(member)); at >= 0 {
				left = slices.Delete(left, at, at+1)
			} else {
				missing = append(missing, member)
			}
		}
		if status != c.Status || len(missing) > 0 {
			t.Fatalf("call %d, %s: status %d, want %d; not in the answer:\n%s\nthe answer:\n%s",
				i+1, c.Operation(), status, c.Status, strings.Join(missing, "\n"), strings.Join(got, "\n"))
		}
	}
}

func TestRecording_HoldsNothingSecret(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{"AKIA", "ASIA", "v4.local", "127.0.0.1", "localhost", "Signature="} {
			if bytes.Contains(text, []byte(what)) {
				t.Errorf("%s has %q", file, what)
			}
		}
		if date := regexp.MustCompile(`\d{4}-\d\d-\d\dT`).Find(text); date != nil {
			t.Errorf("%s has the date %s", file, date)
		}
	}
}

func TestMembers(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", " ", nil},
		{
			"JSON", `{"domain":{"name":"a","createdTime":1.5,"tags":[]},"list":[{"n":1},true],"revision":""}`,
			[]string{"domain.createdTime=*", "domain.name=a", "domain.tags=[]", "list.0.n=1", "list.1=true", "revision="},
		},
		{
			"XML", `<R xmlns="urn:x"><U><UserId>AIDA</UserId><Name>a &amp; b</Name></U><L><member><K>1</K></member><member><K>2</K></member></L><E/></R>`,
			[]string{"R.U.UserId=*", "R.U.Name=a & b", "R.L.member.K=1", "R.L.member.K=2", "R.E="},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := wire.Members([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, bad := range []string{"{", "<a>", "text"} {
		if got, err := wire.Members([]byte(bad)); err == nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}

func TestRecorder_KeepsCallsOfSomeClients(t *testing.T) {
	const key = "AKIAIOSFODNN7EXAMPLE"
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"AccessKeyId":%q,"url":"http://%s/x","SecretAccessKey":"s"}`, key, r.Host)
	}))
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	recorder := wire.NewRecorder(target, regexp.MustCompile("recorded|kept"))
	front := httptest.NewServer(recorder)
	t.Cleanup(front.Close)
	for _, c := range []struct{ agent, body string }{
		{"a kept client", "Action=CreateAccessKey"},
		{"another", "Action=CreateUser"},
		{"a recorded client", "Action=DeleteAccessKey&AccessKeyId=" + key},
		{"a recorded client", "Action=DeleteAccessKey&AccessKeyId=" + key}, // answered as before
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/?a=b", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", c.agent)
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AK/20200101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	answer := []string{"AccessKeyId={{AccessKeyId.1}}", "SecretAccessKey=*", "url={{server}}/x"}
	want := []wire.Call{
		{Service: "iam", Method: "POST", Path: "/", Query: "a=b", Body: "Action=CreateAccessKey", Status: 201, Answer: answer},
		{Service: "iam", Method: "POST", Path: "/", Query: "a=b", Body: "Action=DeleteAccessKey&AccessKeyId={{AccessKeyId.1}}", Status: 201, Answer: answer},
	}
	got, err := recorder.Calls()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	file := filepath.Join(t.TempDir(), "calls.jsonl")
	if err := wire.Save(file, got); err != nil {
		t.Fatal(err)
	}
	loaded, err := wire.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, loaded); diff != "" {
		t.Error(diff)
	}
}
