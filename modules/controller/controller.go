package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"k8s.io/klog/v2"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/clientlog"
	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/metrics"
	"app238.com/inner/modules/controller/rollout"
)

// Controller reconciles WorkerApps between Start and Stop. It can be started once. One of several replicas leads and writes; the
// others keep their caches synced to take over without delay.
type Controller struct {
	cache    *cache.Cache
	clients  *kube.Clients
	config   *config.Config
	election *kube.Election
	log      *zap.Logger
	metrics  *metrics.Metrics
	source   rollout.Source
	recorder rollout.Recorder
	synced   atomic.Bool
	// term is the current term as leader, nil while another process leads.
	term atomic.Pointer[term]

	// stop makes the workers take no new names, abort cancels running reconciles, unwatch stops the informers. done is closed
	// when every goroutine has ended.
	stop, abort, unwatch context.CancelFunc
	done                 chan struct{}
}

// New returns a Controller that is not started. It reads the environment of pods from source and reports outcomes of rollouts to
// recorder.
func New(c *config.Config, log *zap.Logger, clients *kube.Clients, registry *prometheus.Registry, source rollout.Source,
	recorder rollout.Recorder) (*Controller, error) {
	log = log.Named("controller")
	instrument, err := metrics.New(registry)
	if err != nil {
		return nil, fmt.Errorf("controller: metrics: %w", err)
	}
	election, err := kube.NewElection(c, clients, log)
	if err != nil {
		return nil, fmt.Errorf("controller: %w", err)
	}
	guarded, err := clients.WithWriteGuard(election.CheckLeader)
	if err != nil {
		return nil, fmt.Errorf("controller: %w", err)
	}
	controller := &Controller{
		clients: guarded, config: c, election: election, log: log, metrics: instrument, source: source, recorder: recorder,
	}
	controller.cache, err = cache.New(guarded, c.Kubernetes.Namespaces, controller.handlers(), log)
	if err != nil {
		return nil, fmt.Errorf("controller: %w", err)
	}
	if err := metrics.CountUnmigrated(registry, controller.cache.CountUnmigrated); err != nil {
		return nil, fmt.Errorf("controller: metrics: %w", err)
	}
	return controller, nil
}

// Start starts the informers and returns at once: the cluster may be unavailable for long. Reconciles begin when the caches are
// synced and this process leads.
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
			c.election.Run(working, stopping, func(term context.Context) { c.lead(term, stopping) })
			c.synced.Store(false)
		}
		c.unwatch()
		<-watched
	}()
	return nil
}

// Stop waits for running reconciles, starts no others, and releases leadership. When ctx is done first, it cancels running
// reconciles and returns an error.
func (c *Controller) Stop(ctx context.Context) error {
	if c.done == nil {
		return nil
	}
	c.synced.Store(false)
	c.stop()
	defer c.abort()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		c.abort()
		<-c.done
		return fmt.Errorf("controller: running reconciles were cancelled: %w", ctx.Err())
	}
}

// Synced returns an error until the caches are synced, without which this process cannot lead.
func (c *Controller) Synced(context.Context) error {
	if !c.synced.Load() {
		return errors.New("controller caches not synced")
	}
	return nil
}

// Ready returns an error unless the caches are synced and some process leads.
func (c *Controller) Ready(ctx context.Context) error {
	if err := c.Synced(ctx); err != nil {
		return err
	}
	if c.term.Load() == nil && c.election.Leader() == "" {
		return errors.New("no process leads")
	}
	return nil
}

// Election returns the election of the leader. Other modules write under the same lease: they are stopped before the controller,
// which releases it.
func (c *Controller) Election() *kube.Election { return c.election }

// Role describes whether this process leads, for the readiness report.
func (c *Controller) Role() string {
	if c.term.Load() != nil {
		return "leading"
	}
	return "standing by; leader: " + c.election.Leader()
}
