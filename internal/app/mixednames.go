package app

import (
	"context"
	"log/slog"
	"strings"

	"packhouse/internal/catalog"
)

// guardNames keeps the switch of every domain as the configuration says,
// whenever domains change: a name published in one repository is not taken from
// outside in another, except in the domains of mixed-names.
func (a *App) guardNames(ctx context.Context) {
	changed := make(chan struct{}, 1)
	defer a.db.Subscribe(func(changes []catalog.Change) {
		for _, c := range changes {
			if c.Config {
				select {
				case changed <- struct{}{}:
				default: // about to look
				}
				return
			}
		}
	})()
	for {
		if err := a.setGuards(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("apply mixed-names", slog.Any("error", err))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (a *App) setGuards(ctx context.Context) error {
	mixed := map[string]bool{}
	for _, name := range a.cfg.MixedNames {
		if !strings.Contains(name, "/") {
			name = a.cfg.Account + "/" + name
		}
		mixed[name] = true
	}
	wrong := map[string]bool{} // domain ID -> what its switch should be
	err := a.eachDomain(ctx, func(_ *catalog.Tx, d catalog.Domain) error {
		if want := !mixed[d.Owner+"/"+d.Name]; d.CrossRepositoryBlock != want {
			wrong[d.ID] = want
		}
		return nil
	})
	if err != nil || len(wrong) == 0 {
		return err
	}
	return a.db.Update(ctx, func(tx *catalog.Tx) error {
		for id, on := range wrong {
			if err := tx.SetCrossRepositoryBlock(id, on); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachDomain runs fn for every domain of every account, in one snapshot.
func (a *App) eachDomain(ctx context.Context, fn func(tx *catalog.Tx, d catalog.Domain) error) error {
	return a.db.View(ctx, func(tx *catalog.Tx) error {
		accounts, err := tx.Accounts()
		if err != nil {
			return err
		}
		for _, account := range accounts {
			domains, err := tx.Domains(account.ID, "", 0)
			if err != nil {
				return err
			}
			for _, d := range domains {
				if err := fn(tx, d); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
