package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"
	"k8s.io/klog/v2"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/internal/clientlog"
	"app238.com/inner/modules/controller/internal/loop"
	"app238.com/inner/modules/controller/internal/reconcile"
	"app238.com/inner/modules/controller/internal/watch"
	"app238.com/inner/modules/controller/rollout"
)

// Controller keeps the cluster in line with its WorkerApps while it is started. It is started once.
type Controller struct {
	cache      *watch.Cache
	log        *zap.Logger
	queue      *loop.Queue
	reconciler *reconcile.Reconciler
	synced     atomic.Bool
	workers    int

	// stop has the workers take nothing new, abort ends what they do, and unwatch the informers. done is closed when
	// every goroutine has ended.
	stop, abort, unwatch context.CancelFunc
	done                 chan struct{}
}

// New makes a Controller that is not started. The source is asked what a worker's pods find in their environment, the
// recorder is told how rollouts ended.
func New(c *config.Config, log *zap.Logger, clients *kube.Clients, source rollout.Source, recorder rollout.Recorder) (*Controller, error) {
	log = log.Named("controller")
	queue, writes := loop.NewQueue(c.Controller), reconcile.NewWrites()
	cache, err := watch.New(clients, c.Kubernetes.Namespaces, watch.Handlers{Changed: queue.Add, Gone: writes.Gone}, log)
	if err != nil {
		queue.ShutDown()
		return nil, fmt.Errorf("controller: %w", err)
	}
	return &Controller{
		cache: cache, log: log, queue: queue, workers: c.Controller.Workers,
		reconciler: reconcile.New(reconcile.Params{
			Cache: cache, Clients: clients, Config: c, Log: log, Recorder: recorder, Source: source, Writes: writes,
		}),
	}, nil
}

// Start begins to watch and returns at once: the cluster may be away for long. Work begins when everything was listed.
func (c *Controller) Start(context.Context) error {
	base := klog.NewContext(context.Background(), clientlog.New(c.log))
	watching, unwatch := context.WithCancel(base)
	working, abort := context.WithCancel(base)
	stopping, stop := context.WithCancel(base)
	c.unwatch, c.abort, c.stop, c.done = unwatch, abort, stop, make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.cache.Run(watching)
	}()
	go func() {
		defer close(c.done)
		if c.cache.WaitForSync(stopping) {
			c.synced.Store(true)
			c.log.Info("caches synced")
			c.queue.Work(working, stopping, c.workers, c.reconciler.Reconcile, c.log)
			c.synced.Store(false)
		}
		c.unwatch()
		<-watched
	}()
	return nil
}

// Stop takes no new work and waits for what is being done. When ctx ends before, that is told to stop too.
func (c *Controller) Stop(ctx context.Context) error {
	if c.done == nil {
		c.queue.ShutDown()
		return nil
	}
	c.stop()
	c.synced.Store(false)
	c.queue.ShutDown()
	defer c.abort()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		c.abort()
		<-c.done
		return fmt.Errorf("controller: work was cut short: %w", ctx.Err())
	}
}

// Ready tells whether WorkerApps are being worked on.
func (c *Controller) Ready(context.Context) error {
	if !c.synced.Load() {
		return errors.New("controller caches not synced")
	}
	return nil
}
