package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"sync"

	"app238.com/inner/modules/audit/inventory"
)

// listPage is how many objects one part of the list holds.
const listPage = 100

// fakeInventory is an inventory of the rows of workers, with objects in memory. Its hooks change rows and objects during an
// audit.
type fakeInventory struct {
	db   *sql.DB
	kind string

	mu                sync.Mutex
	objects           map[string]inventory.Object
	repaired, deleted []string

	// truncateAfter is the number of objects after which ListActual fails; 0: it does not.
	truncateAfter int
	// ignoreErrors makes ListActual ignore errors of page.
	ignoreErrors bool
	// onList, onPage and onDelete are called after ListActual, after each page of rows, and before a deletion.
	onList   func()
	onPage   func(page []inventory.Desired)
	onDelete func(name string) error
}

func name(wid, uid string) string { return "w-" + wid + "-" + uid }

func key(wid, uid string) string { return "worker/" + uid + "/" + wid }

func object(wid, uid string) inventory.Object {
	return inventory.Object{Name: name(wid, uid), Owner: uid, ID: wid, Key: key(wid, uid), Parts: []string{"app"}}
}

func (w *fakeInventory) add(o inventory.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects[o.Name] = o
}

func (w *fakeInventory) has(wid string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, there := w.objects[name(wid, "u1")]
	return there
}

// Kind implements inventory.Inventory.
func (w *fakeInventory) Kind() string { return w.kind }

// ListActual implements inventory.Inventory.
func (w *fakeInventory) ListActual(_ context.Context, page func([]inventory.Object) error) error {
	w.mu.Lock()
	all := slices.Collect(maps.Values(w.objects))
	w.mu.Unlock()
	passed := 0
	for part := range slices.Chunk(all, listPage) {
		for _, o := range part {
			if w.truncateAfter > 0 && passed == w.truncateAfter {
				return errors.New("the list was cut off")
			}
			if err := page([]inventory.Object{o}); err != nil && !w.ignoreErrors {
				return err
			}
			passed++
		}
	}
	if w.onList != nil {
		w.onList()
	}
	return nil
}

// ListDesired implements inventory.Inventory.
func (w *fakeInventory) ListDesired(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	return w.read(ctx, `id > $1`, after, limit)
}

// Loading implements inventory.Loader.
func (w *fakeInventory) Loading(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	return w.read(ctx, `id > $1 AND status = 'loading'`, after, limit)
}

func (w *fakeInventory) read(ctx context.Context, which string, after int64, limit int) ([]inventory.Desired, error) {
	rows, err := w.db.QueryContext(ctx,
		`SELECT id, wid, user_uid, status, created_at FROM workers WHERE `+which+` ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var page []inventory.Desired
	for rows.Next() {
		var desired inventory.Desired
		var status string
		if err := rows.Scan(&desired.Row, &desired.ID, &desired.Owner, &status, &desired.Since); err != nil {
			return nil, err
		}
		desired.Name, desired.Key = name(desired.ID, desired.Owner), key(desired.ID, desired.Owner)
		desired.Loading = status == "loading"
		if status == "active" {
			desired.Needs = []string{"app"}
		}
		page = append(page, desired)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if w.onPage != nil {
		w.onPage(page)
	}
	return page, nil
}

// Repair implements inventory.Inventory.
func (w *fakeInventory) Repair(_ context.Context, desired inventory.Desired, _ inventory.Drift) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.repaired = append(w.repaired, desired.ID)
	w.objects[desired.Name] = object(desired.ID, desired.Owner)
	return nil
}

// Delete implements inventory.Inventory.
func (w *fakeInventory) Delete(ctx context.Context, o inventory.Object) error {
	if w.onDelete != nil {
		if err := w.onDelete(o.Name); err != nil {
			return err
		}
	}
	var rows int
	if err := w.db.QueryRowContext(ctx, `SELECT count(*) FROM workers WHERE wid = $1`, o.ID).Scan(&rows); err != nil {
		return err
	}
	if rows > 0 {
		return inventory.ErrReferenced
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deleted = append(w.deleted, o.ID)
	delete(w.objects, o.Name)
	return nil
}

// ListActual implements inventory.Inventory.
func (p *pagedInventory) ListActual(_ context.Context, page func([]inventory.Object) error) error {
	for _, part := range p.pages {
		if err := page(part); err != nil {
			return err
		}
	}
	return nil
}

// ListDesired implements inventory.Inventory.
func (b *repeatingInventory) ListDesired(ctx context.Context, _ int64, limit int) ([]inventory.Desired, error) {
	return b.fakeInventory.ListDesired(ctx, 0, limit)
}
