package controller

import (
	"context"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/workqueue"
	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/events"
	"app238.com/inner/modules/controller/internal/reconcile"
)

// term is the state of one term as leader. It is not kept for the next one, since another process may have led in between.
type term struct {
	queue        *workqueue.Queue
	expectations *kube.Expectations
}

// handlers pass changes in the cluster to the current term. Without a term they are dropped: each term starts with a resync.
func (c *Controller) handlers() cache.Handlers {
	return cache.Handlers{
		OnSpecChange: func(app string) {
			if t := c.term.Load(); t != nil {
				t.queue.AddSpecChange(app)
			}
		},
		OnChange: func(app string) {
			if t := c.term.Load(); t != nil {
				t.queue.Add(app)
			}
		},
		OnDelete: func(app string, ref kube.Ref, version string) {
			if t := c.term.Load(); t != nil {
				t.expectations.DeletionObserved(app, ref, version)
			}
		},
	}
}

// lead reconciles during one term. It returns at once when ctx is done, and after running reconciles when stopping is done.
func (c *Controller) lead(ctx, stopping context.Context) {
	events, err := events.New(c.clients)
	if err != nil {
		c.log.Error("events client failed", zap.Error(err))
		return
	}
	defer events.Stop()
	t := &term{queue: workqueue.NewQueue(c.config.Controller), expectations: kube.NewExpectations()}
	reconciler := reconcile.New(reconcile.Params{
		Cache: c.cache, Clients: c.clients, Config: c.config, Events: events, Log: c.log,
		Recorder: c.recorder, Source: c.source, Expectations: t.expectations,
	})
	c.term.Store(t)
	c.metrics.SetLeading(true)
	defer func() {
		c.term.Store(nil)
		c.metrics.SetLeading(false)
		c.metrics.SetDepth(0)
	}()
	resyncCtx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(stopping, cancel)
	defer unhook()
	resyncDone := make(chan struct{})
	go func() {
		defer close(resyncDone)
		c.resyncAll(resyncCtx, t.queue)
		t.queue.ShutDown()
	}()
	t.queue.Run(ctx, stopping, c.config.Controller.Workers, c.instrument(t.queue, reconciler.Reconcile), c.log)
	cancel()
	<-resyncDone
}

// resyncAll adds every WorkerApp to the backlog, at once and then at each resync interval, until ctx is done. Changes that nobody
// has reconciled yet, since they were made while no process led, come first.
func (c *Controller) resyncAll(ctx context.Context, queue *workqueue.Queue) {
	ticker := time.NewTicker(c.config.Controller.ResyncInterval)
	defer ticker.Stop()
	for {
		names := c.cache.Names()
		for _, name := range names {
			if c.cache.HasPendingChange(name) {
				queue.Add(name)
			} else {
				queue.AddBacklog(name)
			}
		}
		c.metrics.SetDepth(queue.Len())
		c.log.Debug("resync queued", zap.Int("workers", len(names)))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (c *Controller) instrument(queue *workqueue.Queue, process workqueue.ReconcileFunc) workqueue.ReconcileFunc {
	return func(ctx context.Context, name string) (workqueue.Result, error) {
		started := time.Now()
		c.metrics.Started()
		result, err := process(ctx, name)
		c.metrics.Finished(time.Since(started), result.Written, err)
		c.metrics.SetDepth(queue.Len())
		return result, err
	}
}
