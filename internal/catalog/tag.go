package catalog

// Tag is one AWS resource tag.
type Tag struct {
	Key   string
	Value string
}

// PutTags sets tags of a resource; those of other keys stay.
func (tx *Tx) PutTags(resourceARN string, tags []Tag) error {
	for _, t := range tags {
		_, err := tx.exec(`INSERT INTO tag (resource_arn, tag_key, tag_value) VALUES ($1, $2, $3)
			ON CONFLICT (resource_arn, tag_key) DO UPDATE SET tag_value = excluded.tag_value`, resourceARN, t.Key, t.Value)
		if err != nil {
			return err
		}
	}
	tx.configChanged() // conditions of policies read tags
	return nil
}

func scanTag(scan func(...any) error) (t Tag, err error) {
	err = scan(&t.Key, &t.Value)
	return t, err
}

// Tags lists a resource's tags by key.
func (tx *Tx) Tags(resourceARN string) ([]Tag, error) {
	q := newQuery("SELECT tag_key, tag_value FROM tag WHERE ").add("resource_arn = ? ORDER BY tag_key", resourceARN)
	return all(tx, scanTag, q)
}

// DeleteTags removes tags by key, absent ones included; no keys means all.
func (tx *Tx) DeleteTags(resourceARN string, keys ...string) error {
	tx.configChanged()
	if len(keys) == 0 {
		_, err := tx.exec("DELETE FROM tag WHERE resource_arn = $1", resourceARN)
		return err
	}
	for _, key := range keys {
		if _, err := tx.exec("DELETE FROM tag WHERE resource_arn = $1 AND tag_key = $2", resourceARN, key); err != nil {
			return err
		}
	}
	return nil
}
