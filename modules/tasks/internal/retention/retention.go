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
	page = 500
	// rest is the pause between two batches, so that they do not slow claims.
	rest = 50 * time.Millisecond
)

// Retention walks over the tasks from time to time.
type Retention struct {
	config config.Retention
	store  *store.Store
	log    *zap.Logger
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// New returns a Retention.
func New(c *config.Config, log *zap.Logger, s *store.Store) *Retention {
	return &Retention{config: c.Tasks.Retention, store: s, log: log.Named("processor")}
}

// Start begins to walk.
func (r *Retention) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.done.Go(func() { r.run(ctx) })
	return nil
}

// Stop ends it.
func (r *Retention) Stop(context.Context) error {
	r.stop()
	r.done.Wait()
	return nil
}

func (r *Retention) run(ctx context.Context) {
	for wait(ctx, r.config.Interval) {
		var deleted int64
		err := guard.Call(func() (err error) {
			deleted, err = r.Walk(ctx)
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
func (r *Retention) Walk(ctx context.Context) (int64, error) {
	total, after := int64(0), int64(0)
	for {
		last, deleted, err := r.store.Expire(ctx, after, page, r.config.Finished, r.config.Failed)
		total += deleted
		if err != nil || last == 0 {
			return total, err
		}
		after = last
		if !wait(ctx, rest) {
			return total, ctx.Err()
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
