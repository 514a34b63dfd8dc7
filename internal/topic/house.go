package topic

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

const (
	keyBits     = 2048
	certificate = 50 * 365 * 24 * time.Hour // nobody would renew it; whoever trusts it does so by its address
)

// House makes and knows what only this server, and its replicas, can have made:
// signatures and tokens. It is safe for concurrent use.
type House struct {
	db     *catalog.DB
	region string
	url    func() string

	mu   sync.Mutex
	keys *keys
}

// NewHouse makes a House; url is what clients reach the server as, without final
// slash.
func NewHouse(db *catalog.DB, region string, url func() string) *House {
	return &House{db: db, region: region, url: url}
}

// keys are the secret of the house.
type keys struct {
	private     *rsa.PrivateKey
	secret      []byte // of tokens
	certificate string // PEM
	name        string // of the certificate's file
}

// load gives the keys, which the first who asks makes.
func (h *House) load(ctx context.Context) (*keys, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys != nil {
		return h.keys, nil
	}
	var secret catalog.Secret
	var text string
	var now time.Time
	read := func(tx *catalog.Tx) (err error) {
		now = tx.Now()
		secret, text, err = tx.TopicSigning()
		return err
	}
	if err := h.db.View(ctx, read); err != nil {
		return nil, err
	}
	if secret == "" {
		made, cert, err := newKeys(now)
		if err != nil {
			return nil, err
		}
		err = h.db.Update(ctx, func(tx *catalog.Tx) error {
			if err := tx.InsertTopicSigning(made, cert); err != nil {
				return err
			}
			return read(tx) // another may have been faster
		})
		if err != nil {
			return nil, err
		}
	}
	k, err := parseKeys(string(secret), text)
	h.keys = k
	return k, err
}

func newKeys(now time.Time) (secret catalog.Secret, cert string, err error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return "", "", fmt.Errorf("make the key of topics: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("make the key of topics: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixMicro()), Subject: pkix.Name{CommonName: "Packhouse notifications"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificate), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", fmt.Errorf("make the certificate of topics: %w", err)
	}
	return catalog.Secret(base64.StdEncoding.EncodeToString(der)), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})), nil
}

func parseKeys(secret, cert string) (*keys, error) {
	der, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return nil, fmt.Errorf("read the key of topics: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read the key of topics: %w", err)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read the key of topics: it is a %T", parsed)
	}
	token := hmac.New(sha256.New, der)
	token.Write([]byte("tokens of topics"))
	sum := sha256.Sum256([]byte(cert))
	return &keys{private, token.Sum(nil), cert, hex.EncodeToString(sum[:16])}, nil
}

// CertificatePath begins the path of the certificate that messages are signed
// with.
const CertificatePath = "/sns/SimpleNotificationService-"

// Certificate gives the file at a path; ok is false when that is not the one of
// this house.
func (h *House) Certificate(ctx context.Context, path string) (text string, ok bool, err error) {
	name, ok := strings.CutPrefix(path, CertificatePath)
	if !ok {
		return "", false, nil
	}
	k, err := h.load(ctx)
	if err != nil || name != k.name+".pem" {
		return "", false, err
	}
	return k.certificate, true, nil
}

// sign makes a signature of version 2: SHA-256 with RSA.
func (k *keys) sign(text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, sum[:])
	return base64.StdEncoding.EncodeToString(signature), err
}

// The purposes of tokens.
const (
	toConfirm = "confirm"
	toLeave   = "leave"
)

// token is what allows a purpose with a subscription: its id and a code of it.
func (k *keys) token(purpose string, s catalog.Subscription) string {
	h := hmac.New(sha256.New, k.secret)
	fmt.Fprintf(h, "%s %s %s", purpose, s.Target(), s.Endpoint)
	return hex.EncodeToString([]byte(s.ID)) + hex.EncodeToString(h.Sum(nil))
}

// Confirm makes the subscription that a token is of one that gets messages, and
// gives it. Errors are fault.Invalid, also when it has expired.
func (h *House) Confirm(ctx context.Context, account, topic, token string, authenticated bool) (s catalog.Subscription, err error) {
	k, err := h.load(ctx)
	if err != nil {
		return s, err
	}
	err = h.db.Update(ctx, func(tx *catalog.Tx) error {
		if s, err = k.find(tx, toConfirm, account, topic, token); err != nil {
			return err
		}
		switch {
		case !s.Confirmed.IsZero():
			return nil
		case tx.Now().After(s.Expires):
			return fault.New(fault.Invalid, "Invalid parameter: Token: it has expired, subscribe again")
		}
		s.Confirmed, s.Authenticated = tx.Now(), authenticated
		return tx.UpdateSubscription(s)
	})
	return s, err
}

// Leave ends the subscription that a token is of.
func (h *House) Leave(ctx context.Context, account, topic, token string) error {
	k, err := h.load(ctx)
	if err != nil {
		return err
	}
	return h.db.Update(ctx, func(tx *catalog.Tx) error {
		s, err := k.find(tx, toLeave, account, topic, token)
		if err != nil {
			return err
		}
		if s.Authenticated {
			return fault.New(fault.Denied, "the subscription ends only for those who may Unsubscribe")
		}
		_, err = tx.DeleteSubscription(s.ID)
		return err
	})
}

// find finds the subscription of a token; Invalid when the token is not of one of
// this topic.
func (k *keys) find(tx *catalog.Tx, purpose, account, topic, token string) (catalog.Subscription, error) {
	invalid := fault.New(fault.Invalid, "Invalid parameter: Token")
	const idLength = 2 * 36
	if len(token) < idLength {
		return catalog.Subscription{}, invalid
	}
	id, err := hex.DecodeString(token[:idLength])
	if err != nil || strings.ToValidUTF8(string(id), "") != string(id) || strings.IndexByte(string(id), 0) >= 0 {
		return catalog.Subscription{}, invalid
	}
	s, err := tx.Subscription(string(id))
	switch {
	case fault.Is(err, fault.NotFound):
		return s, invalid
	case err != nil:
		return s, err
	case s.Account != account || s.Topic != topic || !hmac.Equal([]byte(k.token(purpose, s)), []byte(token)):
		return s, invalid
	}
	return s, nil
}

// link is an address in a message that does something for whoever follows it.
func (h *House) link(action string, parameters url.Values) string {
	parameters.Set("Action", action)
	return h.url() + "/?" + parameters.Encode()
}
