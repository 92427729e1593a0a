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
	gatherTime = time.Millisecond
	// maxVain bounds how many commits are made without that wait after it was in vain again and again.
	maxVain = 32
)

// batches has concurrent accepts share commits: what comes while a statement is under way goes into the next one, which
// is sent as soon as that one has returned. An accept that comes alone waits for nothing.
type batches struct {
	store   *store.Store
	tracker *claims.Tracker
	metrics *metrics.Metrics
	tracing *tracing.Tracing
	ready   *readiness

	mu       sync.Mutex
	waiting  []*accept
	flushing bool
	want     int           // how many are waited for
	enough   chan struct{} // as many have come

	// vain is for how many commits it is not waited after the last wait was in vain, and rest how many of those are left. Both
	// are flush's alone.
	vain, rest int
}

// accept is a task whose commit somebody waits for.
type accept struct {
	task  store.NewTask
	trace tracing.Request
	// left is closed when nobody waits any more, done when the task is committed or refused.
	left  <-chan struct{}
	done  chan struct{}
	id    int64
	fault error
}

// gone tells whether nobody waits any more.
func (a *accept) gone() bool {
	select {
	case <-a.left:
		return true
	default:
		return false
	}
}

// insert returns once the task is committed. A caller whose context ends does not wait any more; if its commit was under way by then
// the task may be there all the same.
func (b *batches) insert(ctx context.Context, task store.NewTask) (int64, error) {
	begin := time.Now()
	a := &accept{task: task, trace: b.tracing.RequestOf(ctx), left: ctx.Done(), done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, a)
	if b.want > 0 && len(b.waiting) >= b.want {
		select {
		case b.enough <- struct{}{}:
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
		if a.fault == nil {
			b.metrics.Accepted.WithLabelValues(task.Type).Inc()
			b.metrics.AcceptTime.Observe(time.Since(begin).Seconds())
		}
		return a.id, a.fault
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (b *batches) flush(ctx context.Context) {
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
func (b *batches) gather(last int) []*accept {
	b.mu.Lock()
	if want := (last + len(b.waiting)) * 7 / 8; len(b.waiting) < want && !b.resting() {
		b.want = want
		select {
		case <-b.enough: // of an earlier wait
		default:
		}
		b.mu.Unlock()
		b.await()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	b.want = 0
	b.waiting = slices.DeleteFunc(b.waiting, (*accept).gone)
	// What waits further goes into a slice of its own: the bodies of a commit go with it.
	batch := b.waiting[:fitting(b.waiting)]
	b.waiting = append([]*accept(nil), b.waiting[len(batch):]...)
	b.flushing = len(batch) > 0
	return batch
}

// resting tells whether the wait is left out this time.
func (b *batches) resting() bool {
	if b.rest == 0 {
		return false
	}
	b.rest--
	return true
}

// await waits until enough have come, or for gatherTime.
func (b *batches) await() {
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	select {
	case <-b.enough:
		b.vain = 0
	case <-timer.C:
		b.vain = min(2*b.vain+1, maxVain)
	}
	b.rest = b.vain
}

// fitting returns how many of those that wait share the next commit.
func fitting(waiting []*accept) int {
	size := 0
	for i, a := range waiting {
		if size += len(a.task.Info); i > 0 && (i == maxBatch || size > maxBatchBytes) {
			return i
		}
	}
	return len(waiting)
}

// commitAll commits a batch, in halves where the database refuses what one of them holds: it fails that one alone.
func (b *batches) commitAll(ctx context.Context, batch []*accept) {
	if b.commit(ctx, batch) {
		return
	}
	half := len(batch) / 2
	b.commitAll(ctx, batch[:half])
	b.commitAll(ctx, batch[half:])
}

// commit inserts a batch, as claims of this process where it has room for them. It returns false, and has delivered nothing, where
// the database refused what one of several holds.
func (b *batches) commit(ctx context.Context, batch []*accept) bool {
	defer b.tracker.Begin()()
	process, leased := b.tracker.Current()
	tasks, wanted := make([]store.NewTask, len(batch)), make([]bool, len(batch))
	keys := make(map[string]bool, len(batch))
	for i, a := range batch {
		tasks[i] = a.task
		// Of two with the same key only the first can be claimed.
		wanted[i] = leased && !keys[a.task.OrderingKey] && b.reserve(a.task.Lane)
		keys[a.task.OrderingKey] = a.task.OrderingKey != ""
	}
	b.metrics.Batch.WithLabelValues(metrics.AcceptBatch).Observe(float64(len(batch)))
	ctx, committed := b.shared(ctx, batch)
	inserted, err := b.store.Insert(ctx, process, tasks, wanted)
	committed(err)
	b.ready.note(err)
	if err != nil && !database.IsRefused(err) {
		b.tracker.Doubt()
	}
	if len(batch) > 1 && database.IsDataRefused(err) {
		for i, a := range batch {
			if wanted[i] {
				b.tracker.Release(b.tracker.Lane(a.task.Lane), 1)
			}
		}
		return false
	}
	b.deliver(process, batch, wanted, inserted, err)
	return true
}

// deliver tells each accept what became of its task, and sees that the tasks come to workers of this process: what is
// claimed at once, and what waits when it is the head of its key.
func (b *batches) deliver(process string, batch []*accept, wanted []bool, inserted []store.Inserted, err error) {
	heads, followed := map[*claims.Lane][]int64{}, map[string]bool{}
	for i, a := range batch {
		lane, key := b.tracker.Lane(a.task.Lane), a.task.OrderingKey
		if wanted[i] && (err != nil || !inserted[i].Claimed) {
			b.tracker.Release(lane, 1)
		}
		if err != nil {
			a.fault = err
			continue
		}
		a.id, a.fault = inserted[i].ID, inserted[i].Fault
		switch {
		case inserted[i].Claimed:
			b.tracker.Add(lane, store.Claim{
				ID: a.id, Type: a.task.Type, Info: a.task.Info, Prepared: a.task.Prepared, Process: process, Number: 1, TraceParent: a.task.TraceParent,
				Since: time.Now(),
			})
		case lane != nil && a.fault == nil && !followed[key]:
			heads[lane] = append(heads[lane], a.id)
		}
		// Its end brings up the next one of its key.
		followed[key] = followed[key] || key != "" && !inserted[i].Found
	}
	for lane, ids := range heads {
		b.tracker.NoteHeads(lane, ids...)
	}
}

// shared begins the span of a commit, which belongs to the traces of all requests that it serves.
func (b *batches) shared(ctx context.Context, batch []*accept) (context.Context, func(error)) {
	return b.tracing.Shared(ctx, "commit tasks", func(yield func(tracing.Request) bool) {
		for _, a := range batch {
			if !yield(a.trace) {
				return
			}
		}
	})
}

// reserve takes room for one claim in a lane of this process.
func (b *batches) reserve(name string) bool {
	lane := b.tracker.Lane(name)
	return lane != nil && lane.Open() && lane.Reserve(1) == 1
}
