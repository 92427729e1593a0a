package queue

import (
	"context"
	"slices"
	"sync"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/app/tracing"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/store"
)

// maxBatch limits the tasks of one commit, and maxBatchBytes their payloads, except that of a single task. CockroachDB
// accepts no message above 16 MiB, in which a payload may have twice its length.
const maxBatch, maxBatchBytes = 500, 4 << 20

const (
	// gatherTimeout limits the wait for the clients of the last commit to send their next request.
	gatherTimeout = time.Millisecond
	// maxSkips limits the number of commits without that wait after it has failed repeatedly.
	maxSkips = 32
)

// batcher commits concurrent accepts together: requests that arrive during a statement go into the next one, which is
// sent as soon as that one has returned. A single request waits for nothing.
type batcher struct {
	store   *store.Store
	tracker *claims.Tracker
	metrics *metrics.Metrics
	tracing *tracing.Tracing
	ready   *readiness

	mu       sync.Mutex
	waiting  []*request
	flushing bool
	expected int           // the number of requests to wait for
	arrived  chan struct{} // signalled when they have arrived

	// skips is the number of commits without a wait after the last wait failed, skipsLeft how many of those are left.
	// Only flush uses them.
	skips, skipsLeft int
}

// request is a task that a client waits to have committed.
type request struct {
	task  store.NewTask
	trace tracing.Request
	// ctxDone is closed when the client no longer waits, done when the task is committed or refused.
	ctxDone <-chan struct{}
	done    chan struct{}
	id      int64
	err     error
}

// cancelled reports whether the client no longer waits.
func (a *request) cancelled() bool {
	select {
	case <-a.ctxDone:
		return true
	default:
		return false
	}
}

// insert returns once the task is committed. If ctx ends during the commit, the task may be committed nevertheless.
func (b *batcher) insert(ctx context.Context, task store.NewTask) (int64, error) {
	begin := time.Now()
	a := &request{task: task, trace: b.tracing.RequestOf(ctx), ctxDone: ctx.Done(), done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, a)
	if b.expected > 0 && len(b.waiting) >= b.expected {
		select {
		case b.arrived <- struct{}{}:
		default:
		}
	}
	if !b.flushing {
		b.flushing = true
		// flush ends when no request is waiting; each of its statements has a time limit.
		go b.flush(context.WithoutCancel(ctx))
	}
	b.mu.Unlock()
	select {
	case <-a.done:
		if a.err == nil {
			b.metrics.Accepted.WithLabelValues(task.Type).Inc()
			b.metrics.AcceptTime.Observe(time.Since(begin).Seconds())
		}
		return a.id, a.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (b *batcher) flush(ctx context.Context) {
	for last := 0; ; {
		batch := b.gather(last)
		last = len(batch)
		if len(batch) == 0 {
			return
		}
		b.commitAll(ctx, batch)
		for _, a := range batch {
			close(a.done)
		}
	}
}

// gather takes the waiting requests. If the last commit had several, its clients may be about to send the next ones,
// and gather waits a moment for most of them. Otherwise they and the waiting ones would form two groups that alternate,
// with twice as many commits. After failed waits the next ones are skipped, more and more of them.
func (b *batcher) gather(last int) []*request {
	b.mu.Lock()
	if expected := (last + len(b.waiting)) * 7 / 8; len(b.waiting) < expected && !b.skipWait() {
		b.expected = expected
		select {
		case <-b.arrived: // of an earlier wait
		default:
		}
		b.mu.Unlock()
		b.waitForExpected()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	b.expected = 0
	b.waiting = slices.DeleteFunc(b.waiting, (*request).cancelled)
	// The rest is copied to a new slice, so that the payloads of a commit are freed with it.
	batch := b.waiting[:countFitting(b.waiting)]
	b.waiting = append([]*request(nil), b.waiting[len(batch):]...)
	b.flushing = len(batch) > 0
	return batch
}

// skipWait reports whether to skip the wait this time.
func (b *batcher) skipWait() bool {
	if b.skipsLeft == 0 {
		return false
	}
	b.skipsLeft--
	return true
}

// waitForExpected waits until the expected requests have arrived, or for gatherTimeout.
func (b *batcher) waitForExpected() {
	timer := time.NewTimer(gatherTimeout)
	defer timer.Stop()
	select {
	case <-b.arrived:
		b.skips = 0
	case <-timer.C:
		b.skips = min(2*b.skips+1, maxSkips)
	}
	b.skipsLeft = b.skips
}

// countFitting returns how many of the waiting requests fit into the next commit.
func countFitting(waiting []*request) int {
	size := 0
	for i, a := range waiting {
		if size += len(a.task.Info); i > 0 && (i == maxBatch || size > maxBatchBytes) {
			return i
		}
	}
	return len(waiting)
}

// commitAll commits a batch. If the database refuses a value of one request, it commits halves of the batch, so that
// only that request fails.
func (b *batcher) commitAll(ctx context.Context, batch []*request) {
	if b.commit(ctx, batch) {
		return
	}
	half := len(batch) / 2
	b.commitAll(ctx, batch[:half])
	b.commitAll(ctx, batch[half:])
}

// commit inserts a batch, as claims of this process if it has slots for them. It returns false, and delivers nothing,
// if the database refused a value of one of several requests.
func (b *batcher) commit(ctx context.Context, batch []*request) bool {
	defer b.tracker.BeginClaim()()
	process, leased := b.tracker.Current()
	tasks, claim := make([]store.NewTask, len(batch)), make([]bool, len(batch))
	keys := make(map[string]bool, len(batch))
	for i, a := range batch {
		tasks[i] = a.task
		// Only the first of two tasks with the same key can be claimed.
		claim[i] = leased && !keys[a.task.OrderingKey] && b.reserveSlot(a.task.Lane)
		keys[a.task.OrderingKey] = a.task.OrderingKey != ""
	}
	b.metrics.Batch.WithLabelValues(metrics.AcceptBatch).Observe(float64(len(batch)))
	ctx, endSpan := b.startSpan(ctx, batch)
	inserted, err := b.store.Insert(ctx, process, tasks, claim)
	endSpan(err)
	b.ready.record(err)
	if err != nil && !database.IsRefused(err) {
		b.tracker.MarkUncertain()
	}
	if len(batch) > 1 && database.IsDataRefused(err) {
		for i, a := range batch {
			if claim[i] {
				b.tracker.ReleaseSlots(b.tracker.Lane(a.task.Lane), 1)
			}
		}
		return false
	}
	b.deliver(process, batch, claim, inserted, err)
	return true
}

// deliver passes the results to the requests, hands claimed tasks to the workers of this process, and offers the
// pending ones that are next in their keys.
func (b *batcher) deliver(process string, batch []*request, claim []bool, inserted []store.Inserted, err error) {
	next, followed := map[*claims.Lane][]int64{}, map[string]bool{}
	for i, a := range batch {
		lane, key := b.tracker.Lane(a.task.Lane), a.task.OrderingKey
		if claim[i] && (err != nil || !inserted[i].Claimed) {
			b.tracker.ReleaseSlots(lane, 1)
		}
		if err != nil {
			a.err = err
			continue
		}
		a.id, a.err = inserted[i].ID, inserted[i].Err
		switch {
		case inserted[i].Claimed:
			b.tracker.Add(lane, store.Claim{
				ID: a.id, Type: a.task.Type, Info: a.task.Info, Prepared: a.task.Prepared, Process: process, Number: 1,
				TraceParent: a.task.TraceParent, Since: time.Now(),
			})
		case lane != nil && a.err == nil && !followed[key]:
			next[lane] = append(next[lane], a.id)
		}
		// Completing it offers the next task of its key.
		followed[key] = followed[key] || key != "" && !inserted[i].Found
	}
	for lane, ids := range next {
		b.tracker.OfferNext(lane, ids...)
	}
}

// startSpan starts the span of a commit, which belongs to the traces of all its requests.
func (b *batcher) startSpan(ctx context.Context, batch []*request) (context.Context, func(error)) {
	return b.tracing.Shared(ctx, "commit tasks", func(yield func(tracing.Request) bool) {
		for _, a := range batch {
			if !yield(a.trace) {
				return
			}
		}
	})
}

// reserveSlot reserves a slot for one claim in a lane of this process.
func (b *batcher) reserveSlot(name string) bool {
	lane := b.tracker.Lane(name)
	return lane != nil && lane.Open() && lane.ReserveSlots(1) == 1
}
