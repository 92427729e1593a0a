// Package inventory is the seam of the audit: what it asks of the modules that make things in the outside world for rows
// of the database, and that alone put those things right and take them away.
//
// A module contributes one Inventory for each kind of thing that it makes. The audit does the rest, so that no module can
// get it wrong: it lists the world before the rows that would justify it, keeps to complete lists, compares, waits out
// the grace, holds to the limits, and decides. An inventory only tells what is, and what is wished, and starts its
// module's own jobs.
//
// In one audit of one kind the audit calls World once, to its end; then Rows, page after page, to the end; then Repair for
// rows at fault and Delete for things that no row wishes. It does so from one goroutine, and different kinds one after the
// other. A dry run calls World and Rows alone. Every call has a deadline in its context.
package inventory

import (
	"context"
	"errors"
	"time"

	"go.uber.org/fx"
)

// Inventory is one kind of thing that a module makes in the world for rows of the database.
type Inventory interface {
	// Kind is a word for the kind, such as "worker" or "kv". It is unique and stays the same for ever, because what was
	// seen by earlier audits is recorded under it.
	Kind() string
	// World hands every thing of the kind that exists to page, in pages of any size, and returns nil only once it has
	// handed over all of them. Whatever keeps it from that is an error: a page that failed, a list that the server cut off
	// or whose continuation expired, an engine that does not answer. An error of page is returned at once. The same thing
	// may come twice, and its parts in different pages.
	//
	// It asks the cluster or the engine itself, never a cache, which may lag behind. It lists nothing but names that this
	// Inner could have given (dbadmin is not db_…), best shown by taking the name or its labels apart and building the
	// name again from them; what it lists, the audit may have deleted. It holds no more than a page in memory.
	ListActual(ctx context.Context, page func([]Object) error) error
	// Rows returns the rows with ids above after, at most limit of them, in ascending order of Row, the same order in
	// which the database numbers them: keyset pages. An empty page is the end, a short one is not. Every row that
	// justifies a thing of the kind is among them, whatever its status.
	ListDesired(ctx context.Context, after int64, limit int) ([]Desired, error)
	// Repair has a row that is at fault put right by a job of its own module: it queues the job, or writes to the row what
	// happened where no job can help. It reads the row again first, because time has passed, and does nothing when the row
	// is gone or in order by now. The Outer's own task may come at the same moment, so its job must bear to run twice.
	Repair(ctx context.Context, desired Desired, drift Drift) error
	// Delete has a thing that no row wishes taken away by a job of its own module. It looks for a row once more, in the
	// transaction in which it queues the job; where there is one it queues nothing and returns ErrWished.
	Delete(ctx context.Context, object Object) error
}

// Loader is an Inventory whose rows may be loading, which a task ends. Where the request for that task got lost, nobody should
// wait for the next audit.
type Loader interface {
	Inventory
	// Loading is Rows for those alone that are loading. It lists no objects, so that it can be asked every few minutes.
	Loading(ctx context.Context, after int64, limit int) ([]Desired, error)
}

// ErrWished says that a thing is not deleted, because a row wishes it by now.
var ErrReferenced = errors.New("a row wishes it by now")

// Object is a thing that exists.
type Object struct {
	// Name tells things of a kind apart. It is the name that Inner gave it, the same that Wish has for its row.
	Name string
	// Owner is the uid of the user, and ID the worker_id, resource_id or cdid, that the name was made of.
	Owner, ID string
	// Key is the ordering key of its module's tasks about it. While such a task is unfinished the thing is left alone.
	Key string
	// Parts are those of it that were found, in words of the kind: "WorkerApp", "role". The parts of several objects of
	// the same name add up.
	Parts []string
}

// Wish is a row, and the thing that it wishes or at least allows.
type Desired struct {
	// Row is the row's primary key.
	Row int64
	// Name, Owner, ID and Key are as in Object. Several rows may have one name.
	Name, Owner, ID, Key string
	// Needs are the parts that must exist for the row to be in order; a row that is not meant to be there yet, or any
	// more, needs none and still justifies what is there.
	Needs []string
	// Loading tells that the row, or one that belongs to it, says loading: a task with Key must be about to end that.
	Loading bool
	// Since is when what the row says began, in UTC: the latest created_at of the row and those that belong to it. A young
	// row is not at fault, because its task may be on its way.
	Since time.Time
}

// Fault is what is wrong with a row. At least one of its fields is set.
type Drift struct {
	// Missing are the parts of Needs that do not exist.
	Missing []string
	// Stuck tells that the row is loading and no task is going to end that.
	Stuck bool
}

// AsInventories makes the fx constructor of a []Inventory one that contributes to the group "inventories". A module whose
// engine is not configured contributes none.
func AsInventories(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"inventories,flatten"`))
}
