// Package processor runs the claimed tasks of this process in pools of workers, one for each lane.
//
// The buffer is a hint, the row is the record: what is in memory is claimed in the database under this process's
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

	// seen is what was seen at the last look for tasks, for the sweep; nil where it has had that.
	polled atomic.Pointer[store.PollResult]

	// abandoned is closed, by abandon, when jobs that do not end are waited for no more.
	waitingStopped chan struct{}
	stopWaiting    func()

	stopClaiming, stopRunning, stopHeartbeats   context.CancelFunc
	claimers, workers, completer, heartbeatLoop sync.WaitGroup
}

// New returns a processor that claims when the book is nudged, and at every poll interval.
func New(c *config.Config, log *zap.Logger, r *registry.Registry, s *store.Store, h *store.Heartbeats, b *claims.Tracker, m *metrics.Metrics,
	t *tracing.Tracing,
) *Processor {
	waitingStopped := make(chan struct{})
	return &Processor{
		config: c.Tasks, log: log.Named("processor"), jobLog: log.Named("job"), registry: r, store: s, heartbeats: h, tracker: b, metrics: m, tracing: t,
		completions: make(chan store.Completion, maxCompletions), waitingStopped: waitingStopped, stopWaiting: sync.OnceFunc(func() { close(waitingStopped) }),
	}
}

// Start begins to claim and to run. It needs no database: without one it waits for it. That a job type names a lane
// which is not configured is an error.
func (p *Processor) Start(context.Context) error {
	for _, name := range p.registry.Lanes() {
		if p.tracker.Lane(name) == nil {
			return fmt.Errorf("tasks.lanes.%s: required by a job type", name)
		}
	}
	if p.registry.HasSecrets() && !p.store.Encrypts() {
		p.log.Warn("payloads with secrets are not encrypted in the database: tasks.encryptionKeys is empty")
	}
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
		p.metrics.Workers.WithLabelValues(lane.Name).Set(float64(lane.Workers))
		for range lane.Workers {
			p.workers.Go(func() { p.runWorker(claiming, running, lane) })
		}
	}
	p.log.Info("processor started", zap.Int("workers", workers))
	return nil
}

// startWriting begins the heartbeats and the writing of results, and returns the context of jobs.
func (p *Processor) startBackground() (running context.Context) {
	running, stopRunning := context.WithCancel(context.Background())
	heartbeating, stopHeartbeats := context.WithCancel(context.Background())
	p.stopRunning, p.stopHeartbeats = stopRunning, stopHeartbeats
	p.heartbeatLoop.Go(func() { p.runHeartbeats(heartbeating) })
	p.completer.Go(func() { p.runCompleter(running) })
	return running
}

// Stop takes no more tasks, gives back those that were not begun, lets the running ones end within the configured time, then
// cancels them, and returns whatever is not done to the queue. Jobs that do not end even then are an error.
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

// abandonAfter is how long jobs may take to end once they were told to because the process ends.
const stopWaitingAfter = 4 * time.Second

// returnTimeout bounds giving claims back.
const returnTimeout = 5 * time.Second

// returnUnbegun gives back what was claimed and no worker has begun: other processes need not wait for this one's end.
func (p *Processor) returnUnstarted(ctx context.Context) {
	unstarted := p.tracker.Drain()
	if len(unstarted) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, returnTimeout)
	defer cancel()
	if err := p.returnClaims(ctx, unstarted); err != nil {
		p.log.Warn("tasks that were not begun are returned at the end", zap.Int("tasks", len(unstarted)), logging.Error(err))
	}
}

// stopWriting ends what startWriting began, after the last result is written or the time for it is up.
func (p *Processor) stopBackground() error {
	close(p.completions)
	p.completer.Wait()
	p.stopRunning()
	p.stopHeartbeats()
	p.heartbeatLoop.Wait()
	return p.returnAll()
}

// release gives the claims back. Where the database is away the next process takes them over after the silence, as it does
// with those of jobs that have not ended: they run until this process has.
func (p *Processor) returnAll() error {
	// No accept may insert a claim from now on, or while this is under way.
	id, ok := p.tracker.Current()
	p.tracker.End()
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), returnTimeout)
	defer cancel()
	var returned int64
	var left int
	p.tracker.MarkUncertain()
	err := p.tracker.ResolveUncertain(func(tracked []store.ClaimKey) (err error) {
		left = len(tracked)
		returned, err = p.store.ReturnAllExcept(ctx, id, tracked)
		return err
	})
	if err == nil && left == 0 {
		err = p.unregister(ctx, id)
	}
	if err != nil {
		p.log.Warn("tasks could not be returned; they are taken over later", logging.Error(err))
	} else {
		p.log.Info("processor stopped", zap.Int64("returned", returned))
	}
	if left > 0 {
		return fmt.Errorf("%d jobs did not end when they were told to: their tasks are taken over once this process has ended", left)
	}
	return nil
}

// forget removes this process's heartbeat row. A heartbeat's statement has a limit so short that a busy server may not keep it.
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

// Ready says whether this process is claiming tasks.
func (p *Processor) Ready(context.Context) error {
	if _, ok := p.tracker.Current(); !ok {
		return errors.New("heartbeats do not reach the database")
	}
	return nil
}

// pause waits for d and tells whether ctx still lasts.
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
