// Package retention decides which versions of a package go. It holds the
// configuration people write, and one pure function, Decide, which the preview
// and the run share, so that they cannot disagree.
//
// The definition: a version is kept if it is younger than the days, or among the
// newest of its package, that the configuration says; else it goes. Rules, of
// which the first that fits a version decides, say something else for some.
// Whatever they say, nothing goes that is held (Held), tagged, or still coming
// in.
//
// The surprise: whether a rule fits may depend on the time (not downloaded for so
// many days), but what its versions are counted among does not. A version that
// is one of the newest today does not make room for an older one by becoming
// stale tomorrow.
package retention

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// Bounds of a configuration.
const (
	MaxDays     = 36500
	MaxVersions = 1_000_000
	MaxRules    = 100
	MaxRuleName = 64 // characters
)

// Configuration is what somebody decided for a repository, or for the published
// or the ingested versions of a domain. It is what the catalog keeps, as JSON.
type Configuration struct {
	Days     int    `json:"days,omitempty"`     // kept when younger; 0: age keeps nothing
	Versions int    `json:"versions,omitempty"` // the newest of a package that are kept; 0: none for that
	Rules    []Rule `json:"rules,omitempty"`
	// Forced: it may leave nothing of a repository, as whoever put it confirmed.
	Forced bool `json:"forced,omitempty"`
}

// Rule decides about the versions that meet all its conditions; empty ones are
// met by all.
type Rule struct {
	Name string `json:"name,omitempty"` // for people

	Format        artifact.Format     `json:"format,omitempty"`
	Package       string              `json:"package,omitempty"` // a pattern as package groups have
	Origin        artifact.OriginType `json:"origin,omitempty"`
	Kind          artifact.Kind       `json:"kind,omitempty"`
	Status        artifact.Status     `json:"status,omitempty"`
	NotDownloaded int                 `json:"notDownloaded,omitempty"` // for so many days; what never was counts from when it came

	Days     int     `json:"days,omitempty"`
	Versions int     `json:"versions,omitempty"` // the newest of those of a package that meet the conditions besides NotDownloaded
	AgeFrom  AgeFrom `json:"ageFrom,omitempty"`  // empty: ByPublish, for ingested versions ByDownload
	Keep     bool    `json:"keep,omitempty"`
	Remove   bool    `json:"remove,omitempty"`
}

// AgeFrom says when the days of a version begin.
type AgeFrom string

// The beginnings.
const (
	ByPublish   AgeFrom = "PUBLISH"       // when it was published, perhaps elsewhere
	ByIngestion AgeFrom = "INGESTION"     // when it came into the repository
	ByDownload  AgeFrom = "LAST_DOWNLOAD" // when it was last downloaded, else as ByIngestion
)

// Check refuses what makes no sense, Invalid with the name of the member.
func (c Configuration) Check() error {
	if c.Days == 0 && c.Versions == 0 && len(c.Rules) == 0 {
		return fault.Field("retentionDays", "give retentionDays, maxVersionsRetained, or rules")
	}
	if err := checkBounds("", c.Days, c.Versions); err != nil {
		return err
	}
	if len(c.Rules) > MaxRules {
		return fault.Field("rules", "there may be %d rules, these are %d", MaxRules, len(c.Rules))
	}
	for i, r := range c.Rules {
		if err := r.check(fmt.Sprintf("rules.%d.", i+1)); err != nil {
			return err
		}
	}
	return nil
}

func checkBounds(where string, days, versions int) error {
	switch {
	case days < 0 || days > MaxDays:
		return fault.Field(where+"retentionDays", "must be from 1 to %d", MaxDays)
	case versions < 0 || versions > MaxVersions:
		return fault.Field(where+"maxVersionsRetained", "must be from 1 to %d", MaxVersions)
	}
	return nil
}

func (r Rule) check(where string) error {
	if err := checkBounds(where, r.Days, r.Versions); err != nil {
		return err
	}
	said := 0
	for _, says := range []bool{r.Days > 0 || r.Versions > 0, r.Keep, r.Remove} {
		if says {
			said++
		}
	}
	switch {
	case said != 1:
		return fault.Field(where+"retentionDays", "a rule says one of: retentionDays or maxVersionsRetained (or both), keep, remove")
	case len([]rune(r.Name)) > MaxRuleName:
		return fault.Field(where+"name", "may have %d characters", MaxRuleName)
	case r.NotDownloaded < 0 || r.NotDownloaded > MaxDays:
		return fault.Field(where+"notDownloadedForDays", "must be from 1 to %d", MaxDays)
	case r.AgeFrom != "" && r.Days == 0:
		return fault.Field(where+"ageFrom", "says when retentionDays begin, which the rule has not")
	}
	if r.Package == "" {
		return nil
	}
	p, err := artifact.ParsePattern(r.Package)
	if err != nil {
		return fault.Field(where+"packagePattern", "%s", strings.TrimPrefix(fault.Message(err), "packageGroup: "))
	}
	if r.Format != "" && !p.MayMatch(r.Format) {
		return fault.Field(where+"packagePattern", "%s has no packages of the rule's format %s", r.Package, r.Format)
	}
	return nil
}

// unconditional tells whether a rule fits every version.
func (r Rule) unconditional() bool {
	return r.Format == "" && (r.Package == "" || r.Package == artifact.RootPattern) && r.Origin == "" && r.Kind == "" && r.Status == "" && r.NotDownloaded == 0
}

// RemovesAll tells whether the words alone say that everything goes.
func (c Configuration) RemovesAll() bool {
	for _, r := range c.Rules {
		if r.unconditional() {
			return r.Remove
		}
		if !r.Remove {
			return false
		}
	}
	return false
}

// Policy is a Configuration made ready, under the name its verdicts give it.
type Policy struct {
	source string
	conf   Configuration
	rules  []ready
	rest   said // of versions that no rule fits
}

// ready is a rule made ready.
type ready struct {
	Rule
	pattern artifact.Pattern
	said    said
}

// said are the reasons a rule gives, made once: there are few rules and many
// versions.
type said struct{ young, newest, old, keep, remove, none string }

// New makes a configuration, which Check has passed, ready. source begins its
// reasons: repository, domain INTERNAL, domain EXTERNAL.
func New(source string, c Configuration) (*Policy, error) {
	p := &Policy{source: source, conf: c, rest: newSaid(source, c.Days, c.Versions)}
	for i, r := range c.Rules {
		name := source + " rule " + strconv.Itoa(i+1)
		if r.Name != "" {
			name += " (" + r.Name + ")"
		}
		one := ready{Rule: r, said: newSaid(name, r.Days, r.Versions)}
		if r.Package != "" {
			var err error
			if one.pattern, err = artifact.ParsePattern(r.Package); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		p.rules = append(p.rules, one)
	}
	return p, nil
}

func newSaid(source string, days, versions int) said {
	s := said{
		young:  source + ": younger than " + plural(days, "day"),
		newest: source + ": among the newest " + strconv.Itoa(versions),
		keep:   source + ": keep",
		remove: source + ": remove",
		none:   source + ": no rule applies",
	}
	var old []string
	if days > 0 {
		old = append(old, "older than "+plural(days, "day"))
	}
	if versions > 0 {
		old = append(old, "not among the newest "+strconv.Itoa(versions))
	}
	s.old = source + ": " + strings.Join(old, " and ")
	return s
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Forced tells whether the policy may leave nothing of a repository.
func (p *Policy) Forced() bool { return p != nil && p.conf.Forced }

// Policies are what applies to a repository: one policy for all its versions, or
// one for what was published and one for what was ingested. nil keeps everything.
type Policies struct{ Internal, External *Policy }

// None tells whether nothing can go.
func (p Policies) None() bool { return p.Internal == nil && p.External == nil }

// of is the policy for a version, and its place in counts.
func (p Policies) of(o artifact.OriginType) (*Policy, int) {
	if o == artifact.External {
		if p.External == p.Internal {
			return p.External, 0
		}
		return p.External, 1
	}
	return p.Internal, 0
}

// Version is what is known of a version when it is decided about.
type Version struct {
	ID           string // what the caller knows it by
	Number       string
	Published    time.Time // zero: as Created
	Created      time.Time // when the repository got it
	LastDownload time.Time // zero: never
	Status       artifact.Status
	Origin       artifact.OriginType
	Current      bool   // the content that a changing version has now
	Tag          string // a dist-tag that names it
	Held         Held
}

// Held says by what somebody keeps a version.
type Held uint8

// The holds.
const (
	Pinned Held = 1 << iota
	LegalHold
)

// Ecosystem is what is to be known of a format.
type Ecosystem struct {
	Compare func(a, b string) int // orders numbers; negative when a comes before b
	Kind    func(number string) artifact.Kind
}

// Verdict is what becomes of a version.
type Verdict struct {
	*Version
	Remove bool
	Rule   string // what decided, for people
}

// The reasons that no configuration gives.
const (
	unconfigured = "no retention configuration"
	onLegalHold  = "legal hold"
	pinned       = "pinned"
	tagged       = "dist-tag "
	underWay     = "upload under way"
	current      = "current content of a snapshot"
	disposed     = "disposed"
)

// uploadTime is how long an unfinished version may take to be finished.
const uploadTime = 24 * time.Hour

// Decide decides about all versions of one package of a repository at a time.
// The verdicts come in the order of Sort. It changes nothing but the order of
// versions, which the verdicts point into.
func Decide(p Policies, c artifact.Coordinates, versions []Version, now time.Time, e Ecosystem) []Verdict {
	Sort(versions, e.Compare)
	counts := [2][]int{} // of versions so far, by policy and rule; the last is for those that no rule fits
	for i, policy := range []*Policy{p.Internal, p.External} {
		if policy != nil {
			counts[i] = make([]int, len(policy.rules)+1)
		}
	}
	verdicts := make([]Verdict, len(versions))
	for i := range versions {
		v := &versions[i]
		verdict := Verdict{Version: v}
		policy, at := p.of(v.Origin)
		if policy == nil {
			verdict.Rule = unconfigured
		} else {
			verdict.Remove, verdict.Rule = policy.decide(c, v, now, e, counts[at])
		}
		if reason := v.protected(); reason != "" {
			verdict.Remove, verdict.Rule = false, reason
		}
		verdicts[i] = verdict
	}
	return verdicts
}

// Sort puts the newest version first; of those published at one time the one
// that comes last in the format's order.
func Sort(versions []Version, compare func(a, b string) int) {
	slices.SortFunc(versions, func(a, b Version) int { return Order(a.Stamp(), a.Number, b.Stamp(), b.Number, compare) })
}

// Order is the order of Sort.
func Order(publishedA time.Time, a string, publishedB time.Time, b string, compare func(a, b string) int) int {
	if c := publishedB.Compare(publishedA); c != 0 {
		return c
	}
	return cmp.Or(compare(b, a), strings.Compare(b, a))
}

// Stamp is when v was published, as far as that is known: what it is sorted by.
func (v *Version) Stamp() time.Time {
	if v.Published.IsZero() {
		return v.Created
	}
	return v.Published
}

// used is when somebody last wanted it.
func (v *Version) used() time.Time {
	if v.LastDownload.After(v.Created) {
		return v.LastDownload
	}
	return v.Created
}

// protected says why v stays whatever a configuration says.
func (v *Version) protected() string {
	switch {
	case v.Held&LegalHold != 0:
		return onLegalHold
	case v.Held&Pinned != 0:
		return pinned
	case v.Tag != "":
		return tagged + v.Tag
	}
	return ""
}

// unsettled says why v is neither to go nor to be counted: it is not yet what it
// will be, or has no content any more. The record of a disposed version keeps
// its number taken; only a rule about that status takes it away.
func (v *Version) unsettled(now time.Time) string {
	switch {
	case v.Current:
		return current
	case v.Status == artifact.Unfinished && now.Sub(v.Created) < uploadTime:
		return underWay
	case v.Status == artifact.Disposed:
		return disposed
	}
	return ""
}

// decide counts v with its rules and decides about it. Versions must come the
// newest first.
func (p *Policy) decide(c artifact.Coordinates, v *Version, now time.Time, e Ecosystem, counts []int) (remove bool, reason string) {
	unsettled := v.unsettled(now)
	by, rank := -1, 0
	for i := range p.rules {
		r := &p.rules[i]
		if unsettled == disposed && r.Status != artifact.Disposed || !r.about(c, v, e) {
			continue
		}
		if unsettled == "" || unsettled == disposed {
			counts[i]++
		}
		if by < 0 && (r.NotDownloaded == 0 || now.Sub(v.used()) >= days(r.NotDownloaded)) {
			by, rank = i, counts[i]
		}
	}
	rest := len(p.rules)
	if unsettled == "" {
		counts[rest]++
	}
	switch {
	case unsettled != "" && (unsettled != disposed || by < 0):
		return false, unsettled
	case by >= 0:
		return p.rules[by].verdict(v, rank, now)
	case p.conf.Days == 0 && p.conf.Versions == 0:
		return false, p.rest.none
	}
	return settle(v, p.conf.Days, p.conf.Versions, "", counts[rest], now, &p.rest)
}

// about tells whether v meets the conditions that time does not change.
func (r *ready) about(c artifact.Coordinates, v *Version, e Ecosystem) bool {
	return (r.Format == "" || r.Format == c.Format) &&
		(r.Status == "" || r.Status == v.Status) &&
		(r.Origin == "" || r.Origin == v.Origin) &&
		(r.Package == "" || r.pattern.Matches(c)) &&
		(r.Kind == "" || r.Kind == e.Kind(v.Number))
}

func (r *ready) verdict(v *Version, rank int, now time.Time) (remove bool, reason string) {
	switch {
	case r.Keep:
		return false, r.said.keep
	case r.Remove:
		return true, r.said.remove
	}
	return settle(v, r.Days, r.Versions, r.AgeFrom, rank, now, &r.said)
}

// settle applies the definition to v, which is the rank-th newest.
func settle(v *Version, ageDays, newest int, from AgeFrom, rank int, now time.Time, s *said) (remove bool, reason string) {
	switch {
	case newest > 0 && rank <= newest:
		return false, s.newest
	case ageDays > 0 && now.Sub(v.since(from)) < days(ageDays):
		return false, s.young
	}
	return true, s.old
}

// since is when the days of v begin.
func (v *Version) since(from AgeFrom) time.Time {
	if from == "" && v.Origin == artifact.External {
		from = ByDownload
	}
	switch from {
	case ByIngestion:
		return v.Created
	case ByDownload:
		return v.used()
	default:
		return v.Stamp()
	}
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
