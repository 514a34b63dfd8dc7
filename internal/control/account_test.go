package control_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

// newAccount is the answer to CreateAccount.
type newAccount struct {
	Account struct {
		Account, AccountName string
		CreatedTime          float64
	}
	AccessKey struct{ UserName, AccessKeyID, SecretAccessKey string }
}

func (h *house) createAccount(t *testing.T, body string) (a newAccount) {
	t.Helper()
	status, _, text := h.send(t, "POST", "/v1/account", "", body)
	if status != 200 {
		t.Fatalf("create an account: %d %s", status, text)
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// as is the house with another key.
func (h *house) as(id, secret string) *house {
	changed := *h
	changed.key.ID, changed.key.Secret = id, catalog.Secret(secret)
	return &changed
}

// accounts lists the accounts in pages.
func (h *house) accounts(t *testing.T, pageSize int) (ids []string) {
	t.Helper()
	query := url.Values{"max-results": {fmt.Sprint(pageSize)}}
	for {
		status, _, text := h.send(t, "POST", "/v1/accounts", query.Encode(), "")
		var page struct {
			Accounts  []struct{ Account string }
			NextToken string
		}
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != 200 {
			t.Fatalf("%d %v %s", status, err, text)
		}
		for _, a := range page.Accounts {
			ids = append(ids, a.Account)
		}
		if page.NextToken == "" {
			return ids
		}
		query.Set("next-token", page.NextToken)
	}
}

func TestCreateAccount_MakesAnAdministrator(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.createAccount(t, `{"account":"111122223333","accountName":"Team B","userName":"root.b"}`)
		if a.Account.Account != "111122223333" || a.Account.AccountName != "Team B" || a.Account.CreatedTime == 0 || a.AccessKey.UserName != "root.b" {
			t.Errorf("made %+v", a.Account)
		}
		b := h.as(a.AccessKey.AccessKeyID, a.AccessKey.SecretAccessKey)
		if status, _, text := b.send(t, "POST", "/v1/domain", "domain=corp", "{}"); status != 200 || !strings.Contains(text, `"owner":"111122223333"`) {
			t.Errorf("its administrator makes a domain: %d %s", status, text)
		}
		status, exception, text := h.send(t, "POST", "/v1/account", "", `{"account":"111122223333"}`)
		if status != 409 || exception != conflict {
			t.Errorf("twice: %d %s %s", status, exception, text)
		}
		drawn := h.createAccount(t, `{}`)
		if !regexp.MustCompile(`^[1-9][0-9]{11}$`).MatchString(drawn.Account.Account) || drawn.AccessKey.UserName != identity.AdminUser {
			t.Errorf("drawn %+v %s", drawn.Account, drawn.AccessKey.UserName)
		}
		want := map[string]bool{account: true, other: true, "111122223333": true, drawn.Account.Account: true}
		got := map[string]bool{}
		for _, id := range h.accounts(t, 1) {
			got[id] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCreateAccount_Refuses(t *testing.T) {
	h := lite(t)
	for _, body := range []string{
		`{"account":"1"}`, `{"account":"1111222233334"}`, `{"account":"11112222333a"}`, `{"account":111122223333}`, `{"account":"١١١١٢٢٢٢٣٣٣٣"}`,
		`{"userName":"a b"}`, `{"userName":"` + strings.Repeat("a", 65) + `"}`, `{"userName":"a/b"}`, `{"accountName":"` + strings.Repeat("a", 51) + `"}`,
		`{"accountName":"a\nb"}`, `[]`, `{"account":{}}`,
	} {
		if status, exception, text := h.send(t, "POST", "/v1/account", "", body); status != 400 {
			t.Errorf("%s: %d %s %s", body, status, exception, text)
		}
	}
	if got := h.accounts(t, 100); len(got) != 2 {
		t.Errorf("refused calls left accounts %v", got)
	}
}

func TestAccounts_AreForAdministratorsOfTheFirst(t *testing.T) {
	h := lite(t)
	made := h.createAccount(t, `{}`)
	h.user("packages", statement("Allow", "codeartifact:*", "*"))
	h.user("organiser", statement("Allow", "organizations:*", "*"))
	for _, c := range []struct {
		who    *house
		name   string
		status int
	}{
		{h.as("AKIA00000000packages", "secret"), "who may do everything with packages", 403},
		{h.as("AKIA0000000organiser", "secret"), "whom a policy lets", 200},
		{h.as(made.AccessKey.AccessKeyID, made.AccessKey.SecretAccessKey), "the administrator of another account", 403},
	} {
		for _, path := range []string{"/v1/account", "/v1/accounts"} {
			status, exception, text := c.who.send(t, "POST", path, "", "")
			if status != c.status || status == 403 && (exception != denied || !strings.Contains(text, "organizations:")) {
				t.Errorf("%s, %s: %d %s %s", path, c.name, status, exception, text)
			}
		}
	}
}

func TestCreateAccount_NotWithTemporaryCredentials(t *testing.T) {
	h := lite(t)
	admin, err := h.ids.UserCaller(t.Context(), account, "admin", identity.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	subject := *admin.Subject()
	subject.Session.Began = time.Now()
	call := &restjson.Call{Principal: identity.NewCaller(&subject, identity.Facts{})}
	_, err = h.api.Do(t.Context(), call, "CreateAccount", &api.CreateAccountInput{})
	if err == nil || !strings.Contains(err.Error(), "temporary") {
		t.Errorf("%v", err)
	}
}

// TestAccounts_AreIsolated lets the administrator of one account, who may do
// everything there, at what is in another.
func TestAccounts_AreIsolated(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shelf(h)
		made := h.createAccount(t, `{}`)
		b := h.as(made.AccessKey.AccessKeyID, made.AccessKey.SecretAccessKey)
		foreign := h.client(b.key.ID, b.key.Secret)
		domains := must[codeartifact.ListDomainsOutput](t)(foreign.ListDomains(t.Context(), &codeartifact.ListDomainsInput{}))
		repositories := must[codeartifact.ListRepositoriesOutput](t)(foreign.ListRepositories(t.Context(), &codeartifact.ListRepositoriesInput{}))
		if len(domains.Domains) > 0 || len(repositories.Repositories) > 0 {
			t.Errorf("another account lists %v and %v", domains.Domains, repositories.Repositories)
		}
		for _, c := range [][4]string{
			{"GET", "/v1/domain", "domain=corp", ""},
			{"GET", "/v1/repository", "domain=corp&repository=repo", ""},
			{"DELETE", "/v1/repository", "domain=corp&repository=repo", ""},
			{"POST", "/v1/repository", "domain=corp&repository=mine", "{}"},
			{"POST", "/v1/domain/repositories", "domain=corp", ""},
			{"POST", "/v1/packages", "domain=corp&repository=repo", ""},
			{"GET", "/v1/package/version/asset", "domain=corp&repository=repo&format=npm&package=thing&version=1.0.0&asset=package.tgz", ""},
			{"POST", "/v1/authorization-token", "domain=corp", ""},
			{"GET", "/v1/repository/endpoint", "domain=corp&repository=repo&format=npm", ""},
			{"PUT", "/v1/domain/permissions/policy", "", `{"domain":"corp","domainOwner":"` + account + `","policyDocument":"{}"}`},
		} {
			query := c[2]
			if query != "" {
				query += "&domain-owner=" + account
			}
			if status, exception, text := b.send(t, c[0], c[1], query, c[3]); status != 403 || exception != denied {
				t.Errorf("%s %s: %d %s %s", c[0], c[1], status, exception, text)
			}
		}
		if status, _, text := b.send(t, "POST", "/v1/tags", "resourceArn="+url.QueryEscape(domainARN("corp")), ""); status != 403 {
			t.Errorf("tags: %d %s", status, text)
		}
		// Of its own it may have as many of the same names.
		if status, _, text := b.send(t, "POST", "/v1/domain", "domain=corp", "{}"); status != 200 {
			t.Errorf("a domain of the same name: %d %s", status, text)
		}
	})
}
