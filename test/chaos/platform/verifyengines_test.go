package platform_test

import (
	"context"
	"maps"
)

// checkSchemas: the schemas are the desired ones.
func (w *fixture) checkSchemas(ctx context.Context, outers []*outer, f *findings) error {
	rows, err := w.tenants.QueryContext(ctx, `SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'user\_%'`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	there := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		there[name] = true
	}
	eachResource(outers, "rdb", func(r *desiredResource) {
		if there[r.name()] == r.deleted {
			f.add("schema %s: exists %v, desired %v", r.name(), there[r.name()], !r.deleted)
		}
		delete(there, r.name())
	})
	for name := range there {
		f.add("schema %s was never desired", name)
	}
	return rows.Err()
}

func eachResource(outers []*outer, kind string, do func(*desiredResource)) {
	for _, o := range outers {
		for _, r := range o.resources {
			if r.kind == kind {
				do(r)
			}
		}
	}
}

// checkKeys: what was put into namespaces is there, and nothing of deleted ones.
func (w *fixture) checkKeys(ctx context.Context, outers []*outer, f *findings) error {
	there, err := w.keys(ctx)
	if err != nil {
		return err
	}
	eachResource(outers, "kv", func(r *desiredResource) {
		key := string(r.key())
		if there[key] != (r.put && !r.deleted) {
			f.add("key %s: exists %v, desired %v", key, there[key], r.put && !r.deleted)
		}
		delete(there, key)
	})
	for key := range there {
		f.add("key %s was never put", key)
	}
	return nil
}

// checkResources: rows are active, reports counted once, and the Combinator pod was notified of deletions.
func (w *fixture) checkResources(ctx context.Context, outers []*outer, f *findings) error {
	w.mu.Lock()
	notified := maps.Clone(w.notified)
	w.mu.Unlock()
	for _, o := range outers {
		for _, r := range o.resources {
			if r.deleted {
				if !notified[r.id] {
					f.add("the Combinator pod was not notified that %s %s is gone", r.kind, r.id)
				}
				continue
			}
			var status string
			var reported int64
			if err := w.db.QueryRowContext(ctx, `SELECT status, (SELECT COALESCE(SUM(datachange), 0) FROM combinator_resource_reports p
				WHERE p.resource_id = r.id) FROM combinator_resources r WHERE resource_id = $1`, r.id).Scan(&status, &reported); err != nil {
				return err
			}
			if status != "active" || reported != r.reported {
				f.add("%s %s is %s with %d reported, not active with %d", r.kind, r.id, status, reported, r.reported)
			}
		}
	}
	return nil
}
