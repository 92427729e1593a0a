package queue

import (
	"context"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/app/tracing"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/store"
)

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
	tasks := make([]store.NewTask, len(batch))
	for i, a := range batch {
		tasks[i] = a.task
	}
	claim, release := b.claimable(tasks, leased)
	defer release()
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

// claimable reserves slots for the tasks to be claimed: of those under way with the same key, only the first can be.
func (b *batcher) claimable(tasks []store.NewTask, leased bool) (claim []bool, release func()) {
	claim = make([]bool, len(tasks))
	added := make([]string, 0, len(tasks))
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, t := range tasks {
		taken := b.keys[t.OrderingKey]
		claim[i] = leased && !taken && b.reserveSlot(t.Lane)
		if !taken && t.OrderingKey != "" {
			b.keys[t.OrderingKey], added = true, append(added, t.OrderingKey)
		}
	}
	return claim, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, key := range added {
			delete(b.keys, key)
		}
	}
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

// reserveSlot reserves a slot for one claim in a lane of this process. Tasks that wait in the database have half of the slots:
// otherwise new ones, which are first to see a free slot, would be run before them for as long as there are enough.
func (b *batcher) reserveSlot(name string) bool {
	lane := b.tracker.Lane(name)
	return lane != nil && lane.Open() && (!lane.Backlog() || lane.HalfEmpty()) && lane.ReserveSlots(1) == 1
}
