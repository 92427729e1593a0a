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

// worldPage is how many things a page of the world's list holds.
const worldPage = 100

// world is an inventory of workers that exist in memory, for the rows of the table of workers. Tests hook in where the
// real world would change during an audit.
type world struct {
	db   *sql.DB
	kind string

	mu                sync.Mutex
	things            map[string]inventory.Object
	repaired, deleted []string

	// cutAfter is the number of things after which the list breaks off; 0: it does not.
	cutAfter int
	// deaf has the list go on when a page was refused.
	deaf bool
	// listed, paged and deleting are called after the list, after each page of rows, and before a deletion.
	listed   func()
	paged    func(page []inventory.Desired)
	deleting func(name string) error
}

func name(wid, uid string) string { return "w-" + wid + "-" + uid }

func key(wid, uid string) string { return "worker/" + uid + "/" + wid }

func object(wid, uid string) inventory.Object {
	return inventory.Object{Name: name(wid, uid), Owner: uid, ID: wid, Key: key(wid, uid), Parts: []string{"app"}}
}

func (w *world) put(o inventory.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.things[o.Name] = o
}

func (w *world) has(wid string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, there := w.things[name(wid, "u1")]
	return there
}

// Kind implements inventory.Inventory.
func (w *world) Kind() string { return w.kind }

// World implements inventory.Inventory.
func (w *world) ListActual(_ context.Context, page func([]inventory.Object) error) error {
	w.mu.Lock()
	all := slices.Collect(maps.Values(w.things))
	w.mu.Unlock()
	seen := 0
	for part := range slices.Chunk(all, worldPage) {
		for _, o := range part {
			if w.cutAfter > 0 && seen == w.cutAfter {
				return errors.New("the list was cut off")
			}
			if err := page([]inventory.Object{o}); err != nil && !w.deaf {
				return err
			}
			seen++
		}
	}
	if w.listed != nil {
		w.listed()
	}
	return nil
}

// Rows implements inventory.Inventory.
func (w *world) ListDesired(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	return w.read(ctx, `id > $1`, after, limit)
}

// Loading implements inventory.Loader.
func (w *world) Loading(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	return w.read(ctx, `id > $1 AND status = 'loading'`, after, limit)
}

func (w *world) read(ctx context.Context, which string, after int64, limit int) ([]inventory.Desired, error) {
	rows, err := w.db.QueryContext(ctx,
		`SELECT id, wid, user_uid, status, created_at FROM workers WHERE `+which+` ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var page []inventory.Desired
	for rows.Next() {
		var wish inventory.Desired
		var status string
		if err := rows.Scan(&wish.Row, &wish.ID, &wish.Owner, &status, &wish.Since); err != nil {
			return nil, err
		}
		wish.Name, wish.Key, wish.Loading = name(wish.ID, wish.Owner), key(wish.ID, wish.Owner), status == "loading"
		if status == "active" {
			wish.Needs = []string{"app"}
		}
		page = append(page, wish)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if w.paged != nil {
		w.paged(page)
	}
	return page, nil
}

// Repair implements inventory.Inventory.
func (w *world) Repair(_ context.Context, wish inventory.Desired, _ inventory.Drift) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.repaired = append(w.repaired, wish.ID)
	w.things[wish.Name] = object(wish.ID, wish.Owner)
	return nil
}

// Delete implements inventory.Inventory.
func (w *world) Delete(ctx context.Context, o inventory.Object) error {
	if w.deleting != nil {
		if err := w.deleting(o.Name); err != nil {
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
	delete(w.things, o.Name)
	return nil
}

// World implements inventory.Inventory.
func (p *parts) ListActual(_ context.Context, page func([]inventory.Object) error) error {
	for _, part := range p.pages {
		if err := page(part); err != nil {
			return err
		}
	}
	return nil
}

// Rows implements inventory.Inventory.
func (b *backwards) ListDesired(ctx context.Context, _ int64, limit int) ([]inventory.Desired, error) {
	return b.world.ListDesired(ctx, 0, limit)
}
