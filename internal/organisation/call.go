package organisation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"packhouse/internal/artifact"
)

// documentText is a policy as it is sent.
func documentText(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // it came from JSON or YAML
		return "{}"
	}
	return strings.TrimSpace(b.String())
}

func call(operation string, in map[string]any) Call { return Call{Operation: operation, Input: in} }

// input makes an input of pairs, without those whose value is nothing.
func input(pairs ...any) map[string]any {
	in := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if !isEmpty(pairs[i+1]) {
			in[pairs[i].(string)] = pairs[i+1]
		}
	}
	return in
}

// tagList is tags as inputs have them; key and value are what the service calls
// the two.
func tagList(tags any, key, value string) []any {
	m, _ := tags.(map[string]any)
	out := []any{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, map[string]any{key: k, value: m[k]})
	}
	return out
}

func (p *planner) create(w resource) []Call {
	f := w.fields
	switch w.kind {
	case KindDomain:
		return []Call{call("CreateDomain", input("Domain", w.domain, "Tags", tagList(f["tags"], "key", "value")))}
	case KindRepository:
		calls := []Call{call("CreateRepository", input("Domain", w.domain, "Repository", w.name, "Description", f["description"], "Format", f["format"],
			"VersionPolicy", f["versionPolicy"], "Upstreams", upstreams(f["upstreams"]), "Tags", tagList(f["tags"], "key", "value")))}
		return append(calls, p.connections(w.ref, nil, anyList(f["externalConnections"]))...)
	case KindPackageGroup:
		calls := []Call{call("CreatePackageGroup", input("Domain", w.domain, "PackageGroup", w.name, "ContactInfo", f["contactInfo"], "Description", f["description"]))}
		fresh := map[string]any{}
		for _, way := range artifact.Ways() {
			fresh["originRestrictions."+string(way)] = string(artifact.GroupInherit)
		}
		return append(calls, p.origins(w.ref, f, fresh)...)
	case KindRetention:
		return p.putRetention(w)
	case KindQuota:
		return p.putQuota(w)
	case KindRepositoryPolicy, KindDomainPolicy:
		in := map[string]any{"Domain": w.domain}
		if w.kind == KindRepositoryPolicy {
			in["Repository"] = w.name
		}
		return []Call{{Operation: "Get" + policyOperation(w.kind), Input: maps.Clone(in), Absent: true}, p.putPolicy(w)}
	case KindTopic:
		calls := []Call{call("CreateTopic", input("Name", w.name))}
		return append(calls, p.subscriptions(w.ref, nil, anyList(f["subscriptions"]))...)
	case KindAlarm:
		return []Call{p.putAlarm(w, nil)}
	case KindManagedPolicy:
		return []Call{call("CreatePolicy", input("PolicyName", w.name, "Path", f["path"], "Description", f["description"], "PolicyDocument", documentText(f["document"])))}
	case KindGroup:
		return append([]Call{call("CreateGroup", input("GroupName", w.name, "Path", f["path"]))}, p.rights("Group", w.name, f, nil)...)
	case KindUser:
		calls := []Call{call("CreateUser", input("UserName", w.name, "Path", f["path"], "Tags", tagList(f["tags"], "Key", "Value")))}
		return append(append(calls, p.memberships(w.name, anyList(f["groups"]), nil)...), p.rights("User", w.name, f, nil)...)
	case KindRole:
		calls := []Call{call("CreateRole", input("RoleName", w.name, "Path", f["path"], "Description", f["description"], "MaxSessionDuration", f["maxSessionDuration"],
			"AssumeRolePolicyDocument", documentText(f["trustPolicy"]), "Tags", tagList(f["tags"], "Key", "Value")))}
		return append(calls, p.rights("Role", w.name, f, nil)...)
	}
	panic("organisation: no way to make a " + string(w.kind))
}

// update gives the calls that change what differs; an error when that cannot be
// changed.
func (p *planner) update(w, have resource, differ []FieldChange) ([]Call, error) {
	f, h := w.fields, have.fields
	changed := func(field string) bool {
		return slices.ContainsFunc(differ, func(c FieldChange) bool { return c.Field == field || strings.HasPrefix(c.Field, field+".") })
	}
	for _, field := range fixed[w.kind] {
		if changed(field) {
			return nil, fmt.Errorf("%s %s: %s is %s on the server and %s in the file, and cannot be changed; write %s, or delete it and apply the file again",
				w.kind, w, field, shown(h[field]), shown(f[field]), shown(h[field]))
		}
	}
	var calls []Call
	switch w.kind {
	case KindDomain:
		return p.retag(w.ref, f, h), nil
	case KindRepository:
		in := map[string]any{"Domain": w.domain, "Repository": w.name}
		for field, member := range map[string]string{"description": "Description", "versionPolicy": "VersionPolicy"} {
			if changed(field) {
				in[member] = f[field]
			}
		}
		if changed("upstreams") {
			in["Upstreams"] = upstreams(f["upstreams"])
		}
		if len(in) > 2 {
			calls = append(calls, call("UpdateRepository", in))
		}
		if changed("externalConnections") {
			calls = append(calls, p.connections(w.ref, anyList(h["externalConnections"]), anyList(f["externalConnections"]))...)
		}
		return append(calls, p.retag(w.ref, f, h)...), nil
	case KindPackageGroup:
		in := map[string]any{"Domain": w.domain, "PackageGroup": w.name}
		for field, member := range map[string]string{"contactInfo": "ContactInfo", "description": "Description"} {
			if changed(field) {
				in[member] = f[field]
			}
		}
		if len(in) > 2 {
			calls = append(calls, call("UpdatePackageGroup", in))
		}
		return append(calls, p.origins(w.ref, f, h)...), nil
	case KindRetention:
		return p.putRetention(w), nil
	case KindQuota:
		return p.putQuota(w), nil
	case KindRepositoryPolicy, KindDomainPolicy:
		return []Call{p.putPolicy(w)}, nil
	case KindTopic:
		return p.subscriptions(w.ref, anyList(h["subscriptions"]), anyList(f["subscriptions"])), nil
	case KindAlarm:
		return []Call{p.putAlarm(w, h)}, nil
	case KindManagedPolicy:
		arn := p.arns[w.ref]
		const most = 5 // versions of a policy
		if old := p.versions[w.name]; len(old) >= most-1 {
			calls = append(calls, call("DeletePolicyVersion", input("PolicyArn", arn, "VersionId", old[0])))
		}
		return append(calls, call("CreatePolicyVersion", input("PolicyArn", arn, "PolicyDocument", documentText(f["document"]), "SetAsDefault", true))), nil
	case KindGroup:
		if changed("path") {
			calls = append(calls, call("UpdateGroup", input("GroupName", w.name, "NewPath", f["path"])))
		}
		return append(calls, p.rights("Group", w.name, f, h)...), nil
	case KindUser:
		if changed("path") {
			calls = append(calls, call("UpdateUser", input("UserName", w.name, "NewPath", f["path"])))
		}
		if changed("groups") {
			calls = append(calls, p.memberships(w.name, anyList(f["groups"]), anyList(h["groups"]))...)
		}
		if changed("tags") {
			calls = append(calls, p.retagIdentity("User", w.name, f, h)...)
		}
		return append(calls, p.rights("User", w.name, f, h)...), nil
	case KindRole:
		in := map[string]any{"RoleName": w.name}
		for field, member := range map[string]string{"description": "Description", "maxSessionDuration": "MaxSessionDuration"} {
			if changed(field) {
				in[member] = f[field]
			}
		}
		if len(in) > 1 {
			calls = append(calls, call("UpdateRole", in))
		}
		if changed("trustPolicy") {
			calls = append(calls, call("UpdateAssumeRolePolicy", input("RoleName", w.name, "PolicyDocument", documentText(f["trustPolicy"]))))
		}
		if changed("tags") {
			calls = append(calls, p.retagIdentity("Role", w.name, f, h)...)
		}
		return append(calls, p.rights("Role", w.name, f, h)...), nil
	}
	panic("organisation: no way to change a " + string(w.kind))
}

// fixed are the fields that are set once.
var fixed = map[Kind][]string{
	KindRepository: {"format"}, KindManagedPolicy: {"path", "description"}, KindRole: {"path"},
}

func shown(v any) string {
	if isEmpty(v) {
		return "not set"
	}
	return jsonOf(v)
}

// remove gives the calls that delete something with what hangs on it.
func (p *planner) remove(h resource) []Call {
	f := h.fields
	switch h.kind {
	case KindDomain:
		return []Call{call("DeleteDomain", input("Domain", h.domain))}
	case KindRepository:
		calls := []Call{call("DeleteRepository", input("Domain", h.domain, "Repository", h.name))}
		if !p.options.Force && !p.filled[h.ref] { // else whoever forces it knows of the packages
			look := Call{Operation: "ListPackages", Input: input("Domain", h.domain, "Repository", h.name, "MaxResults", 1), Empty: true}
			calls = append([]Call{look}, calls...)
		}
		return calls
	case KindPackageGroup:
		return []Call{call("DeletePackageGroup", input("Domain", h.domain, "PackageGroup", h.name))}
	case KindRetention:
		if h.name == "" {
			return []Call{call("DeleteDomainRetentionConfiguration", input("Domain", h.domain, "OriginType", h.part))}
		}
		return []Call{call("DeleteRepositoryRetentionConfiguration", input("Domain", h.domain, "Repository", h.name))}
	case KindQuota:
		if h.name == "" {
			return []Call{call("DeleteDomainQuota", input("Domain", h.domain))}
		}
		return []Call{call("DeleteRepositoryQuota", input("Domain", h.domain, "Repository", h.name))}
	case KindRepositoryPolicy, KindDomainPolicy:
		return []Call{call("Delete"+policyOperation(h.kind), input("Domain", h.domain, "Repository", h.name, "PolicyRevision", p.revisions[h.ref]))}
	case KindTopic:
		return []Call{call("DeleteTopic", input("TopicArn", p.arns[h.ref]))}
	case KindAlarm:
		return []Call{call("DeleteAlarms", map[string]any{"AlarmNames": []any{h.name}})}
	case KindManagedPolicy:
		var calls []Call
		for _, v := range p.versions[h.name] {
			calls = append(calls, call("DeletePolicyVersion", input("PolicyArn", p.arns[h.ref], "VersionId", v)))
		}
		return append(calls, call("DeletePolicy", input("PolicyArn", p.arns[h.ref])))
	case KindGroup:
		var calls []Call
		members := p.members[h.name]
		for _, u := range p.file.Users {
			if slices.Contains(u.Groups, h.name) {
				members = append(members, u.Name)
			}
		}
		for _, u := range members {
			calls = append(calls, call("RemoveUserFromGroup", input("GroupName", h.name, "UserName", u)))
		}
		calls = append(calls, p.rights("Group", h.name, nothing, f)...)
		return append(calls, call("DeleteGroup", input("GroupName", h.name)))
	case KindUser:
		calls := append(p.memberships(h.name, nil, anyList(f["groups"])), p.rights("User", h.name, nothing, f)...)
		for _, key := range p.keys[h.name] {
			calls = append(calls, call("DeleteAccessKey", input("UserName", h.name, "AccessKeyId", key)))
		}
		return append(calls, call("DeleteUser", input("UserName", h.name)))
	case KindRole:
		return append(p.rights("Role", h.name, nothing, f), call("DeleteRole", input("RoleName", h.name)))
	}
	panic("organisation: no way to delete a " + string(h.kind))
}

// nothing asks for no rights at all.
var nothing = map[string]any{"inlinePolicies": map[string]any{}, "attachedPolicies": []any{}}

func upstreams(v any) []any {
	out := []any{}
	for _, name := range anyList(v) {
		out = append(out, map[string]any{"repositoryName": name})
	}
	return out
}

// parted are the values to add and those to remove.
func parted(want, have []any) (add, remove []any) {
	for _, v := range want {
		if !slices.Contains(have, v) {
			add = append(add, v)
		}
	}
	for _, v := range have {
		if !slices.Contains(want, v) {
			remove = append(remove, v)
		}
	}
	return add, remove
}

func (p *planner) connections(at ref, have, want []any) (calls []Call) {
	add, remove := parted(want, have)
	for _, c := range remove {
		calls = append(calls, call("DisassociateExternalConnection", input("Domain", at.domain, "Repository", at.name, "ExternalConnection", c)))
	}
	for _, c := range add {
		calls = append(calls, call("AssociateExternalConnection", input("Domain", at.domain, "Repository", at.name, "ExternalConnection", c)))
	}
	return calls
}

// origins changes the restrictions of a package group and their lists.
func (p *planner) origins(at ref, want, have map[string]any) []Call {
	restrictions, add, remove := map[string]any{}, []any{}, []any{}
	for _, w := range artifact.Ways() {
		way := string(w)
		mode, declared := want["originRestrictions."+way]
		if declared && mode != have["originRestrictions."+way] {
			restrictions[way] = mode
		}
		list, declared := want["allowedRepositories."+way]
		if !declared {
			continue
		}
		entry := func(name any) map[string]any {
			return map[string]any{"repositoryName": name, "originRestrictionType": way}
		}
		more, less := parted(anyList(list), anyList(have["allowedRepositories."+way]))
		for _, name := range more {
			add = append(add, entry(name))
		}
		for _, name := range less {
			remove = append(remove, entry(name))
		}
	}
	if len(restrictions) == 0 && len(add) == 0 && len(remove) == 0 {
		return nil
	}
	in := map[string]any{"Domain": at.domain, "PackageGroup": at.name}
	if len(restrictions) > 0 {
		in["Restrictions"] = restrictions
	}
	if len(add) > 0 {
		in["AddAllowedRepositories"] = add
	}
	if len(remove) > 0 {
		in["RemoveAllowedRepositories"] = remove
	}
	return []Call{call("UpdatePackageGroupOriginConfiguration", in)}
}

func (p *planner) putRetention(w resource) []Call {
	in := input("Domain", w.domain, "RetentionDays", w.fields["retentionDays"], "MaxVersionsRetained", w.fields["maxVersionsRetained"], "Rules", w.fields["rules"],
		"Schedule", w.fields["schedule"], "TrashDays", w.fields["trashDays"])
	if w.part == settings {
		return []Call{call("PutDomainRetentionConfiguration", in)}
	}
	if p.options.Force {
		in["Force"] = true
	}
	if w.name != "" {
		in["Repository"] = w.name
		return []Call{call("PutRepositoryRetentionConfiguration", in)}
	}
	in["OriginType"] = w.part
	return []Call{call("PutDomainRetentionConfiguration", in)}
}

func (p *planner) putQuota(w resource) []Call {
	in := input("Domain", w.domain, "Repository", w.name, "MaxBytes", w.fields["maxBytes"], "MaxVersions", w.fields["maxVersions"], "MaxAssetBytes", w.fields["maxAssetBytes"])
	if w.name != "" {
		return []Call{call("PutRepositoryQuota", in)}
	}
	return []Call{call("PutDomainQuota", in)}
}

func policyOperation(k Kind) string {
	if k == KindDomainPolicy {
		return "DomainPermissionsPolicy"
	}
	return "RepositoryPermissionsPolicy"
}

func (p *planner) putPolicy(w resource) Call {
	return call("Put"+policyOperation(w.kind), input("Domain", w.domain, "Repository", w.name, "PolicyRevision", p.revisions[w.ref], "PolicyDocument", documentText(w.fields["document"])))
}

// retag changes the tags of what has an ARN.
func (p *planner) retag(at ref, want, have map[string]any) (calls []Call) {
	if want["tags"] == nil || equal(want["tags"], have["tags"]) {
		return nil
	}
	set, gone := tagChanges(want["tags"], have["tags"])
	if len(gone) > 0 {
		calls = append(calls, call("UntagResource", map[string]any{"ResourceArn": p.arns[at], "TagKeys": gone}))
	}
	if len(set) > 0 {
		calls = append(calls, call("TagResource", map[string]any{"ResourceArn": p.arns[at], "Tags": tagList(set, "key", "value")}))
	}
	return calls
}

func (p *planner) retagIdentity(kind, name string, want, have map[string]any) (calls []Call) {
	set, gone := tagChanges(want["tags"], have["tags"])
	if len(gone) > 0 {
		calls = append(calls, call("Untag"+kind, map[string]any{kind + "Name": name, "TagKeys": gone}))
	}
	if len(set) > 0 {
		calls = append(calls, call("Tag"+kind, map[string]any{kind + "Name": name, "Tags": tagList(set, "Key", "Value")}))
	}
	return calls
}

func tagChanges(want, have any) (set map[string]any, gone []any) {
	w, _ := want.(map[string]any)
	h, _ := have.(map[string]any)
	set = map[string]any{}
	for key, value := range w {
		if h[key] != value {
			set[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(h)) {
		if _, stays := w[key]; !stays {
			gone = append(gone, key)
		}
	}
	return set, gone
}

// rights changes the policies of a User, Group or Role. What is given comes
// before what is taken.
func (p *planner) rights(kind, name string, want, have map[string]any) (calls []Call) {
	member := kind + "Name"
	var takes []Call
	if docs, ok := want["inlinePolicies"].(map[string]any); ok {
		old, _ := have["inlinePolicies"].(map[string]any)
		for _, policy := range slices.Sorted(maps.Keys(docs)) {
			if !equal(docs[policy], old[policy]) {
				calls = append(calls, call("Put"+kind+"Policy", input(member, name, "PolicyName", policy, "PolicyDocument", documentText(docs[policy]))))
			}
		}
		for _, policy := range slices.Sorted(maps.Keys(old)) {
			if _, stays := docs[policy]; !stays {
				takes = append(takes, call("Delete"+kind+"Policy", input(member, name, "PolicyName", policy)))
			}
		}
	}
	if attached, ok := want["attachedPolicies"].([]any); ok {
		add, remove := parted(attached, anyList(have["attachedPolicies"]))
		for _, arn := range add {
			calls = append(calls, call("Attach"+kind+"Policy", input(member, name, "PolicyArn", arn)))
		}
		for _, arn := range remove {
			takes = append(takes, call("Detach"+kind+"Policy", input(member, name, "PolicyArn", arn)))
		}
	}
	return append(calls, takes...)
}

func (p *planner) memberships(user string, want, have []any) (calls []Call) {
	add, remove := parted(want, have)
	for _, g := range add {
		calls = append(calls, call("AddUserToGroup", input("GroupName", g, "UserName", user)))
	}
	for _, g := range remove {
		calls = append(calls, call("RemoveUserFromGroup", input("GroupName", g, "UserName", user)))
	}
	return calls
}

func (p *planner) subscriptions(at ref, have, want []any) (calls []Call) {
	arn := p.arns[at]
	if arn == "" {
		arn = p.site.topicARN(at.name)
	}
	add, remove := parted(want, have)
	for _, v := range add {
		protocol, endpoint, _ := strings.Cut(fmt.Sprint(v), " ")
		calls = append(calls, call("Subscribe", input("TopicArn", arn, "Protocol", protocol, "Endpoint", endpoint)))
	}
	for _, v := range remove {
		if sub := p.subs[ref{KindTopic, "", at.name, fmt.Sprint(v)}]; strings.HasPrefix(sub, "arn:") {
			calls = append(calls, call("Unsubscribe", input("SubscriptionArn", sub)))
		}
	}
	return calls
}

// putAlarm replaces the whole alarm, so that what the file does not manage is
// sent as it is.
func (p *planner) putAlarm(w resource, have map[string]any) Call {
	f := maps.Clone(have)
	if f == nil {
		f = map[string]any{}
	}
	maps.Copy(f, w.fields)
	if f["evaluationPeriods"] == nil {
		f["evaluationPeriods"] = int64(1)
	}
	in := input("AlarmName", w.name)
	for field, member := range map[string]string{
		"description": "AlarmDescription", "actionsEnabled": "ActionsEnabled", "okActions": "OKActions", "alarmActions": "AlarmActions",
		"insufficientDataActions": "InsufficientDataActions", "metricName": "MetricName", "namespace": "Namespace", "statistic": "Statistic",
		"period": "Period", "unit": "Unit", "evaluationPeriods": "EvaluationPeriods",
		"datapointsToAlarm": "DatapointsToAlarm", "threshold": "Threshold", "comparisonOperator": "ComparisonOperator", "treatMissingData": "TreatMissingData",
	} {
		if v := f[field]; !isEmpty(v) {
			in[member] = v
		}
	}
	if dims := tagList(f["dimensions"], "Name", "Value"); len(dims) > 0 {
		in["Dimensions"] = dims
	}
	return call("PutMetricAlarm", in)
}
