package catalog

import (
	"time"

	"packhouse/internal/fault"
)

// OIDCProvider is an issuer of web identities that an account trusts.
type OIDCProvider struct {
	Account     string
	ARN         string
	ID          string
	Issuer      string   // address, as tokens name it
	ClientIDs   []string // whom tokens may be for
	Thumbprints []string // of certificates; kept only
	Created     time.Time
}

func providerMissing(arn string) error {
	return fault.New(fault.NotFound, "OpenIDConnect Provider not found for arn %s", arn)
}

// InsertOIDCProvider adds a provider; Conflict when its ARN exists.
func (tx *Tx) InsertOIDCProvider(p OIDCProvider) error {
	n, err := tx.exec(`INSERT INTO oidc_provider (arn, account, id, issuer, client_ids, thumbprints, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		p.ARN, p.Account, p.ID, p.Issuer, list(p.ClientIDs).text(), list(p.Thumbprints).text(), micros(p.Created))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "Provider with url %s already exists.", p.Issuer)
	}
	tx.configChanged()
	return err
}

const oidcProviderColumns = "arn, account, id, issuer, client_ids, thumbprints, created"

func scanOIDCProvider(scan func(...any) error) (p OIDCProvider, err error) {
	var created int64
	var clients, thumbprints string
	if err := scan(&p.ARN, &p.Account, &p.ID, &p.Issuer, &clients, &thumbprints, &created); err != nil {
		return p, err
	}
	p.Created = fromMicros(created)
	if p.ClientIDs, err = parseList(clients); err != nil {
		return p, err
	}
	p.Thumbprints, err = parseList(thumbprints)
	return p, err
}

// OIDCProvider finds a provider by its ARN; NotFound when there is none.
func (tx *Tx) OIDCProvider(arn string) (OIDCProvider, error) {
	return first(tx, scanOIDCProvider, providerMissing(arn), "SELECT "+oidcProviderColumns+" FROM oidc_provider WHERE arn = $1", arn)
}

// OIDCProviders lists an account's providers by ARN.
func (tx *Tx) OIDCProviders(account string) ([]OIDCProvider, error) {
	q := newQuery("SELECT "+oidcProviderColumns+" FROM oidc_provider WHERE ").add("account = ? ORDER BY arn", account)
	return all(tx, scanOIDCProvider, q)
}

// UpdateOIDCProvider stores the client ids and thumbprints of a provider.
// NotFound without it.
func (tx *Tx) UpdateOIDCProvider(p OIDCProvider) error {
	n, err := tx.exec("UPDATE oidc_provider SET client_ids = $2, thumbprints = $3 WHERE arn = $1",
		p.ARN, list(p.ClientIDs).text(), list(p.Thumbprints).text())
	if err == nil && n == 0 {
		return providerMissing(p.ARN)
	}
	tx.configChanged()
	return err
}

// DeleteOIDCProvider removes a provider, and its tags, if it is there.
func (tx *Tx) DeleteOIDCProvider(p OIDCProvider) error {
	if err := tx.DeleteTags(p.ID); err != nil {
		return err
	}
	_, err := tx.exec("DELETE FROM oidc_provider WHERE arn = $1", p.ARN)
	tx.configChanged()
	return err
}
