package catalog

// Meta reads a server-wide fact; ok is false when it was never set.
func (tx *Tx) Meta(key string) (value string, ok bool, err error) {
	ok, err = tx.one("SELECT meta_value FROM meta WHERE meta_key = $1", []any{key}, &value)
	return value, ok, err
}

// SetMeta stores a server-wide fact. It announces nothing.
func (tx *Tx) SetMeta(key, value string) error {
	_, err := tx.exec(`INSERT INTO meta (meta_key, meta_value) VALUES ($1, $2)
		ON CONFLICT (meta_key) DO UPDATE SET meta_value = excluded.meta_value`, key, value)
	return err
}

// DeleteMeta forgets a server-wide fact.
func (tx *Tx) DeleteMeta(key string) error {
	_, err := tx.exec("DELETE FROM meta WHERE meta_key = $1", key)
	return err
}
