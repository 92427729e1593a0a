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

// maxBatch bounds the tasks of one commit, and maxBatchBytes their payloads, unless it has but one. CockroachDB takes no message of more
// than 16 MiB, in which a payload may have twice its length: each of them alone would be taken.
const maxBatch, maxBatchBytes = 500, 4 << 20

const (
	// gatherTime bounds the wait for those whom the last commit served.
	gatherTimeout = time.Millisecond
	// maxVain bounds how many commits are made without that wait after it was in vain again and again.
	maxSkips = 32
)

// batches has concurrent accepts share commits: what comes while a statement is under way goes into the next one, which
// is sent as soon as that one has returned. An accept that comes alone waits for nothing.
type batcher struct {
	store   *store.Store
	tracker *claims.Tracker
	metrics *metrics.Metrics
	tracing *tracing.Tracing
	ready   *readiness

	mu       sync.Mutex
	waiting  []*request
	flushing bool
	expected int           // how many are waited for
	arrived  chan struct{} // as many have come

	// vain is for how many commits it is not waited after the last wait was in vain, and rest how many of those are left. Both
	// are flush's alone.
	skips, skipsLeft int
}

// accept is a task whose commit somebody waits for.
type request struct {
	task  store.NewTask
	trace tracing.Request
	// left is closed when nobody waits any more, done when the task is committed or refused.
	ctxDone <-chan struct{}
	done    chan struct{}
	id      int64
	err     error
}

// gone tells whether nobody waits any more.
func (a *request) cancelled() bool {
	select {
	case <-a.ctxDone:
		return true
	default:
		return false
	}
}

// insert returns once the task is committed. A caller whose context ends does not wait any more; if its commit was under way by then
// the task may be there all the same.
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
		// It ends when nobody waits any more; each of its statements has a time limit.
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

// gather takes what waits. Where the last commit was shared, those that it served may be about to come again: most of them
// are waited for, for a moment. Otherwise they and those who came meanwhile would fall into two groups that take turns, and
// make twice as many commits. Where nobody comes the next waits are left out, more and more of them.
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
	// What waits further goes into a slice of its own: the bodies of a commit go with it.
	batch := b.waiting[:countFitting(b.waiting)]
	b.waiting = append([]*request(nil), b.waiting[len(batch):]...)
	b.flushing = len(batch) > 0
	return batch
}

// resting tells whether the wait is left out this time.
func (b *batcher) skipWait() bool {
	if b.skipsLeft == 0 {
		return false
	}
	b.skipsLeft--
	return true
}

// await waits until enough have come, or for gatherTime.
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

// fitting returns how many of those that wait share the next commit.
func countFitting(waiting []*request) int {
	size := 0
	for i, a := range waiting {
		if size += len(a.task.Info); i > 0 && (i == maxBatch || size > maxBatchBytes) {
			return i
		}
	}
	return len(waiting)
}

// commitAll commits a batch, in halves where the database refuses what one of them holds: it fails that one alone.
func (b *batcher) commitAll(ctx context.Context, batch []*request) {
	if b.commit(ctx, batch) {
		return
	}
	half := len(batch) / 2
	b.commitAll(ctx, batch[:half])
	b.commitAll(ctx, batch[half:])
}

// commit inserts a batch, as claims of this process where it has room for them. It returns false, and has delivered nothing, where
// the database refused what one of several holds.
func (b *batcher) commit(ctx context.Context, batch []*request) bool {
	defer b.tracker.BeginClaim()()
	process, leased := b.tracker.Current()
	tasks, claim := make([]store.NewTask, len(batch)), make([]bool, len(batch))
	keys := make(map[string]bool, len(batch))
	for i, a := range batch {
		tasks[i] = a.task
		// Of two with the same key only the first can be claimed.
		claim[i] = leased && !keys[a.task.OrderingKey] && b.reserveSlot(a.task.Lane)
		keys[a.task.OrderingKey] = a.task.OrderingKey != ""
	}
	b.metrics.Batch.WithLabelValues(metrics.AcceptBatch).Observe(float64(len(batch)))
	ctx, committed := b.startSpan(ctx, batch)
	inserted, err := b.store.Insert(ctx, process, tasks, claim)
	committed(err)
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

// deliver tells each accept what became of its task, and sees that the tasks come to workers of this process: what is
// claimed at once, and what waits when it is the head of its key.
func (b *batcher) deliver(process string, batch []*request, claim []bool, inserted []store.Inserted, err error) {
	heads, followed := map[*claims.Lane][]int64{}, map[string]bool{}
	for i, a := range batch {
		lane, key := b.tracker.Lane(a.task.Lane), a.task.OrderingKey
		if claim[i] && (err != nil || !inserted[i].Claimed) {
			b.tracker.ReleaseSlots(lane, 1)
		}
		if err != nil {
			a.err = err
			continue
		}
		a.id, a.err = inserted[i].ID, inserted[i].Fault
		switch {
		case inserted[i].Claimed:
			b.tracker.Add(lane, store.Claim{
				ID: a.id, Type: a.task.Type, Info: a.task.Info, Prepared: a.task.Prepared, Process: process, Number: 1, TraceParent: a.task.TraceParent,
				Since: time.Now(),
			})
		case lane != nil && a.err == nil && !followed[key]:
			heads[lane] = append(heads[lane], a.id)
		}
		// Its end brings up the next one of its key.
		followed[key] = followed[key] || key != "" && !inserted[i].Found
	}
	for lane, ids := range heads {
		b.tracker.OfferNext(lane, ids...)
	}
}

// shared begins the span of a commit, which belongs to the traces of all requests that it serves.
func (b *batcher) startSpan(ctx context.Context, batch []*request) (context.Context, func(error)) {
	return b.tracing.Shared(ctx, "commit tasks", func(yield func(tracing.Request) bool) {
		for _, a := range batch {
			if !yield(a.trace) {
				return
			}
		}
	})
}

// reserve takes room for one claim in a lane of this process.
func (b *batcher) reserveSlot(name string) bool {
	lane := b.tracker.Lane(name)
	return lane != nil && lane.Open() && lane.ReserveSlots(1) == 1
}
