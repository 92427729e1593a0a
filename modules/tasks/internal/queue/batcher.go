package queue

import (
	"context"
	"slices"
	"sync"
	"time"

	"app238.com/inner/app/guard"
	"app238.com/inner/app/tracing"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/pipeline"
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
	// admitPoll is how often the lanes are asked again where none admits a request.
	admitPoll = 5 * time.Millisecond
)

// batcher commits concurrent accepts together: requests that arrive during a statement go into the next one, which is
// sent as soon as that one has returned or is slow. A single request waits for nothing.
type batcher struct {
	store   *store.Store
	tracker *claims.Tracker
	metrics *metrics.Metrics
	tracing *tracing.Tracing
	ready   *readiness

	commits *pipeline.Pipeline

	mu       sync.Mutex
	waiting  []*request
	flushing bool
	keys     map[string]bool // ordering keys of the commits under way
	expected int             // the number of requests to wait for
	arrived  chan struct{}   // signalled when they have arrived

	// skips is the number of commits without a wait after the last wait failed, skipsLeft how many of those are left.
	// Only flush uses them.
	skips, skipsLeft int
}

func newBatcher(s *store.Store, ct *claims.Tracker, m *metrics.Metrics, t *tracing.Tracing, ready *readiness) *batcher {
	return &batcher{store: s, tracker: ct, metrics: m, tracing: t, ready: ready, commits: pipeline.New(),
		keys: map[string]bool{}, arrived: make(chan struct{}, 1)}
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

// overloaded reports whether a lane is limited and requests of limited lanes wait up to the limits.
func (b *batcher) overloaded(lane string, l Limits) bool {
	if !b.limited(lane) || l.Waiting == 0 && l.WaitingBytes == 0 {
		return false
	}
	waiting, size := 0, int64(0)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.waiting {
		if b.limited(a.task.Lane) {
			waiting, size = waiting+1, size+int64(len(a.task.Info))
		}
	}
	return l.Waiting > 0 && waiting >= l.Waiting || l.WaitingBytes > 0 && size >= l.WaitingBytes
}

// limited reports whether the accepts of a lane of this process are limited.
func (b *batcher) limited(name string) bool {
	lane := b.tracker.Lane(name)
	return lane != nil && lane.Limited()
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
		b.commits.Enter()
		batch := b.gather(last)
		if len(batch) == 0 {
			b.commits.Leave()
			return
		}
		if b.commits.Run(func() { b.decide(ctx, batch) }, func() { b.flush(ctx) }) {
			return
		}
		last = len(batch)
	}
}

// decide commits a batch and tells its requests.
func (b *batcher) decide(ctx context.Context, batch []*request) {
	err := guard.Call(func() error {
		b.commitAll(ctx, batch)
		return nil
	})
	for _, a := range batch {
		if a.id == 0 && a.err == nil {
			a.err = err
		}
		close(a.done)
	}
}

// gather takes the waiting requests. If a commit of several has just ended, its clients may be about to send the next ones,
// and gather waits a moment for most of them. Otherwise they and the waiting ones would form two groups that alternate,
// with twice as many commits. After failed waits the next ones are skipped, more and more of them.
func (b *batcher) gather(last int) []*request {
	b.mu.Lock()
	defer b.mu.Unlock()
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
	b.expected = 0
	for {
		b.waiting = slices.DeleteFunc(b.waiting, (*request).cancelled)
		batch := b.takeAdmitted()
		if len(batch) > 0 || len(b.waiting) == 0 {
			b.flushing = len(batch) > 0
			return batch
		}
		b.mu.Unlock()
		<-time.After(admitPoll)
		b.mu.Lock()
	}
}

// takeAdmitted removes and returns the requests of the next commit: those whose lanes admit them, up to the limits of a commit.
func (b *batcher) takeAdmitted() (batch []*request) {
	var rest []*request // a new slice, so that the payloads of a commit are freed with it
	size := 0
	for i, a := range b.waiting {
		larger := size + len(a.task.Info)
		if len(batch) > 0 && (len(batch) == maxBatch || larger > maxBatchBytes) {
			rest = append(rest, b.waiting[i:]...)
			break
		}
		if lane := b.tracker.Lane(a.task.Lane); lane != nil && !lane.Admit() {
			rest = append(rest, a)
			continue
		}
		batch, size = append(batch, a), larger
	}
	b.waiting = rest
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
