package organisation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"packhouse/internal/artifact"
)

// API calls operations by name: inputs by the names of the members as the SDK
// for Go has them, outputs by those on the wire.
type API interface {
	Call(ctx context.Context, operation string, in map[string]any) (map[string]any, error)
}

// ErrUnknownOperation is what Call returns, wrapped, for an operation that the
// server or this program does not know.
var ErrUnknownOperation = errors.New("unknown operation")

// coded is an error of the API.
type coded interface{ ErrorCode() string }

func isCode(err error, codes ...string) bool {
	var c coded
	return errors.As(err, &c) && slices.Contains(codes, c.ErrorCode())
}

// isMissing knows what CodeArtifact, IAM, CloudWatch and SNS call it.
func isMissing(err error) bool {
	return isCode(err, "ResourceNotFoundException", "NoSuchEntity", "ResourceNotFound", "NotFound", "NotFoundException")
}

// state is what a server has, as a file that would ask for it, with what plans
// need besides.
type state struct {
	file      File
	arns      map[ref]string
	revisions map[ref]string    // of policies
	filled    map[ref]bool      // repositories that hold packages
	keys      map[string][]any  // access keys by user
	members   map[string][]any  // users of groups that the file does not have, where it says nothing of users
	versions  map[string][]any  // of managed policies that do not count any more, oldest first
	pathOf    map[string]string // of managed policies
	subs      map[ref]string    // ARNs of subscriptions, by topic in name and the place in part
	self      ref               // the user or role who calls; zero when it is neither
	missing   map[string]string // operations the server does not know, by what they are for
	extras    []ref             // in domains that the file does not have
}

// reader reads the parts of a server that want names; all of it when want is
// nil, or all of one domain.
type reader struct {
	api  API
	want *File
	only string
	site site
	mu   sync.Mutex

	probed map[string]bool
	*state
}

const readers = 8 // calls at a time

func (r *reader) call(ctx context.Context, operation string, in map[string]any) (map[string]any, error) {
	out, err := r.api.Call(ctx, operation, in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	return out, nil
}

// list calls a listing to its end and gives the items of one member.
func (r *reader) list(ctx context.Context, operation, member string, in map[string]any) ([]map[string]any, error) {
	args := map[string]any{}
	maps.Copy(args, in)
	var items []map[string]any
	for {
		out, err := r.call(ctx, operation, args)
		if err != nil {
			return nil, err
		}
		for _, item := range listOf(out, member) {
			switch item := item.(type) {
			case map[string]any:
				items = append(items, item)
			case string:
				items = append(items, map[string]any{"": item})
			}
		}
		switch next, marker := cmp.Or(text(out, "nextToken"), text(out, "NextToken")), text(out, "Marker"); {
		case next != "":
			args["NextToken"] = next
		case marker != "":
			args["Marker"] = marker
		default:
			return items, nil
		}
	}
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

func listOf(m map[string]any, key string) []any {
	l, _ := m[key].([]any)
	return l
}

func object(m map[string]any, key string) map[string]any {
	o, _ := m[key].(map[string]any)
	return o
}

// whole reads a whole number, nil when it is none.
func whole(v any) *int64 {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return &n
		}
		if f, err := v.Float64(); err == nil {
			return new(int64(f))
		}
	case int64:
		return &v
	case int:
		return new(int64(v))
	case float64:
		return new(int64(v))
	case string:
		if n, err := json.Number(v).Int64(); err == nil {
			return &n
		}
	}
	return nil
}

func number(v any) *float64 {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return &f
		}
	case float64:
		return &v
	case int64:
		return new(float64(v))
	case string:
		if f, err := json.Number(v).Float64(); err == nil {
			return &f
		}
	}
	return nil
}

// optional runs a read that the server may not know; without it what is noted,
// and there is nothing of it.
func (r *reader) optional(what string, err error) (known bool, _ error) {
	if err == nil || !errors.Is(err, ErrUnknownOperation) {
		return err == nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing[what] = err.Error()
	return false, nil
}

// read reads a server.
func read(ctx context.Context, api API, s site, want *File, only string) (*state, error) {
	r := &reader{api: api, want: want, only: only, site: s, probed: map[string]bool{}, state: &state{
		arns: map[ref]string{}, revisions: map[ref]string{}, filled: map[ref]bool{}, keys: map[string][]any{}, members: map[string][]any{}, versions: map[string][]any{},
		pathOf: map[string]string{}, subs: map[ref]string{}, missing: map[string]string{},
	}}
	if err := r.domains(ctx); err != nil {
		return nil, err
	}
	if only != "" {
		return r.state, nil
	}
	if err := r.probe(ctx); err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context) error{r.identities, r.topics, r.alarms} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return r.state, nil
}

// probe asks for what the file declares of domains that may not be there yet,
// to hear whether the server can do it at all.
func (r *reader) probe(ctx context.Context) error {
	if r.want == nil {
		return nil
	}
	for _, res := range r.want.resources(r.site) {
		var operation string
		word := words[res.kind]
		in := map[string]any{"Domain": res.domain}
		switch res.kind {
		case KindRetention:
			operation, in["OriginType"] = "GetDomainRetentionConfiguration", published
		case KindQuota:
			operation = "GetDomainQuota"
		default:
			continue
		}
		if _, asked := r.probed[word]; asked {
			continue
		}
		r.probed[word] = true
		_, err := r.call(ctx, operation, in)
		if isMissing(err) {
			continue
		}
		if _, err := r.optional(word, err); err != nil {
			return err
		}
	}
	return nil
}

// wanted is the domain of the file, nil when it has none of that name.
func (r *reader) wanted(name string) *Domain {
	if r.want != nil {
		for i := range r.want.Domains {
			if r.want.Domains[i].Name == name {
				return &r.want.Domains[i]
			}
		}
	}
	return nil
}

func (r *reader) domains(ctx context.Context) error {
	if r.want != nil && r.want.Domains == nil {
		return nil
	}
	rows, err := r.list(ctx, "ListDomains", "domains", nil)
	if err != nil {
		return err
	}
	for _, row := range rows {
		name := text(row, "name")
		want := r.wanted(name)
		switch {
		case r.only != "" && r.only != name, r.want != nil && want == nil && r.want.Domain != "":
			continue
		case r.want != nil && want == nil: // nothing but what is there to be deleted
			want = &Domain{Name: name, Content: Content{Repositories: []Repository{}}}
			r.extras = append(r.extras, ref{kind: KindDomain, domain: name})
		}
		r.arns[ref{kind: KindDomain, domain: name}] = text(row, "arn")
		d, err := r.domain(ctx, name, want)
		if err != nil {
			return err
		}
		r.file.Domains = append(r.file.Domains, *d)
	}
	if r.only != "" && len(r.file.Domains) == 0 {
		return fmt.Errorf("there is no domain %s", r.only)
	}
	return nil
}

// domain reads one domain: of it what want declares, everything when that is
// nil.
func (r *reader) domain(ctx context.Context, name string, want *Domain) (*Domain, error) {
	all := want == nil
	if all {
		want = &Domain{}
	}
	d := &Domain{Name: name}
	in := map[string]any{"Domain": name}
	var err error
	if all || want.Tags != nil {
		if d.Tags, err = r.tags(ctx, r.arns[ref{kind: KindDomain, domain: name}]); err != nil {
			return nil, err
		}
	}
	if all || want.Policy != nil {
		if d.Policy, err = r.policy(ctx, "GetDomainPermissionsPolicy", in, ref{kind: KindDomainPolicy, domain: name}); err != nil {
			return nil, err
		}
	}
	if all || want.Quota != nil {
		if d.Quota, err = r.quota(ctx, "GetDomainQuota", in); err != nil {
			return nil, err
		}
	}
	if all || want.Retention != nil {
		if d.Retention, err = r.domainRetention(ctx, name); err != nil {
			return nil, err
		}
	}
	if all || want.Repositories != nil {
		if err := r.repositories(ctx, d, want, all); err != nil {
			return nil, err
		}
	}
	if all || want.PackageGroups != nil {
		err = r.groups(ctx, d)
	}
	return d, err
}

func (r *reader) domainRetention(ctx context.Context, name string) (*DomainRetention, error) {
	const operation = "GetDomainRetentionConfiguration"
	var both [2]*Retention
	out := &DomainRetention{}
	for i, origin := range []string{published, ingested} {
		c, err := r.retention(ctx, operation, map[string]any{"Domain": name, "OriginType": origin}, &both[i])
		if err != nil {
			return nil, err
		}
		if s := optionalText(c, "schedule"); s != nil { // the domain's, so both say the same
			out.Schedule, out.TrashDays = s, whole(c["trashDays"])
		}
	}
	switch {
	case both[0] == nil || both[1] == nil:
		return nil, nil //nolint:nilnil // the server does not know retention
	case equal(*both[0], *both[1]):
		out.Retention = *both[0]
	default:
		out.Published, out.Ingested = both[0], both[1]
	}
	return out, nil
}

// retention reads a configuration into v, nothing when there is none, and gives
// what was answered.
func (r *reader) retention(ctx context.Context, operation string, in map[string]any, v **Retention) (map[string]any, error) {
	out, err := r.call(ctx, operation, in)
	if isMissing(err) {
		*v = &Retention{}
		return nil, nil //nolint:nilnil // nothing was answered
	}
	if known, err := r.optional("retention", err); !known {
		return nil, err
	}
	c := object(out, "retentionConfiguration")
	*v = &Retention{RetentionDays: whole(c["retentionDays"]), MaxVersionsRetained: whole(c["maxVersionsRetained"])}
	for _, rule := range listOf(c, "rules") {
		m, _ := rule.(map[string]any)
		(*v).Rules = append((*v).Rules, RetentionRule{
			Name: optionalText(m, "name"), Format: optionalText(m, "format"), PackagePattern: optionalText(m, "packagePattern"),
			OriginType: optionalText(m, "originType"), Kind: optionalText(m, "kind"), Status: optionalText(m, "status"), AgeFrom: optionalText(m, "ageFrom"),
			NotDownloadedForDays: whole(m["notDownloadedForDays"]), RetentionDays: whole(m["retentionDays"]), MaxVersionsRetained: whole(m["maxVersionsRetained"]),
			Keep: truth(m, "keep"), Remove: truth(m, "remove"),
		})
	}
	return c, nil
}

// truth is a member that says yes; nil when it does not.
func truth(m map[string]any, key string) *bool {
	if m[key] != true {
		return nil
	}
	return new(true)
}

func (r *reader) quota(ctx context.Context, operation string, in map[string]any) (*Quota, error) {
	out, err := r.call(ctx, operation, in)
	if isMissing(err) {
		return &Quota{}, nil
	}
	if known, err := r.optional("quota", err); !known {
		return nil, err
	}
	q := object(out, "quota")
	return &Quota{(*Bytes)(whole(q["maxBytes"])), whole(q["maxVersions"]), (*Bytes)(whole(q["maxAssetBytes"]))}, nil
}

func (r *reader) policy(ctx context.Context, operation string, in map[string]any, at ref) (*Document, error) {
	out, err := r.call(ctx, operation, in)
	if isMissing(err) {
		return &Document{}, nil
	}
	if err != nil {
		return nil, err
	}
	p := object(out, "policy")
	doc, err := documentOf(text(p, "document"))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revisions[at] = text(p, "revision")
	return doc, err
}

func documentOf(text string) (*Document, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	doc := &Document{}
	if err := dec.Decode(&doc.Value); err != nil {
		return nil, fmt.Errorf("a policy of the server cannot be read: %w", err)
	}
	return doc, nil
}

// tags reads the tags of a resource.
func (r *reader) tags(ctx context.Context, arn string) (map[string]string, error) {
	out, err := r.call(ctx, "ListTagsForResource", map[string]any{"ResourceArn": arn})
	if err != nil {
		return nil, err
	}
	return tagMap(listOf(out, "tags"), "key", "value"), nil
}

func tagMap(list []any, key, value string) map[string]string {
	tags := make(map[string]string, len(list))
	for _, item := range list {
		if t, ok := item.(map[string]any); ok {
			tags[text(t, key)] = text(t, value)
		}
	}
	return tags
}

func (r *reader) repositories(ctx context.Context, d, want *Domain, all bool) error {
	rows, err := r.list(ctx, "ListRepositoriesInDomain", "repositories", map[string]any{"Domain": d.Name})
	if err != nil {
		return err
	}
	d.Repositories = make([]Repository, len(rows))
	var g errgroup.Group
	g.SetLimit(readers)
	for i, row := range rows {
		g.Go(func() error {
			name := text(row, "name")
			declared := &Repository{}
			at := slices.IndexFunc(want.Repositories, func(w Repository) bool { return w.Name == name })
			if at >= 0 {
				declared = &want.Repositories[at]
			}
			return r.repository(ctx, d.Name, name, &d.Repositories[i], declared, all, !all && at < 0)
		})
	}
	return g.Wait()
}

// repository reads one repository; of an extra one, whether it holds packages.
func (r *reader) repository(ctx context.Context, domain, name string, into, want *Repository, all, extra bool) error {
	in := map[string]any{"Domain": domain, "Repository": name}
	out, err := r.call(ctx, "DescribeRepository", in)
	if err != nil {
		return err
	}
	row := object(out, "repository")
	at := ref{kind: KindRepository, domain: domain, name: name}
	r.mu.Lock()
	r.arns[at] = text(row, "arn")
	r.mu.Unlock()
	*into = Repository{Name: name, Upstreams: []string{}, ExternalConnections: []string{}}
	into.Description, into.Format = new(text(row, "description")), optionalText(row, "format") // a format can neither be set nor lifted later
	into.VersionPolicy = new(cmp.Or(text(row, "versionPolicy"), string(artifact.Mixed)))
	for _, u := range listOf(row, "upstreams") {
		if u, ok := u.(map[string]any); ok {
			into.Upstreams = append(into.Upstreams, text(u, "repositoryName"))
		}
	}
	for _, c := range listOf(row, "externalConnections") {
		if c, ok := c.(map[string]any); ok {
			into.ExternalConnections = append(into.ExternalConnections, text(c, "externalConnectionName"))
		}
	}
	if extra {
		out, err := r.call(ctx, "ListPackages", map[string]any{"Domain": domain, "Repository": name, "MaxResults": 1})
		r.mu.Lock()
		defer r.mu.Unlock()
		r.filled[at] = len(listOf(out, "packages")) > 0
		return err
	}
	if all || want.Tags != nil {
		if into.Tags, err = r.tags(ctx, text(row, "arn")); err != nil {
			return err
		}
	}
	if all || want.Policy != nil {
		if into.Policy, err = r.policy(ctx, "GetRepositoryPermissionsPolicy", in, ref{kind: KindRepositoryPolicy, domain: domain, name: name}); err != nil {
			return err
		}
	}
	if all || want.Quota != nil {
		if into.Quota, err = r.quota(ctx, "GetRepositoryQuota", in); err != nil {
			return err
		}
	}
	if all || want.Retention != nil {
		_, err = r.retention(ctx, "GetRepositoryRetentionConfiguration", in, &into.Retention)
	}
	return err
}

func (r *reader) groups(ctx context.Context, d *Domain) error {
	rows, err := r.list(ctx, "ListPackageGroups", "packageGroups", map[string]any{"Domain": d.Name})
	if err != nil {
		return err
	}
	d.PackageGroups = []PackageGroup{}
	for _, row := range rows {
		g := PackageGroup{
			Pattern: text(row, "pattern"), ContactInfo: new(text(row, "contactInfo")), Description: new(text(row, "description")),
			OriginRestrictions: map[string]string{}, AllowedRepositories: map[string][]string{},
		}
		for way, rule := range object(object(row, "originConfiguration"), "restrictions") {
			rule, _ := rule.(map[string]any)
			mode := text(rule, "mode")
			g.OriginRestrictions[way] = mode
			if mode != string(artifact.GroupAllowSpecific) {
				continue
			}
			allowed, err := r.list(ctx, "ListAllowedRepositoriesForGroup", "allowedRepositories",
				map[string]any{"Domain": d.Name, "PackageGroup": g.Pattern, "OriginRestrictionType": way})
			if err != nil {
				return err
			}
			g.AllowedRepositories[way] = []string{}
			for _, a := range allowed {
				g.AllowedRepositories[way] = append(g.AllowedRepositories[way], text(a, ""))
			}
		}
		d.PackageGroups = append(d.PackageGroups, g)
	}
	return nil
}

func (r *reader) identities(ctx context.Context) error {
	all := r.want == nil
	if all || r.want.Policies != nil {
		if err := r.managedPolicies(ctx); err != nil {
			return err
		}
	}
	if all || r.want.Groups != nil {
		rows, err := r.list(ctx, "ListGroups", "Groups", nil)
		if err != nil {
			return err
		}
		r.file.Groups = make([]Group, len(rows))
		for i, row := range rows {
			g := &r.file.Groups[i]
			g.Name, g.Path = text(row, "GroupName"), new(text(row, "Path"))
			if err := r.rights(ctx, "Group", g.Name, &g.Rights); err != nil {
				return err
			}
			if all || r.want.Users != nil || slices.ContainsFunc(r.want.Groups, func(w Group) bool { return w.Name == g.Name }) {
				continue
			}
			users, err := r.list(ctx, "GetGroup", "Users", map[string]any{"GroupName": g.Name})
			if err != nil {
				return err
			}
			for _, u := range users {
				r.members[g.Name] = append(r.members[g.Name], text(u, "UserName"))
			}
		}
	}
	if all || r.want.Users != nil {
		if err := r.users(ctx); err != nil {
			return err
		}
	}
	if all || r.want.Roles != nil {
		return r.roles(ctx)
	}
	return nil
}

func (r *reader) managedPolicies(ctx context.Context) error {
	rows, err := r.list(ctx, "ListPolicies", "Policies", map[string]any{"Scope": "Local"})
	if err != nil {
		return err
	}
	r.file.Policies = []ManagedPolicy{}
	for _, row := range rows {
		arn := text(row, "Arn")
		full, err := r.call(ctx, "GetPolicy", map[string]any{"PolicyArn": arn})
		if err != nil {
			return err
		}
		described := object(full, "Policy")
		version, err := r.call(ctx, "GetPolicyVersion", map[string]any{"PolicyArn": arn, "VersionId": text(described, "DefaultVersionId")})
		if err != nil {
			return err
		}
		doc, err := encodedDocument(text(object(version, "PolicyVersion"), "Document"))
		if err != nil {
			return err
		}
		versions, err := r.list(ctx, "ListPolicyVersions", "Versions", map[string]any{"PolicyArn": arn})
		if err != nil {
			return err
		}
		name := text(row, "PolicyName")
		for _, v := range slices.Backward(versions) { // they come newest first
			if v["IsDefaultVersion"] != true {
				r.versions[name] = append(r.versions[name], text(v, "VersionId"))
			}
		}
		r.arns[ref{kind: KindManagedPolicy, name: name}], r.pathOf[name] = arn, text(row, "Path")
		r.file.Policies = append(r.file.Policies, ManagedPolicy{name, new(text(row, "Path")), new(text(described, "Description")), doc})
	}
	return nil
}

// encodedDocument reads a document as IAM answers it, percent-encoded.
func encodedDocument(s string) (*Document, error) {
	plain, err := url.PathUnescape(s)
	if err != nil {
		return nil, fmt.Errorf("a policy of the server cannot be read: %w", err)
	}
	return documentOf(plain)
}

// rights reads the policies of a User, Group or Role.
func (r *reader) rights(ctx context.Context, kind, name string, into *Rights) error {
	who := map[string]any{kind + "Name": name}
	into.Policies, into.AttachedPolicies = map[string]*Document{}, []string{}
	inline, err := r.list(ctx, "List"+kind+"Policies", "PolicyNames", who)
	if err != nil {
		return err
	}
	for _, p := range inline {
		out, err := r.call(ctx, "Get"+kind+"Policy", map[string]any{kind + "Name": name, "PolicyName": text(p, "")})
		if err != nil {
			return err
		}
		doc, err := encodedDocument(text(out, "PolicyDocument"))
		if err != nil {
			return err
		}
		into.Policies[text(p, "")] = doc
	}
	attached, err := r.list(ctx, "ListAttached"+kind+"Policies", "AttachedPolicies", who)
	for _, p := range attached {
		into.AttachedPolicies = append(into.AttachedPolicies, text(p, "PolicyArn"))
	}
	return err
}

func (r *reader) users(ctx context.Context) error {
	rows, err := r.list(ctx, "ListUsers", "Users", nil)
	if err != nil {
		return err
	}
	me, err := r.call(ctx, "GetCallerIdentity", nil)
	if err != nil {
		return err
	}
	r.file.Users = make([]User, len(rows))
	for i, row := range rows {
		u := &r.file.Users[i]
		u.Name, u.Path = text(row, "UserName"), new(text(row, "Path"))
		if text(row, "Arn") == text(me, "Arn") {
			r.self = ref{kind: KindUser, name: u.Name}
		}
		u.Groups = []string{}
		who := map[string]any{"UserName": u.Name}
		groups, err := r.list(ctx, "ListGroupsForUser", "Groups", who)
		if err != nil {
			return err
		}
		for _, g := range groups {
			u.Groups = append(u.Groups, text(g, "GroupName"))
		}
		tags, err := r.list(ctx, "ListUserTags", "Tags", who)
		if err != nil {
			return err
		}
		u.Tags = iamTags(tags)
		keys, err := r.list(ctx, "ListAccessKeys", "AccessKeyMetadata", who)
		if err != nil {
			return err
		}
		for _, k := range keys {
			r.keys[u.Name] = append(r.keys[u.Name], text(k, "AccessKeyId"))
		}
		if err := r.rights(ctx, "User", u.Name, &u.Rights); err != nil {
			return err
		}
	}
	return nil
}

func iamTags(rows []map[string]any) map[string]string {
	list := make([]any, len(rows))
	for i, row := range rows {
		list[i] = row
	}
	return tagMap(list, "Key", "Value")
}

func (r *reader) roles(ctx context.Context) error {
	rows, err := r.list(ctx, "ListRoles", "Roles", nil)
	if err != nil {
		return err
	}
	me, err := r.call(ctx, "GetCallerIdentity", nil)
	if err != nil {
		return err
	}
	_, session, _ := strings.Cut(text(me, "Arn"), ":assumed-role/")
	mine, _, _ := strings.Cut(session, "/")
	r.file.Roles = make([]Role, len(rows))
	for i, row := range rows {
		name := text(row, "RoleName")
		out, err := r.call(ctx, "GetRole", map[string]any{"RoleName": name})
		if err != nil {
			return err
		}
		if mine != "" && strings.EqualFold(name, mine) {
			r.self = ref{kind: KindRole, name: name}
		}
		role := object(out, "Role")
		into := &r.file.Roles[i]
		*into = Role{Name: name, Path: new(text(role, "Path")), Description: new(text(role, "Description")), MaxSessionDuration: whole(role["MaxSessionDuration"])}
		if into.TrustPolicy, err = encodedDocument(text(role, "AssumeRolePolicyDocument")); err != nil {
			return err
		}
		into.Tags = tagMap(listOf(role, "Tags"), "Key", "Value")
		if err := r.rights(ctx, "Role", name, &into.Rights); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) topics(ctx context.Context) error {
	if r.want != nil && r.want.Topics == nil {
		return nil
	}
	rows, err := r.list(ctx, "ListTopics", "Topics", nil)
	if known, err := r.optional("topics", err); !known {
		return err
	}
	subs, err := r.list(ctx, "ListSubscriptions", "Subscriptions", nil)
	if known, err := r.optional("topics", err); !known {
		return err
	}
	r.file.Topics = make([]Topic, len(rows))
	for i, row := range rows {
		arn := text(row, "TopicArn")
		t := Topic{Name: arn[strings.LastIndexByte(arn, ':')+1:], Subscriptions: []Subscription{}}
		r.arns[ref{kind: KindTopic, name: t.Name}] = arn
		for _, s := range subs {
			if text(s, "TopicArn") != arn {
				continue
			}
			sub := Subscription{text(s, "Protocol"), text(s, "Endpoint")}
			if !strings.HasPrefix(text(s, "SubscriptionArn"), "arn:") && !r.subscribes(t.Name, sub) {
				continue // nobody has confirmed it: it has no name to end it by, and ends by itself
			}
			t.Subscriptions = append(t.Subscriptions, sub)
			r.subs[ref{KindTopic, "", t.Name, sub.Protocol + " " + sub.Endpoint}] = text(s, "SubscriptionArn")
		}
		r.file.Topics[i] = t
	}
	return nil
}

// subscribes tells whether the file has a subscription; without a file, all count.
func (r *reader) subscribes(topic string, s Subscription) bool {
	return r.want == nil || slices.ContainsFunc(r.want.Topics, func(t Topic) bool { return t.Name == topic && slices.Contains(t.Subscriptions, s) })
}

func (r *reader) alarms(ctx context.Context) error {
	if r.want != nil && r.want.Alarms == nil {
		return nil
	}
	rows, err := r.list(ctx, "DescribeAlarms", "MetricAlarms", nil)
	if known, err := r.optional("alarms", err); !known {
		return err
	}
	r.file.Alarms = []Alarm{}
	for _, row := range rows {
		a := Alarm{
			Name: text(row, "AlarmName"), Namespace: text(row, "Namespace"), MetricName: text(row, "MetricName"),
			ComparisonOperator: text(row, "ComparisonOperator"),
			EvaluationPeriods:  whole(row["EvaluationPeriods"]), DatapointsToAlarm: whole(row["DatapointsToAlarm"]),
			Description: optionalText(row, "AlarmDescription"), Statistic: text(row, "Statistic"),
			TreatMissingData: optionalText(row, "TreatMissingData"), Unit: optionalText(row, "Unit"),
			Dimensions:   tagMap(listOf(row, "Dimensions"), "Name", "Value"),
			AlarmActions: texts(row, "AlarmActions"), OKActions: texts(row, "OKActions"), InsufficientDataActions: texts(row, "InsufficientDataActions"),
		}
		if n := whole(row["Period"]); n != nil {
			a.Period = *n
		}
		if f := number(row["Threshold"]); f != nil {
			a.Threshold = *f
		}
		if on, ok := row["ActionsEnabled"].(bool); ok {
			a.ActionsEnabled = &on
		}
		r.file.Alarms = append(r.file.Alarms, a)
	}
	return nil
}

func optionalText(m map[string]any, key string) *string {
	if s := text(m, key); s != "" {
		return &s
	}
	return nil
}

func texts(m map[string]any, key string) []string {
	out := []string{}
	for _, v := range listOf(m, key) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
