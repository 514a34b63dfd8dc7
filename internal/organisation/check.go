package organisation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
	"packhouse/internal/retention"
)

// check looks at what belongs together: names that are given twice, references
// to what is not there, circles, documents.
func (f *File) check(d *decoder) {
	inside := f.Content
	switch declared := declaredKeys(inside); {
	case f.Domain != "" && f.Domains != nil:
		d.at("domains", "a file has either domain, with the keys of it beside, or domains")
		return
	case f.Domain == "" && len(declared) > 0:
		d.at(declared[0], "%s needs the key domain beside it, or stands below one of domains", declared[0])
		return
	case f.Domain != "":
		d.domain("", f.Domain, &inside)
		f.Domains = []Domain{{Name: f.Domain, Content: inside}}
	default:
		d.names("domains", "domain", len(f.Domains), func(i int) (string, string) { return f.Domains[i].Name, "name" })
		for i := range f.Domains {
			d.domain(fmt.Sprintf("domains[%d].", i), f.Domains[i].Name, &f.Domains[i].Content)
		}
	}
	f.checkIdentities(d)
	f.checkAlarms(d)
	if f.Domain == "" && f.Domains == nil && f.Users == nil && f.Groups == nil && f.Roles == nil && f.Policies == nil && f.Topics == nil && f.Alarms == nil {
		d.report(Position{1, 1}, "declares nothing: the key domain or domains is missing")
	}
}

// declaredKeys names the keys of a domain that a file has.
func declaredKeys(c Content) (keys []string) {
	for _, k := range []struct {
		name string
		here bool
	}{
		{"tags", c.Tags != nil},
		{"policy", c.Policy != nil},
		{"retention", c.Retention != nil},
		{"quota", c.Quota != nil},
		{"repositories", c.Repositories != nil},
		{"packageGroups", c.PackageGroups != nil},
	} {
		if k.here {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// names finds names that are given twice in a list.
func (d *decoder) names(path, what string, n int, name func(i int) (value, key string)) {
	seen := map[string]int{}
	for i := range n {
		value, key := name(i)
		place := fmt.Sprintf("%s[%d].%s", path, i, key)
		if key == "" {
			place = fmt.Sprintf("%s[%d]", path, i)
		}
		if before, twice := seen[value]; twice {
			d.at(place, "the %s %s is declared twice, before in entry %d", what, clip(value), before+1)
			continue
		}
		seen[value] = i
	}
}

func (d *decoder) distinct(path, what string, list []string) {
	d.names(path, what, len(list), func(i int) (string, string) { return list[i], "" })
}

func (d *decoder) domain(path, name string, c *Content) {
	d.tags(path+"tags", c.Tags)
	d.policyDocument(path+"policy", c.Policy, policy.ValidateResourcePolicy)
	d.domainRetention(path+"retention", c.Retention)
	repos := map[string]*Repository{}
	d.names(path+"repositories", "repository", len(c.Repositories), func(i int) (string, string) { return c.Repositories[i].Name, "name" })
	for i := range c.Repositories {
		repos[c.Repositories[i].Name] = &c.Repositories[i]
	}
	for i := range c.Repositories {
		d.repository(fmt.Sprintf("%srepositories[%d].", path, i), name, &c.Repositories[i], repos)
	}
	d.circles(path, c.Repositories)
	patterns := make([]string, len(c.PackageGroups))
	for i := range c.PackageGroups {
		d.packageGroup(fmt.Sprintf("%spackageGroups[%d].", path, i), &c.PackageGroups[i], repos)
		patterns[i] = c.PackageGroups[i].Pattern
	}
	d.names(path+"packageGroups", "package group", len(patterns), func(i int) (string, string) { return patterns[i], "pattern" })
}

func (d *decoder) repository(path, domain string, r *Repository, repos map[string]*Repository) {
	d.tags(path+"tags", r.Tags)
	d.policyDocument(path+"policy", r.Policy, policy.ValidateResourcePolicy)
	d.distinct(path+"upstreams", "upstream", r.Upstreams)
	for i, u := range r.Upstreams {
		place := fmt.Sprintf("%supstreams[%d]", path, i)
		up, known := repos[u]
		switch {
		case u == r.Name:
			d.at(place, "%s cannot be its own upstream", u)
		case !known:
			d.at(place, "the upstream %s of %s is no repository that domain %s of this file has%s", clip(u), r.Name, domain, meant(d, u, repos))
		case r.Format != nil && up.Format != nil && *r.Format != "" && *up.Format != "" && *r.Format != *up.Format:
			d.at(place, "%s is for %s packages only, and %s for %s", u, *up.Format, r.Name, *r.Format)
		}
	}
	if r.ExternalConnection != nil {
		if r.ExternalConnections != nil {
			d.at(path+"externalConnections", "give either externalConnection or externalConnections")
		}
		r.ExternalConnections = []string{}
		if *r.ExternalConnection != "" {
			r.ExternalConnections = append(r.ExternalConnections, *r.ExternalConnection)
		}
		r.ExternalConnection = nil
	}
	d.distinct(path+"externalConnections", "external connection", r.ExternalConnections)
	if len(r.ExternalConnections) > 1 {
		d.at(path+"externalConnections[1]", "a repository has one external connection; another needs a repository of its own, as an upstream of this one")
	}
	d.retention(path+"retention", r.Retention)
}

func (d *decoder) domainRetention(path string, r *DomainRetention) {
	if r == nil {
		return
	}
	apart := r.Published != nil || r.Ingested != nil
	d.retention(path, &r.Retention)
	d.retention(path+".published", r.Published)
	d.retention(path+".ingested", r.Ingested)
	if apart && r.set() {
		d.at(path, "retention is either for all versions, or for published and ingested ones apart")
	}
	if r.Schedule != nil {
		if _, err := retention.ParseSchedule(*r.Schedule); err != nil {
			d.at(path+".schedule", "%s", fault.Message(err))
		}
	}
	anything := r.set() || r.Published != nil && r.Published.set() || r.Ingested != nil && r.Ingested.set()
	for key, given := range map[string]bool{"schedule": r.Schedule != nil, "trashDays": r.TrashDays != nil} {
		if given && !anything {
			d.at(path+"."+key, "%s belongs to what the domain says is kept, and it says nothing: give retentionDays, maxVersionsRetained, rules, published or ingested", key)
		}
	}
}

// retention holds what is kept to the rules of the API.
func (d *decoder) retention(path string, r *Retention) {
	if r == nil || !r.set() {
		return
	}
	c := r.configuration()
	for i := range c.Rules {
		if err := (retention.Configuration{Rules: c.Rules[i : i+1]}).Check(); err != nil {
			d.at(fmt.Sprintf("%s.rules[%d]", path, i), "%s", strings.TrimPrefix(fault.Message(err), "rules.1."))
		}
	}
	if len(c.Rules) > retention.MaxRules {
		d.at(path+".rules", "there may be %d rules, these are %d", retention.MaxRules, len(c.Rules))
	}
}

// configuration is r as it is decided by.
func (r Retention) configuration() retention.Configuration {
	number := func(n *int64) int {
		if n == nil {
			return 0
		}
		return int(*n)
	}
	word := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	c := retention.Configuration{Days: number(r.RetentionDays), Versions: number(r.MaxVersionsRetained)}
	for _, rule := range r.Rules {
		c.Rules = append(c.Rules, retention.Rule{
			Name: word(rule.Name), Format: artifact.Format(word(rule.Format)), Package: word(rule.PackagePattern), Origin: artifact.OriginType(word(rule.OriginType)),
			Kind: artifact.Kind(word(rule.Kind)), Status: artifact.Status(word(rule.Status)), NotDownloaded: number(rule.NotDownloadedForDays),
			Days: number(rule.RetentionDays), Versions: number(rule.MaxVersionsRetained), AgeFrom: retention.AgeFrom(word(rule.AgeFrom)),
			Keep: rule.Keep != nil && *rule.Keep, Remove: rule.Remove != nil && *rule.Remove,
		})
	}
	return c
}

// circles finds repositories that would be upstreams of themselves.
func (d *decoder) circles(path string, repos []Repository) {
	index := map[string]int{}
	for i, r := range repos {
		index[r.Name] = i
	}
	const (
		fresh = iota
		open
		done
	)
	state := make([]int, len(repos))
	var trail []string
	var visit func(i int)
	visit = func(i int) {
		state[i] = open
		trail = append(trail, repos[i].Name)
		for j, u := range repos[i].Upstreams {
			next, known := index[u]
			if !known || next == i {
				continue
			}
			switch state[next] {
			case fresh:
				visit(next)
			case open:
				from := slices.Index(trail, u)
				d.at(fmt.Sprintf("%srepositories[%d].upstreams[%d]", path, i, j), "upstreams in a circle: %s -> %s", strings.Join(trail[from:], " -> "), u)
			}
		}
		trail = trail[:len(trail)-1]
		state[i] = done
	}
	for i := range repos {
		if state[i] == fresh {
			visit(i)
		}
	}
}

func (d *decoder) packageGroup(path string, g *PackageGroup, repos map[string]*Repository) {
	p, err := artifact.ParsePattern(g.Pattern)
	if err != nil {
		d.at(path+"pattern", "%s", fault.Message(err))
		return
	}
	g.Pattern = p.String()
	root := g.Pattern == artifact.RootPattern
	for way, mode := range g.OriginRestrictions {
		if root && mode == string(artifact.GroupInherit) {
			d.at(path+"originRestrictions."+way, "the root group has nothing to inherit from")
		}
	}
	for way, list := range g.AllowedRepositories {
		place := path + "allowedRepositories." + way
		if mode := g.OriginRestrictions[way]; mode != string(artifact.GroupAllowSpecific) && len(list) > 0 {
			d.at(place, "only a way that originRestrictions say is %s has repositories", artifact.GroupAllowSpecific)
		}
		d.distinct(place, "repository", list)
		for i, name := range list {
			if _, known := repos[name]; !known {
				d.at(fmt.Sprintf("%s[%d]", place, i), "%s is no repository that this file has in the domain%s", clip(name), meant(d, name, repos))
			}
		}
	}
}

const maxTags = 50

func (d *decoder) tags(path string, tags map[string]string) {
	if len(tags) > maxTags {
		d.at(path, "a resource can have %d tags", maxTags)
	}
	for key := range tags {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			d.at(path+"."+key, "the prefix aws: is reserved: %s", clip(key))
		}
	}
}

// policyDocument checks a document as the API would; nil and none are right.
func (d *decoder) policyDocument(path string, doc *Document, validate func(*policy.Document) error) {
	if doc == nil || doc.Value == nil {
		return
	}
	parsed, err := policy.Parse([]byte(documentText(doc.Value)))
	if err == nil {
		err = validate(parsed)
	}
	if err != nil {
		d.at(path, "%s", fault.Message(err))
	}
}

func (f *File) checkIdentities(d *decoder) {
	policies := map[string]bool{}
	for i, p := range f.Policies {
		policies[p.Name] = true
		d.policyDocument(fmt.Sprintf("policies[%d].document", i), p.Document, policy.ValidateIdentityPolicy)
	}
	d.names("policies", "policy", len(f.Policies), func(i int) (string, string) { return f.Policies[i].Name, "name" })
	groups := map[string]bool{}
	for i, g := range f.Groups {
		groups[g.Name] = true
		d.rights(fmt.Sprintf("groups[%d].", i), g.Rights, policies)
	}
	d.names("groups", "group", len(f.Groups), func(i int) (string, string) { return f.Groups[i].Name, "name" })
	for i, u := range f.Users {
		path := fmt.Sprintf("users[%d].", i)
		d.rights(path, u.Rights, policies)
		d.tags(path+"tags", u.Tags)
		d.distinct(path+"groups", "group", u.Groups)
		for j, g := range u.Groups {
			if f.Groups != nil && !groups[g] {
				d.at(fmt.Sprintf("%sgroups[%d]", path, j), "%s is no group of this file%s", clip(g), meant(d, g, groups))
			}
		}
	}
	d.names("users", "user", len(f.Users), func(i int) (string, string) { return f.Users[i].Name, "name" })
	for i, r := range f.Roles {
		path := fmt.Sprintf("roles[%d].", i)
		d.rights(path, r.Rights, policies)
		d.tags(path+"tags", r.Tags)
		d.policyDocument(path+"trustPolicy", r.TrustPolicy, policy.ValidateTrustPolicy)
	}
	d.names("roles", "role", len(f.Roles), func(i int) (string, string) { return f.Roles[i].Name, "name" })
}

func (d *decoder) rights(path string, r Rights, policies map[string]bool) {
	for name, doc := range r.Policies {
		d.policyDocument(path+"inlinePolicies."+name, doc, policy.ValidateIdentityPolicy)
	}
	d.distinct(path+"attachedPolicies", "policy", r.AttachedPolicies)
	for i, ref := range r.AttachedPolicies {
		if !strings.HasPrefix(ref, "arn:") && !policies[ref] {
			d.at(fmt.Sprintf("%sattachedPolicies[%d]", path, i), "%s is neither a policy of this file nor an ARN%s", clip(ref), meant(d, ref, policies))
		}
	}
}

const maxActions = 5 // of an alarm, for each state

func (f *File) checkAlarms(d *decoder) {
	topics := map[string]bool{}
	for i, t := range f.Topics {
		topics[t.Name] = true
		d.names(fmt.Sprintf("topics[%d].subscriptions", i), "subscription", len(t.Subscriptions), func(j int) (string, string) {
			return t.Subscriptions[j].Protocol + " " + t.Subscriptions[j].Endpoint, "endpoint"
		})
	}
	d.names("topics", "topic", len(f.Topics), func(i int) (string, string) { return f.Topics[i].Name, "name" })
	d.names("alarms", "alarm", len(f.Alarms), func(i int) (string, string) { return f.Alarms[i].Name, "name" })
	for i, a := range f.Alarms {
		path := fmt.Sprintf("alarms[%d].", i)
		if a.Period%60 != 0 {
			d.at(path+"period", "%d is not a multiple of 60: figures are kept by the minute", a.Period)
		}
		periods := int64(1)
		if a.EvaluationPeriods != nil {
			periods = *a.EvaluationPeriods
		}
		if a.DatapointsToAlarm != nil && *a.DatapointsToAlarm > periods {
			d.at(path+"datapointsToAlarm", "is more than the evaluationPeriods, %d", periods)
		}
		if most := window(a.Period) / max(a.Period, 1); periods > most && periods > 1 {
			d.at(path+"evaluationPeriods", "period times evaluationPeriods may be a week, or a day when period is less than an hour: %d at most", most)
		}
		for key, list := range map[string][]string{"alarmActions": a.AlarmActions, "okActions": a.OKActions, "insufficientDataActions": a.InsufficientDataActions} {
			d.distinct(path+key, "action", list)
			if len(list) > maxActions {
				d.at(path+key, "there may be %d actions", maxActions)
			}
			for j, ref := range list {
				if !strings.HasPrefix(ref, "arn:") && !topics[ref] {
					d.at(fmt.Sprintf("%s%s[%d]", path, key, j), "%s is neither a topic of this file nor an ARN%s", clip(ref), meant(d, ref, topics))
				}
			}
		}
	}
}

// meant is nearest among the keys of a map, as long as problems are reported: in
// a file that is all wrong it would take longer than everything else.
func meant[V any](d *decoder, word string, known map[string]V) string {
	if len(d.problems) >= maxProblems {
		return ""
	}
	return nearest(word, slices.Sorted(maps.Keys(known)))
}

// window is how many seconds an alarm may look back.
func window(period int64) int64 {
	const hour, day, week = 3600, 86400, 604800
	if period < hour {
		return day
	}
	return week
}

// set tells whether there is anything in it.
func (r Retention) set() bool {
	return r.RetentionDays != nil || r.MaxVersionsRetained != nil || len(r.Rules) > 0
}
