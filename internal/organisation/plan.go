package organisation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"packhouse/internal/artifact"
)

// Action is what a Change does.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
)

// Plan is what has to be done so that a server is as a file says, in the order
// in which it is done.
type Plan struct {
	Changes []Change `json:"changes"`
	// Extra is what the server has and a list of the file does not. It is left
	// alone, unless Options.Prune makes deletions of it.
	Extra []Resource `json:"extra"`
	// Notes tell what the plan leaves out, and why.
	Notes []string `json:"notes"`
}

// Resource names something.
type Resource struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
}

// Change is one resource that is made, changed or deleted.
type Change struct {
	Action Action `json:"action"`
	Resource
	Fields []FieldChange `json:"fields"`
	Calls  []Call        `json:"calls"`
	// Force says why the change is made by force only; empty when it needs none.
	Force string `json:"force,omitempty"`

	ref ref
}

// FieldChange is what becomes of one field; nil is nothing.
type FieldChange struct {
	Field  string `json:"field"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

// Call is one call of the API. With Absent it is made only to see that there is
// nothing yet that would be overwritten, with Empty that a repository still holds
// no packages that would be deleted.
type Call struct {
	Operation string         `json:"operation"`
	Input     map[string]any `json:"input"`
	Absent    bool           `json:"mustBeAbsent,omitzero"`
	Empty     bool           `json:"mustBeEmpty,omitzero"`
}

// Options say how a file is compared with a server.
type Options struct {
	Account, Region string
	Prune           bool // delete what the lists of the file do not have
	Force           bool // retention may leave nothing of a repository
	// CreateOnly leaves alone whatever is there, and makes what is missing as
	// far as the server can.
	CreateOnly bool
}

// Empty tells whether the server is as the file says, and has nothing else
// where the file lists everything.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 && len(p.Extra) == 0 }

// Make compares a file with the server behind api.
func Make(ctx context.Context, api API, f *File, o Options) (*Plan, error) {
	s := site{account: o.Account, region: o.Region}
	have, err := read(ctx, api, s, f, "")
	if err != nil {
		return nil, err
	}
	s.paths = have.pathOf
	p := &planner{options: o, site: s, want: f, state: have, there: map[ref]resource{}, seen: map[ref]bool{}, plan: &Plan{Changes: []Change{}, Extra: []Resource{}, Notes: []string{}}}
	for _, r := range have.file.resources(s) {
		p.there[r.ref] = r
	}
	return p.make()
}

type planner struct {
	options Options
	site    site
	want    *File
	*state
	there map[ref]resource
	seen  map[ref]bool
	plan  *Plan
}

// words are what a file calls the kinds that a server may not know.
var words = map[Kind]string{KindRetention: "retention", KindQuota: "quota", KindTopic: "topics", KindAlarm: "alarms"}

func (p *planner) make() (*Plan, error) {
	wanted := p.want.resources(p.site)
	order := p.order()
	slices.SortStableFunc(wanted, func(a, b resource) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.kind), slices.Index(kinds, b.kind)), cmp.Compare(order[a.ref], order[b.ref]))
	})
	skipped := map[string]bool{}
	for _, w := range wanted {
		p.seen[w.ref] = true
		if word := words[w.kind]; p.missing[word] != "" {
			if w.absent {
				continue // there is none, as it should be
			}
			if !p.options.CreateOnly {
				return nil, fmt.Errorf("the file declares %s, which this server cannot do: %s; take %s out of the file, or upgrade the server", word, p.missing[word], word)
			}
			if !skipped[word] {
				skipped[word] = true
				p.plan.Notes = append(p.plan.Notes, word+" is left out: this server does not have it")
			}
			continue
		}
		if err := p.compare(w); err != nil {
			return nil, err
		}
	}
	if !p.options.CreateOnly {
		p.extra()
	}
	return p.plan, nil
}

// order puts repositories behind their upstreams, and package groups behind
// wider ones. When the upstreams of one are set, all it can reach has those it
// shall have, so that there is never a circle on the way.
func (p *planner) order() map[ref]int {
	order, next := map[ref]int{}, 0
	for _, d := range p.want.Domains {
		byName := map[string]Repository{}
		for _, r := range d.Repositories {
			byName[r.Name] = r
		}
		var visit func(name string)
		visit = func(name string) {
			at := ref{kind: KindRepository, domain: d.Name, name: name}
			if _, done := order[at]; done {
				return
			}
			order[at] = 0 // there are no circles, but nothing shall depend on that
			upstreams := byName[name].Upstreams
			if upstreams == nil { // those it has stay
				for _, u := range anyList(p.there[at].fields["upstreams"]) {
					upstreams = append(upstreams, fmt.Sprint(u))
				}
			}
			for _, u := range upstreams {
				visit(u)
			}
			next++
			order[at] = next
		}
		for _, r := range d.Repositories {
			visit(r.Name)
		}
		for _, g := range d.PackageGroups {
			order[ref{kind: KindPackageGroup, domain: d.Name, name: g.Pattern}] = breadth(g.Pattern)
		}
	}
	return order
}

// breadth is less for wider patterns.
func breadth(pattern string) int {
	if pattern == artifact.RootPattern {
		return 0
	}
	depth := strings.Count(pattern, "/") * 2000 // a pattern has fewer characters
	switch pattern[len(pattern)-1] {
	case '*':
		return depth
	case '$':
		return depth + 1999
	default:
		return depth + min(len(pattern), 1990)
	}
}

// compare adds what has to be done about one resource of the file.
func (p *planner) compare(w resource) error {
	have, there := p.there[w.ref]
	there = there && !have.absent
	if !there {
		have = resource{ref: w.ref}
		if w.kind == KindPackageGroup && w.name == artifact.RootPattern { // it comes with its domain
			there = true
			have.fields = map[string]any{"contactInfo": "", "description": ""}
			for _, way := range artifact.Ways() {
				have.fields["originRestrictions."+string(way)] = string(artifact.GroupAllow)
			}
		}
	}
	c := Change{Resource: Resource{w.kind, w.String()}, ref: w.ref, Fields: []FieldChange{}}
	switch {
	case w.absent && !there:
		return nil
	case w.absent:
		c.Action, c.Fields = Delete, differences("", have.fields, nil)
		c.Calls = p.remove(have)
	case !there:
		c.Action, c.Fields = Create, differences("", nil, w.fields)
		c.Calls = p.create(w)
	default:
		managed := map[string]any{}
		for key := range w.fields {
			managed[key] = have.fields[key]
		}
		c.Action, c.Fields = Update, differences("", managed, w.fields)
		if len(c.Fields) == 0 {
			return nil
		}
		var err error
		if c.Calls, err = p.update(w, have, c.Fields); err != nil {
			return err
		}
	}
	if c.Action != Delete {
		c.Force = w.force
	}
	if p.options.CreateOnly && c.Action != Create && !p.completes(&c, have) {
		return nil
	}
	p.plan.Changes = append(p.plan.Changes, c)
	return nil
}

// completes tells whether an update only ends a creation that was cut off: an
// external connection that is to come to a repository which has none.
func (p *planner) completes(c *Change, have resource) bool {
	if c.ref.kind != KindRepository || len(anyList(have.fields["externalConnections"])) > 0 {
		return false
	}
	c.Fields = slices.DeleteFunc(c.Fields, func(f FieldChange) bool { return f.Field != "externalConnections" })
	c.Calls = slices.DeleteFunc(c.Calls, func(call Call) bool { return call.Operation != "AssociateExternalConnection" })
	return len(c.Calls) > 0
}

// differences lists the fields that differ, those of maps one by one.
func differences(path string, before, after map[string]any) (out []FieldChange) {
	keys := map[string]bool{}
	for key := range before {
		keys[key] = true
	}
	for key := range after {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		b, a := before[key], after[key]
		if equal(b, a) {
			continue
		}
		name := key
		if path != "" {
			name = path + "." + key
		}
		bm, bok := b.(map[string]any)
		am, aok := a.(map[string]any)
		if (bok || b == nil) && (aok || a == nil) && key != "document" {
			if deeper := differences(name, bm, am); len(deeper) > 0 {
				out = append(out, deeper...)
				continue
			}
			continue // nothing and an empty map are the same
		}
		if isEmpty(b) && isEmpty(a) {
			continue
		}
		out = append(out, FieldChange{name, b, a})
	}
	return out
}

// isEmpty tells whether a value is what is there when nothing is.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	}
	return false
}

func anyList(v any) []any {
	l, _ := v.([]any)
	return l
}

// extra finds what the file's lists do not have, and deletes it if asked.
func (p *planner) extra() {
	var going []resource
	for at, r := range p.there {
		if p.seen[at] || r.absent || !p.lists(at) {
			continue
		}
		going = append(going, r)
	}
	repositories := p.deletionOrder()
	slices.SortFunc(going, func(a, b resource) int {
		return cmp.Or(
			cmp.Compare(slices.Index(kinds, b.kind), slices.Index(kinds, a.kind)),
			cmp.Compare(repositories[a.ref], repositories[b.ref]), cmp.Compare(b.String(), a.String()))
	})
	for _, r := range going {
		named := Resource{r.kind, r.String()}
		if r.ref == p.self {
			p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("%s %s is not in the file, and is not deleted because it is who asks", r.kind, r.name))
			continue
		}
		if !p.options.Prune {
			p.plan.Extra = append(p.plan.Extra, named)
			continue
		}
		c := Change{Action: Delete, Resource: named, ref: r.ref, Fields: []FieldChange{}, Calls: p.remove(r)}
		switch {
		case p.filled[r.ref]:
			c.Force = "it holds packages, which go with it"
		case r.kind == KindUser && len(p.keys[r.name]) > 0:
			c.Force = "it has access keys, which go with it"
		}
		p.plan.Changes = append(p.plan.Changes, c)
	}
}

// lists tells whether the file has a list that a resource would stand in.
func (p *planner) lists(at ref) bool {
	var d *Domain
	for i := range p.want.Domains {
		if p.want.Domains[i].Name == at.domain {
			d = &p.want.Domains[i]
		}
	}
	switch at.kind {
	case KindDomain:
		return p.want.Domains != nil && p.want.Domain == ""
	case KindRepository:
		return d == nil || d.Repositories != nil
	case KindPackageGroup:
		return d != nil && d.PackageGroups != nil && at.name != artifact.RootPattern
	case KindTopic:
		return p.want.Topics != nil
	case KindAlarm:
		return p.want.Alarms != nil
	case KindManagedPolicy:
		return p.want.Policies != nil
	case KindGroup:
		return p.want.Groups != nil
	case KindUser:
		return p.want.Users != nil
	case KindRole:
		return p.want.Roles != nil
	case KindRetention, KindQuota, KindRepositoryPolicy, KindDomainPolicy:
	}
	return false // it goes with what it is of, or is asked for by its key
}

// deletionOrder puts repositories before their upstreams, and narrow groups
// before wide ones.
func (p *planner) deletionOrder() map[ref]int {
	order := map[ref]int{}
	all := planner{want: &p.file}
	for at, n := range all.order() {
		order[at] = -n
	}
	return order
}

// Blocked gives an error when the plan has changes that need force.
func (p *Plan) Blocked() error {
	var errs []error
	for _, c := range p.Changes {
		switch {
		case c.Force == "":
		case c.Action == Delete:
			errs = append(errs, fmt.Errorf("%s %s would be deleted: %s; say so with --force, or add it to the file", c.Kind, c.Name, c.Force))
		default:
			errs = append(errs, fmt.Errorf("%s %s: %s; say so with --force, or change the file", c.Kind, c.Name, c.Force))
		}
	}
	return errors.Join(errs...)
}

// Apply makes the changes of a plan one after the other and tells done of each;
// done may be nil. It ends at the first that fails: what was made stays, and the
// next plan holds the rest. force makes also those that have a Force.
func (p *Plan) Apply(ctx context.Context, api API, force bool, done func(Change)) error {
	if err := p.Blocked(); err != nil && !force {
		return err
	}
	for _, c := range p.Changes {
		if err := c.apply(ctx, api); err != nil {
			return fmt.Errorf("%s %s %s: %w", c.Action, c.Kind, c.Name, err)
		}
		if done != nil {
			done(c)
		}
	}
	return nil
}

func (c Change) apply(ctx context.Context, api API) error {
	for _, call := range c.Calls {
		out, err := api.Call(ctx, call.Operation, call.Input)
		switch {
		case call.Empty && len(listOf(out, "packages")) > 0:
			return errors.New("packages have come to it since the plan was made; look at the plan again")
		case call.Absent && err == nil:
			return errors.New("somebody else has made it meanwhile; look at the plan again")
		case call.Absent && isMissing(err):
		case c.Action == Delete && isMissing(err): // it is gone, which is what was asked
		case isCode(err, "ConflictException", "EntityAlreadyExists"):
			return fmt.Errorf("it has been changed since the plan was made; look at the plan again: %w", err)
		case err != nil:
			return err
		}
	}
	return nil
}
