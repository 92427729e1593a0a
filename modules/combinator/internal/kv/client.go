package kv

import (
	"context"
	"time"
)

// kvClient is what the engine needs of a transactional key-value store. Every call ends with its context.
type kvClient interface {
	// update runs work in a transaction and commits it, again from the start after a write conflict.
	update(ctx context.Context, work func(ctx context.Context, tx transaction) error) error
	// scan returns at most limit pairs of [from, to), in order.
	scan(ctx context.Context, from, to []byte, limit int) ([]pair, error)
	// clear deletes all keys of [from, to), also those of unfinished transactions.
	clear(ctx context.Context, from, to []byte) error
	// close closes the connections and waits for operations in flight.
	close() error
}

// transaction reads a snapshot of the store, and its own writes.
type transaction interface {
	// get returns nil when the key does not exist.
	get(ctx context.Context, key []byte) ([]byte, error)
	set(key, value []byte) error
	remove(key []byte) error
	// now returns the start of the transaction, by the store's clock.
	now() time.Time
}

type pair struct{ key, value []byte }
