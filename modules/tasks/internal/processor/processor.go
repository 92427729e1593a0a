// Package processor runs the claimed tasks of this process in a pool of workers.
//
// The buffer is a hint, the row is the record: what is in memory is claimed in the database under this process's id,
// and what does not fit stays pending there.
package processor

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/observe"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
)

// Processor claims tasks and runs them.
type Processor struct {
	config   config.Tasks
	log      *zap.Logger
	jobLog   *zap.Logger
	registry *registry.Registry
	store    *store.Store
	hints    <-chan struct{}

	buffer chan store.Claim
	// freed tells the claimer that the buffer has room again or an ordering key was released.
	freed chan struct{}
	lease *lease

	stopClaiming, stopRunning, stopBeating context.CancelFunc
	claimers, workers, beater              sync.WaitGroup
}

// New returns a processor that claims when the queue hints at work, and at every poll interval.
func New(c *config.Config, log *zap.Logger, r *registry.Registry, s *store.Store, q *queue.Queue) *Processor {
	return &Processor{
		config: c.Tasks, log: log.Named("processor"), jobLog: log.Named("job"), registry: r, store: s, hints: q.Hints(),
		buffer: make(chan store.Claim, c.Tasks.Buffer), freed: make(chan struct{}, 1),
		lease: newLease(c.Tasks.TakeoverAfter * 2 / 3),
	}
}

// Start begins to claim and to run. It needs no database: without one it waits for it.
func (p *Processor) Start(context.Context) error {
	claiming, stopClaiming := context.WithCancel(context.Background())
	running, stopRunning := context.WithCancel(context.Background())
	beating, stopBeating := context.WithCancel(context.Background())
	p.stopClaiming, p.stopRunning, p.stopBeating = stopClaiming, stopRunning, stopBeating
	p.beater.Go(func() { p.beat(beating) })
	p.claimers.Go(func() { p.claim(claiming) })
	p.claimers.Go(func() { p.sweep(claiming) })
	for range p.config.Workers {
		p.workers.Go(func() { p.work(claiming, running) })
	}
	p.log.Info("processor started", zap.Int("workers", p.config.Workers))
	return nil
}

// Stop takes no more tasks, lets the running ones end within the configured time, then cancels them, and returns
// whatever is not done to the queue.
func (p *Processor) Stop(ctx context.Context) error {
	p.stopClaiming()
	p.claimers.Wait()
	defer time.AfterFunc(p.config.ShutdownTimeout, p.stopRunning).Stop()
	defer context.AfterFunc(ctx, p.stopRunning)()
	p.workers.Wait()
	p.stopRunning()
	p.stopBeating()
	p.beater.Wait()
	p.release()
	return nil
}

// release gives the claims back. Where the database is away the next process takes them over after the silence.
func (p *Processor) release() {
	id, ok := p.lease.current()
	p.lease.end()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n, err := p.store.ReturnAll(ctx, id)
	if err == nil {
		err = p.store.Forget(ctx, id)
	}
	if err != nil {
		p.log.Warn("tasks could not be returned; they are taken over later", observe.Error(err))
		return
	}
	p.log.Info("processor stopped", zap.Int64("returned", n))
}

// Ready says whether this process is claiming tasks.
func (p *Processor) Ready(context.Context) error {
	if _, ok := p.lease.current(); !ok {
		return errors.New("signs of life do not reach the database")
	}
	return nil
}

// beat writes the signs of life until ctx ends, that is for longer than tasks are run.
func (p *Processor) beat(ctx context.Context) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	for {
		id, sent := p.lease.identity(), time.Now()
		if err := p.store.Beat(ctx, id, host); err == nil {
			p.lease.renew(id, sent)
			p.nudge()
		} else if ctx.Err() == nil {
			p.log.Warn("sign of life failed", observe.Error(err))
		}
		if !pause(ctx, p.config.HeartbeatInterval) {
			return
		}
	}
}

// sweep takes over the tasks of silent processes and looks again at tasks parked for long.
func (p *Processor) sweep(ctx context.Context) {
	for pause(ctx, p.config.HeartbeatInterval) {
		if _, ok := p.lease.current(); !ok {
			continue
		}
		recovered, err := p.store.Recover(ctx, p.config.TakeoverAfter)
		if err == nil && recovered > 0 {
			p.log.Warn("took over tasks of processes that ended", zap.Int64("tasks", recovered))
		}
		late := int64(0)
		if err == nil {
			late, err = p.store.WakeLate(ctx)
		}
		if err != nil && ctx.Err() == nil {
			p.log.Warn("sweep failed", observe.Error(err))
		}
		if recovered+late > 0 {
			p.nudge()
		}
	}
}

func (p *Processor) nudge() {
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// pause waits for d and tells whether ctx still lasts.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
