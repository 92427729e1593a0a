// Package stock is combinator's inventory for the audit: what the engines hold of resources, what their rows wish, and
// which job mends the one or the other.
package stock

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/rows"
	"app238.com/inner/modules/tasks/job"
)

// Parts of a resource in the engines.
const (
	schemaPart    = "schema"
	namespacePart = "namespace"
)

// Stock implements inventory.Loader for the resources of one type.
type Stock struct {
	kind, part     string
	name           func(engine.Resource) string
	list           func(ctx context.Context, page func([]engine.Found) error) error
	create, remove func(jobs.Ref) (jobType string, payload job.Payload)
	queue          job.Queue
	rows           *rows.Rows
}

// New returns the inventories of the engines that there are.
func New(r *rows.Rows, q job.Queue, rdb engine.RDB, kv engine.KV) []inventory.Inventory {
	var all []inventory.Inventory
	if rdb.Configured() && len(rdb.TenantParts()) > 0 {
		all = append(all, &Tenants{rdb: rdb, rows: r, queue: q})
	}
	if rdb.Configured() {
		all = append(all, &Stock{
			kind: rows.RDB, part: schemaPart, name: rdb.Name, list: rdb.List, queue: q, rows: r,
			create: func(ref jobs.Ref) (string, job.Payload) {
				return jobs.CreateRDBType, jobs.CreateRDB{Ref: ref, Name: new(string)}
			},
			remove: func(ref jobs.Ref) (string, job.Payload) { return jobs.DeleteRDBType, jobs.DeleteRDB{Ref: ref} },
		})
	}
	if kv.Configured() {
		all = append(all, &Stock{
			kind: rows.KV, part: namespacePart, name: kv.Name, list: kv.List, queue: q, rows: r,
			create: func(ref jobs.Ref) (string, job.Payload) { return jobs.CreateKVType, jobs.CreateKV{Ref: ref} },
			remove: func(ref jobs.Ref) (string, job.Payload) { return jobs.DeleteKVType, jobs.DeleteKV{Ref: ref} },
		})
	}
	return all
}

// Kind implements inventory.Inventory.
func (s *Stock) Kind() string { return s.kind }

// World implements inventory.Inventory. A schema is known by the mark that this platform left on it, a namespace by its record;
// one that is deleted and only waits to be swept is none any more. What an earlier release made names no platform, and is this
// one's where a row refers to it. What was begun and has no mark yet is known by its place.
func (s *Stock) World(ctx context.Context, page func([]inventory.Object) error) error {
	err := s.list(ctx, func(found []engine.Found) error {
		claimed, err := s.claimed(ctx, found)
		if err != nil {
			return err
		}
		objects := make([]inventory.Object, 0, len(found))
		for _, f := range found {
			switch {
			case f.InClear, f.Unclaimed && claimed[f.Resource]:
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
		places, err := s.rows.Places(ctx, s.kind, after, placesPage)
		if err != nil || len(places) == 0 {
			return err
		}
		objects := make([]inventory.Object, len(places))
		for i, place := range places {
			objects[i], after = s.object(place.Resource), place.ID
		}
		if err := page(objects); err != nil {
			return err
		}
	}
}

// placesPage is how many places are read at once.
const placesPage = 1000

func (s *Stock) object(r engine.Resource, parts ...string) inventory.Object {
	return inventory.Object{Name: s.name(r), Owner: r.UserUID, ID: r.ResourceID, Key: jobs.OrderingKey(r), Parts: parts}
}

// claimed returns which of the resources that name no platform a row refers to.
func (s *Stock) claimed(ctx context.Context, found []engine.Found) (map[engine.Resource]bool, error) {
	var unclaimed []engine.Resource
	for _, f := range found {
		if f.Unclaimed {
			unclaimed = append(unclaimed, f.Resource)
		}
	}
	if len(unclaimed) == 0 {
		return nil, nil
	}
	return s.rows.Referenced(ctx, s.kind, unclaimed)
}

// Rows implements inventory.Inventory.
func (s *Stock) Rows(ctx context.Context, after int64, limit int) ([]inventory.Wish, error) {
	found, err := s.rows.Wishes(ctx, s.kind, int(after), limit)
	return s.wishes(found), err
}

// Loading implements inventory.Loader.
func (s *Stock) Loading(ctx context.Context, after int64, limit int) ([]inventory.Wish, error) {
	found, err := s.rows.Loading(ctx, s.kind, int(after), limit)
	return s.wishes(found), err
}

func (s *Stock) wishes(found []*ent.CombinatorResource) []inventory.Wish {
	wishes := make([]inventory.Wish, len(found))
	for i, row := range found {
		r := engine.Resource{UserUID: row.UserUID, ResourceID: row.ResourceID}
		wishes[i] = inventory.Wish{
			Row: int64(row.ID), Name: s.name(r), Owner: r.UserUID, ID: r.ResourceID, Key: jobs.OrderingKey(r),
			Loading: row.Status == rows.Loading, Since: row.CreatedAt.UTC(),
		}
		if row.Status == rows.Active {
			wishes[i].Needs = []string{s.part, engine.MarkPart}
		}
	}
	return wishes
}

// Repair implements inventory.Inventory: what is loading or lost is made, which does nothing where it is there.
func (s *Stock) Repair(ctx context.Context, wish inventory.Wish, _ inventory.Fault) error {
	ref := jobs.Ref{UserUID: wish.Owner, ResourceID: wish.ID}
	return s.decide(ctx, ref, func(status string) (string, job.Payload, error) {
		if status != rows.Loading && status != rows.Active {
			return "", nil, nil
		}
		jobType, payload := s.create(ref)
		return jobType, payload, nil
	})
}

// Delete implements inventory.Inventory.
func (s *Stock) Delete(ctx context.Context, object inventory.Object) error {
	ref := jobs.Ref{UserUID: object.Owner, ResourceID: object.ID}
	return s.decide(ctx, ref, func(status string) (string, job.Payload, error) {
		if status != "" {
			return "", nil, inventory.ErrWished
		}
		jobType, payload := s.remove(ref)
		return jobType, payload, nil
	})
}

// decide queues the job that choose returns, if any, in the transaction in which the row was looked at.
func (s *Stock) decide(ctx context.Context, ref jobs.Ref, choose func(status string) (string, job.Payload, error)) error {
	err := s.rows.Look(ctx, ref.UserUID, ref.ResourceID, s.kind, func(ctx context.Context, tx *ent.Tx, status string) error {
		jobType, payload, err := choose(status)
		if err != nil || jobType == "" {
			return err
		}
		_, err = s.queue.Enqueue(ctx, tx, jobType, payload)
		return err
	})
	if err == nil {
		s.queue.Nudge()
	}
	return err
}
