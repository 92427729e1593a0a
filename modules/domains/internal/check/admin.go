package check

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/domains/internal/scan"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/domains/internal/validate"
)

// Objects reads the objects of a domain from the cluster.
type Objects interface {
	Of(ctx context.Context, cdid string) ([]admin.Object, error)
}

// Admin implements admin.Admin.
type Admin struct {
	checker *Checker
	scanner *scan.Scanner
	store   *store.Store
	objects Objects
}

// NewAdmin returns an Admin.
func NewAdmin(c *Checker, scanner *scan.Scanner, s *store.Store, o Objects) *Admin {
	return &Admin{checker: c, scanner: scanner, store: s, objects: o}
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

// find returns the domain with this cdid or host name.
func (a *Admin) find(ctx context.Context, name string) (admin.Domain, error) {
	// A name that is no host name may be a cdid.
	host, _ := validate.CanonicalHost(name)
	found, err := a.store.Find(ctx, name, host)
	if errors.Is(err, store.ErrNotFound) {
		return found, fmt.Errorf("%w: %s", err, name)
	}
	return found, err
}

// Show implements admin.Admin.
func (a *Admin) Show(ctx context.Context, name string) (admin.Details, error) {
	found, err := a.find(ctx, name)
	if err != nil {
		return admin.Details{}, err
	}
	d := admin.Details{Domain: found, Objects: []admin.Object{}}
	if err := a.store.Details(ctx, &d); err != nil {
		return d, err
	}
	if d.Served {
		if d.Objects, err = a.objects.Of(ctx, d.CDID); err != nil {
			d.ClusterError = logging.Redact(database.UserMessage(err))
		}
	}
	d.Problems = problems(d)
	return d, nil
}

// problems returns what is wrong with a domain, the cause first.
func problems(d admin.Details) []string {
	all := []string{}
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if d.ClusterError != "" {
		add("the cluster could not be read: %s", d.ClusterError)
	}
	switch d.State {
	case "new":
		add("it was not checked yet: does a process run (inner status)?")
	case "removing":
		add("it is being removed: its row was deleted or changed")
	case "refused":
		add("it is never served: %s", d.Detail)
	case "failing":
		add("it is served, but its last %d checks failed: %s", d.Failures, d.Detail)
	case "error":
		add("it is not served, since it could not be verified: %s", d.Detail)
	case "pending":
		add("it is not verified yet: %s", d.Detail)
	}
	if d.Unanswered > 0 {
		add("the last %d checks got no answer from the DNS: %s", d.Unanswered, d.Detail)
	}
	for _, o := range d.Objects {
		if o.State != objectOK {
			add("%s %s: %s", o.Kind, o.Name, o.State)
		}
	}
	return all
}

// objectOK is the state of an object without a problem.
const objectOK = "ok"

// Check implements admin.Admin.
func (a *Admin) Check(ctx context.Context, name string) (admin.Domain, error) {
	if err := a.scanner.ScanAll(ctx); err != nil {
		return admin.Domain{}, err
	}
	found, err := a.find(ctx, name)
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
