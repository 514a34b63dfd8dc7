package organisation

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"packhouse/internal/arn"
	"packhouse/internal/artifact"
)

// Kind is what a resource is.
type Kind string

// The kinds, in the order in which they are made; they are deleted the other
// way round. What somebody's permissions hang on comes last, so that a file that
// takes away the right to apply it is applied.
const (
	KindDomain           Kind = "domain"
	KindRepository       Kind = "repository"
	KindPackageGroup     Kind = "package group"
	KindRetention        Kind = "retention"
	KindQuota            Kind = "quota"
	KindTopic            Kind = "topic"
	KindAlarm            Kind = "alarm"
	KindManagedPolicy    Kind = "managed policy"
	KindGroup            Kind = "group"
	KindUser             Kind = "user"
	KindRole             Kind = "role"
	KindRepositoryPolicy Kind = "repository policy"
	KindDomainPolicy     Kind = "domain policy"
)

var kinds = []Kind{
	KindDomain, KindRepository, KindPackageGroup, KindRetention, KindQuota, KindTopic, KindAlarm,
	KindManagedPolicy, KindGroup, KindUser, KindRole, KindRepositoryPolicy, KindDomainPolicy,
}

// ref names a resource. Domain is empty outside domains. Of retention and
// quotas Name is the repository, empty for the domain's own; of a domain's
// retention part is the origin, or settings.
type ref struct {
	kind               Kind
	domain, name, part string
}

func (r ref) String() string {
	parts := []string{r.domain, r.name}
	if r.kind == KindDomain || r.domain == "" || r.name == "" {
		parts = []string{r.domain + r.name}
	}
	text := strings.Join(parts, "/")
	if r.kind == KindPackageGroup {
		text = r.domain + " " + r.name
	}
	if r.part != "" {
		text += " " + r.part
	}
	return text
}

// resource is one thing of a file or server. Of fields, those that are there
// are managed; nil is nothing.
type resource struct {
	ref
	fields map[string]any
	absent bool   // the file asks for it not to be there
	force  string // why it is made or changed by force alone
}

// Parts of the retention of a domain: what is kept of versions by their origin,
// and when and for how long.
const (
	published = "INTERNAL"
	ingested  = "EXTERNAL"
	settings  = "settings"
)

// site is what references to ARNs are resolved with.
type site struct {
	account, region string
	paths           map[string]string // that managed policies have on the server, by name
}

func (s site) policyARN(name, path string) string {
	return arn.Policy(s.account, path, name).String()
}

func (s site) topicARN(name string) string {
	return "arn:" + arn.Partition + ":sns:" + s.region + ":" + s.account + ":" + name
}

// resources lists what a file declares.
func (f *File) resources(s site) (out []resource) {
	for _, d := range f.Domains {
		out = append(out, d.resources()...)
	}
	paths := map[string]string{}
	for _, p := range f.Policies {
		paths[p.Name] = cmp.Or(s.paths[p.Name], "/")
		fields := map[string]any{"document": canonical(p.Document)}
		if p.Path != nil {
			fields["path"], paths[p.Name] = *p.Path, *p.Path
		}
		putText(fields, "description", p.Description)
		out = append(out, resource{ref: ref{kind: KindManagedPolicy, name: p.Name}, fields: fields})
	}
	rights := func(fields map[string]any, r Rights) {
		if r.Policies != nil {
			docs := map[string]any{}
			for name, doc := range r.Policies {
				docs[name] = canonical(doc)
			}
			fields["inlinePolicies"] = docs
		}
		if r.AttachedPolicies != nil {
			fields["attachedPolicies"] = resolved(r.AttachedPolicies, func(name string) string { return s.policyARN(name, paths[name]) })
		}
	}
	for _, g := range f.Groups {
		fields := map[string]any{}
		putText(fields, "path", g.Path)
		rights(fields, g.Rights)
		out = append(out, resource{ref: ref{kind: KindGroup, name: g.Name}, fields: fields})
	}
	for _, u := range f.Users {
		fields := map[string]any{}
		putText(fields, "path", u.Path)
		if u.Groups != nil {
			fields["groups"] = set(u.Groups)
		}
		putTags(fields, u.Tags)
		rights(fields, u.Rights)
		out = append(out, resource{ref: ref{kind: KindUser, name: u.Name}, fields: fields})
	}
	for _, r := range f.Roles {
		fields := map[string]any{"trustPolicy": canonical(r.TrustPolicy)}
		putText(fields, "path", r.Path)
		putText(fields, "description", r.Description)
		putNumber(fields, "maxSessionDuration", r.MaxSessionDuration)
		putTags(fields, r.Tags)
		rights(fields, r.Rights)
		out = append(out, resource{ref: ref{kind: KindRole, name: r.Name}, fields: fields})
	}
	for _, t := range f.Topics {
		fields := map[string]any{}
		if t.Subscriptions != nil {
			list := []string{}
			for _, sub := range t.Subscriptions {
				list = append(list, sub.Protocol+" "+sub.Endpoint)
			}
			fields["subscriptions"] = set(list)
		}
		out = append(out, resource{ref: ref{kind: KindTopic, name: t.Name}, fields: fields})
	}
	for _, a := range f.Alarms {
		out = append(out, resource{ref: ref{kind: KindAlarm, name: a.Name}, fields: a.fields(s)})
	}
	return out
}

func (a Alarm) fields(s site) map[string]any {
	fields := map[string]any{
		"namespace": a.Namespace, "metricName": a.MetricName, "period": a.Period, "threshold": a.Threshold, "comparisonOperator": a.ComparisonOperator,
		"statistic": a.Statistic,
	}
	putText(fields, "description", a.Description)
	putText(fields, "treatMissingData", a.TreatMissingData)
	putText(fields, "unit", a.Unit)
	putNumber(fields, "evaluationPeriods", a.EvaluationPeriods)
	putNumber(fields, "datapointsToAlarm", a.DatapointsToAlarm)
	if a.ActionsEnabled != nil {
		fields["actionsEnabled"] = *a.ActionsEnabled
	}
	if a.Dimensions != nil {
		fields["dimensions"] = plainMap(a.Dimensions)
	}
	for key, list := range map[string][]string{"alarmActions": a.AlarmActions, "okActions": a.OKActions, "insufficientDataActions": a.InsufficientDataActions} {
		if list != nil {
			fields[key] = resolved(list, s.topicARN)
		}
	}
	return fields
}

func (d Domain) resources() (out []resource) {
	fields := map[string]any{}
	putTags(fields, d.Tags)
	out = append(out, resource{ref: ref{kind: KindDomain, domain: d.Name}, fields: fields})
	out = appendPolicy(out, KindDomainPolicy, d.Name, "", d.Policy)
	out = appendQuota(out, d.Name, "", d.Quota)
	if r := d.Retention; r != nil {
		pub, in := r.Published, r.Ingested
		if r.set() || pub == nil && in == nil {
			pub, in = &r.Retention, &r.Retention
		}
		out = appendRetention(out, ref{KindRetention, d.Name, "", published}, pub)
		out = appendRetention(out, ref{KindRetention, d.Name, "", ingested}, in)
		if r.Schedule != nil || r.TrashDays != nil {
			fields := map[string]any{}
			putText(fields, "schedule", r.Schedule)
			putNumber(fields, "trashDays", r.TrashDays)
			out = append(out, resource{ref: ref{KindRetention, d.Name, "", settings}, fields: fields})
		}
	}
	for _, r := range d.Repositories {
		fields := map[string]any{}
		putText(fields, "description", r.Description)
		putText(fields, "format", r.Format)
		putText(fields, "versionPolicy", r.VersionPolicy)
		if r.Upstreams != nil {
			fields["upstreams"] = plainList(r.Upstreams)
		}
		if r.ExternalConnections != nil {
			fields["externalConnections"] = set(r.ExternalConnections)
		}
		putTags(fields, r.Tags)
		out = append(out, resource{ref: ref{kind: KindRepository, domain: d.Name, name: r.Name}, fields: fields})
		out = appendPolicy(out, KindRepositoryPolicy, d.Name, r.Name, r.Policy)
		out = appendQuota(out, d.Name, r.Name, r.Quota)
		out = appendRetention(out, ref{kind: KindRetention, domain: d.Name, name: r.Name}, r.Retention)
	}
	for _, g := range d.PackageGroups {
		fields := map[string]any{}
		putText(fields, "contactInfo", g.ContactInfo)
		putText(fields, "description", g.Description)
		for way, mode := range g.OriginRestrictions {
			fields["originRestrictions."+way] = mode
			if mode == string(artifact.GroupAllowSpecific) && g.AllowedRepositories[way] == nil && g.AllowedRepositories != nil {
				fields["allowedRepositories."+way] = []any{}
			}
		}
		for way, list := range g.AllowedRepositories {
			if len(list) > 0 || g.OriginRestrictions[way] == string(artifact.GroupAllowSpecific) {
				fields["allowedRepositories."+way] = set(list)
			}
		}
		out = append(out, resource{ref: ref{kind: KindPackageGroup, domain: d.Name, name: g.Pattern}, fields: fields})
	}
	return out
}

func appendPolicy(out []resource, k Kind, domain, repository string, doc *Document) []resource {
	if doc == nil {
		return out
	}
	r := resource{ref: ref{kind: k, domain: domain, name: repository}, absent: doc.Value == nil}
	if !r.absent {
		r.fields = map[string]any{"document": canonical(doc)}
	}
	return append(out, r)
}

func appendQuota(out []resource, domain, repository string, q *Quota) []resource {
	if q == nil {
		return out
	}
	fields := map[string]any{"maxBytes": nil, "maxVersions": nil, "maxAssetBytes": nil}
	putNumber(fields, "maxBytes", (*int64)(q.MaxBytes))
	putNumber(fields, "maxVersions", q.MaxVersions)
	putNumber(fields, "maxAssetBytes", (*int64)(q.MaxAssetBytes))
	return append(out, resource{ref: ref{kind: KindQuota, domain: domain, name: repository}, fields: fields, absent: *q == Quota{}})
}

func appendRetention(out []resource, r ref, v *Retention) []resource {
	if v == nil {
		return out
	}
	fields := map[string]any{"retentionDays": nil, "maxVersionsRetained": nil, "rules": nil}
	putNumber(fields, "retentionDays", v.RetentionDays)
	putNumber(fields, "maxVersionsRetained", v.MaxVersionsRetained)
	if len(v.Rules) > 0 {
		rules := make([]any, len(v.Rules))
		for i, rule := range v.Rules {
			rules[i] = rule.fields()
		}
		fields["rules"] = rules
	}
	made := resource{ref: r, fields: fields, absent: !v.set()}
	if v.configuration().RemovesAll() {
		made.force = "it removes every version of everything"
	}
	return append(out, made)
}

// fields are the members of a rule as the API has them.
func (r RetentionRule) fields() map[string]any {
	fields := map[string]any{}
	for key, v := range map[string]*string{
		"name": r.Name, "format": r.Format, "packagePattern": r.PackagePattern, "originType": r.OriginType, "kind": r.Kind, "status": r.Status, "ageFrom": r.AgeFrom,
	} {
		putText(fields, key, v)
	}
	for key, v := range map[string]*int64{"notDownloadedForDays": r.NotDownloadedForDays, "retentionDays": r.RetentionDays, "maxVersionsRetained": r.MaxVersionsRetained} {
		putNumber(fields, key, v)
	}
	for key, v := range map[string]*bool{"keep": r.Keep, "remove": r.Remove} {
		if v != nil && *v { // false says nothing
			fields[key] = true
		}
	}
	return fields
}

func putText(fields map[string]any, key string, v *string) {
	if v != nil {
		fields[key] = *v
	}
}

func putNumber(fields map[string]any, key string, v *int64) {
	if v != nil {
		fields[key] = *v
	}
}

func putTags(fields map[string]any, tags map[string]string) {
	if tags != nil {
		fields["tags"] = plainMap(tags)
	}
}

func plainMap(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func plainList(list []string) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// set is a list whose order means nothing.
func set(list []string) []any { return plainList(slices.Compact(slices.Sorted(slices.Values(list)))) }

// resolved is a set of ARNs, names among them resolved.
func resolved(list []string, arnOf func(name string) string) []any {
	all := make([]string, len(list))
	for i, v := range list {
		if all[i] = v; !strings.HasPrefix(v, "arn:") {
			all[i] = arnOf(v)
		}
	}
	return set(all)
}

// equal compares by what JSON would say; numbers and lists of either side may
// be of different Go types.
func equal(a, b any) bool { return jsonOf(a) == jsonOf(b) }

func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// canonical is a policy document in the one form that all its spellings have: a
// list of one and the value alone mean the same, the order of actions,
// resources, principals and values means nothing, nor does an empty Sid.
// Statements keep their order.
func canonical(doc *Document) any {
	if doc == nil || doc.Value == nil {
		return nil
	}
	top, ok := doc.Value.(map[string]any)
	if !ok {
		return doc.Value
	}
	out := maps.Clone(top)
	if id, ok := out["Id"]; ok && id == "" {
		delete(out, "Id")
	}
	statements := []any{}
	switch s := top["Statement"].(type) {
	case []any:
		for _, one := range s {
			statements = append(statements, canonicalStatement(one))
		}
	default:
		statements = append(statements, canonicalStatement(s))
	}
	out["Statement"] = statements
	return out
}

func canonicalStatement(v any) any {
	s, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(s))
	for key, held := range s {
		switch key {
		case "Sid":
			if held == "" {
				continue
			}
			out[key] = held
		case "Action", "NotAction", "Resource", "NotResource":
			out[key] = oneOrMany(held)
		case "Principal", "NotPrincipal":
			if held == "*" { // what the evaluation takes it for, too
				held = map[string]any{"AWS": "*"}
			}
			if byKind, ok := held.(map[string]any); ok {
				same := make(map[string]any, len(byKind))
				for kind, ids := range byKind {
					same[kind] = oneOrMany(ids)
				}
				held = same
			}
			out[key] = held
		case "Condition":
			operators, ok := held.(map[string]any)
			if !ok {
				out[key] = held
				continue
			}
			if len(operators) == 0 {
				continue
			}
			same := make(map[string]any, len(operators))
			for operator, keys := range operators {
				byKey, ok := keys.(map[string]any)
				if !ok {
					same[operator] = keys
					continue
				}
				inner := make(map[string]any, len(byKey))
				for k, values := range byKey {
					inner[k] = oneOrMany(values)
				}
				same[operator] = inner
			}
			out[key] = same
		default:
			out[key] = held
		}
	}
	return out
}

// oneOrMany is a set of texts: sorted, each once, as a list.
func oneOrMany(v any) any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	texts := make([]string, len(list))
	for i, one := range list {
		switch one := one.(type) {
		case string:
			texts[i] = one
		case map[string]any, []any:
			return v
		default:
			texts[i] = jsonOf(one) // true and 5 are what "true" and "5" are
		}
	}
	return set(texts)
}
