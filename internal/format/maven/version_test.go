package maven_test

import (
	"slices"
	"testing"

	"packhouse/internal/format/maven"
)

func compare(a, b string) int { return maven.New().Compare(a, b) }

// TestCompare_AsMavenDoes has the examples of Maven's version order
// specification, and a few that users meet.
func TestCompare_AsMavenDoes(t *testing.T) {
	for _, ordered := range [][]string{
		{"1-alpha", "1-beta", "1-milestone", "1-rc", "1-SNAPSHOT", "1", "1-sp", "1-abc", "1-xyz", "1-1", "1.1"},
		{"1-alpha-1", "1-alpha2", "1-alpha-123", "1-beta-2", "1-beta123", "1-m2", "1-m11", "1-rc", "1-cr2", "1-rc123", "1-SNAPSHOT", "1", "1-sp", "1-sp2", "1-sp123", "1-abc", "1-def", "1-pom-1", "1-1-snapshot", "1-1", "1-2", "1-123"},
		{"1.0-alpha", "1.0", "1.0.1", "1.2", "1.10", "2"},
		{"1.9", "1.10-SNAPSHOT", "1.10", "1.10.1-SNAPSHOT"},
		{"31.1-android", "31.1-jre", "32.0.0-android", "32.0.0-jre"},
		{"2.0.0.M1", "2.0.0.M2", "2.0.0.RC1", "2.0.0.RELEASE", "2.0.1.RELEASE"},
		{"20030203.000550", "20040616", "20040804", "99999999999999999999", "100000000000000000000"},
		{"1.0-20240101.120000-1", "1.0-20240101.120000-2", "1.0-20240102.000000-1"},
	} {
		for i, a := range ordered {
			for j, b := range ordered {
				if got := compare(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
					t.Errorf("compare %s and %s: %d", a, b, got)
				}
			}
		}
	}
}

// TestCompare_WhatIsEqualStandsTogether: equal to Maven, three versions here.
func TestCompare_WhatIsEqualStandsTogether(t *testing.T) {
	versions := []string{"1.1", "1-ga", "0.9", "1.0.0", "1", "1-SNAPSHOT", "1.0", "1.0-final"}
	slices.SortFunc(versions, compare)
	if versions[0] != "0.9" || versions[1] != "1-SNAPSHOT" || versions[7] != "1.1" {
		t.Errorf("%v", versions)
	}
}

func FuzzCompare(f *testing.F) {
	for _, s := range []string{"1.0-alpha-1", "1..2", "-", "1-ga.x-", "1.0.0-final", "\xff", "1-a1b", "..", "00.0-0", "x-1-SNAPSHOT"} {
		f.Add(s, "1.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := compare(a, b), compare(b, a); (x < 0) != (y > 0) || (x == 0) != (a == b) || (y == 0) != (a == b) {
			t.Errorf("compare %q and %q: %d, and %d the other way round", a, b, x, y)
		}
	})
}
