// Package cluster reconciles the objects of custom domains in the cluster with the desired state in the database.
//
// The leader does so. The other processes keep their caches and reconcile nothing, because they may have other settings. For a
// moment two may write: every decision is made from the database, applying is idempotent, and a reconcile without a difference
// writes nothing.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/workqueue"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// eventDelay is how long an event is delayed to merge it with others: the objects of a name are created one after the other.
const eventDelay = 100 * time.Millisecond

// applyTimeout limits applying the objects of a domain. serverTimeout is how long the API server may work on a request after its
// client went away: its own request timeout is a minute.
const (
	applyTimeout  = 30 * time.Second
	serverTimeout = time.Minute
)

// requeueAfter is when a domain is reconciled again that another process is changing.
const requeueAfter = time.Second

// pageSize is how many rows, or objects, are read at once.
const pageSize = 1000

// Cluster reconciles while it is started. It is started once. The key of its queue is the name of a domain's objects.
type Cluster struct {
	builder   objects.Builder
	clients   *kube.Clients
	leader    Leader
	log       *zap.Logger
	metrics   *metrics.Metrics
	store     *store.Store
	queue     *workqueue.Queue
	workers   int
	informers []*kindInformer
	writes    *kube.Expectations
	synced    atomic.Bool
	// led is whether all names were enqueued that were not reconciled when this process began to lead.
	led atomic.Bool

	mu sync.Mutex
	// reconciled has the revision up to which each name was reconciled, users the user of each name.
	reconciled map[string]int64
	users      map[string]string

	stop context.CancelFunc
	done sync.WaitGroup
}

// New returns a Cluster that is not started. It writes while leader allows it.
func New(c *config.Config, log *zap.Logger, clients *kube.Clients, m *metrics.Metrics, s *store.Store, leader Leader,
) (*Cluster, error) {
	guarded, err := clients.WithWriteGuard(leader.CheckLeader)
	if err != nil {
		return nil, fmt.Errorf("custom domains: %w", err)
	}
	cluster := &Cluster{
		builder: objects.Builder{Namespace: c.Kubernetes.Namespaces.Ingress, Issuer: c.Domains.Issuer, Platform: c.PlatformMark()},
		clients: guarded, leader: leader, log: log.Named("controller"), metrics: m, store: s, workers: c.Domains.Workers,
		queue: workqueue.NewQueue(c.Controller), writes: kube.NewExpectations(),
		reconciled: map[string]int64{}, users: map[string]string{},
	}
	cluster.queue.SetGroups(cluster.user)
	return cluster, nil
}

// Start starts the informers and returns at once. Reconciling starts when the informers of all known kinds are synced.
func (c *Cluster) Start() {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	for _, kind := range objects.Kinds() {
		w, err := c.newInformer(kind)
		if err != nil {
			// Only a started informer rejects handlers.
			c.log.Error("informer of custom domains failed", zap.String("kind", kind.Name), logging.Error(err))
			continue
		}
		c.informers = append(c.informers, w)
	}
	for _, w := range c.informers {
		c.done.Go(func() { w.informer.RunWithContext(ctx) })
		c.done.Go(func() { c.awaitSync(ctx, w) })
	}
	c.done.Go(func() {
		for _, w := range c.informers {
			if !w.awaitListed(ctx) {
				return
			}
		}
		c.synced.Store(true)
		c.log.Info("caches of custom domains synced")
		c.queue.Run(ctx, ctx, c.workers, c.reconcile, c.log)
	})
}

// Stop cancels the running reconciles and waits for them until ctx ends.
func (c *Cluster) Stop(ctx context.Context) error {
	c.synced.Store(false)
	c.queue.ShutDown()
	if c.stop == nil {
		return nil
	}
	c.stop()
	if err := guard.Wait(ctx, &c.done); err != nil {
		return fmt.Errorf("custom domains: reconciles did not stop in time: %w", err)
	}
	return nil
}

// Ready returns an error until the informers are synced. Kinds that the cluster does not know are not waited for.
func (c *Cluster) Ready() error {
	if !c.synced.Load() {
		return errors.New("domain caches not synced")
	}
	return nil
}

// Enqueue enqueues a name of a user with priority, if this process leads; the leader finds the changes of others by itself.
func (c *Cluster) Enqueue(name, user string) {
	c.setUser(name, user)
	c.queue.AddSpecChange(name)
}

func (c *Cluster) isReconciled(w store.Desired) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	revision, ok := c.reconciled[w.Name]
	return ok && revision == w.Revision
}

func (c *Cluster) setReconciled(w store.Desired) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reconciled[w.Name] = w.Revision
}

func (c *Cluster) clearReconciled(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.reconciled, name)
	delete(c.users, name)
}

func (c *Cluster) setUser(name, user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users[name] = user
}

// user returns the user of a name: the users of a backlog take turns.
func (c *Cluster) user(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.users[name]
}
