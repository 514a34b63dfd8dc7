package control

import (
	"context"
	"slices"
	"strconv"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/page"
	"packhouse/internal/registry"
	"packhouse/internal/restjson"
	"packhouse/internal/retention"
)

// onScope asks about the repository where one is named, else about the domain.
func onScope(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	if targetOf(c, in).id.Name == "" {
		return onDomain(a, c, action, in)
	}
	return onRepository(a, c, action, in)
}

// onHeld asks about the package where one is named, else about the repository.
func onHeld(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	if t := targetOf(c, in); t.c.Name == "" || t.c.Format == "" { // without a format it is refused, to those who may hear why
		return onRepository(a, c, action, in)
	}
	return onPackage(a, c, action, in)
}

// configured are the members that say what is kept.
type configured struct {
	days, versions *int32
	rules          []api.RetentionRule
	force          bool
}

func (m configured) none() bool { return m.days == nil && m.versions == nil && m.rules == nil }

// configuration reads what is to be put. What by its words alone leaves nothing is
// refused whatever there is now.
func (m configured) configuration() (retention.Configuration, error) {
	c := retention.Configuration{Days: number(m.days), Versions: number(m.versions), Forced: m.force}
	for _, r := range m.rules {
		c.Rules = append(c.Rules, retention.Rule{
			Name: r.Name, Format: artifact.Format(r.Format), Package: r.PackagePattern, Origin: artifact.OriginType(r.OriginType), Kind: artifact.Kind(r.Kind),
			Status: artifact.Status(r.Status), NotDownloaded: number(r.NotDownloadedForDays), Days: number(r.RetentionDays), Versions: number(r.MaxVersionsRetained),
			AgeFrom: retention.AgeFrom(r.AgeFrom), Keep: r.Keep, Remove: r.Remove,
		})
	}
	if err := c.Check(); err != nil {
		return c, err
	}
	if c.RemovesAll() && !m.force {
		return c, fault.Field("rules", "would remove every version of everything: give the rule a condition, or force (--force) if that is meant")
	}
	return c, nil
}

func number(n *int32) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

func numbered(n int) *int32 {
	if n == 0 {
		return nil
	}
	m := int32(n)
	return &m
}

// shownConfiguration is c as the API shows it; settings are those of the domain,
// nil for a repository's.
func shownConfiguration(c catalog.RetentionConfiguration, arn string, settings *catalog.RetentionSettings) api.RetentionConfiguration {
	out := api.RetentionConfiguration{
		OriginType: string(c.Origin), RetentionDays: numbered(c.Days), MaxVersionsRetained: numbered(c.Versions),
		Rules: make([]api.RetentionRuleDescription, len(c.Rules)), Arn: arn,
	}
	for i, r := range c.Rules {
		out.Rules[i] = api.RetentionRuleDescription{
			Name: r.Name, Format: string(r.Format), PackagePattern: r.Package, OriginType: string(r.Origin), Kind: string(r.Kind), Status: string(r.Status),
			NotDownloadedForDays: numbered(r.NotDownloaded), AgeFrom: string(r.AgeFrom), RetentionDays: numbered(r.Days), MaxVersionsRetained: numbered(r.Versions),
			Keep: r.Keep, Remove: r.Remove,
		}
	}
	if settings == nil {
		return out
	}
	out.Schedule, out.TrashDays = settings.Schedule, numbered(settings.TrashDays)
	if out.Schedule == "" {
		out.Schedule = retention.DefaultSchedule
	}
	if !settings.Due.IsZero() {
		out.NextRunTime = restjson.At(settings.Due)
	}
	return out
}

// settle sets when a domain is tidied, which from its first configuration on it
// is, and for how long it keeps its trash; schedule and trashDays may be empty.
func settle(tx *catalog.Tx, domainID, schedule string, trashDays *int32) error {
	s, found, err := tx.RetentionSettings(domainID)
	if err != nil {
		return err
	}
	if schedule != "" || !found {
		s.Schedule = schedule
		every, err := retention.ParseSchedule(orDefault(schedule))
		if err != nil {
			return err
		}
		if s.Due, err = every.Next(tx.Now()); err != nil {
			return err
		}
	}
	if trashDays != nil {
		s.TrashDays = int(*trashDays)
	}
	return tx.PutRetentionSettings(s)
}

func orDefault(schedule string) string {
	if schedule == "" {
		return retention.DefaultSchedule
	}
	return schedule
}

// unsettle forgets a domain's settings with its last configuration.
func unsettle(tx *catalog.Tx, domainID string) error {
	left, err := tx.RetentionConfigurations(domainID)
	if err != nil || len(left) > 0 {
		return err
	}
	return tx.DeleteRetentionSettings(domainID)
}

func (a *API) putRepositoryRetentionConfiguration(ctx context.Context, c *restjson.Call, in *api.PutRepositoryRetentionConfigurationInput) (*api.PutRepositoryRetentionConfigurationOutput, error) {
	id := targetOf(c, in).id
	conf, err := configured{in.RetentionDays, in.MaxVersionsRetained, in.Rules, in.Force}.configuration()
	if err != nil {
		return nil, err
	}
	put := catalog.RetentionConfiguration{Configuration: conf}
	var d catalog.Domain
	find := func(tx *catalog.Tx) error {
		var err error
		if d, err = tx.Domain(id.Owner, id.Domain); err != nil {
			return err
		}
		r, err := tx.Repository(d.ID, id.Name)
		put.DomainID, put.RepositoryID = d.ID, r.ID
		return err
	}
	if err := a.opt.DB.View(ctx, find); err != nil {
		return nil, err
	}
	if err := a.opt.Registry.CheckRetention(ctx, d, put); err != nil {
		return nil, err
	}
	if err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		if err := find(tx); err != nil {
			return err
		}
		if err := tx.PutRetentionConfiguration(put); err != nil {
			return err
		}
		return settle(tx, d.ID, "", nil)
	}); err != nil {
		return nil, err
	}
	shown := shownConfiguration(put, a.repositoryARN(id), nil)
	return &api.PutRepositoryRetentionConfigurationOutput{RetentionConfiguration: &shown}, nil
}

// ownConfiguration finds the configuration of a repository; NotFound without one.
func ownConfiguration(tx *catalog.Tx, id artifact.RepositoryID) (catalog.RetentionConfiguration, error) {
	r, err := findRepository(tx, id)
	if err != nil {
		return catalog.RetentionConfiguration{}, err
	}
	conf, found, err := tx.RetentionConfiguration(r.DomainID, r.ID, "")
	if err == nil && !found {
		err = fault.About(fault.NotFound, "repository", id.Name, "repository %s has no retention configuration of its own; get-domain-retention-configuration shows what applies", id.Name)
	}
	return conf, err
}

func (a *API) getRepositoryRetentionConfiguration(ctx context.Context, c *restjson.Call, in *api.GetRepositoryRetentionConfigurationInput) (*api.GetRepositoryRetentionConfigurationOutput, error) {
	id := targetOf(c, in).id
	var conf catalog.RetentionConfiguration
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		conf, err = ownConfiguration(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	shown := shownConfiguration(conf, a.repositoryARN(id), nil)
	return &api.GetRepositoryRetentionConfigurationOutput{RetentionConfiguration: &shown}, nil
}

func (a *API) deleteRepositoryRetentionConfiguration(ctx context.Context, c *restjson.Call, in *api.DeleteRepositoryRetentionConfigurationInput) (*api.DeleteRepositoryRetentionConfigurationOutput, error) {
	id := targetOf(c, in).id
	var conf catalog.RetentionConfiguration
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
		if conf, err = ownConfiguration(tx, id); err != nil {
			return err
		}
		if _, err := tx.DeleteRetentionConfiguration(conf.DomainID, conf.RepositoryID, ""); err != nil {
			return err
		}
		return unsettle(tx, conf.DomainID)
	})
	if err != nil {
		return nil, err
	}
	shown := shownConfiguration(conf, a.repositoryARN(id), nil)
	return &api.DeleteRepositoryRetentionConfigurationOutput{RetentionConfiguration: &shown}, nil
}

// origins are the ones that an origin-type means; empty means both.
func origins(word string) []artifact.OriginType {
	if word == "" {
		return []artifact.OriginType{artifact.Internal, artifact.External}
	}
	return []artifact.OriginType{artifact.OriginType(word)}
}

// oneOrAll puts configurations where the answer of an origin-type has them.
func oneOrAll(word string, all []api.RetentionConfiguration) (*api.RetentionConfiguration, []api.RetentionConfiguration) {
	if word != "" && len(all) == 1 {
		return &all[0], nil
	}
	return nil, all
}

func (a *API) putDomainRetentionConfiguration(ctx context.Context, c *restjson.Call, in *api.PutDomainRetentionConfigurationInput) (*api.PutDomainRetentionConfigurationOutput, error) {
	id := targetOf(c, in).id
	if in.Schedule != "" {
		if _, err := retention.ParseSchedule(in.Schedule); err != nil {
			return nil, err
		}
	}
	members := configured{in.RetentionDays, in.MaxVersionsRetained, in.Rules, in.Force}
	var d catalog.Domain
	if err := a.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		d, err = tx.Domain(id.Owner, id.Domain)
		return err
	}); err != nil {
		return nil, err
	}
	var put []catalog.RetentionConfiguration
	// Without what to keep it is the schedule, or the time in the trash, that changes.
	if !members.none() || in.Schedule == "" && in.TrashDays == nil {
		conf, err := members.configuration()
		if err != nil {
			return nil, err
		}
		for _, o := range origins(in.OriginType) {
			put = append(put, catalog.RetentionConfiguration{DomainID: d.ID, Origin: o, Configuration: conf})
		}
		if err := a.opt.Registry.CheckRetention(ctx, d, put...); err != nil {
			return nil, err
		}
	}
	var shown []api.RetentionConfiguration
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		now, err := tx.Domain(id.Owner, id.Domain)
		if err != nil {
			return err
		}
		if now.ID != d.ID {
			return fault.New(fault.Unavailable, "domain %s has been made anew meanwhile; try again", id.Domain)
		}
		for _, conf := range put {
			if err := tx.PutRetentionConfiguration(conf); err != nil {
				return err
			}
		}
		if err := settle(tx, d.ID, in.Schedule, in.TrashDays); err != nil {
			return err
		}
		_, shown, err = a.domainConfigurations(tx, id, in.OriginType)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.PutDomainRetentionConfigurationOutput{}
	out.RetentionConfiguration, out.RetentionConfigurations = oneOrAll(in.OriginType, shown)
	return out, nil
}

// domainConfigurations are those of a domain that an origin-type means, as far as
// there are any: INTERNAL first.
func (a *API) domainConfigurations(tx *catalog.Tx, id artifact.RepositoryID, word string) (d catalog.Domain, shown []api.RetentionConfiguration, err error) {
	if d, err = tx.Domain(id.Owner, id.Domain); err != nil {
		return d, nil, err
	}
	settings, _, err := tx.RetentionSettings(d.ID)
	if err != nil {
		return d, nil, err
	}
	for _, o := range origins(word) {
		conf, found, err := tx.RetentionConfiguration(d.ID, "", o)
		if err != nil {
			return d, nil, err
		}
		if found {
			shown = append(shown, shownConfiguration(conf, a.domainARN(id), &settings))
		}
	}
	return d, shown, nil
}

func noDomainConfiguration(domain, word string) error {
	if word == "" {
		return fault.About(fault.NotFound, "domain", domain, "domain %s has no retention configuration", domain)
	}
	return fault.About(fault.NotFound, "domain", domain, "domain %s has no retention configuration for %s versions", domain, word)
}

func (a *API) getDomainRetentionConfiguration(ctx context.Context, c *restjson.Call, in *api.GetDomainRetentionConfigurationInput) (*api.GetDomainRetentionConfigurationOutput, error) {
	id := targetOf(c, in).id
	var shown []api.RetentionConfiguration
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		_, shown, err = a.domainConfigurations(tx, id, in.OriginType)
		return err
	})
	if err == nil && len(shown) == 0 {
		err = noDomainConfiguration(id.Domain, in.OriginType)
	}
	if err != nil {
		return nil, err
	}
	out := &api.GetDomainRetentionConfigurationOutput{}
	out.RetentionConfiguration, out.RetentionConfigurations = oneOrAll(in.OriginType, shown)
	return out, nil
}

func (a *API) deleteDomainRetentionConfiguration(ctx context.Context, c *restjson.Call, in *api.DeleteDomainRetentionConfigurationInput) (*api.DeleteDomainRetentionConfigurationOutput, error) {
	id := targetOf(c, in).id
	var shown []api.RetentionConfiguration
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		d, was, err := a.domainConfigurations(tx, id, in.OriginType)
		if err != nil {
			return err
		}
		if shown = was; len(shown) == 0 {
			return noDomainConfiguration(id.Domain, in.OriginType)
		}
		for _, o := range origins(in.OriginType) {
			if _, err := tx.DeleteRetentionConfiguration(d.ID, "", o); err != nil {
				return err
			}
		}
		return unsettle(tx, d.ID)
	})
	if err != nil {
		return nil, err
	}
	out := &api.DeleteDomainRetentionConfigurationOutput{}
	out.RetentionConfiguration, out.RetentionConfigurations = oneOrAll(in.OriginType, shown)
	return out, nil
}

// previewKey is a place in a preview, with the time it is made for: all its pages
// are of one.
type previewKey struct {
	AsOf  int64
	After registry.PreviewCursor
}

const previewPage = 1000

func (a *API) previewRetention(ctx context.Context, c *restjson.Call, in *api.PreviewRetentionInput) (*api.PreviewRetentionOutput, error) {
	id := targetOf(c, in).id
	asked := ""
	if in.AsOf != nil {
		asked = strconv.FormatInt(in.AsOf.UnixMicro(), 10)
	}
	l := page.For[previewKey]("PreviewRetention", id.Owner, id.Domain, id.Name, asked)
	key, later, err := l.Key(in.NextToken)
	switch {
	case err != nil:
		return nil, err
	case later:
	case in.AsOf != nil:
		key.AsOf = in.AsOf.UnixMicro()
	default:
		key.AsOf = c.Time.UnixMicro()
	}
	rows, next, more, err := a.opt.Registry.PreviewRetention(ctx, registry.PreviewQuery{
		Owner: id.Owner, Domain: id.Domain, Repository: id.Name, AsOf: time.UnixMicro(key.AsOf).UTC(), After: key.After, Limit: limitOf(in.MaxResults, previewPage),
	})
	if err != nil {
		return nil, err
	}
	out := &api.PreviewRetentionOutput{Versions: make([]api.PreviewedVersion, len(rows))}
	for i, r := range rows {
		v := api.PreviewedVersion{
			Repository: r.Repository, Format: string(r.Coordinates.Format), Namespace: r.Coordinates.Namespace, Package: r.Coordinates.Name, Version: r.Number,
			Decision: "KEEP", Rule: r.Rule, Bytes: r.Bytes,
		}
		if r.Remove {
			v.Decision = "REMOVE"
		}
		out.Versions[i] = v
	}
	if more {
		out.NextToken = l.Token(previewKey{key.AsOf, next})
	}
	return out, nil
}

func (a *API) startRetentionRun(ctx context.Context, c *restjson.Call, in *api.StartRetentionRunInput) (*api.StartRetentionRunOutput, error) {
	id := targetOf(c, in).id
	run, err := a.opt.Registry.StartRetention(ctx, id.Owner, id.Domain, id.Name, in.Force)
	if err != nil {
		return nil, err
	}
	shown := shownRun(run)
	return &api.StartRetentionRunOutput{Run: &shown}, nil
}

func shownRun(r catalog.RetentionRun) api.RetentionRun {
	out := api.RetentionRun{
		RunId: r.ID, Repository: r.Repository, StartedBy: string(r.Origin), Status: string(r.Status), AsOf: restjson.At(r.AsOf), CreatedTime: restjson.At(r.Created),
		PackagesTotal: r.PackagesTotal, Packages: r.Packages, Versions: r.Kept + r.Spared + r.Removed, Removed: r.Removed, Spared: r.Spared, Bytes: r.Freed,
		Refused: make([]api.RefusedRetentionTarget, len(r.Refused)), Error: r.Error,
	}
	if !r.Finished.IsZero() {
		out.FinishedTime = restjson.At(r.Finished)
	}
	for i, f := range r.Refused {
		out.Refused[i] = api.RefusedRetentionTarget(f)
	}
	return out
}

// stopRetentionRun has a run end after the batch it is at; one that nobody works
// on yet ends when somebody would.
func (a *API) stopRetentionRun(ctx context.Context, c *restjson.Call, in *api.StopRetentionRunInput) (*api.StopRetentionRunOutput, error) {
	id := targetOf(c, in).id
	var run catalog.RetentionRun
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(id.Owner, id.Domain)
		if err != nil {
			return err
		}
		if run, err = tx.RetentionRun(d.ID, in.RunId); err != nil {
			return err
		}
		if !run.Finished.IsZero() {
			return fault.New(fault.Conflict, "retention run %s has ended already: %s", run.ID, run.Status)
		}
		run.Status = catalog.RunStopping
		return tx.UpdateRetentionRun(run)
	})
	if err != nil {
		return nil, err
	}
	shown := shownRun(run)
	return &api.StopRetentionRunOutput{Run: &shown}, nil
}

func (a *API) listRetentionRuns(ctx context.Context, c *restjson.Call, in *api.ListRetentionRunsInput) (*api.ListRetentionRunsOutput, error) {
	id := targetOf(c, in).id
	limit := limitOf(in.MaxResults, 100)
	l := page.For[string]("ListRetentionRuns", id.Owner, id.Domain)
	before, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	var rows []catalog.RetentionRun
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(id.Owner, id.Domain)
		if err == nil {
			rows, err = tx.RetentionRuns(d.ID, before, limit+1)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, token := page.Cut(l, rows, limit, func(r catalog.RetentionRun) string { return r.ID })
	out := &api.ListRetentionRunsOutput{Runs: make([]api.RetentionRun, len(rows)), NextToken: token}
	for i, r := range rows {
		out.Runs[i] = shownRun(r)
	}
	return out, nil
}

func (a *API) describeRetentionRun(ctx context.Context, c *restjson.Call, in *api.DescribeRetentionRunInput) (*api.DescribeRetentionRunOutput, error) {
	id := targetOf(c, in).id
	limit := limitOf(in.MaxResults, 100)
	l := page.For[string]("DescribeRetentionRun", id.Owner, id.Domain, in.RunId)
	after, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	var run catalog.RetentionRun
	var rows []catalog.Removal
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(id.Owner, id.Domain)
		if err != nil {
			return err
		}
		if run, err = tx.RetentionRun(d.ID, in.RunId); err != nil {
			return err
		}
		rows, err = tx.Removals(run.ID, after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, token := page.Cut(l, rows, limit, func(r catalog.Removal) string { return r.VersionID })
	shown := shownRun(run)
	out := &api.DescribeRetentionRunOutput{Run: &shown, Versions: make([]api.RemovedVersion, len(rows)), NextToken: token}
	for i, r := range rows {
		out.Versions[i] = api.RemovedVersion{
			Repository: r.Repository, Format: string(r.Coordinates.Format), Namespace: r.Coordinates.Namespace, Package: r.Coordinates.Name, Version: r.Number,
			Rule: r.Rule, Bytes: r.Freed,
		}
	}
	return out, nil
}

func (a *API) restorePackageVersions(ctx context.Context, c *restjson.Call, in *api.RestorePackageVersionsInput) (*api.RestorePackageVersionsOutput, error) {
	b, err := a.batch(c, in, in.Versions, nil, "")
	if err != nil {
		return nil, err
	}
	var pin *catalog.Hold
	if in.Pin == nil || *in.Pin {
		pin = &catalog.Hold{Reason: "restored from the trash", PlacedBy: callerOf(c).ARN()}
	}
	o, err := a.opt.Registry.Restore(ctx, b, pin)
	if err != nil {
		return nil, err
	}
	out := &api.RestorePackageVersionsOutput{}
	out.SuccessfulVersions, _ = results(o)
	return out, nil
}

func (a *API) pinPackageVersions(ctx context.Context, c *restjson.Call, in *api.PinPackageVersionsInput) (*api.PinPackageVersionsOutput, error) {
	b, err := a.batch(c, in, in.Versions, nil, "")
	if err != nil {
		return nil, err
	}
	o, err := a.opt.Registry.Pin(ctx, b, catalog.Hold{Reason: in.Reason, PlacedBy: callerOf(c).ARN()})
	if err != nil {
		return nil, err
	}
	out := &api.PinPackageVersionsOutput{}
	out.SuccessfulVersions, out.FailedVersions = results(o)
	return out, nil
}

func (a *API) unpinPackageVersions(ctx context.Context, c *restjson.Call, in *api.UnpinPackageVersionsInput) (*api.UnpinPackageVersionsOutput, error) {
	b, err := a.batch(c, in, in.Versions, nil, "")
	if err != nil {
		return nil, err
	}
	o, err := a.opt.Registry.Unpin(ctx, b)
	if err != nil {
		return nil, err
	}
	out := &api.UnpinPackageVersionsOutput{}
	out.SuccessfulVersions, out.FailedVersions = results(o)
	return out, nil
}

// heldThing is what a legal hold is about, with the version as it is known. Format
// and namespace are for packages, and a version is one of a package.
func (a *API) heldThing(c *restjson.Call, in any, version string) (t target, normal string, err error) {
	t = targetOf(c, in)
	switch {
	case t.c.Name == "" && version != "":
		return t, "", fault.Field("package", "is needed with a version")
	case t.c.Name == "" && (t.c.Format != "" || t.c.Namespace != ""):
		return t, "", fault.Field("package", "is needed with a format or namespace")
	case t.c.Name != "" && t.c.Format == "":
		return t, "", fault.Field("format", "is needed with a package")
	case t.c.Name == "":
		return t, "", nil
	}
	t, err = a.packageOf(c, in)
	return t, a.opt.Registry.NormalizeVersion(t.c.Format, version), err
}

func (a *API) putLegalHold(ctx context.Context, c *restjson.Call, in *api.PutLegalHoldInput) (*api.PutLegalHoldOutput, error) {
	t, version, err := a.heldThing(c, in, in.PackageVersion)
	if err != nil {
		return nil, err
	}
	var h catalog.Hold
	err = a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, t.id)
		if err != nil {
			return err
		}
		h = catalog.Hold{
			RepositoryID: r.ID, Coordinates: t.c, Version: version, Kind: catalog.HoldLegal, Reason: in.Reason, PlacedBy: callerOf(c).ARN(), Created: tx.Now(),
		}
		if t.c.Name != "" {
			if err := isThere(tx, r, t.c, version); err != nil {
				return err
			}
		}
		return tx.PutHold(h)
	})
	if err != nil {
		return nil, err
	}
	shown := shownHold(h, t.id.Name)
	return &api.PutLegalHoldOutput{Hold: &shown}, nil
}

// isThere refuses a package or a version of it that a repository has not, nor its
// trash; version may be empty.
func isThere(tx *catalog.Tx, r catalog.Repository, c artifact.Coordinates, version string) error {
	p, err := tx.Package(r.ID, c)
	if err == nil && version != "" {
		_, err = tx.Version(p.ID, version)
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	trash, e := tx.Trash(r.DomainID, catalog.TrashFilter{RepositoryID: r.ID, Coordinates: c}, "", 0)
	if e != nil {
		return e
	}
	if slices.ContainsFunc(trash, func(t catalog.Trashed) bool { return version == "" || t.Number == version }) {
		return nil
	}
	return err
}

func shownHold(h catalog.Hold, repository string) api.RetentionHold {
	return api.RetentionHold{
		Kind: string(h.Kind), Repository: repository, Format: string(h.Coordinates.Format), Namespace: h.Coordinates.Namespace, Package: h.Coordinates.Name,
		Version: h.Version, Reason: h.Reason, PlacedBy: h.PlacedBy, CreatedTime: restjson.At(h.Created),
	}
}

func (a *API) deleteLegalHold(ctx context.Context, c *restjson.Call, in *api.DeleteLegalHoldInput) (*api.DeleteLegalHoldOutput, error) {
	t, version, err := a.heldThing(c, in, in.PackageVersion)
	if err != nil {
		return nil, err
	}
	err = a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, t.id)
		if err != nil {
			return err
		}
		found, err := tx.DeleteHold(catalog.Hold{RepositoryID: r.ID, Coordinates: t.c, Version: version, Kind: catalog.HoldLegal})
		if err == nil && !found {
			return fault.New(fault.NotFound, "there is no legal hold on exactly that; list-retention-holds shows those of the repository")
		}
		return err
	})
	return &api.DeleteLegalHoldOutput{}, err
}

func (a *API) listRetentionHolds(ctx context.Context, c *restjson.Call, in *api.ListRetentionHoldsInput) (*api.ListRetentionHoldsOutput, error) {
	id := targetOf(c, in).id
	limit := limitOf(in.MaxResults, 100)
	l := page.For[catalog.HoldCursor]("ListRetentionHolds", id.Owner, id.Domain, id.Name)
	after, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	var rows []catalog.Hold
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, id)
		if err == nil {
			rows, err = tx.HoldPage(r.ID, after, limit+1)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, token := page.Cut(l, rows, limit, catalog.Hold.Cursor)
	out := &api.ListRetentionHoldsOutput{Holds: make([]api.RetentionHold, len(rows)), NextToken: token}
	for i, h := range rows {
		out.Holds[i] = shownHold(h, id.Name)
	}
	return out, nil
}

func (a *API) listTrash(ctx context.Context, c *restjson.Call, in *api.ListTrashInput) (*api.ListTrashOutput, error) {
	t := targetOf(c, in)
	if t.c.Name != "" {
		if t.c.Format == "" {
			return nil, fault.Field("format", "is needed with a package")
		}
		var err error
		if t, err = a.packageOf(c, in); err != nil {
			return nil, err
		}
	}
	limit := limitOf(in.MaxResults, 100)
	l := page.For[string]("ListTrash", t.id.Owner, t.id.Domain, t.id.Name, string(t.c.Format), t.c.Namespace, t.c.Name)
	after, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	var rows []catalog.Trashed
	names := map[string]string{}
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(t.id.Owner, t.id.Domain)
		if err != nil {
			return err
		}
		filter := catalog.TrashFilter{Coordinates: t.c}
		repositories, err := tx.Repositories(d.ID, catalog.RepositoryFilter{}, "", 0)
		if err != nil {
			return err
		}
		for _, r := range repositories {
			names[r.ID] = r.Name
		}
		if t.id.Name != "" {
			r, err := findRepository(tx, t.id)
			if err != nil {
				return err
			}
			filter.RepositoryID = r.ID
		}
		rows, err = tx.Trash(d.ID, filter, after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, token := page.Cut(l, rows, limit, func(r catalog.Trashed) string { return r.ID })
	out := &api.ListTrashOutput{Versions: []api.TrashedVersion{}, NextToken: token}
	for _, r := range rows {
		name, there := names[r.RepositoryID]
		if !there { // the repository is gone, and this is about to go
			continue
		}
		out.Versions = append(out.Versions, api.TrashedVersion{
			Repository: name, Format: string(r.Coordinates.Format), Namespace: r.Coordinates.Namespace, Package: r.Coordinates.Name, Version: r.Number, Revision: r.Revision,
			Rule: r.Rule, Bytes: r.Bytes, RemovedTime: restjson.At(r.Removed), PurgeTime: restjson.At(r.PurgeAt),
		})
	}
	return out, nil
}
