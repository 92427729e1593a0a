// Package cron makes a task of every due tick of the periodic jobs: one over all replicas, without a leader.
//
// A tick is a whole multiple of the interval since the Unix epoch by the database's clock. The executions of a job are numbered,
// and whoever inserts the row of the next one runs it; so a tick missed while everything was down is made up once, by the next
// one that looks. Between two ticks a process sleeps, but for a look every now and then.
//
// A job that also runs at a start does so once for all processes that start within a while, however often they do: a
// rollout of several replicas and a crash loop count as one start.
package cron

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Cron looks for due ticks.
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

// New returns a cron of the periodic jobs. A job whose name is taken, whose type is unknown, or whose payload is not
// valid, is an error.
func New(c *config.Config, log *zap.Logger, r *registry.Registry, s *store.Store, q *queue.Queue, jobs []job.Periodic) (*Cron, error) {
	cron := &Cron{store: s, log: log.Named("cron"), checkInterval: c.Cron.CheckInterval, startInterval: c.Cron.StartInterval, queue: q}
	seen := map[string]bool{}
	for _, j := range jobs {
		e, err := newEntry(r, j)
		if err != nil {
			return nil, fmt.Errorf("periodic job %q: %w", j.Name, err)
		}
		if seen[j.Name] {
			return nil, fmt.Errorf("periodic job %q is registered twice", j.Name)
		}
		seen[j.Name] = true
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

// Start begins to look, unless there is nothing to look for.
func (c *Cron) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	if len(c.entries) > 0 {
		c.done.Go(func() { c.run(ctx) })
	}
	return nil
}

// Stop ends it.
func (c *Cron) Stop(context.Context) error {
	c.stop()
	c.done.Wait()
	return nil
}

const (
	// retry is the wait after a look that failed, and while a job is due whose latest execution has not ended.
	retryInterval = time.Second
	// spread bounds the time by which replicas that sleep until the same tick wake apart: one of them makes it, and the
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
			c.log.Warn("periodic jobs could not be looked at", logging.Error(err))
			untilDue = retryInterval
		}
		timer.Reset(min(untilDue, c.checkInterval))
	}
}

// look makes a task of each entry that is due, and of those that are wanted at the start, and returns for how long there is
// nothing to do, as far as is known now.
func (c *Cron) runDue(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	names := make([]string, len(c.entries))
	for i, e := range c.entries {
		names[i] = e.name
	}
	latest, now, err := c.store.LatestTicks(ctx, names)
	if err != nil {
		return 0, err
	}
	untilDue := c.checkInterval
	var faults []error
	for i := range c.entries {
		nextTick, err := c.insertIfDue(ctx, &c.entries[i], latest[c.entries[i].name], now, begun)
		faults = append(faults, err)
		untilDue = min(untilDue, nextTick)
	}
	return untilDue - time.Since(begun) + rand.N(maxJitter), errors.Join(faults...)
}

// execute makes a task of an entry if it is to be executed now, and returns for how long it then is not.
func (c *Cron) insertIfDue(ctx context.Context, e *entry, latest store.Tick, now float64, begun time.Time) (time.Duration, error) {
	if one, due := e.dueTick(latest, now, begun, c.startInterval); due {
		made, err := c.store.InsertTick(ctx, e.name, one, e.task)
		if err != nil || !made {
			return retryInterval, err
		}
		c.log.Info("periodic job started", zap.String("name", e.name), zap.Int64("number", one.Number))
		c.queue.Notify()
		e.latest, e.since, latest = one.Number, begun, one
	}
	e.runOnStart = false
	if untilDue := e.untilDue(latest, now, begun); untilDue > 0 {
		return untilDue, nil
	}
	return retryInterval, nil
}
