// Package cron makes a task of every due tick of the periodic jobs: one over all replicas, without a leader.
//
// A tick is the number of whole intervals since the Unix epoch by the database's clock. Whoever inserts the row of the
// current tick runs it; so a tick missed while everything was down is made up once, by the next one that looks.
//
// A job that also runs at a start does so once for all processes that start within a while, however often they do: a
// rollout of several replicas and a crash loop count as one start.
package cron

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/observe"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// entry is a periodic job and its task.
type entry struct {
	name     string
	interval time.Duration
	task     store.NewTask
	// starting tells that this process has not yet seen to the execution at its start.
	starting bool
	// latest names the latest execution that was seen, and since is when it was seen first, by this process's clock.
	latest int64
	since  time.Time
}

// overdue takes the latest execution, where a tick after begun has its execution already, and tells whether it has been the
// latest for longer than a tick lasts: then the database's clock was set back, and its ticks are those of a time that has been.
// There would be no execution for as long as it was set back.
func (e *entry) overdue(latest int64, begun time.Time, margin time.Duration) bool {
	if latest == 0 || latest != e.latest {
		e.latest, e.since = latest, time.Now()
		return false
	}
	return begun.Sub(e.since) > e.interval+max(e.interval/10, margin)
}

// overdueChecks is how many looks for due ticks the least wait for one that is overdue is.
const overdueChecks = 3

// Cron looks for due ticks.
type Cron struct {
	entries []entry
	store   *store.Store
	log     *zap.Logger
	every   time.Duration
	again   time.Duration
	queue   *queue.Queue

	stop context.CancelFunc
	done sync.WaitGroup
}

// New returns a cron of the periodic jobs. A job whose name is taken, whose type is unknown, or whose payload is not
// valid, is an error.
func New(c *config.Config, log *zap.Logger, r *registry.Registry, s *store.Store, q *queue.Queue, jobs []job.Periodic) (*Cron, error) {
	cron := &Cron{store: s, log: log.Named("cron"), every: c.Cron.CheckInterval, again: c.Cron.StartInterval, queue: q}
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
	return entry{name: j.Name, interval: j.Interval, starting: j.AtStart, task: store.NewTask{
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

func (c *Cron) run(ctx context.Context) {
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	for {
		if err := c.look(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("periodic jobs could not be looked at", observe.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look makes a task of each entry that is due, and of those that are wanted at the start.
func (c *Cron) look(ctx context.Context) error {
	begun := time.Now()
	now, err := c.store.Now(ctx)
	if err != nil {
		return err
	}
	for i := range c.entries {
		e := &c.entries[i]
		tick := now.Unix() / int64(e.interval.Seconds())
		made, latest, err := c.store.Tick(ctx, e.name, tick, e.task)
		if err != nil {
			return err
		}
		if e.overdue(latest, begun, overdueChecks*c.every) {
			if made, err = c.store.TickAfter(ctx, e.name, latest, e.task); err != nil {
				return err
			}
		}
		if !made && e.starting {
			if made, err = c.store.TickAtStart(ctx, e.name, c.again, e.task); err != nil {
				return err
			}
		}
		e.starting = false
		if made {
			c.log.Info("periodic job started", zap.String("name", e.name), zap.Int64("tick", tick))
			c.queue.Nudge()
		}
	}
	return nil
}
