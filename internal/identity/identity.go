// Package identity tells who is calling: it verifies signed API requests and
// the tokens of package clients, issues such tokens and temporary credentials,
// and makes the first user.
// What a caller may do is decided elsewhere (package access).
//
// A Caller is made once per request and handed down. Credentials are checked
// against the catalog's current configuration on every request, without asking
// the database when nothing has changed: whoever is deleted is out at once.
//
// The surprise: a request to a package endpoint without credentials is no
// error here. Its Caller is anonymous, and becomes an error where something is
// asked of it that not everybody may do.
package identity

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"packhouse/internal/arn"
	"packhouse/internal/catalog"
	"packhouse/internal/outbound"
	"packhouse/internal/policy"
)

// Options tune New; the zero value is right for a test.
type Options struct {
	Region string           // of the endpoint; default us-east-1
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default slog.Default()
	// Account is the operator's, default 123456789012: its issuers of web
	// identities may be on loopback and private networks, those of other
	// accounts where Outbound lets anybody go.
	Account string
	// TrustedProxies may say in X-Forwarded-For and X-Forwarded-Proto whom
	// they speak for.
	TrustedProxies []netip.Prefix
	// KeepKey, if set, is given the key that Bootstrap makes before its account
	// is committed, so that no account comes about whose key nobody has: when
	// it fails, nothing is made. It may be called again with the same key.
	KeepKey func(NewKey) error
	// Outbound asks the issuers of web identities for their keys; by default a
	// client of its own.
	Outbound *outbound.Client
}

// Service verifies credentials against a catalog and issues tokens. It is safe
// for concurrent use. Its methods must not be called inside a View or Update
// of its catalog.
type Service struct {
	db      *catalog.DB
	log     *slog.Logger
	account string
	region  string
	now     func() time.Time
	keep    func(NewKey) error
	proxies []netip.Prefix

	keys     catalog.Memo[string, accessKey]         // by access key id
	actors   catalog.Memo[string, *policy.Principal] // by unique id of the user or role
	contexts catalog.Memo[string, *sessionContext]   // by their id
	signers  catalog.Memo[struct{}, keyring]         // the one of the house
	unusable sync.Map                                // ids of signing keys that the log has been told of
	tokens   tokenCache                              // by Authorization header

	providers catalog.Memo[string, []catalog.OIDCProvider] // by account
	issuers   *issuers
}

// New makes a Service over db.
func New(db *catalog.DB, o Options) *Service {
	s := &Service{
		db: db, log: o.Logger, account: cmp.Or(o.Account, "123456789012"), region: cmp.Or(o.Region, defaultRegion),
		now: o.Now, proxies: o.TrustedProxies, keep: o.KeepKey,
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.keep == nil {
		s.keep = func(NewKey) error { return nil }
	}
	client := o.Outbound
	if client == nil {
		var err error
		if client, err = outbound.New(outbound.Options{Now: s.now}); err != nil { // only for a list of addresses, and there is none
			panic(err)
		}
	}
	s.issuers = newIssuers(client)
	return s
}

// Close breaks off what is being asked of issuers.
func (s *Service) Close() { s.issuers.flights.Close() }

// defaultRegion is also where IAM lives for every region.
const defaultRegion = "us-east-1"

// UserCaller is a caller for an IAM user who has been authenticated otherwise.
// NotFound without the user.
func (s *Service) UserCaller(ctx context.Context, account, name string, f Facts) (Caller, error) {
	var u catalog.User
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		u, err = tx.User(account, name)
		return err
	})
	if err != nil {
		return Caller{}, err
	}
	return NewCaller(&Subject{Principal: userPrincipal(u)}, f), nil
}

func userPrincipal(u catalog.User) policy.Principal {
	return policy.Principal{
		Type: policy.User, ARN: arn.User(u.Account, u.Path, u.Name).String(),
		Account: u.Account, UserID: u.ID, UserName: u.Name,
	}
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
