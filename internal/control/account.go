package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"

	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/page"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// Accounts are made as AWS Organizations makes them, in one call and with a key
// in the answer: only the account that the server is configured with has
// others made, and only those of its people whom a policy gives organizations:...;
// codeartifact:* does not.

// onOrganization asks for the permission on everything: these actions have no
// resource.
func onOrganization(_ *API, _ *restjson.Call, action string, _ any) []restjson.Need {
	return []restjson.Need{{Action: "organizations:" + strings.TrimPrefix(action, Service+":"), Resource: "*"}}
}

// mustManage refuses the people of every account but the one that the server is
// configured with.
func (a *API) mustManage(c *restjson.Call) error {
	if caller := callerOf(c); caller.Account() != a.opt.Account {
		return fault.New(fault.Denied, "User: %s is not authorized to perform: organizations:%s because only the account that this server is configured with manages accounts",
			caller.Principal(), c.Operation)
	}
	return nil
}

// createAccount refuses users with temporary credentials, as IAM does: what
// ends must not make what does not.
func (a *API) createAccount(ctx context.Context, c *restjson.Call, in *api.CreateAccountInput) (*api.CreateAccountOutput, error) {
	caller := callerOf(c)
	if caller.Temporary() && caller.Principal().Type == policy.User {
		return nil, fault.New(fault.Denied, "User: %s is not authorized to perform: organizations:CreateAccount because the credentials are temporary", caller.Principal())
	}
	if err := a.mustManage(c); err != nil {
		return nil, err
	}
	var account catalog.Account
	var key catalog.AccessKey
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		wanted := catalog.Account{ID: in.Account, Name: in.AccountName}
		if wanted.ID == "" {
			var err error
			if wanted.ID, err = freeAccount(tx); err != nil {
				return err
			}
		}
		var err error
		account, key, err = a.opt.Identity.CreateAccount(tx, wanted, cmp.Or(in.UserName, identity.AdminUser))
		return err
	})
	if err != nil {
		return nil, err
	}
	summary := accountSummary(account)
	return &api.CreateAccountOutput{
		Account:   &summary,
		AccessKey: &api.AccessKey{UserName: key.UserName, AccessKeyID: key.ID, SecretAccessKey: string(key.Secret)},
	}, nil
}

// freeAccount draws 12 digits that no account has. The first is not 0, which
// spreadsheets and configuration files lose.
func freeAccount(tx *catalog.Tx) (string, error) {
	known, err := tx.Accounts()
	if err != nil {
		return "", err
	}
	taken := make(map[string]bool, len(known))
	for _, k := range known {
		taken[k.ID] = true
	}
	for {
		n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
		if err != nil {
			return "", fmt.Errorf("draw an account: %w", err)
		}
		if id := fmt.Sprint(n.Int64() + 100_000_000_000); !taken[id] {
			return id, nil
		}
	}
}

const accountsPage = 100

func (a *API) listAccounts(ctx context.Context, c *restjson.Call, in *api.ListAccountsInput) (*api.ListAccountsOutput, error) {
	if err := a.mustManage(c); err != nil {
		return nil, err
	}
	limit := limitOf(in.MaxResults, accountsPage)
	l := page.For[string]("ListAccounts")
	after, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	var rows []catalog.Account
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = tx.AccountsAfter(after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, token := page.Cut(l, rows, limit, func(r catalog.Account) string { return r.ID })
	out := &api.ListAccountsOutput{Accounts: make([]api.AccountSummary, len(rows)), NextToken: token}
	for i, r := range rows {
		out.Accounts[i] = accountSummary(r)
	}
	return out, nil
}

func accountSummary(r catalog.Account) api.AccountSummary {
	return api.AccountSummary{Account: r.ID, AccountName: r.Name, CreatedTime: restjson.At(r.Created)}
}
