package retention

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

var (
	noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	left = artifact.Coordinates{Format: artifact.NPM, Name: "left-pad"}
	npm  = Ecosystem{Compare: byLength, Kind: artifact.KindOf}
)

// byLength orders numbers as people do where they have one part: v9 before v10.
func byLength(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }

func ago(days float64) time.Time { return noon.Add(-time.Duration(days * 24 * float64(time.Hour))) }

// published makes a version of our own.
func published(number string, days float64, more ...func(*Version)) Version {
	v := Version{Number: number, Published: ago(days), Created: ago(days), Status: artifact.Published, Origin: artifact.Internal}
	for _, m := range more {
		m(&v)
	}
	return v
}

func ingested(days float64) func(*Version) {
	return func(v *Version) { v.Origin, v.Created = artifact.External, ago(days) }
}

func downloaded(days float64) func(*Version) {
	return func(v *Version) { v.LastDownload = ago(days) }
}

func status(s artifact.Status) func(*Version) { return func(v *Version) { v.Status = s } }

func policy(t testing.TB, source string, c Configuration) *Policy {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	p, err := New(source, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// told writes verdicts as lines.
func told(verdicts []Verdict) (lines []string) {
	for _, v := range verdicts {
		word := "keep"
		if v.Remove {
			word = "remove"
		}
		lines = append(lines, v.Number+" "+word+" "+v.Rule)
	}
	return lines
}

func TestDecide(t *testing.T) {
	both := func(c Configuration) func(*testing.T) Policies {
		return func(t *testing.T) Policies {
			t.Helper()
			p := policy(t, "repository", c)
			return Policies{p, p}
		}
	}
	for _, c := range []struct {
		name     string
		policies func(*testing.T) Policies
		versions []Version
		want     []string
	}{
		{
			"days or the newest", both(Configuration{Days: 30, Versions: 2}),
			[]Version{published("1", 100), published("2", 90), published("3", 80), published("4", 10), published("5", 29.9)},
			[]string{
				"4 keep repository: among the newest 2", "5 keep repository: among the newest 2",
				"3 remove repository: older than 30 days and not among the newest 2", "2 remove repository: older than 30 days and not among the newest 2",
				"1 remove repository: older than 30 days and not among the newest 2",
			},
		},
		{
			"days alone", both(Configuration{Days: 1}),
			[]Version{published("1", 1), published("2", 0.99), published("3", -5)},
			[]string{"3 keep repository: younger than 1 day", "2 keep repository: younger than 1 day", "1 remove repository: older than 1 day"},
		},
		{
			"the newest alone, ties by the format's order", both(Configuration{Versions: 2}),
			[]Version{published("10", 5), published("9", 5), published("8", 5)},
			[]string{"10 keep repository: among the newest 2", "9 keep repository: among the newest 2", "8 remove repository: not among the newest 2"},
		},
		{"no configuration", func(*testing.T) Policies { return Policies{} }, []Version{published("1", 1000)}, []string{"1 keep no retention configuration"}},
		{
			"the domain's two", func(t *testing.T) Policies {
				t.Helper()
				return Policies{policy(t, "domain INTERNAL", Configuration{Versions: 1}), policy(t, "domain EXTERNAL", Configuration{Days: 30})}
			},
			[]Version{
				published("1", 50), published("2", 40), published("3", 300, ingested(40)), published("4", 300, ingested(20)),
				published("5", 300, ingested(90), downloaded(10)), published("6", 300, ingested(90), downloaded(60)),
			},
			[]string{
				"2 keep domain INTERNAL: among the newest 1", "1 remove domain INTERNAL: not among the newest 1",
				"6 remove domain EXTERNAL: older than 30 days", "5 keep domain EXTERNAL: younger than 30 days",
				"4 keep domain EXTERNAL: younger than 30 days", "3 remove domain EXTERNAL: older than 30 days",
			},
		},
		{
			"what is held stays", both(Configuration{Rules: []Rule{{Remove: true}}}),
			[]Version{
				published("1", 9, func(v *Version) { v.Held = Pinned }), published("2", 8, func(v *Version) { v.Held = Pinned | LegalHold }),
				published("3", 7, func(v *Version) { v.Tag = "latest" }), published("4", 0.5, status(artifact.Unfinished)), published("5", 5, status(artifact.Unfinished)),
				published("6", 4, func(v *Version) { v.Current = true }), published("7", 3, status(artifact.Disposed)), published("8", 2, status(artifact.Archived)),
			},
			[]string{
				"4 keep upload under way", "8 remove repository rule 1: remove", "7 keep disposed", "6 keep current content of a snapshot", "5 remove repository rule 1: remove",
				"3 keep dist-tag latest", "2 keep legal hold", "1 keep pinned",
			},
		},
		{
			"records of disposed versions go by a rule about them", both(Configuration{Versions: 1, Rules: []Rule{{Status: artifact.Disposed, Days: 30}}}),
			[]Version{published("1", 90), published("2", 60, status(artifact.Disposed)), published("3", 10, status(artifact.Disposed))},
			[]string{
				"3 keep repository rule 1: younger than 30 days", "2 remove repository rule 1: older than 30 days", "1 keep repository: among the newest 1",
			},
		},
		{
			"the first rule that fits", both(Configuration{Versions: 1, Rules: []Rule{
				{Name: "ours", Package: "/npm/team/*", Keep: true},
				{Kind: artifact.BuildKind, Versions: 1},
				{Name: "candidates", Kind: artifact.PrereleaseKind, Days: 14, Versions: 1},
				{Origin: artifact.External, NotDownloaded: 30, Remove: true},
			}}),
			[]Version{
				published("1.0-20240101.120000-1", 80), published("1.0-20240102.120000-2", 79), published("1.0-rc1", 70), published("1.0-rc2", 60),
				published("1.0", 50), published("2.0", 40), published("0.9", 200, ingested(90), downloaded(31)), published("0.8", 210, ingested(90), downloaded(29)),
			},
			[]string{
				"2.0 keep repository: among the newest 1", "1.0 remove repository: not among the newest 1",
				"1.0-rc2 keep repository rule 3 (candidates): among the newest 1", "1.0-rc1 remove repository rule 3 (candidates): older than 14 days and not among the newest 1",
				"1.0-20240102.120000-2 keep repository rule 2: among the newest 1", "1.0-20240101.120000-1 remove repository rule 2: not among the newest 1",
				"0.9 remove repository rule 4: remove", "0.8 remove repository: not among the newest 1",
			},
		},
		{
			"when the days of a rule begin", both(Configuration{Rules: []Rule{
				{Kind: artifact.PrereleaseKind, Days: 30, AgeFrom: ByIngestion}, {Status: artifact.Unlisted, Days: 30, AgeFrom: ByPublish}, {Days: 30, AgeFrom: ByDownload},
			}}),
			[]Version{
				published("1-rc1", 99, ingested(31), downloaded(1)), published("2-rc1", 98, ingested(29), downloaded(1)),
				published("3", 97, ingested(1), status(artifact.Unlisted)), published("4", 96, downloaded(1)), published("5", 95),
			},
			[]string{
				"5 remove repository rule 3: older than 30 days", "4 keep repository rule 3: younger than 30 days", "3 remove repository rule 2: older than 30 days",
				"2-rc1 keep repository rule 1: younger than 30 days", "1-rc1 remove repository rule 1: older than 30 days",
			},
		},
		{
			"no rule fits", both(Configuration{Rules: []Rule{{Format: artifact.Maven, Remove: true}}}),
			[]Version{published("1", 1)},
			[]string{"1 keep repository: no rule applies"},
		},
		{
			"unfinished uploads push nothing out", both(Configuration{Versions: 1}),
			[]Version{published("1", 5), published("2", 0.1, status(artifact.Unfinished))},
			[]string{"2 keep upload under way", "1 keep repository: among the newest 1"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := told(Decide(c.policies(t), left, c.versions, noon, npm))
			if diff := gocmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConfiguration_Check(t *testing.T) {
	for why, c := range map[string]Configuration{
		"give retentionDays":                             {},
		"retentionDays: must be from 1":                  {Days: MaxDays + 1},
		"maxVersionsRetained: must be from 1":            {Versions: -1},
		"rules.1.retentionDays: a rule says one of":      {Rules: []Rule{{}}},
		"rules.2.retentionDays: a rule says one of":      {Rules: []Rule{{Keep: true}, {Keep: true, Days: 1}}},
		"rules.1.ageFrom":                                {Rules: []Rule{{Keep: true, AgeFrom: ByPublish}}},
		"rules.1.packagePattern: \"/npm\" is not":        {Rules: []Rule{{Keep: true, Package: "/npm"}}},
		"has no packages of the rule's format pypi":      {Rules: []Rule{{Keep: true, Format: artifact.PyPI, Package: "/npm/*"}}},
		"rules.1.notDownloadedForDays: must be from 1":   {Rules: []Rule{{Keep: true, NotDownloaded: MaxDays + 1}}},
		"rules.1.name: may have 64 characters":           {Rules: []Rule{{Keep: true, Name: strings.Repeat("ä", 65)}}},
		"rules: there may be 100 rules, these are 101":   {Rules: slices.Repeat([]Rule{{Keep: true}}, 101)},
		"rules.1.maxVersionsRetained: must be from 1 to": {Rules: []Rule{{Versions: MaxVersions + 1}}},
	} {
		if err := c.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), why) {
			t.Errorf("got %v, want %q", err, why)
		}
	}
}

func TestConfiguration_RemovesAll(t *testing.T) {
	for _, c := range []struct {
		rules []Rule
		want  bool
	}{
		{nil, false},
		{[]Rule{{Remove: true}}, true},
		{[]Rule{{Remove: true, Package: "/*"}}, true},
		{[]Rule{{Format: artifact.NPM, Remove: true}, {Remove: true}}, true},
		{[]Rule{{Format: artifact.NPM, Remove: true}}, false},
		{[]Rule{{Format: artifact.NPM, Keep: true}, {Remove: true}}, false},
		{[]Rule{{Keep: true}, {Remove: true}}, false},
	} {
		if got := (Configuration{Rules: c.rules}).RemovesAll(); got != c.want {
			t.Errorf("%+v: %v", c.rules, got)
		}
	}
}

// What the generators draw.
var (
	statuses = []artifact.Status{artifact.Published, artifact.Published, artifact.Unlisted, artifact.Archived, artifact.Unfinished, artifact.Disposed}
	origins  = []artifact.OriginType{artifact.Internal, artifact.External, artifact.Unknown}
	suffixes = []string{"", "", "-rc1", "-20240101.120000-1"}
)

func drawVersions(t *rapid.T) []Version {
	n := rapid.IntRange(0, 12).Draw(t, "versions")
	versions := make([]Version, n)
	for i := range versions {
		day := func(what string) time.Time { return ago(float64(rapid.IntRange(-2, 40).Draw(t, what)) / 2) }
		v := Version{
			Number: fmt.Sprint(i) + rapid.SampledFrom(suffixes).Draw(t, "suffix"), Published: day("published"), Created: day("created"),
			Status: rapid.SampledFrom(statuses).Draw(t, "status"), Origin: rapid.SampledFrom(origins).Draw(t, "origin"),
		}
		if rapid.Bool().Draw(t, "downloaded") {
			v.LastDownload = day("last download")
		}
		switch rapid.IntRange(0, 12).Draw(t, "hold") {
		case 0:
			v.Held = Pinned
		case 1:
			v.Held = LegalHold
		case 2:
			v.Tag = "latest"
		case 3:
			v.Current = true
		}
		versions[i] = v
	}
	return versions
}

// drawConfiguration draws one whose rules about downloads, unlike others, remove
// outright: those that keep make what goes come back as time passes.
func drawConfiguration(t *rapid.T) Configuration {
	c := Configuration{Days: rapid.IntRange(0, 15).Draw(t, "days"), Versions: rapid.IntRange(0, 5).Draw(t, "newest")}
	n := rapid.IntRange(0, 3).Draw(t, "rules")
	if c.Days == 0 && c.Versions == 0 {
		n = max(n, 1)
	}
	for range n {
		var r Rule
		switch rapid.IntRange(0, 4).Draw(t, "condition") {
		case 0:
			r.Kind = rapid.SampledFrom([]artifact.Kind{artifact.ReleaseKind, artifact.PrereleaseKind, artifact.BuildKind}).Draw(t, "kind")
		case 1:
			r.Status = rapid.SampledFrom(statuses).Draw(t, "status")
		case 2:
			r.Origin = rapid.SampledFrom(origins).Draw(t, "origin")
		case 3:
			r.Package = rapid.SampledFrom([]string{"/*", "/npm/*", "/npm//left~", "/npm//right-pad$", "/pypi/*"}).Draw(t, "pattern")
		case 4:
			r.NotDownloaded, r.Remove = rapid.IntRange(1, 15).Draw(t, "not downloaded"), true
			c.Rules = append(c.Rules, r)
			continue
		}
		switch rapid.IntRange(0, 2).Draw(t, "says") {
		case 0:
			r.Keep = true
		case 1:
			r.Remove = true
		default:
			r.Days, r.Versions = rapid.IntRange(0, 15).Draw(t, "days"), rapid.IntRange(1, 5).Draw(t, "newest")
			if r.Days > 0 {
				r.AgeFrom = rapid.SampledFrom([]AgeFrom{"", ByPublish, ByIngestion, ByDownload}).Draw(t, "from")
			}
		}
		c.Rules = append(c.Rules, r)
	}
	return c
}

func drawPolicies(t *rapid.T) Policies {
	draw := func(source string) *Policy {
		c := drawConfiguration(t)
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		p, err := New(source, c)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	switch rapid.IntRange(0, 3).Draw(t, "policies") {
	case 0:
		return Policies{Internal: draw("domain INTERNAL")}
	case 1:
		return Policies{draw("domain INTERNAL"), draw("domain EXTERNAL")}
	default:
		p := draw("repository")
		return Policies{p, p}
	}
}

func decided(p Policies, versions []Version, now time.Time) map[string]Verdict {
	out := map[string]Verdict{}
	for _, v := range Decide(p, left, slices.Clone(versions), now, npm) {
		out[v.Number] = v
	}
	return out
}

// inNature tells whether a version is neither to go nor counted.
func inNature(v Version, now time.Time) bool {
	return v.Current || v.Status == artifact.Disposed || v.Status == artifact.Unfinished && now.Sub(v.Created) < 24*time.Hour
}

// TestDecide_IsTheDefinition compares it with the sentence, for configurations
// without rules: kept if younger than N days or among the newest M, else gone.
func TestDecide_IsTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawVersions(t)
		c := Configuration{Days: rapid.IntRange(0, 15).Draw(t, "N"), Versions: rapid.IntRange(0, 6).Draw(t, "M")}
		if c.Days == 0 && c.Versions == 0 {
			c.Versions = 1
		}
		p, err := New("repository", c)
		if err != nil {
			t.Fatal(err)
		}
		got := decided(Policies{p, p}, versions, noon)
		for _, v := range versions {
			newer := 0
			for _, w := range versions {
				if !inNature(w, noon) && (w.Published.After(v.Published) || w.Published.Equal(v.Published) && byLength(w.Number, v.Number) > 0) {
					newer++
				}
			}
			since := v.Published
			if v.Origin == artifact.External {
				since = v.Created
				if v.LastDownload.After(since) {
					since = v.LastDownload
				}
			}
			young := c.Days > 0 && noon.Sub(since) < time.Duration(c.Days)*24*time.Hour
			keep := young || newer < c.Versions || v.Held != 0 || v.Tag != "" || inNature(v, noon)
			if keep == got[v.Number].Remove {
				t.Errorf("%s: %v, want keep %v", v.Number, got[v.Number].Rule, keep)
			}
		}
	})
}

func TestDecide_ProtectedNeverGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawVersions(t)
		for number, v := range decided(drawPolicies(t), versions, noon) {
			if v.Remove && (v.Held != 0 || v.Tag != "" || v.Current || v.Status == artifact.Unfinished && noon.Sub(v.Created) < 24*time.Hour) {
				t.Errorf("%s goes: %s", number, v.Rule)
			}
			if v.Rule == "" {
				t.Errorf("%s has no reason", number)
			}
		}
	})
}

// TestDecide_NeverFewerThanTheNewest holds for every configuration without
// rules, and for those with rules that only keep.
func TestDecide_NeverFewerThanTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawVersions(t)
		c := drawConfiguration(t)
		c.Versions = rapid.IntRange(1, 8).Draw(t, "M")
		c.Rules = slices.DeleteFunc(c.Rules, func(r Rule) bool { return !r.Keep })
		p, err := New("repository", c)
		if err != nil {
			t.Fatal(err)
		}
		kept := 0
		for _, v := range decided(Policies{p, p}, versions, noon) {
			if !v.Remove {
				kept++
			}
		}
		if want := min(c.Versions, len(versions)); kept < want {
			t.Errorf("%d of %d are kept, want %d", kept, len(versions), want)
		}
	})
}

func TestDecide_WhatGoesTodayGoesTomorrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions, p := drawVersions(t), drawPolicies(t)
		// An upload that ends counts from then on, and then there is one more.
		versions = slices.DeleteFunc(versions, func(v Version) bool { return v.Status == artifact.Unfinished })
		later := noon.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "hours")) * time.Hour)
		today, tomorrow := decided(p, versions, noon), decided(p, versions, later)
		for number, v := range today {
			if v.Remove && !tomorrow[number].Remove {
				t.Errorf("%s goes (%s) and later stays (%s)", number, v.Rule, tomorrow[number].Rule)
			}
		}
	})
}

func TestDecide_OrderOfVersionsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions, p := drawVersions(t), drawPolicies(t)
		want := told(Decide(p, left, slices.Clone(versions), noon, npm))
		got := told(Decide(p, left, rapid.Permutation(versions).Draw(t, "order"), noon, npm))
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestDecide_NewVersionsNeverSaveOldOnes: the newest push others out, never in.
func TestDecide_NewVersionsNeverSaveOldOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions, p := drawVersions(t), drawPolicies(t)
		before := decided(p, versions, noon)
		after := decided(p, append(slices.Clone(versions), published("99", 0)), noon)
		for number, v := range before {
			if v.Remove && !after[number].Remove {
				t.Errorf("%s goes (%s) and stays with a newer version there (%s)", number, v.Rule, after[number].Rule)
			}
		}
	})
}
