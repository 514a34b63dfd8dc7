package catalog

import (
	"time"

	"packhouse/internal/fault"
)

// PutSession keeps the context of a session until expires, or longer when it
// was to be kept longer already; contexts that nobody needs any more go. It
// announces nothing: nobody can have known of a context that was not there.
func (tx *Tx) PutSession(id, context string, expires time.Time) error {
	_, err := tx.exec(`INSERT INTO iam_session (id, context, expires) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET expires = CASE WHEN excluded.expires > iam_session.expires THEN excluded.expires ELSE iam_session.expires END`,
		id, context, micros(expires))
	if err != nil {
		return err
	}
	_, err = tx.exec("DELETE FROM iam_session WHERE expires < $1", tx.Now().UnixMicro())
	return err
}

// Session finds the context of a session; NotFound when it is over.
func (tx *Tx) Session(id string) (context string, err error) {
	return first(tx, scanString, fault.New(fault.NotFound, "the session is over"), "SELECT context FROM iam_session WHERE id = $1", id)
}
