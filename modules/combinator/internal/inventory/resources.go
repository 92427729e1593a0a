// Package inventory is combinator's inventory for the audit: it lists actual and desired resources and tenants, and queues
// the jobs that repair or delete them.
package inventory

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Parts of a resource in the engines.
const (
	schemaPart    = "schema"
	namespacePart = "namespace"
)

// Resources implements inventory.Loader for the resources of one type.
type Resources struct {
	kind, part     string
	name           func(engine.Resource) string
	list           func(ctx context.Context, page func([]engine.Found) error) error
	create, remove func(jobs.Ref) (jobType string, payload job.Payload)
	queue          job.Queue
	store          *store.Store
}

// New returns the inventories of the configured engines.
func New(r *store.Store, q job.Queue, rdb engine.RDB, kv engine.KV) []inventory.Inventory {
	var all []inventory.Inventory
	if rdb.Configured() && len(rdb.DesiredParts()) > 0 {
		all = append(all, &Tenants{rdb: rdb, store: r, queue: q})
	}
	if rdb.Configured() {
		all = append(all, &Resources{
			kind: store.RDB, part: schemaPart, name: rdb.Name, list: rdb.List, queue: q, store: r,
			create: func(ref jobs.Ref) (string, job.Payload) {
				return jobs.CreateRDBType, jobs.CreateRDB{Ref: ref, Name: new(string)}
			},
			remove: func(ref jobs.Ref) (string, job.Payload) {
				return jobs.DeleteRDBType, jobs.DeleteRDB{Removal: jobs.Removal{Ref: ref, Orphan: true}}
			},
		})
	}
	if kv.Configured() {
		all = append(all, &Resources{
			kind: store.KV, part: namespacePart, name: kv.Name, list: kv.List, queue: q, store: r,
			create: func(ref jobs.Ref) (string, job.Payload) { return jobs.CreateKVType, jobs.CreateKV{Ref: ref} },
			remove: func(ref jobs.Ref) (string, job.Payload) {
				return jobs.DeleteKVType, jobs.DeleteKV{Removal: jobs.Removal{Ref: ref, Orphan: true}}
			},
		})
	}
	return all
}

// Kind implements inventory.Inventory.
func (s *Resources) Kind() string { return s.kind }

// ListActual implements inventory.Inventory. A schema is identified by the mark of this platform, a namespace by its record;
// a deleted namespace that waits for its sweep is not listed. A resource of an earlier release names no platform and is this
// one's when a row refers to it. A resource whose creation has begun and that has no mark yet is identified by its recorded
// name.
func (s *Resources) ListActual(ctx context.Context, page func([]inventory.Object) error) error {
	err := s.list(ctx, func(found []engine.Found) error {
		referenced, err := s.referenced(ctx, found)
		if err != nil {
			return err
		}
		objects := make([]inventory.Object, 0, len(found))
		for _, f := range found {
			switch {
			case f.Unencrypted, f.Unclaimed && referenced[f.Resource]:
				objects = append(objects, s.object(f.Resource, s.part))
			case !f.Unclaimed:
				objects = append(objects, s.object(f.Resource, s.part, engine.MarkPart))
			}
		}
		return page(objects)
	})
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		names, err := s.store.ListNames(ctx, s.kind, after, namesPageSize)
		if err != nil || len(names) == 0 {
			return err
		}
		objects := make([]inventory.Object, len(names))
		for i, name := range names {
			objects[i], after = s.object(name.Resource), name.ID
		}
		if err := page(objects); err != nil {
			return err
		}
	}
}

// namesPageSize is the number of recorded names per query.
const namesPageSize = 1000

func (s *Resources) object(r engine.Resource, parts ...string) inventory.Object {
	return inventory.Object{Name: s.name(r), Owner: r.UserUID, ID: r.ResourceID, Key: jobs.OrderingKey(r), Parts: parts}
}

// referenced returns which of the resources without a platform have a row.
func (s *Resources) referenced(ctx context.Context, found []engine.Found) (map[engine.Resource]bool, error) {
	var unclaimed []engine.Resource
	for _, f := range found {
		if f.Unclaimed {
			unclaimed = append(unclaimed, f.Resource)
		}
	}
	if len(unclaimed) == 0 {
		return nil, nil
	}
	return s.store.ReferencedResources(ctx, s.kind, unclaimed)
}

// ListDesired implements inventory.Inventory.
func (s *Resources) ListDesired(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	found, err := s.store.ListDesired(ctx, s.kind, int(after), limit)
	return s.desired(found), err
}

// Loading implements inventory.Loader.
func (s *Resources) Loading(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	found, err := s.store.ListLoading(ctx, s.kind, int(after), limit)
	return s.desired(found), err
}

func (s *Resources) desired(found []*ent.CombinatorResource) []inventory.Desired {
	desired := make([]inventory.Desired, len(found))
	for i, row := range found {
		r := engine.Resource{UserUID: row.UserUID, ResourceID: row.ResourceID}
		desired[i] = inventory.Desired{
			Row: int64(row.ID), Name: s.name(r), Owner: r.UserUID, ID: r.ResourceID, Key: jobs.OrderingKey(r),
			Loading: row.Status == store.Loading, Since: row.CreatedAt.UTC(),
		}
		if row.Status == store.Active {
			desired[i].Needs = []string{s.part, engine.MarkPart}
		}
	}
	return desired
}

// Repair implements inventory.Inventory: it queues the creation of a loading or missing resource, which does nothing when
// the resource exists.
func (s *Resources) Repair(ctx context.Context, desired inventory.Desired, _ inventory.Drift) error {
	ref := jobs.Ref{UserUID: desired.Owner, ResourceID: desired.ID}
	return s.enqueueIf(ctx, ref, func(status string) (string, job.Payload, error) {
		if status != store.Loading && status != store.Active {
			return "", nil, nil
		}
		jobType, payload := s.create(ref)
		return jobType, payload, nil
	})
}

// Delete implements inventory.Inventory.
func (s *Resources) Delete(ctx context.Context, object inventory.Object) error {
	ref := jobs.Ref{UserUID: object.Owner, ResourceID: object.ID}
	return s.enqueueIf(ctx, ref, func(status string) (string, job.Payload, error) {
		if status != "" {
			return "", nil, inventory.ErrReferenced
		}
		jobType, payload := s.remove(ref)
		return jobType, payload, nil
	})
}

// enqueueIf queues the job that choose returns, if any, in the transaction that reads the row.
func (s *Resources) enqueueIf(ctx context.Context, ref jobs.Ref, choose func(status string) (string, job.Payload, error)) error {
	work := func(ctx context.Context, tx *ent.Tx, status string) error {
		jobType, payload, err := choose(status)
		if err != nil || jobType == "" {
			return err
		}
		_, err = s.queue.Enqueue(ctx, tx, jobType, payload)
		return err
	}
	err := s.store.InTxWithStatus(ctx, ref.UserUID, ref.ResourceID, s.kind, work)
	if err == nil {
		s.queue.Notify()
	}
	return err
}
