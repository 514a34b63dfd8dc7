package app

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"packhouse/internal/arn"
	"packhouse/internal/artifact"
	"packhouse/internal/audit"
	"packhouse/internal/catalog"
	"packhouse/internal/config"
	"packhouse/internal/iamapi"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
	"packhouse/internal/usage"
)

// openTrail opens the access records: in a file of their own, so that writing
// them holds up nobody, or in the PostgreSQL that replicas share.
func (a *App) openTrail(ctx context.Context) error {
	if a.cfg.AccessRecords == 0 {
		return nil
	}
	o := audit.Options{
		DB: a.db, Keep: a.cfg.AccessRecords, MaxBytes: int64(a.cfg.AccessRecordsSize), Now: a.now, Logger: a.log,
	}
	if file := AccessRecordsFile(a.cfg); file != "" {
		records, err := catalog.Open(ctx, "sqlite:"+file, catalog.Options{Logger: a.log, Now: a.now, Connections: 2, Records: true})
		if err != nil {
			return err
		}
		a.closers = append(a.closers, records.Close)
		o.Records = records
	}
	var err error
	if a.trail, err = audit.Open(ctx, o); err != nil {
		return err
	}
	a.closers = append(a.closers, a.trail.Close)
	return nil
}

// AccessRecordsFile is where the access records of the embedded database are;
// empty when they are in PostgreSQL.
func AccessRecordsFile(cfg config.Config) string {
	if !strings.HasPrefix(databaseOf(cfg), "sqlite:") {
		return ""
	}
	return filepath.Join(cfg.Data, "access.db")
}

type witnessKey struct{}

// witness is that of one call; the call is done before its Entry is made.
type witness struct{ *audit.Witness }

// callBegins has the record of a call that may change something committed with
// the change.
func (a *App) callBegins(ctx context.Context, c *restjson.Call) context.Context {
	w, ok := ctx.Value(witnessKey{}).(*witness)
	if !ok || a.trail == nil || readOnly(c.Operation) {
		return ctx
	}
	id, _ := audit.ParseID(c.RequestID)
	known := audit.Entry{ID: id, Method: "POST", Client: c.SourceIP, Agent: c.UserAgent}
	a.describeEntry(ctx, &known, c)
	w.Witness = a.trail.Witness(func() audit.Entry { return known })
	return w.Context(ctx)
}

// recordCall fills in the access record of an answered call.
func (a *App) recordCall(ctx context.Context, e *audit.Entry, c *restjson.Call, err error) {
	if c.Operation == "" || a.trail == nil { // no operation has that address
		return
	}
	a.describeEntry(ctx, e, c)
	if err == nil && !e.ReadOnly && c.Output != nil {
		e.Response = audit.Redact(c.Output)
	}
	e.Failed(err)
	if w, ok := ctx.Value(witnessKey{}).(*witness); ok {
		e.Witnessed = w.Kept()
	}
}

// describeEntry says in an access record what a call is about.
func (a *App) describeEntry(ctx context.Context, e *audit.Entry, c *restjson.Call) {
	e.Source, e.Event, e.ReadOnly = c.Source, c.Operation, readOnly(c.Operation)
	caller, _ := c.Principal.(identity.Caller)
	e.Subject = caller.Subject()
	if c.Input == nil {
		return
	}
	e.Parameters = audit.Redact(c.Input)
	if e.Source != audit.CodeArtifact {
		e.Administrator = roleAccount(c.Input)
		return
	}
	in := reflect.ValueOf(c.Input).Elem()
	text := func(names ...string) string {
		for _, name := range names {
			if f := in.FieldByName(name); f.IsValid() && f.Kind() == reflect.String && f.String() != "" {
				return f.String()
			}
		}
		return ""
	}
	id := artifact.RepositoryID{Owner: text("DomainOwner"), Domain: text("Domain"), Name: text("Repository", "DestinationRepository")}
	if id.Owner == "" {
		id.Owner = caller.Account()
	}
	if id.Domain == "" {
		return
	}
	if c.Operation == "ListAccessRecords" { // who asks is not among those who got the package
		id.Name = ""
		e.About(id)
		return
	}
	e.About(id)
	e.Package = artifact.Coordinates{Format: artifact.Format(text("Format")), Namespace: text("Namespace"), Name: text("Package")}
	if e.Package.Name != "" {
		if known, err := a.registry.Ecosystem(e.Package.Format); err == nil {
			if c, err := known.Normalize(e.Package); err == nil {
				e.Package = c
			}
		}
		e.Version = text("PackageVersion")
		if f := in.FieldByName("Versions"); f.IsValid() {
			e.Versions, _ = f.Interface().([]string)
			e.Versions = e.Versions[:min(len(e.Versions), audit.MaxVersions)] // not validated yet
		}
		if f := in.FieldByName("VersionRevisions"); f.IsValid() && len(e.Versions) == 0 {
			for it := f.MapRange(); it.Next() && len(e.Versions) < audit.MaxVersions; {
				e.Versions = append(e.Versions, it.Key().String())
			}
		}
	}
	if id.Name != "" {
		e.Administrator = a.repositoryFacts(ctx, id).administrator
	}
}

// countCall says of a call about a repository what is counted; e is its access
// record, which is empty where none are kept.
func (a *App) countCall(ctx context.Context, u *usage.Request, e audit.Entry, c *restjson.Call, err error) {
	if c.Source != audit.CodeArtifact || c.Input == nil || c.Principal == nil {
		return
	}
	if e.Event == "" {
		a.describeEntry(ctx, &e, c)
	}
	if e.Repository == "" {
		return
	}
	id := artifact.RepositoryID{Owner: e.Owner, Domain: e.Domain, Name: e.Repository}
	facts := a.repositoryFacts(ctx, id)
	u.DomainID, u.RepositoryID = facts.domainID, facts.id
	u.Owner, u.Domain, u.Repository = id.Owner, id.Domain, id.Name
	if c.Operation == "GetPackageVersionAsset" && err == nil {
		u.Package, u.Version, u.Kind, u.Download = e.Package, e.Version, usage.Asset, true
	}
}

// roleAccount is the account of a role that is to be assumed, which receives
// the record whoever asks, refused or not; empty for other calls.
func roleAccount(input any) string {
	var role string
	switch in := input.(type) {
	case *iamapi.AssumeRoleInput:
		role = in.RoleArn
	case *iamapi.WebIdentityInput:
		role = in.RoleArn
	}
	name, err := arn.Parse(role)
	if err != nil || name.Service != "iam" || name.Kind() != "role" {
		return ""
	}
	return name.Account
}

// administratorPatience bounds the wait for a database that hangs.
const administratorPatience = 5 * time.Second

// repositoryFacts are what records of a repository need of it.
type repositoryFacts struct{ domainID, id, administrator string }

// repositoryFacts are zero when it is not there.
func (a *App) repositoryFacts(ctx context.Context, id artifact.RepositoryID) (facts repositoryFacts) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), administratorPatience)
	defer cancel()
	facts, _ = a.repositories.Get(ctx, a.db, id, func(tx *catalog.Tx) (repositoryFacts, error) { // a record without them is better than none
		d, err := tx.Domain(id.Owner, id.Domain)
		if err != nil {
			return repositoryFacts{}, err
		}
		r, err := tx.Repository(d.ID, id.Name)
		return repositoryFacts{d.ID, r.ID, r.Administrator}, err
	})
	return facts
}

// readOnly tells whether an operation changes nothing, as CloudTrail sees it.
func readOnly(operation string) bool {
	if operation == "GetAuthorizationToken" {
		return false
	}
	for _, verb := range []string{"Get", "List", "Describe", "Simulate", "Assume", "Explain", "Test", "Preview"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}

// observeTrail shows what became of the access records.
func (a *App) observeTrail() {
	if a.trail == nil {
		return
	}
	stat := func(of func(audit.Stats) int64) func() float64 {
		return func() float64 { return float64(of(a.trail.Stats())) }
	}
	a.metrics.Counter("access_records_total", "Access records made.", stat(func(s audit.Stats) int64 { return s.Added }))
	a.metrics.Counter("access_records_written_total", "Access records written to the database.", stat(func(s audit.Stats) int64 { return s.Written }))
	a.metrics.Counter("access_records_dropped_total", "Access records of reads lost because the database did not keep up.", stat(func(s audit.Stats) int64 { return s.Dropped }))
	a.metrics.Gauge("access_records_waiting", "Access records in memory.", stat(func(s audit.Stats) int64 { return s.Waiting }))
	a.metrics.Gauge("access_records_bytes", "Bytes of the indexed access records, as of the last upkeep.", stat(func(s audit.Stats) int64 { return s.Bytes }))
}
