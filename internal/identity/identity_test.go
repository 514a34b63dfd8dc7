package identity_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"packhouse/internal/catalog"
	"packhouse/internal/identity"
)

const (
	account = "123456789012"
	domain  = "my-company-domain"
	region  = "eu-central-1"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is a bootstrapped catalog with a service over it.
type house struct {
	*identity.Service
	db    *catalog.DB
	clock *clock
	admin identity.NewKey
}

func openCatalog(t testing.TB) *catalog.DB {
	t.Helper()
	db, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// newHouse makes a house; of more options the region and the clock are its own.
func newHouse(t testing.TB, more ...identity.Options) *house {
	t.Helper()
	db := openCatalog(t)
	c := &clock{at: time.Now()}
	var o identity.Options
	if len(more) > 0 {
		o = more[0]
	}
	o.Region, o.Now = region, c.now
	s := identity.New(db, o)
	key, err := s.Bootstrap(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if key == nil {
		t.Fatal("no key from an empty catalog")
	}
	return &house{Service: s, db: db, clock: c, admin: *key}
}

// caller is the admin as an authenticated API caller.
func (h *house) caller(t testing.TB) identity.Caller {
	t.Helper()
	c, err := h.UserCaller(t.Context(), account, "admin", identity.Facts{Time: h.clock.now()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *house) token(t testing.TB) string {
	t.Helper()
	token, _, err := h.IssueToken(t.Context(), h.caller(t), account, domain, 0)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (h *house) update(t testing.TB, fn func(*catalog.Tx) error) {
	t.Helper()
	if err := h.db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// deleteAdmin removes the user with all that hangs on it.
func (h *house) deleteAdmin(t testing.TB) {
	t.Helper()
	h.update(t, func(tx *catalog.Tx) error {
		if err := tx.DeleteAccessKey(h.admin.ID); err != nil {
			return err
		}
		if err := tx.DeleteIdentityPolicy(account, catalog.PrincipalUser, "admin", "arn:aws:iam::aws:policy/AdministratorAccess"); err != nil {
			return err
		}
		return tx.DeleteUser(account, "admin")
	})
}

func packageRequest(authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/npm/frontend-app/express", nil)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("User-Agent", "npm/11.0.0")
	for _, a := range authorization {
		r.Header.Add("Authorization", a)
	}
	return r
}

// signature is how a test signs a request.
type signature struct {
	id, secret, session string
	service, region     string
	at                  time.Time
}

func (h *house) signature() signature {
	return signature{id: h.admin.ID, secret: string(h.admin.Secret), service: "codeartifact", region: region, at: h.clock.now()}
}

// signed is a request as a server meets it, signed by the SDK's signer.
func signed(t testing.TB, s signature, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://house.test/v1/domains", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	creds := aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret, SessionToken: s.session}
	if err := v4.NewSigner().SignHTTP(r.Context(), creds, r, hex.EncodeToString(sum[:]), s.service, s.region, s.at); err != nil {
		t.Fatal(err)
	}
	got := httptest.NewRequest(r.Method, r.URL.Path, io.NopCloser(strings.NewReader(body)))
	got.Host, got.Header, got.ContentLength = r.URL.Host, r.Header, r.ContentLength
	got.RemoteAddr = "192.0.2.7:4711"
	return got
}
