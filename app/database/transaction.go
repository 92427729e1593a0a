package database

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"app238.com/inner/ent"
)

// attempts is how often a transaction is run before its serialization failure is given to the caller.
const attempts = 8

// InTx runs work in a transaction and commits it, again from the start as often as the database says that it could not
// be serialized. Work must therefore have no effect outside the transaction.
func InTx(ctx context.Context, client *ent.Client, work func(ctx context.Context, tx *ent.Tx) error) error {
	return Retry(ctx, func(ctx context.Context) error { return once(ctx, client, work) })
}

// Retry runs work again as long as it ends with a serialization failure or a deadlock.
func Retry(ctx context.Context, work func(ctx context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := work(ctx)
		if err == nil || !IsRetryable(err) || attempt == attempts {
			return err
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

func once(ctx context.Context, client *ent.Client, work func(ctx context.Context, tx *ent.Tx) error) error {
	tx, err := client.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// After a commit this does nothing; where it fails the pool drops the connection.
	defer func() { _ = tx.Rollback() }()
	if err := work(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// pause waits a random time that grows with the attempts, so that transactions which collided do not collide again.
func pause(ctx context.Context, attempt int) error {
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(5*time.Millisecond) << attempt)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
