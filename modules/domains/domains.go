package domains

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/domains/internal/check"
	"app238.com/inner/modules/domains/internal/cluster"
	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/modules/domains/internal/scan"
)

// statusInterval is how often the status of recently verified domains is restored.
const statusInterval = time.Second

// latestScans is how many intervals of scans a change counts as one of the latest: a scan may fail.
const latestScans = 3

// Domains scans and checks custom domains while it is started, and reconciles them while its process leads. Several processes may
// do so at once. It is started once.
type Domains struct {
	checker *check.Checker
	cluster *cluster.Cluster
	config  config.Domains
	log     *zap.Logger
	scanner *scan.Scanner

	stop context.CancelFunc
	done sync.WaitGroup
}

// New returns a Domains that is not started.
func New(c *config.Config, log *zap.Logger, checker *check.Checker, objects *cluster.Cluster, scanner *scan.Scanner) *Domains {
	// Before anything is started: a job may be the first that scans.
	scanner.OnAdd(checker.Notify)
	scanner.RevisesWhile(objects.Leading)
	return &Domains{
		checker: checker, cluster: objects, config: c.Domains, log: log.Named("processor"), scanner: scanner,
	}
}

// newResolver returns the resolver of a configuration, which records its queries in the metrics.
func newResolver(c *config.Config, m *metrics.Metrics) (*resolve.Resolver, error) {
	return resolve.NewResolver(c.Domains.DNS, m.ObserveQuery)
}

// Start starts the loops and returns at once, because database and cluster may be unavailable for long.
func (d *Domains) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.checker.OnChange(d.cluster.Enqueue)
	d.cluster.Start()
	d.done.Go(func() { d.runEvery(ctx, d.config.ScanInterval, nil, "scan", d.scanNew) })
	d.done.Go(func() { d.runEvery(ctx, d.config.ScanInterval, nil, "latest changes", d.enqueueLatest) })
	d.done.Go(func() { d.runEvery(ctx, statusInterval, nil, "status", d.checker.RestoreStatus) })
	d.done.Go(func() { d.runEvery(ctx, d.config.CheckInterval, d.checker.Notifications(), "check", d.checkDue) })
	d.done.Go(func() { d.runEvery(ctx, d.config.ResyncInterval, nil, "resync", d.resync) })
	return nil
}

// Stop cancels the checks in progress, whose domains stay due, and waits until ctx ends. Claims that could not be released by
// then expire.
func (d *Domains) Stop(ctx context.Context) error {
	if d.stop == nil {
		return d.cluster.Stop(ctx)
	}
	d.stop()
	err := guard.Wait(ctx, &d.done)
	if err != nil {
		err = fmt.Errorf("custom domains: checks did not stop in time: %w", err)
	}
	return errors.Join(err, d.cluster.Stop(ctx))
}

// Ready returns an error until the caches are synced, without which this process cannot reconcile.
func (d *Domains) Ready(context.Context) error { return d.cluster.Ready() }

// runEvery calls work at once, at each interval and at each hint, until ctx ends.
func (d *Domains) runEvery(
	ctx context.Context, interval time.Duration, hint <-chan struct{}, name string, work func(context.Context) error,
) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := guard.Call(func() error { return work(ctx) }); err != nil && ctx.Err() == nil {
			d.log.Warn("periodic work failed", zap.String("work", name), logging.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-hint:
		}
	}
}

func (d *Domains) scanNew(ctx context.Context) error {
	due, err := d.scanner.ScanNew(ctx)
	if due {
		d.checker.Notify()
	}
	return err
}

func (d *Domains) checkDue(ctx context.Context) error {
	_, err := d.checker.CheckDue(ctx)
	return err
}

func (d *Domains) enqueueLatest(ctx context.Context) error {
	return d.cluster.EnqueueLatest(ctx, latestScans*d.config.ScanInterval)
}

// resync enqueues what has changed even if the scan fails: not all of it was found by this scan.
func (d *Domains) resync(ctx context.Context) error {
	return errors.Join(d.scanner.ScanAll(ctx), d.cluster.EnqueueChanged(ctx))
}
