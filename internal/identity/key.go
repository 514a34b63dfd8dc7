package identity

import (
	"crypto/rand"
	"encoding/base64"

	"packhouse/internal/catalog"
)

// The kinds of unique id that IAM tells apart by four letters.
const (
	UserID      = "AIDA"
	GroupID     = "AGPA"
	RoleID      = "AROA"
	PolicyID    = "ANPA"
	accessKeyID = "AKIA"
	sessionID   = "ASIA"
)

// NewID is an id as IAM gives to users, groups, roles and policies: never
// given twice, not even to a successor of the same name.
func NewID(kind string) string { return kind + rand.Text()[:17] }

// newAccessKey is a key pair of the shape IAM gives out: 20 characters of id
// and 40 of secret, of which 80 and 240 bits are chance.
func newAccessKey(account, user string) catalog.AccessKey {
	return catalog.AccessKey{
		Account: account, UserName: user, Status: catalog.KeyActive,
		ID: accessKeyID + rand.Text()[:16], Secret: newSecret(),
	}
}

func newSecret() catalog.Secret {
	var secret [30]byte
	rand.Read(secret[:]) // never fails
	return catalog.Secret(base64.StdEncoding.EncodeToString(secret[:]))
}

// CreateAccessKey makes a key for a user, who is not looked up. The secret of
// the answer is told nowhere else.
func (s *Service) CreateAccessKey(tx *catalog.Tx, account, user string) (catalog.AccessKey, error) {
	row := newAccessKey(account, user)
	return row, s.insertKey(tx, &row)
}

// insertKey stores a key and sets when.
func (s *Service) insertKey(tx *catalog.Tx, row *catalog.AccessKey) error {
	row.Created = tx.Now()
	return tx.InsertAccessKey(*row)
}
