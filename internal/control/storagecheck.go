package control

import (
	"context"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

const (
	defaultRate   = 50 << 20 // bytes per second
	findingsLimit = 100
)

// onChecked asks about the domain, or about everything.
func onChecked(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	if targetOf(c, in).id.Domain == "" {
		return []restjson.Need{{Action: action, Resource: "*"}}
	}
	return onDomain(a, c, action, in)
}

// checked is the ID of the domain a check is about; empty for everything, which
// belongs to the account that manages the server.
func (a *API) checked(tx *catalog.Tx, c *restjson.Call, id artifact.RepositoryID) (string, error) {
	if id.Domain != "" {
		d, err := tx.Domain(id.Owner, id.Domain)
		return d.ID, err
	}
	if callerOf(c).Account() != a.opt.Account {
		return "", fault.New(fault.Denied, "only the account that this server is configured with may check everything; name a domain")
	}
	return "", nil
}

func (a *API) startStorageCheck(ctx context.Context, c *restjson.Call, in *api.StartStorageCheckInput) (*api.StartStorageCheckOutput, error) {
	id, rate := targetOf(c, in).id, int64(defaultRate)
	if in.BytesPerSecond != nil {
		rate = *in.BytesPerSecond
	}
	out := &api.StartStorageCheckOutput{}
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		domainID, err := a.checked(tx, c, id)
		if err != nil {
			return err
		}
		check, err := tx.InsertStorageCheck(domainID, in.Repair != nil && *in.Repair, rate)
		if err == nil {
			out.Check, err = storageCheck(tx, check)
		}
		return err
	})
	return out, err
}

func (a *API) describeStorageCheck(ctx context.Context, c *restjson.Call, in *api.DescribeStorageCheckInput) (*api.DescribeStorageCheckOutput, error) {
	id := targetOf(c, in).id
	out := &api.DescribeStorageCheckOutput{}
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		domainID, err := a.checked(tx, c, id)
		if err != nil {
			return err
		}
		check, err := tx.StorageCheckOf(domainID, in.Check)
		if err == nil {
			out.Check, err = storageCheck(tx, check)
		}
		return err
	})
	return out, err
}

// stopStorageCheck leaves alone what has ended.
func (a *API) stopStorageCheck(ctx context.Context, c *restjson.Call, in *api.StopStorageCheckInput) (*api.StopStorageCheckOutput, error) {
	id := targetOf(c, in).id
	out := &api.StopStorageCheckOutput{}
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		domainID, err := a.checked(tx, c, id)
		if err != nil {
			return err
		}
		check, err := tx.StorageCheckOf(domainID, in.Check)
		if err == nil && check.State == catalog.CheckRunning {
			check.State = catalog.CheckStopped
			if err = tx.AdvanceStorageCheck(check); err == nil {
				check, err = tx.StorageCheck(check.ID)
			}
		}
		if err == nil {
			out.Check, err = storageCheck(tx, check)
		}
		return err
	})
	return out, err
}

func storageCheck(tx *catalog.Tx, c catalog.StorageCheck) (*api.StorageCheck, error) {
	found, err := tx.CountStorageFindings(c.ID)
	out := &api.StorageCheck{
		CheckID: c.ID, State: string(c.State), Repair: c.Repair, BytesPerSecond: c.Rate,
		CheckedContents: c.Contents, CheckedBytes: c.Bytes, AllContents: c.AllContents, AllBytes: c.AllBytes,
		Reported: found[catalog.OutcomeReported], Quarantined: found[catalog.OutcomeQuarantined], Repaired: found[catalog.OutcomeRepaired],
		CreatedTime: restjson.At(c.Created), UpdatedTime: restjson.At(c.Updated),
	}
	if !c.Done.IsZero() {
		out.FinishedTime = restjson.At(c.Done)
	}
	return out, err
}

// findingPlace is a place in the listing of findings.
type findingPlace struct{ Check, Space, SHA256, Kind string }

func (a *API) listStorageFindings(ctx context.Context, c *restjson.Call, in *api.ListStorageFindingsInput) (*api.ListStorageFindingsOutput, error) {
	id, limit := targetOf(c, in).id, limitOf(in.MaxResults, findingsLimit)
	l := page.For[findingPlace]("ListStorageFindings", id.Owner, id.Domain, in.Check)
	after, going, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &api.ListStorageFindingsOutput{}
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		domainID, err := a.checked(tx, c, id)
		if err != nil {
			return err
		}
		wanted := in.Check
		if going { // the last one may be another by now
			wanted = after.Check
		}
		check, err := tx.StorageCheckOf(domainID, wanted)
		if err != nil {
			return err
		}
		rows, err := tx.StorageFindings(check.ID, catalog.StorageFinding{Space: after.Space, SHA256: after.SHA256, Kind: after.Kind}, limit+1)
		if err != nil {
			return err
		}
		rows, out.NextToken = page.Cut(l, rows, limit, func(f catalog.StorageFinding) findingPlace {
			return findingPlace{check.ID, f.Space, f.SHA256, f.Kind}
		})
		out.Findings = make([]api.StorageFinding, len(rows))
		for i, f := range rows {
			if out.Findings[i], err = storageFinding(tx, f); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func storageFinding(tx *catalog.Tx, f catalog.StorageFinding) (api.StorageFinding, error) {
	out := api.StorageFinding{Kind: f.Kind, Outcome: f.Outcome, Sha256: f.SHA256, Detail: f.Detail, Time: restjson.At(f.At)}
	owners, err := tx.BlobOwners(f.Space, f.SHA256, 1)
	if err != nil || len(owners) == 0 {
		return out, err
	}
	o := owners[0]
	out.Format, out.Namespace, out.Package = string(o.Package.Coordinates.Format), o.Package.Coordinates.Namespace, o.Package.Coordinates.Name
	out.Version, out.Asset = o.Version.Number, o.Asset
	repositories, err := tx.RepositoriesByID(o.Package.RepositoryID)
	if len(repositories) > 0 {
		out.Repository = repositories[0].Name
	}
	return out, err
}
