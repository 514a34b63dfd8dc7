package control

import (
	"context"

	"packhouse/internal/access"
	"packhouse/internal/catalog"
	"packhouse/internal/identity"
	"packhouse/internal/page"
)

// limitOf is the page size asked for; its bounds have been checked.
func limitOf(asked *int32, def int) int {
	if asked == nil {
		return def
	}
	return int(*asked)
}

// visibility is one page of a listing that leaves out what its caller may not
// list (section 6.2).
type visibility[T, K any] struct {
	caller  identity.Caller
	action  string
	listing page.Listing[K]
	token   string
	limit   int
	next    func(tx *catalog.Tx, after K, limit int) ([]T, error) // rows after a key
	key     func(T) K
	need    func(T) access.Need
}

// visible fills one page. A caller who is allowed nothing, neither on any row
// nor in general, is denied.
func visible[T, K any](ctx context.Context, a *API, v visibility[T, K]) (rows []T, token string, err error) {
	after, _, err := v.listing.Key(v.token)
	if err != nil {
		return nil, "", err
	}
	for more := true; more && len(rows) <= v.limit; {
		var some []T
		err := a.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
			some, err = v.next(tx, after, v.limit+1)
			return err
		})
		if err != nil {
			return nil, "", err
		}
		if more = len(some) > v.limit; more {
			after = v.key(some[len(some)-1])
		}
		kept, err := access.Filter(ctx, a.opt.Checker, v.caller, some, v.need)
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, kept...)
	}
	if len(rows) == 0 && v.token == "" {
		if err := a.opt.Checker.Check(ctx, v.caller, access.Everything(v.action)); err != nil {
			return nil, "", err
		}
	}
	rows, token = page.Cut(v.listing, rows, v.limit, v.key)
	return rows, token, nil
}
