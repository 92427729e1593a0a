// Package inventory is the seam of the audit: what it asks of the modules that make objects outside the database for its rows.
// Only these modules repair and delete the objects.
//
// A module contributes one Inventory for each kind of object that it makes. The audit does the rest: it lists the objects before
// the rows that justify them, requires complete lists, compares, applies the grace period and the limits, and decides. An
// inventory only lists actual and desired state, and starts jobs of its module.
//
// An audit of one kind calls ListActual once; then ListDesired, page after page, until a page is empty; then Repair for rows with
// a drift and Delete for orphans. It makes all calls from one goroutine and audits one kind after the other. A dry run calls
// ListActual and ListDesired only. The context of every call has a deadline.
package inventory

import (
	"context"
	"errors"
	"time"

	"go.uber.org/fx"
)

// Inventory is one kind of object that a module makes for rows of the database.
type Inventory interface {
	// Kind is a unique word for the kind, such as "worker" or "kv". It never changes, because observations of earlier audits
	// are recorded under it.
	Kind() string
	// ListActual passes every object of the kind to page, in pages of any size. It returns nil only after it has passed all of
	// them; anything else is an error: a page that failed, a list that the server truncated or whose continue token expired, an
	// unavailable engine. It returns an error of page at once. An object may be listed several times, with different parts.
	//
	// It reads from the API server or the engine itself, never from a cache, which may be stale. It lists only objects whose
	// names this platform could have given (dbadmin is not db_…), best checked by building the name again from its parts or
	// labels, because the audit may delete what is listed. It holds at most one page in memory.
	ListActual(ctx context.Context, page func([]Object) error) error
	// ListDesired returns at most limit rows with a primary key above after, in the order of Row. An empty page is the end, a
	// short one is not. It includes every row that justifies an object of the kind, whatever the row's status.
	ListDesired(ctx context.Context, after int64, limit int) ([]Desired, error)
	// Repair has a row with a drift repaired: it enqueues a job of its module, or records the failure in the row if no job can
	// help. It reads the row again first and does nothing if the row was deleted or repaired meanwhile. Outer may enqueue its
	// own task at the same time, so the job must be idempotent.
	Repair(ctx context.Context, desired Desired, drift Drift) error
	// Delete has an orphan deleted by a job of its module. It checks again that there is no row, in the transaction that
	// enqueues the job; if there is one, it enqueues nothing and returns ErrReferenced.
	Delete(ctx context.Context, object Object) error
}

// Loader is an Inventory whose rows may be loading. It lets the audit find rows whose task was never accepted without waiting
// for the next audit.
type Loader interface {
	Inventory
	// Loading is ListDesired for rows that are loading. It lists no objects, so that it can be called every few minutes.
	Loading(ctx context.Context, after int64, limit int) ([]Desired, error)
}

// ErrReferenced is returned by Delete when the object has a row by now.
var ErrReferenced = errors.New("the object has a row by now")

// Object is an object that exists.
type Object struct {
	// Name identifies an object within its kind. It is the name that Inner gave it, the same as in Desired.
	Name string
	// Owner is the uid of the user, and ID the worker_id, resource_id or cdid, from which the name was built.
	Owner, ID string
	// Key is the ordering key of the module's tasks for the object. An object with an unfinished task is left alone.
	Key string
	// Parts are the parts of the object that exist, such as "WorkerApp" or "role". Parts of several objects with the same name
	// add up.
	Parts []string
}

// Desired is a row and the object that it requires, or at least justifies.
type Desired struct {
	// Row is the row's primary key.
	Row int64
	// Name, Owner, ID and Key are as in Object. Several rows may have the same name.
	Name, Owner, ID, Key string
	// Needs are the parts that must exist. A row whose object is not required, or not any more, needs none and still justifies
	// the object.
	Needs []string
	// Loading is true when the row, or a row that belongs to it, is loading, which a task with the ordering key Key must end.
	Loading bool
	// Since is the latest created_at of the row and the rows that belong to it, in UTC. A young row has no drift yet, because
	// its task may not have run.
	Since time.Time
}

// Drift is the difference between a row and its object. At least one field is set.
type Drift struct {
	// Missing are the parts of Needs that do not exist.
	Missing []string
	// Stuck is true when the row is loading without an unfinished task.
	Stuck bool
}

// AsInventories annotates the constructor of a []Inventory for the fx group "inventories". A module whose engine is not
// configured returns none.
func AsInventories(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"inventories,flatten"`))
}
