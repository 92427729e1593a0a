// Package retention removes tasks that ended long ago, in small batches.
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
	// page is how many rows one batch looks at.
	batchSize = 500
	// rest is the pause between two batches, so that they do not slow claims.
	batchDelay = 50 * time.Millisecond
)

// Retention walks over the tasks from time to time.
type Cleaner struct {
	config config.Retention
	store  *store.Store
	log    *zap.Logger
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// New returns a Retention.
func New(c *config.Config, log *zap.Logger, s *store.Store) *Cleaner {
	return &Cleaner{config: c.Tasks.Retention, store: s, log: log.Named("processor")}
}

// Start begins to walk.
func (r *Cleaner) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.done.Go(func() { r.run(ctx) })
	return nil
}

// Stop ends it.
func (r *Cleaner) Stop(context.Context) error {
	r.stop()
	r.done.Wait()
	return nil
}

func (r *Cleaner) run(ctx context.Context) {
	for sleep(ctx, r.config.Interval) {
		var deleted int64
		err := guard.Call(func() (err error) {
			deleted, err = r.DeleteExpired(ctx)
			return err
		})
		if err != nil && ctx.Err() == nil {
			r.log.Warn("removing old tasks failed", logging.Error(err))
		}
		if deleted > 0 {
			r.log.Info("old tasks removed", zap.Int64("tasks", deleted))
		}
	}
}

// Walk goes over all old tasks once and returns how many it removed. Several processes may walk at once.
func (r *Cleaner) DeleteExpired(ctx context.Context) (int64, error) {
	total, after := int64(0), int64(0)
	for {
		last, deleted, err := r.store.DeleteExpired(ctx, after, batchSize, r.config.Finished, r.config.Failed)
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
