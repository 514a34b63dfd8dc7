package control_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"packhouse/internal/control"
	"packhouse/internal/control/api"
	"packhouse/internal/restjson"
)

// send signs a request as the administrator and gives the answer.
func (h *house) send(t *testing.T, method, path, query, body string) (status int, exception string, text string) {
	t.Helper()
	address := h.url + path
	if query != "" {
		address += "?" + query
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:])) // some clients do, and streams need it
	cred := aws.Credentials{AccessKeyID: h.key.ID, SecretAccessKey: string(h.key.Secret)}
	if err := v4.NewSigner().SignHTTP(t.Context(), cred, req, hex.EncodeToString(sum[:]), control.Service, region, time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("X-Amzn-ErrorType"), string(answer)
}

// good are values of the right shape, for the members a bad input is not about.
var good = map[string]string{
	"DomainName": "corp", "RepositoryName": "repo", "PackageFormat": "npm", "PackageName": "thing", "PackageVersion": "1.0.0",
	"ExternalConnectionName": public, "AssetName": "package.tgz", "Arn": domainARN("corp"),
	"PackageGroupPattern": "/npm/*", "PackageGroupOriginRestrictionType": "PUBLISH", "StorageCheckId": "00000000000000000000", "RetentionRunId": "abc",
	"": "/npm/*", // the model says nothing of DeletePackageGroup's
}

// TestBadInput_IsTheCallersFault sends every operation what nobody should. The
// answer may be anything but a failure of ours.
func TestBadInput_IsTheCallersFault(t *testing.T) {
	values := map[string]string{
		"empty": "", "long": strings.Repeat("a", 5000), "nul": "a\x00b", "not UTF-8": "\xff\xfe", "path": "../../etc/passwd", "quote": "' OR 1=1 --",
		"percent": "%00%", "emoji": "📦", "newline": "a\nb", "slash": "a/b", "number": "-99999999999999999999", "word": "true",
	}
	bodies := map[string]string{
		"empty": "", "cut off": `{"versions":["1`, "list": `[]`, "null": `null`, "string": `"x"`, "wrong types": `{"versions":{"a":1},"tags":7,"upstreams":"x","restrictions":[],"targetStatus":3,"description":[]}`,
		"nulls": `{"versions":[null],"tags":[null],"upstreams":[null],"restrictions":null,"targetStatus":null,"tagKeys":[null],"versionRevisions":{"a":null}}`,
		"deep":  strings.Repeat(`{"versions":`, 2000), "twice": `{"versions":[],"versions":[]}`, "unknown": `{"what":{"is":["this"]}}`,
		"huge": `{"description":"` + strings.Repeat("x", 2<<20) + `"}`,
	}
	h := lite(t)
	shelf(h)
	for _, row := range control.Table() {
		t.Run(row.Name(), func(t *testing.T) {
			check := func(what, query, body string) {
				t.Helper()
				status, exception, text := h.send(t, row.Method(), row.Path(), query, body)
				if status >= 500 || status >= 300 && exception == "" {
					t.Errorf("%s: %d %s %.200s", what, status, exception, text)
				}
			}
			complete := url.Values{}
			for _, f := range row.Fields() {
				if f.In == "query" && f.Required {
					complete.Set(f.Wire, good[f.Shape])
				}
			}
			if row.InputStream() {
				complete.Set("format", "generic")
				complete.Set("namespace", "tools")
			}
			check("nothing", "", "")
			for _, f := range row.Fields() {
				if f.In != "query" {
					continue
				}
				for name, v := range values {
					q, _ := url.ParseQuery(complete.Encode())
					q.Set(f.Wire, v)
					check(f.Wire+" is "+name, q.Encode(), `{"versions":["1.0.0"],"targetStatus":"Published","restrictions":{"publish":"ALLOW","upstream":"ALLOW"},"tags":[],"tagKeys":[]}`)
				}
			}
			for name, body := range bodies {
				check("the body is "+name, complete.Encode(), body)
			}
		})
	}
}

// TestRoutes_UnknownOnesAreRefused tells a client that it asks for what no
// operation offers.
func TestRoutes_UnknownOnesAreRefused(t *testing.T) {
	h := lite(t)
	for _, c := range [][2]string{{"GET", "/v1/nothing"}, {"PATCH", "/v1/domain"}, {"POST", "/"}, {"GET", "/v1/domain/"}} {
		if status, exception, _ := h.send(t, c[0], c[1], "", ""); status != 404 || exception != restjson.UnknownOperation {
			t.Errorf("%s %s: %d %s", c[0], c[1], status, exception)
		}
	}
}

func TestTable_HasRowsThatSayWhatTheyDo(t *testing.T) {
	shapes := api.Shapes()
	for _, row := range control.Table() {
		if row.Doc() == "" || strings.ToLower(row.Doc()[:1]) != row.Doc()[:1] {
			t.Errorf("%s: help %q", row.Name(), row.Doc())
		}
		for _, f := range row.Fields() {
			if _, ok := shapes[f.Shape]; f.Shape != "" && !ok {
				t.Errorf("%s.%s: no shape %s", row.Name(), f.Name, f.Shape)
			}
		}
	}
}

func TestSignature_OfAnotherKeyOrNone(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	wrong := *h
	wrong.key.Secret = "another"
	if status, exception, _ := wrong.send(t, "GET", "/v1/domain", "domain=corp", ""); status != 403 || exception == "" {
		t.Errorf("wrong key: %d %s", status, exception)
	}
	res, err := http.Get(h.url + "/v1/domain?domain=corp")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 403 || res.Header.Get("X-Amzn-ErrorType") == "" {
		t.Errorf("no signature: %d %s", res.StatusCode, res.Header.Get("X-Amzn-ErrorType"))
	}
}

// TestDenied_BeforeNotFound checks that no operation tells those who may do
// nothing what exists.
func TestDenied_BeforeNotFound(t *testing.T) {
	h := lite(t)
	shelf(h)
	h.user("nobody", statement("Allow", "codeartifact:PutPackageMetadata", "*"))
	nobody := *h
	nobody.key.ID, nobody.key.Secret = "AKIA0000000000nobody", "secret"
	for _, row := range control.Table() {
		for _, domain := range []string{"corp", "absent"} {
			body := `{"versions":["1.0.0"],"targetStatus":"Published","restrictions":{"publish":"ALLOW","upstream":"ALLOW"},"tags":[],"tagKeys":[],` +
				`"domain":"` + domain + `","policyDocument":"{}","packageGroup":"/npm/*","action":"codeartifact:DescribeDomain","resource":"` + domainARN(domain) + `"}`
			if row.Name() == "UpdatePackageGroupOriginConfiguration" {
				body = "{}"
			}
			q := url.Values{}
			for _, f := range row.Fields() {
				if f.In == "query" && f.Required {
					q.Set(f.Wire, good[f.Shape])
				}
			}
			if q.Has("domain") {
				q.Set("domain", domain)
			}
			if q.Has("resourceArn") {
				q.Set("resourceArn", domainARN(domain))
			}
			if status, exception, text := nobody.send(t, row.Method(), row.Path(), q.Encode(), body); status != 403 || exception != denied {
				t.Errorf("%s in %s: %d %s %s", row.Name(), domain, status, exception, text)
			}
		}
	}
}
