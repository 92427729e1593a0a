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

// term is what exists from when this process becomes the leader until it is no more: nothing of an earlier term is relied
// on, since somebody else has led in between.
type term struct {
	queue  *workqueue.Queue
	writes *kube.Expectations
}

// handlers pass on to the present term what changes in the cluster. Without one, nothing has to be remembered: a term begins
// with a look at everything.
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
				t.writes.DeletionObserved(app, ref, version)
			}
		},
	}
}

// lead works until ctx ends with the term, at once, or until stopping does, once what is being done is done.
func (c *Controller) lead(ctx, stopping context.Context) {
	events, err := events.New(c.clients)
	if err != nil {
		c.log.Error("no events can be written", zap.Error(err))
		return
	}
	defer events.Stop()
	t := &term{queue: workqueue.NewQueue(c.config.Controller), writes: kube.NewExpectations()}
	reconciler := reconcile.New(reconcile.Params{
		Cache: c.cache, Clients: c.clients, Config: c.config, Events: events, Log: c.log,
		Recorder: c.recorder, Source: c.source, Expectations: t.writes,
	})
	c.term.Store(t)
	c.metrics.SetLeading(true)
	defer func() {
		c.term.Store(nil)
		c.metrics.SetLeading(false)
		c.metrics.SetDepth(0)
	}()
	ending, end := context.WithCancel(ctx)
	unhook := context.AfterFunc(stopping, end)
	defer unhook()
	resyncDone := make(chan struct{})
	go func() {
		defer close(resyncDone)
		c.resyncAll(ending, t.queue)
		t.queue.ShutDown()
	}()
	t.queue.Run(ctx, stopping, c.config.Controller.Workers, c.instrument(t.queue, reconciler.Reconcile), c.log)
	end()
	<-resyncDone
}

// lookAtAll has every WorkerApp looked at behind what changes, at once and then at intervals, until ctx ends.
func (c *Controller) resyncAll(ctx context.Context, queue *workqueue.Queue) {
	ticker := time.NewTicker(c.config.Controller.ResyncInterval)
	defer ticker.Stop()
	for {
		names := c.cache.Names()
		for _, name := range names {
			queue.AddBacklog(name)
		}
		c.metrics.SetDepth(queue.Len())
		c.log.Debug("every worker is to be looked at", zap.Int("workers", len(names)))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (c *Controller) instrument(queue *workqueue.Queue, process workqueue.ReconcileFunc) workqueue.ReconcileFunc {
	return func(ctx context.Context, name string) (workqueue.Result, error) {
		begun := time.Now()
		c.metrics.Started()
		result, err := process(ctx, name)
		c.metrics.Finished(time.Since(begun), result.Written, err)
		c.metrics.SetDepth(queue.Len())
		return result, err
	}
}
