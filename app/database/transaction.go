package database

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"app238.com/inner/ent"
)

// maxAttempts is how often a transaction is run before its serialization failure is returned.
const maxAttempts = 8

// InTx runs work in a transaction and commits it, and retries after a serialization failure. Work must therefore have no
// effect outside the transaction.
func InTx(ctx context.Context, client *ent.Client, work func(ctx context.Context, tx *ent.Tx) error) error {
	return Retry(ctx, func(ctx context.Context) error { return runTx(ctx, client, work) })
}

// Retry runs work, and again after each serialization failure or deadlock, up to maxAttempts times.
func Retry(ctx context.Context, work func(ctx context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := work(ctx)
		if err == nil || !IsRetryable(err) || attempt == maxAttempts {
			return err
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

func runTx(ctx context.Context, client *ent.Client, work func(ctx context.Context, tx *ent.Tx) error) error {
	tx, err := client.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// No-op after a commit; if it fails the pool drops the connection.
	defer func() { _ = tx.Rollback() }()
	if err := work(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// pause waits a random time that grows with the attempts, so that conflicting transactions do not conflict again.
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
