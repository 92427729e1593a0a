package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"sync"

	"app238.com/inner/app/database"
	"app238.com/inner/ent"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/tasks/job"
)

// objects are the existing and the deleted objects, shared by all replicas.
type objects struct {
	mu      sync.Mutex
	exist   map[string]bool
	deleted []string
	// lists is the number of audits that are listing the objects, and most its maximum.
	lists, most int
	// started counts the lists, and hold returns true for those that must not end.
	started int
	hold    func(list int) bool
}

func newObjects(names ...string) *objects {
	t := &objects{exist: map[string]bool{}, hold: func(int) bool { return false }}
	for _, name := range names {
		t.exist[name] = true
	}
	return t
}

func (t *objects) snapshot() (exist, deleted []string, started int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.exist)), slices.Clone(t.deleted), t.started
}

// list returns the names, or an error when it was held until ctx ended.
func (t *objects) list(ctx context.Context) ([]string, error) {
	t.mu.Lock()
	t.started++
	t.lists++
	t.most = max(t.most, t.lists)
	names, held := slices.Sorted(maps.Keys(t.exist)), t.hold(t.started)
	t.mu.Unlock()
	if held {
		<-ctx.Done()
	}
	t.mu.Lock()
	t.lists--
	t.mu.Unlock()
	if held {
		return nil, ctx.Err()
	}
	return names, nil
}

// fakeInventory is the inventory of a replica: no object has a row, apart from the workers'.
type fakeInventory struct {
	objects *objects
	db      *sql.DB
	ent     *ent.Client
	queue   job.Queue
}

// Kind implements inventory.Inventory.
func (s *fakeInventory) Kind() string { return "thing" }

// ListActual implements inventory.Inventory.
func (s *fakeInventory) ListActual(ctx context.Context, page func([]inventory.Object) error) error {
	names, err := s.objects.list(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		o := inventory.Object{Name: name, Owner: "u", ID: name, Key: removal{name}.OrderingKey(), Parts: []string{"thing"}}
		if err := page([]inventory.Object{o}); err != nil {
			return err
		}
	}
	return nil
}

// ListDesired implements inventory.Inventory.
func (s *fakeInventory) ListDesired(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, wid, user_uid FROM workers WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var page []inventory.Desired
	for rows.Next() {
		var w inventory.Desired
		if err := rows.Scan(&w.Row, &w.Name, &w.Owner); err != nil {
			return nil, err
		}
		page = append(page, w)
	}
	return page, rows.Err()
}

// Repair implements inventory.Inventory. No row needs anything.
func (s *fakeInventory) Repair(context.Context, inventory.Desired, inventory.Drift) error {
	return errors.New("nothing is to be repaired")
}

// Delete implements inventory.Inventory: by a job, as the modules do.
func (s *fakeInventory) Delete(ctx context.Context, o inventory.Object) error {
	err := database.InTx(ctx, s.ent, func(ctx context.Context, tx *ent.Tx) error {
		_, err := s.queue.Enqueue(ctx, tx, removalType, removal{o.Name})
		return err
	})
	s.queue.Notify()
	return err
}

const removalType = "thing.delete"

// removal is the payload of the job that deletes a thing.
type removal struct {
	Name string `json:"name"`
}

// Validate implements job.Payload.
func (removal) Validate() error { return nil }

// OrderingKey implements job.Payload.
func (r removal) OrderingKey() string { return "thing/" + r.Name }

type remove struct{ objects *objects }

// Execute implements job.Job.
func (r remove) Execute(_ context.Context, _ job.Task, p removal) error {
	r.objects.mu.Lock()
	defer r.objects.mu.Unlock()
	r.objects.deleted = append(r.objects.deleted, p.Name)
	delete(r.objects.exist, p.Name)
	return nil
}
