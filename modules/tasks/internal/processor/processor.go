// Package processor runs the claimed tasks of this process in pools of workers, one pool for each lane.
//
// The row is the record, the buffer a cache: what is in memory is claimed in the database under this process's
// identity, and what does not fit stays pending there.
package processor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/server"
	"app238.com/inner/app/tracing"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/pipeline"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
)

// Processor claims tasks and runs them.
type Processor struct {
	config      config.Tasks
	log         *zap.Logger
	jobLog      *zap.Logger
	registry    *registry.Registry
	store       *store.Store
	heartbeats  *store.Heartbeats
	tracker     *claims.Tracker
	metrics     *metrics.Metrics
	tracing     *tracing.Tracing
	completions chan store.Completion

	// polled is the result of the last poll, or the last thorough one, for maintain; nil once maintain has
	// used it.
	polled atomic.Pointer[store.PollResult]

	// waitingStopped is closed, by stopWaiting, when jobs that do not stop are no longer waited for.
	waitingStopped chan struct{}
	stopWaiting    func()

	stopClaiming, stopRunning, stopHeartbeats   context.CancelFunc
	claimers, workers, completer, heartbeatLoop sync.WaitGroup
}

// New returns a processor. It claims when the tracker is notified, and at every poll interval.
func New(c *config.Config, log *zap.Logger, r *registry.Registry, s *store.Store, h *store.Heartbeats, ct *claims.Tracker,
	m *metrics.Metrics, t *tracing.Tracing,
) *Processor {
	stopped := make(chan struct{})
	return &Processor{
		config: c.Tasks, log: log.Named("processor"), jobLog: log.Named("job"), registry: r, store: s, heartbeats: h, tracker: ct,
		metrics: m, tracing: t, completions: make(chan store.Completion, maxCompletions), waitingStopped: stopped,
		stopWaiting: sync.OnceFunc(func() { close(stopped) }),
	}
}

// Start starts claiming and running tasks. It does not need the database: it waits until the database is available. A
// lane of a job type that is not configured is an error.
func (p *Processor) Start(context.Context) error {
	for _, name := range p.registry.Lanes() {
		if p.tracker.Lane(name) == nil {
			return fmt.Errorf("tasks.lanes.%s: required by a job type", name)
		}
	}
	if p.registry.HasSecrets() && !p.store.Encrypts() {
		p.log.Warn("payloads with secrets are not encrypted in the database: tasks.encryptionKeys is empty")
	}
	p.metrics.Declare(p.registry.Types())
	claiming, stopClaiming := context.WithCancel(context.Background())
	p.stopClaiming = stopClaiming
	running := p.startBackground()
	p.claimers.Go(func() { p.claim(claiming) })
	p.claimers.Go(func() { p.claimNext(claiming) })
	p.claimers.Go(func() { p.maintain(claiming) })
	p.claimers.Go(func() { p.returnStale(claiming) })
	workers := 0
	for _, lane := range p.tracker.Lanes() {
		lane.SetOpen(true)
		workers += lane.Workers
		p.metrics.Workers.WithLabelValues(lane.Label()).Set(float64(lane.Workers))
		for range lane.Workers {
			p.workers.Go(func() { p.runWorker(claiming, running, lane) })
		}
	}
	p.log.Info("processor started", zap.Int("workers", workers))
	return nil
}

// startBackground starts the heartbeats and the completer, and returns the context of the jobs.
func (p *Processor) startBackground() (running context.Context) {
	running, stopRunning := context.WithCancel(context.Background())
	heartbeating, stopHeartbeats := context.WithCancel(context.Background())
	p.stopRunning, p.stopHeartbeats = stopRunning, stopHeartbeats
	p.heartbeatLoop.Go(func() { p.runHeartbeats(heartbeating) })
	p.completer.Go(func() { p.runCompleter(running, pipeline.New()) })
	return running
}

// Stop stops claiming, returns claims that were not started, lets running jobs finish within the configured time, then
// cancels them, and returns the rest to the queue. Jobs that do not stop even then are an error.
func (p *Processor) Stop(ctx context.Context) error {
	p.stopClaiming()
	for _, lane := range p.tracker.Lanes() {
		lane.SetOpen(false)
	}
	p.claimers.Wait()
	p.returnUnstarted(ctx)
	defer time.AfterFunc(p.config.ShutdownTimeout, p.stopRunning).Stop()
	defer time.AfterFunc(p.config.ShutdownTimeout+stopWaitingAfter, p.stopWaiting).Stop()
	defer context.AfterFunc(ctx, p.stopRunning)()
	p.workers.Wait()
	return p.stopBackground()
}

// stopWaitingAfter is how long jobs may take to stop after they were cancelled because the process stops.
const stopWaitingAfter = 4 * time.Second

// returnTimeout limits returning claims.
const returnTimeout = 5 * time.Second

// returnUnstarted returns the claims that no worker has started, so that other processes need not wait until this one
// has stopped: those in the buffers, and those of a statement that was interrupted by the stop, which may have taken effect.
func (p *Processor) returnUnstarted(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, returnTimeout)
	defer cancel()
	var err error
	unstarted := p.tracker.Drain()
	if len(unstarted) > 0 {
		err = p.returnClaims(ctx, unstarted)
	}
	var returned int64
	if err = errors.Join(err, p.tracker.ResolveUncertain(p.returnExcept(ctx, &returned))); err != nil {
		p.log.Warn("unstarted tasks could not be returned yet", zap.Int("tasks", len(unstarted)), logging.Error(err))
	}
}

// stopBackground stops the completer and the heartbeats, once the last result is written or the time for it is up.
func (p *Processor) stopBackground() error {
	close(p.completions)
	p.completer.Wait()
	p.stopRunning()
	p.stopHeartbeats()
	p.heartbeatLoop.Wait()
	return p.returnAll()
}

// returnAll returns the claims to the queue. If the database is unavailable, other processes recover them later, as
// they do with the tasks of jobs that have not stopped, which run until this process exits.
func (p *Processor) returnAll() error {
	// From here on no accept inserts a claim.
	id, _ := p.tracker.Current() // a lease that ran out meanwhile leaves a row and claims as well
	p.tracker.End()
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), returnTimeout)
	defer cancel()
	var returned int64
	var running int
	p.tracker.MarkUncertain()
	err := p.tracker.ResolveUncertain(func(tracked []store.ClaimKey) (err error) {
		running = len(tracked)
		returned, err = p.store.ReturnAllExcept(ctx, id, tracked)
		return err
	})
	if err == nil && running == 0 {
		err = p.unregister(ctx, id)
	}
	if err != nil {
		p.log.Warn("tasks could not be returned; another process recovers them later", logging.Error(err))
	} else {
		p.log.Info("processor stopped", zap.Int64("returned", returned))
	}
	if running > 0 {
		return fmt.Errorf("%d jobs did not stop after cancellation: their tasks are recovered once this process has exited", running)
	}
	return nil
}

// unregister deletes this process's heartbeat row. It retries, because the time limit of a heartbeat's statement is so
// short that a busy server may exceed it.
func (p *Processor) unregister(ctx context.Context, id string) error {
	for {
		err := p.heartbeats.Unregister(ctx, id)
		if err == nil || !sleep(ctx, p.config.HeartbeatTimeout()/2) {
			return err
		}
	}
}

// Check is the part of /readyz that says whether this process runs tasks.
func (p *Processor) Check() server.Check { return server.Check{Name: "processor", Ready: p.Ready} }

// Ready returns an error if this process cannot claim tasks.
func (p *Processor) Ready(context.Context) error {
	if _, ok := p.tracker.Current(); !ok {
		return errors.New("heartbeats do not reach the database")
	}
	return nil
}

// sleep waits for d and reports whether ctx is still valid.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
