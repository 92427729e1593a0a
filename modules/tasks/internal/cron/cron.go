// Package cron inserts a task for every due tick of the periodic jobs: one over all replicas, without a leader.
//
// A tick is a whole multiple of the interval since the Unix epoch by the database's clock. The executions of a job are
// numbered, and the process that inserts the row of the next one runs it; so a tick that was missed while every process
// was down is made up once. Between two ticks a process sleeps, except for a check at cron.checkInterval.
//
// A job with RunOnStart also runs once for all processes that start within cron.startInterval: a rollout of several
// replicas and a crash loop count as one start.
package cron

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Cron inserts tasks for due ticks.
type Cron struct {
	entries       []entry
	store         *store.Store
	log           *zap.Logger
	checkInterval time.Duration
	startInterval time.Duration
	queue         *queue.Queue

	stop context.CancelFunc
	done sync.WaitGroup
}

// Params are the dependencies of a Cron.
type Params struct {
	fx.In

	Config   *config.Config
	Log      *zap.Logger
	Registry *registry.Registry
	Store    *store.Store
	Queue    *queue.Queue
	Jobs     []job.Periodic `group:"periodic"`
}

// New returns a cron of the periodic jobs. A duplicate name, an unknown type, or an invalid payload is an error.
func New(p Params) (*Cron, error) {
	cron := &Cron{
		store: p.Store, log: p.Log.Named("cron"), checkInterval: p.Config.Cron.CheckInterval,
		startInterval: p.Config.Cron.StartInterval,
		queue:         p.Queue,
	}
	names := map[string]bool{}
	for _, j := range p.Jobs {
		e, err := newEntry(p.Registry, j)
		if err != nil {
			return nil, fmt.Errorf("periodic job %q: %w", j.Name, err)
		}
		if names[j.Name] {
			return nil, fmt.Errorf("periodic job %q is registered twice", j.Name)
		}
		names[j.Name] = true
		cron.entries = append(cron.entries, e)
	}
	return cron, nil
}

func newEntry(r *registry.Registry, j job.Periodic) (entry, error) {
	if j.Interval < time.Second {
		return entry{}, fmt.Errorf("interval %s is shorter than 1s", j.Interval)
	}
	definition, ok := r.Find(j.Type)
	if !ok {
		return entry{}, fmt.Errorf("job type %q is unknown", j.Type)
	}
	info, err := json.Marshal(j.Payload)
	if err != nil {
		return entry{}, err
	}
	prepared, err := definition.Prepare(info)
	if err != nil {
		return entry{}, err
	}
	return entry{name: j.Name, interval: int64(j.Interval / time.Second), runOnStart: j.RunOnStart, task: store.NewTask{
		Type: definition.Type, Lane: definition.Lane, OrderingKey: prepared.OrderingKey, Info: prepared.Info,
	}}, nil
}

// Start starts the loop, unless there are no periodic jobs.
func (c *Cron) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	if len(c.entries) > 0 {
		c.done.Go(func() { c.run(ctx) })
	}
	return nil
}

// Stop stops the loop.
func (c *Cron) Stop(context.Context) error {
	c.stop()
	c.done.Wait()
	return nil
}

const (
	// retryInterval is the delay after a failed check, and while a due job waits for the end of its latest execution.
	retryInterval = time.Second
	// maxJitter spreads the wake-ups of replicas that sleep until the same tick: the first one inserts it, and the
	// others need not try.
	maxJitter = 200 * time.Millisecond
)

func (c *Cron) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		var untilDue time.Duration
		err := guard.Call(func() (err error) {
			untilDue, err = c.runDue(ctx)
			return err
		})
		if err != nil && ctx.Err() == nil {
			c.log.Warn("cron tick failed", logging.Error(err))
			untilDue = retryInterval
		}
		timer.Reset(min(untilDue, c.checkInterval))
	}
}

// runDue inserts a task for each due job and each job that runs on start, and returns the time until the next one is
// due.
func (c *Cron) runDue(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	names := make([]string, len(c.entries))
	for i, e := range c.entries {
		names[i] = e.name
	}
	latest, databaseTime, err := c.store.LatestTicks(ctx, names)
	if err != nil {
		return 0, err
	}
	untilDue := c.checkInterval
	var errs []error
	for i := range c.entries {
		wait, err := c.insertIfDue(ctx, &c.entries[i], latest[c.entries[i].name], databaseTime, now)
		errs = append(errs, err)
		untilDue = min(untilDue, wait)
	}
	return untilDue - time.Since(now) + rand.N(maxJitter), errors.Join(errs...)
}

// insertIfDue inserts a task for a job if it is due, and returns the time until it is due again.
func (c *Cron) insertIfDue(ctx context.Context, e *entry, latest store.Tick, databaseTime float64,
	now time.Time) (time.Duration, error) {
	if tick, due := e.dueTick(latest, databaseTime, now, c.startInterval); due {
		inserted, err := c.store.InsertTick(ctx, e.name, tick, e.task)
		if err != nil || !inserted {
			return retryInterval, err
		}
		c.log.Info("periodic job started", zap.String("name", e.name), zap.Int64("number", tick.Number))
		c.queue.Notify()
		e.latest, e.since, latest = tick.Number, now, tick
	}
	e.runOnStart = false
	if untilDue := e.untilDue(latest, databaseTime, now); untilDue > 0 {
		return untilDue, nil
	}
	return retryInterval, nil
}
