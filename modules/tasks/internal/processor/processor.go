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
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/observe"
	"app238.com/inner/app/server"
	"app238.com/inner/app/tracing"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/metrics"
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
	beats    *store.Heartbeats
	book     *claims.Book
	metrics  *metrics.Metrics
	tracing  *tracing.Tracing
	endings  chan store.Ending

	stopClaiming, stopRunning, stopBeating context.CancelFunc
	claimers, workers, writer, beater      sync.WaitGroup
}

// New returns a processor that claims when the book is nudged, and at every poll interval.
func New(c *config.Config, log *zap.Logger, r *registry.Registry, s *store.Store, h *store.Heartbeats, b *claims.Book, m *metrics.Metrics,
	t *tracing.Tracing,
) *Processor {
	return &Processor{
		config: c.Tasks, log: log.Named("processor"), jobLog: log.Named("job"), registry: r, store: s, beats: h, book: b, metrics: m, tracing: t,
		endings: make(chan store.Ending, maxEndings),
	}
}

// Start begins to claim and to run. It needs no database: without one it waits for it. That a job type names a lane
// which is not configured is an error.
func (p *Processor) Start(context.Context) error {
	for _, name := range p.registry.Lanes() {
		if p.book.Lane(name) == nil {
			return fmt.Errorf("tasks.lanes.%s: required by a job type", name)
		}
	}
	if p.registry.HoldsSecrets() && !p.store.Seals() {
		p.log.Warn("payloads with secrets are not encrypted in the database: tasks.encryptionKeys is empty")
	}
	claiming, stopClaiming := context.WithCancel(context.Background())
	p.stopClaiming = stopClaiming
	running := p.startWriting()
	p.claimers.Go(func() { p.claim(claiming) })
	p.claimers.Go(func() { p.claimHeads(claiming) })
	p.claimers.Go(func() { p.sweep(claiming) })
	workers := 0
	for _, lane := range p.book.Lanes() {
		lane.SetOpen(true)
		workers += lane.Workers
		p.metrics.Workers.WithLabelValues(lane.Name).Set(float64(lane.Workers))
		for range lane.Workers {
			p.workers.Go(func() { p.work(claiming, running, lane) })
		}
	}
	p.log.Info("processor started", zap.Int("workers", workers))
	return nil
}

// startWriting begins the heartbeats and the writing of results, and returns the context of jobs.
func (p *Processor) startWriting() (running context.Context) {
	running, stopRunning := context.WithCancel(context.Background())
	beating, stopBeating := context.WithCancel(context.Background())
	p.stopRunning, p.stopBeating = stopRunning, stopBeating
	p.beater.Go(func() { p.beat(beating) })
	p.writer.Go(func() { p.writeEndings(running) })
	return running
}

// Stop takes no more tasks, lets the running ones end within the configured time, then cancels them, and returns
// whatever is not done to the queue.
func (p *Processor) Stop(ctx context.Context) error {
	p.stopClaiming()
	for _, lane := range p.book.Lanes() {
		lane.SetOpen(false)
	}
	p.claimers.Wait()
	defer time.AfterFunc(p.config.ShutdownTimeout, p.stopRunning).Stop()
	defer context.AfterFunc(ctx, p.stopRunning)()
	p.workers.Wait()
	p.stopWriting()
	return nil
}

// stopWriting ends what startWriting began, after the last result is written or the time for it is up.
func (p *Processor) stopWriting() {
	close(p.endings)
	p.writer.Wait()
	p.stopRunning()
	p.stopBeating()
	p.beater.Wait()
	p.release()
}

// release gives the claims back. Where the database is away the next process takes them over after the silence.
func (p *Processor) release() {
	// No accept may insert a claim from now on, or while this is under way.
	id, ok := p.book.Current()
	p.book.End()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var returned int64
	p.book.Doubt()
	err := p.book.Settle(func([]int64) (err error) {
		if returned, err = p.store.ReturnAll(ctx, id, nil); err != nil {
			return err
		}
		return p.beats.Forget(ctx, id)
	})
	if err != nil {
		p.log.Warn("tasks could not be returned; they are taken over later", observe.Error(err))
		return
	}
	p.log.Info("processor stopped", zap.Int64("returned", returned))
}

// Check is the part of /readyz that says whether this process runs tasks.
func (p *Processor) Check() server.Check { return server.Check{Name: "processor", Ready: p.Ready} }

// Ready says whether this process is claiming tasks.
func (p *Processor) Ready(context.Context) error {
	if _, ok := p.book.Current(); !ok {
		return errors.New("heartbeats do not reach the database")
	}
	return nil
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
