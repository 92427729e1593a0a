// Package cluster keeps the objects of custom domains in the cluster in line with what is known of the domains.
//
// Several processes may do so at once: every decision is made from the database, applying twice is applying once, and a
// reconcile that finds nothing to change writes nothing.
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
	"app238.com/inner/app/observe"
	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// settle is how long an event waits for its fellows: the objects of a name are made one right after the other.
const settle = 100 * time.Millisecond

// makeLimit bounds making a domain's objects, landLimit how long the API server may yet work on a request whose sender went
// away: a minute is its own limit.
const (
	makeLimit = 30 * time.Second
	landLimit = time.Minute
)

// again is after what time to look at a domain again that somebody else is changing.
const again = time.Second

// pageSize is how many wishes are read at once.
const pageSize = 1000

// Cluster works on names of objects while it is started. It is started once.
type Cluster struct {
	builder objects.Builder
	clients *kube.Clients
	log     *zap.Logger
	metrics *metrics.Metrics
	store   *store.Store
	queue   *workqueue.Queue
	workers int
	watches []*watched
	writes  *kube.Writes
	synced  atomic.Bool

	mu sync.Mutex
	// seen are the revisions of the desired states that were applied, owners the users of names.
	seen   map[string]int64
	owners map[string]string

	stop context.CancelFunc
	done sync.WaitGroup
}

// New makes a Cluster that is not started.
func New(c *config.Config, log *zap.Logger, clients *kube.Clients, m *metrics.Metrics, s *store.Store) *Cluster {
	cluster := &Cluster{
		builder: objects.Builder{Namespace: c.Kubernetes.Namespaces.Ingress, Issuer: c.Domains.Issuer, Platform: c.PlatformMark()},
		clients: clients, log: log.Named("controller"), metrics: m, store: s, workers: c.Domains.Workers,
		queue: workqueue.NewQueue(c.Controller), seen: map[string]int64{}, owners: map[string]string{}, writes: kube.NewWrites(),
	}
	cluster.queue.TakeTurns(cluster.owner)
	return cluster
}

// Start begins to watch and returns at once. Work begins when everything was listed that the cluster knows.
func (c *Cluster) Start() {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	for _, kind := range objects.Kinds() {
		w, err := c.watch(kind)
		if err != nil {
			// Only a started informer refuses handlers.
			c.log.Error("custom domains cannot be watched", zap.String("kind", kind.Name), observe.Error(err))
			continue
		}
		c.watches = append(c.watches, w)
	}
	for _, w := range c.watches {
		c.done.Go(func() { w.informer.RunWithContext(ctx) })
		c.done.Go(func() { c.follow(ctx, w) })
	}
	c.done.Go(func() {
		for _, w := range c.watches {
			if !w.known(ctx) {
				return
			}
		}
		c.synced.Store(true)
		c.log.Info("caches of custom domains synced")
		c.queue.Work(ctx, ctx, c.workers, c.reconcile, c.log)
	})
}

// Stop ends it; what is being done is told to stop.
func (c *Cluster) Stop(ctx context.Context) error {
	c.synced.Store(false)
	c.queue.ShutDown()
	if c.stop == nil {
		return nil
	}
	c.stop()
	if err := guard.Wait(ctx, &c.done); err != nil {
		return fmt.Errorf("custom domains: work was cut short: %w", err)
	}
	return nil
}

// Ready tells whether objects are being worked on. Kinds that the cluster does not know do not keep it from that.
func (c *Cluster) Ready() error {
	if !c.synced.Load() {
		return errors.New("domain caches not synced")
	}
	return nil
}

// Look has the objects of a user's name looked at now.
func (c *Cluster) Look(name, user string) {
	c.own(name, user)
	c.queue.AddSpecChange(name)
}

// LookAtChanged has the objects of all domains looked at whose wish has changed since this process last fulfilled it.
func (c *Cluster) LookAtChanged(ctx context.Context) error {
	for after := ""; ; {
		page, err := c.store.Wishes(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].CDID
		for _, w := range page {
			if !c.isSeen(w) {
				c.own(w.Name, w.UserUID)
				c.queue.AddBacklog(w.Name)
			}
		}
	}
}

func (c *Cluster) isSeen(w store.Wish) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	revision, ok := c.seen[w.Name]
	return ok && revision == w.Revision
}

func (c *Cluster) see(w store.Wish) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[w.Name] = w.Revision
}

func (c *Cluster) unsee(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, name)
	delete(c.owners, name)
}

func (c *Cluster) own(name, user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owners[name] = user
}

func (c *Cluster) owner(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owners[name]
}
