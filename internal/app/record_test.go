package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"

	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/control/api"
)

// records asks for access records: query as in a URL, body as JSON; all pages.
func (s *site) records(t *testing.T, query url.Values, body string) []api.AccessRecord {
	t.Helper()
	cred, err := s.aws(t).Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []api.AccessRecord
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/v1/access-records?"+query.Encode(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), cred, req, hex.EncodeToString(sum[:]), "codeartifact", "us-east-1", s.clock.now()); err != nil {
			t.Fatal(err)
		}
		res, err := s.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s %s, %v", res.Status, text, err)
		}
		var page api.ListAccessRecordsOutput
		if err := json.Unmarshal(text, &page); err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Records...)
		if page.NextToken == "" {
			return all
		}
		query.Set("next-token", page.NextToken)
	}
}

func of(pairs ...string) url.Values {
	q := url.Values{"domain": {"corp"}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

// lines are records in short: user, event, status and error.
func lines(records []api.AccessRecord) (short []string) {
	for _, r := range records {
		short = append(short, strings.TrimSpace(fmt.Sprintf("%s %s %d %s", r.UserIdentity.UserName, r.EventName, r.AdditionalEventData.HTTPStatus, r.ErrorCode)))
	}
	return short
}

// second user of the account, with a client and a token of their own.
func (s *site) user(t *testing.T, name string) (token string, secrets []string) {
	t.Helper()
	cfg := s.aws(t)
	users := iam.NewFromConfig(cfg)
	if _, err := users.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
		t.Fatal(err)
	}
	if _, err := users.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("all"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Sid":"hush","Effect":"Allow","Action":["codeartifact:*","sts:GetServiceBearerToken"],"Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
	key, err := users.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: *key.AccessKey.AccessKeyId, SecretAccessKey: *key.AccessKey.SecretAccessKey}, nil
	})
	issued, err := codeartifact.NewFromConfig(cfg).GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String("corp")})
	if err != nil {
		t.Fatal(err)
	}
	return *issued.AuthorizationToken, []string{*key.AccessKey.SecretAccessKey, *issued.AuthorizationToken, "hush"}
}

func eachDatabase(t *testing.T, test func(t *testing.T, flags map[string]string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, nil) })
	t.Run("postgres", func(t *testing.T) { test(t, map[string]string{"database": pgtest.NewDatabase(t)}) })
}

func TestAccessRecords_TellWhoGotAVersion(t *testing.T) {
	eachDatabase(t, func(t *testing.T, flags map[string]string) {
		s := newSite(t, nobody, flags)
		ann, _ := s.user(t, "ann")
		if a := s.publish(t, "hello", "1.0.0", []byte("the bytes")); a.status != http.StatusCreated {
			t.Fatalf("%d %s", a.status, a.body)
		}
		const file = "app/hello/-/hello-1.0.0.tgz"
		whole := s.get(t, file)
		for _, header := range [][]string{
			{"Authorization", "Bearer " + ann},
			{"Authorization", "Bearer " + ann, "Range", "bytes=0-2"},
			{"Authorization", "Bearer " + ann, "If-None-Match", whole.header.Get("Etag")},
			{"Authorization", "Bearer nonsense"},
			{"Authorization", ""},
		} {
			s.get(t, file, header...)
		}
		s.want(t, http.StatusOK, "app/hello")
		s.want(t, http.StatusNotFound, "internal/nothing")
		if a := s.do(t, http.MethodDelete, "internal/-/package/hello/dist-tags/none", nil); a.status != http.StatusNotFound {
			t.Errorf("%d", a.status)
		}
		for _, form := range []string{"at once", "after a restart"} {
			if form != "at once" {
				s.restart(t)
			}
			got := lines(s.records(t, of("format", "npm", "package", "hello", "version", "1.0.0"), "{}"))
			slices.Reverse(got)
			if diff := cmp.Diff([]string{
				"admin PublishPackageVersion 201", "admin ReadFromRepository 200", "ann ReadFromRepository 200", "ann ReadFromRepository 206", "ann ReadFromRepository 304",
				"ReadFromRepository 401 Unauthenticated", // that it was asked for is known, and not by whom
			}, got); diff != "" {
				t.Errorf("%s: %s", form, diff)
			}
		}
		refused := s.records(t, of("repository", "app"), "{}")
		refused = slices.DeleteFunc(refused, func(r api.AccessRecord) bool { return r.ErrorCode != "Unauthenticated" })
		if len(refused) != 2 || refused[0].RecipientAccountID != account || refused[0].AdditionalEventData.RequestURI != "/npm/hello/-/hello-1.0.0.tgz" {
			t.Errorf("refused: %+v", refused)
		}
		got := lines(s.records(t, of(), `{"principal":"arn:aws:iam::`+account+`:user/ann"}`))
		slices.Reverse(got)
		if diff := cmp.Diff([]string{"ann GetAuthorizationToken 200", "ann ReadFromRepository 200", "ann ReadFromRepository 206", "ann ReadFromRepository 304"}, got); diff != "" {
			t.Error(diff)
		}
		got = lines(s.records(t, of("repository", "internal"), `{"eventName":"PutPackageMetadata"}`))
		if diff := cmp.Diff([]string{"admin PutPackageMetadata 404 ResourceNotFoundException"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAccessRecords_CountDownloadsThatAreBrokenOff: whoever has most of a file
// has it.
func TestAccessRecords_CountDownloadsThatAreBrokenOff(t *testing.T) {
	s := newSite(t, nobody, nil)
	if a := s.publish(t, "big", "1.0.0", noise(16<<20)); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	c := s.dial(t)
	fmt.Fprintf(c, "GET %sapp/big/-/big-1.0.0.tgz HTTP/1.1\r\nHost: packages.test\r\nAuthorization: Bearer %s\r\n\r\n", root, s.token)
	if _, err := io.ReadFull(c, make([]byte, 10_000)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		got := lines(s.records(t, of("format", "npm", "package", "big"), `{"eventName":"ReadFromRepository"}`))
		if len(got) == 1 && strings.HasPrefix(got[0], "admin ReadFromRepository 200") {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("got %v", got)
		}
	}
}

func TestAccessRecords_HaveTheShapeOfCloudTrail(t *testing.T) {
	s := newSite(t, nobody, nil)
	if a := s.publish(t, "hello", "1.0.0", []byte("x")); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	begun := time.Now()
	a := s.get(t, "app/hello/-/hello-1.0.0.tgz", "User-Agent", "npm/11.0.0")
	got := s.records(t, of("repository", "app", "format", "npm", "package", "hello"), "{}")
	if len(got) != 1 {
		t.Fatalf("%d records", len(got))
	}
	r := got[0]
	if at, err := time.Parse(time.RFC3339, r.EventTime); err != nil || at.Before(begun.Add(-time.Minute)) || r.EventID == r.RequestID || r.UserIdentity.PrincipalID == "" {
		t.Errorf("%+v", r)
	}
	if id := a.header.Get("X-Amzn-Requestid"); id != "" && id != r.RequestID {
		t.Errorf("request id %s, in the answer %s", r.RequestID, id)
	}
	r.EventTime, r.EventID, r.RequestID, r.UserIdentity.PrincipalID = "", "", "", ""
	want := api.AccessRecord{
		EventVersion: "1.08", EventSource: "codeartifact.amazonaws.com", EventName: "ReadFromRepository", AwsRegion: "us-east-1",
		SourceIPAddress: "127.0.0.1", UserAgent: "npm/11.0.0", ReadOnly: true, EventType: "AwsApiCall", ManagementEvent: true, EventCategory: "Management",
		RecipientAccountID:  account,
		UserIdentity:        &api.UserIdentity{Type: "IAMUser", Arn: "arn:aws:iam::" + account + ":user/admin", AccountID: account, UserName: "admin"},
		RequestParameters:   map[string]string{"domainName": "corp", "domainOwner": account, "repositoryName": "app", "packageFormat": "npm", "packageName": "hello", "packageVersion": "1.0.0"},
		AdditionalEventData: &api.AccessRecordDetail{HTTPMethod: "GET", RequestURI: "/npm/hello/-/hello-1.0.0.tgz", HTTPStatus: 200},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

func TestAccessRecords_HoldNoSecrets(t *testing.T) {
	s := newSite(t, nobody, nil)
	token, secrets := s.user(t, "ann")
	s.get(t, "app/hello?token="+url.QueryEscape(token), "Authorization", "Bearer "+token)
	s.get(t, "app/hello", "Authorization", "Bearer stolen-"+token)
	calls := s.records(t, url.Values{}, "{}") // of the account: IAM and STS too
	events := map[string]api.AccessRecord{}
	for _, r := range calls {
		events[r.EventName] = r
	}
	for name, want := range map[string]string{
		"CreateUser": "ann", "CreateAccessKey": "HIDDEN_DUE_TO_SECURITY_REASONS", "PutUserPolicy": "HIDDEN_DUE_TO_SECURITY_REASONS", "GetAuthorizationToken": "HIDDEN_DUE_TO_SECURITY_REASONS",
		"CreateDomain": "corp",
	} {
		text, err := json.Marshal(events[name])
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %s: %s", name, want, text)
		}
	}
	s.stop()
	records, err := catalog.Open(t.Context(), "sqlite:"+s.data+"/access.db", catalog.Options{Records: true})
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	var stored bytes.Buffer
	if err := records.View(t.Context(), func(tx *catalog.Tx) error {
		raw, err := tx.RawAccess("", time.Time{}, time.Time{}, 0)
		for _, b := range raw {
			stored.Write(unpack(t, b.Data))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stored.String(), "CreateAccessKey") {
		t.Error("the records are not to be found")
	}
	for _, secret := range append(secrets, "stolen-", "Bearer", "AWS4-HMAC") {
		if bytes.Contains(stored.Bytes(), []byte(secret)) {
			t.Errorf("%q is stored", secret)
		}
	}
}

// unpack is all the text of a stored block.
func unpack(t *testing.T, data []byte) []byte {
	t.Helper()
	data = data[1:]
	_, n := binary.Uvarint(data)
	data = data[n:]
	_, n = binary.Varint(data)
	data = data[n:]
	_, n = binary.Uvarint(data)
	data = data[n:]
	length, n := binary.Uvarint(data)
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(data[n : n+int(length)])))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAccessRecords_AreKeptAccordingToTheConfiguration(t *testing.T) {
	s := newSite(t, nobody, map[string]string{"access-records": "0"})
	s.want(t, http.StatusNotFound, "internal/nothing")
	if n := s.metric(t, "packhouse_access_records_total"); n != 0 {
		t.Errorf("%v records", n)
	}
}
