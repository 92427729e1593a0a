package platform_test

import (
	"context"
	"time"
)

// callTimeout is the longest time for one call to an engine.
const callTimeout = 10 * time.Second

// put writes into a resource as its user does by way of a Combinator pod.
func (w *fixture) put(ctx context.Context, r *desiredResource) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if r.kind == "rdb" {
		_, err := w.tenants.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS "`+r.name()+`".t (a INT)`)
		return err
	}
	tx, err := w.kv.Begin()
	if err != nil {
		return err
	}
	if err := tx.Set(r.key(), []byte("v")); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func (r *desiredResource) key() []byte { return []byte(r.name() + "/key") }

// keys returns all keys of namespaces, asked of the engine itself.
func (w *fixture) keys(ctx context.Context) (map[string]bool, error) {
	tx, err := w.kv.Begin()
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	all, err := tx.Iter([]byte("user_"), []byte("user`"))
	if err != nil {
		return nil, err
	}
	defer all.Close()
	found := map[string]bool{}
	for all.Valid() {
		found[string(all.Key())] = true
		if err := all.Next(); err != nil {
			return nil, err
		}
	}
	return found, ctx.Err()
}
