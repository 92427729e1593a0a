// Package retention deletes tasks that ended long ago, in small batches.
package retention

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/store"
)

const (
	// batchSize is the number of rows that one batch reads.
	batchSize = 500
	// batchDelay is the pause between two batches, so that they do not slow down claims.
	batchDelay = 50 * time.Millisecond
)

// Cleaner deletes old tasks periodically.
type Cleaner struct {
	config config.Retention
	store  *store.Store
	log    *zap.Logger
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// New returns a Cleaner.
func New(c *config.Config, log *zap.Logger, s *store.Store) *Cleaner {
	return &Cleaner{config: c.Tasks.Retention, store: s, log: log.Named("processor")}
}

// Start starts the loop.
func (c *Cleaner) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.done.Go(func() { c.run(ctx) })
	return nil
}

// Stop stops the loop.
func (c *Cleaner) Stop(context.Context) error {
	c.stop()
	c.done.Wait()
	return nil
}

func (c *Cleaner) run(ctx context.Context) {
	for sleep(ctx, c.config.Interval) {
		var deleted int64
		err := guard.Call(func() (err error) {
			deleted, err = c.DeleteExpired(ctx)
			return err
		})
		if err != nil && ctx.Err() == nil {
			c.log.Warn("deletion of old tasks failed", logging.Error(err))
		}
		if deleted > 0 {
			c.log.Info("old tasks deleted", zap.Int64("tasks", deleted))
		}
	}
}

// DeleteExpired deletes all expired tasks once and returns their number. Several processes may do so at once.
func (c *Cleaner) DeleteExpired(ctx context.Context) (int64, error) {
	total, after := int64(0), int64(0)
	for {
		last, deleted, err := c.store.DeleteExpired(ctx, after, batchSize, c.config.Finished, c.config.Failed)
		total += deleted
		if err != nil || last == 0 {
			return total, err
		}
		after = last
		if !sleep(ctx, batchDelay) {
			return total, ctx.Err()
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
