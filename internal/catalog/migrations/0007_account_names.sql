-- What an account is called, for people; empty: nothing. The format of a
-- repository has had its column from the first.

ALTER TABLE account ADD COLUMN name TEXT NOT NULL DEFAULT '';
