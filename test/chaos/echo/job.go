package echo

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/fx"

	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/chaos/journal"
)

// Replica is the name of the replica that runs the job.
type Replica struct {
	Name string
	Seed uint64
}

const (
	// step is the longest time for which the work does not check its context.
	step = 5 * time.Millisecond
	// frozen is the delay of a step that shows that the process was frozen.
	frozen = 250 * time.Millisecond
	// thaw is how long the work waits after that for what has become of its context meanwhile.
	thaw = 2 * time.Second
	// odd are bytes that text columns refuse.
	odd = " \x00\xff\xed\xa0\x80"
	// retry is the delay between two attempts to resume a task.
	retry = 100 * time.Millisecond
)

// Job runs notes.
type Job struct {
	replica    Replica
	journal    *journal.Journal
	queue      job.Queue
	executions atomic.Int64

	waking context.Context // of the goroutines that wake parked tasks
	wakers sync.WaitGroup
}

// New returns the job; it wakes what it parked until the lifecycle stops.
func New(lc fx.Lifecycle, r Replica, j *journal.Journal, q job.Queue) *Job {
	waking, stop := context.WithCancel(context.Background())
	n := &Job{replica: r, journal: j, queue: q, waking: waking}
	lc.Append(fx.StopHook(func() {
		stop()
		n.wakers.Wait()
	}))
	return n
}

// Definition registers the job.
func Definition(j *Job) job.Definition { return job.Define(job.Spec{Type: Type}, j) }

// Execute implements job.Job.
func (j *Job) Execute(ctx context.Context, task job.Task, n Note) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line := journal.Line{Event: journal.Begin, Execution: j.executions.Add(1), Task: task.ID, Key: n.Key, Seq: n.Seq}
	if err := j.journal.Write(line); err != nil {
		return err
	}
	line.Event, line.Outcome = journal.End, journal.Aborted
	if n.Gate == "" || opened(ctx, n.Gate) {
		if n.Deadly && wait(ctx, time.Duration(n.Hold)*time.Millisecond) {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		line.Outcome = j.work(ctx, n, uint64(line.Execution))
	}
	if err := j.journal.Write(line); err != nil {
		return err
	}
	return result(ctx, line.Outcome)
}

func result(ctx context.Context, outcome journal.Outcome) error {
	switch outcome {
	case journal.Done:
		return nil
	case journal.Snooze:
		return job.NewSnooze(50*time.Millisecond, "asked for later"+odd)
	case journal.Parked:
		return job.NewParked("parked by chance" + odd)
	case journal.Aborted:
		return context.Cause(ctx)
	case journal.Retry:
	}
	return job.NewRetry("failed by chance"+odd, errors.New("a cause"+odd))
}

// work waits and returns the outcome.
func (j *Job) work(ctx context.Context, n Note, execution uint64) journal.Outcome {
	if n.On != "" && n.On == j.replica.Name {
		wait(context.WithoutCancel(ctx), time.Duration(n.OnHold)*time.Millisecond)
		return n.Outcome
	}
	if n.Deaf {
		wait(context.WithoutCancel(ctx), time.Duration(n.Hold)*time.Millisecond)
		return journal.Done
	}
	chance := rand.New(rand.NewPCG(j.replica.Seed, execution))
	length := time.Duration(n.Hold) * time.Millisecond
	if n.Hold == 0 {
		length = time.Millisecond + time.Duration(chance.Int64N(int64(29*time.Millisecond)))
	}
	for end := time.Now().Add(length); time.Now().Before(end); {
		begin := time.Now()
		if !wait(ctx, min(step, time.Until(end))) {
			return journal.Aborted
		}
		// After a standstill the end of the context and that of the step are due at the same moment.
		if time.Since(begin) > frozen && !wait(ctx, thaw) {
			return journal.Aborted
		}
	}
	switch p := chance.Float64(); {
	case n.Hold > 0 || p < 0.78:
		return journal.Done
	case p < 0.86:
		return journal.Retry
	case p < 0.91:
		return journal.Snooze
	}
	// Some are woken before they are parked, some after.
	j.wakers.Go(func() { j.wake(n.Key, time.Duration(chance.Int64N(int64(20*time.Millisecond)))) })
	return journal.Parked
}

// opened waits until the file is there and tells whether ctx lasted so long.
func opened(ctx context.Context, gate string) bool {
	for {
		if _, err := os.Stat(gate); err == nil {
			return true
		}
		if !wait(ctx, step) {
			return false
		}
	}
}

// wake wakes the parked tasks of a key after a while.
func (j *Job) wake(key string, after time.Duration) {
	for wait(j.waking, after) && j.queue.Resume(j.waking, key) != nil {
		after = retry
	}
}

// wait waits for d and returns false if ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
