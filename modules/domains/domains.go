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
	"app238.com/inner/app/observe"
	"app238.com/inner/modules/domains/internal/check"
	"app238.com/inner/modules/domains/internal/cluster"
	"app238.com/inner/modules/domains/internal/pass"
)

// statusInterval is how often the status of domains that were verified lately is looked after.
const statusInterval = time.Second

// Domains looks after the custom domains while it is started. Several processes may do so at once. It is started once.
type Domains struct {
	checker *check.Checker
	cluster *cluster.Cluster
	config  config.Domains
	log     *zap.Logger
	pass    *pass.Pass

	stop context.CancelFunc
	done sync.WaitGroup
}

// New makes a Domains that is not started.
func New(c *config.Config, log *zap.Logger, checker *check.Checker, objects *cluster.Cluster, p *pass.Pass) *Domains {
	return &Domains{
		checker: checker, cluster: objects, config: c.Domains, log: log.Named("processor"), pass: p,
	}
}

// Start begins the work and returns at once: database and cluster may be away for long.
func (d *Domains) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.checker.OnChange(d.cluster.Look)
	d.pass.OnAdd(d.checker.Notify)
	d.cluster.Start()
	d.done.Go(func() { d.every(ctx, d.config.LookInterval, nil, "new custom domains could not be looked for", d.look) })
	d.done.Go(func() {
		d.every(ctx, statusInterval, nil, "the status of custom domains could not be kept", d.checker.KeepStatus)
	})
	d.done.Go(func() {
		d.every(ctx, d.config.PassEvery, d.checker.News(), "custom domains could not be checked", d.check)
	})
	d.done.Go(func() {
		d.every(ctx, d.config.PassInterval, nil, "custom domains could not be compared with their rows", d.compare)
	})
	return nil
}

// Stop ends it. Checks under way are given up, their domains stay due. What a database that does not answer keeps from ending is
// left when ctx ends: claims run out by themselves.
func (d *Domains) Stop(ctx context.Context) error {
	if d.stop == nil {
		return d.cluster.Stop(ctx)
	}
	d.stop()
	err := guard.Wait(ctx, &d.done)
	if err != nil {
		err = fmt.Errorf("custom domains: checks were cut short: %w", err)
	}
	return errors.Join(err, d.cluster.Stop(ctx))
}

// Ready tells whether the objects of domains are being worked on.
func (d *Domains) Ready(context.Context) error { return d.cluster.Ready() }

// every calls work now, at each interval and when hinted to, until ctx ends.
func (d *Domains) every(ctx context.Context, interval time.Duration, hint <-chan struct{}, failure string, work func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := guard.Call(func() error { return work(ctx) }); err != nil && ctx.Err() == nil {
			d.log.Warn("work on custom domains failed", zap.String("what", failure), observe.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-hint:
		}
	}
}

func (d *Domains) look(ctx context.Context) error {
	due, err := d.pass.Look(ctx)
	if due {
		d.checker.Notify()
	}
	return err
}

func (d *Domains) check(ctx context.Context) error {
	_, err := d.checker.Due(ctx)
	return err
}

func (d *Domains) compare(ctx context.Context) error {
	if err := d.pass.Run(ctx); err != nil {
		return err
	}
	return d.cluster.LookAtChanged(ctx)
}
