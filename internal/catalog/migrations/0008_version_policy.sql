-- Which versions a repository takes, where a format tells changing ones
-- (snapshots) from others: RELEASE, SNAPSHOT, or empty for both.

ALTER TABLE repository ADD COLUMN version_policy keytext NOT NULL DEFAULT '';
