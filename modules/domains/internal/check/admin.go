package check

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/domains/internal/hostname"
	"app238.com/inner/modules/domains/internal/scan"
	"app238.com/inner/modules/domains/internal/store"
)

// Admin implements overview.Domains.
type Admin struct {
	checker *Checker
	pass    *scan.Scan
	store   *store.Store
}

// NewAdmin returns an Admin.
func NewAdmin(c *Checker, p *scan.Scan, s *store.Store) *Admin {
	return &Admin{checker: c, pass: p, store: s}
}

// List implements overview.Domains.
func (a *Admin) List(ctx context.Context, f admin.Filter) (admin.Page, error) {
	if err := f.Validate(); err != nil {
		return admin.Page{}, err
	}
	limit := f.Limit
	f.Limit++ // one more tells whether there is a further page
	found, err := a.store.List(ctx, f)
	if err != nil {
		return admin.Page{}, err
	}
	page := admin.Page{Admin: found}
	if len(found) > limit {
		page.Admin = found[:limit]
		page.Next = found[limit-1].ID
	}
	return page, nil
}

// Check implements overview.Domains.
func (a *Admin) Check(ctx context.Context, name string) (admin.Domain, error) {
	// A text that is no host name may still be a cdid.
	host, _ := hostname.Canonical(name)
	if err := a.pass.Run(ctx); err != nil {
		return admin.Domain{}, err
	}
	found, err := a.store.Find(ctx, name, host)
	if errors.Is(err, store.ErrNotFound) {
		return found, fmt.Errorf("%w: %s", err, name)
	}
	if err != nil {
		return found, err
	}
	checked, err := a.checker.One(ctx, found.CDID)
	switch {
	case err != nil:
		return found, err
	case !checked:
		return found, fmt.Errorf("%s is being checked, or removed, by a running Inner; see inner domains list", found.Domain)
	}
	return a.store.Find(ctx, found.CDID, "")
}
