package check

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/domains/internal/scan"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/domains/internal/validate"
)

// Admin implements admin.Admin.
type Admin struct {
	checker *Checker
	scanner *scan.Scanner
	store   *store.Store
}

// NewAdmin returns an Admin.
func NewAdmin(c *Checker, scanner *scan.Scanner, s *store.Store) *Admin {
	return &Admin{checker: c, scanner: scanner, store: s}
}

// List implements admin.Admin.
func (a *Admin) List(ctx context.Context, f admin.Filter) (admin.Page, error) {
	if err := f.Validate(); err != nil {
		return admin.Page{}, err
	}
	limit := f.Limit
	f.Limit++ // one more shows whether there is a next page
	found, err := a.store.List(ctx, f)
	if err != nil {
		return admin.Page{}, err
	}
	page := admin.Page{Domains: found}
	if len(found) > limit {
		page.Domains = found[:limit]
		page.Next = found[limit-1].ID
	}
	return page, nil
}

// Check implements admin.Admin.
func (a *Admin) Check(ctx context.Context, name string) (admin.Domain, error) {
	// A name that is no host name may be a cdid.
	host, _ := validate.CanonicalHost(name)
	if err := a.scanner.ScanAll(ctx); err != nil {
		return admin.Domain{}, err
	}
	found, err := a.store.Find(ctx, name, host)
	if errors.Is(err, store.ErrNotFound) {
		return found, fmt.Errorf("%w: %s", err, name)
	}
	if err != nil {
		return found, err
	}
	checked, err := a.checker.CheckOne(ctx, found.CDID)
	switch {
	case err != nil:
		return found, err
	case !checked:
		return found, fmt.Errorf("%s is being checked or removed by a running process; see inner domains list", found.Domain)
	}
	return a.store.Find(ctx, found.CDID, "")
}
