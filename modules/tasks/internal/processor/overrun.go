package processor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/guard"
)

const (
	// overrunGrace is how long a job may take to end after its context has, before that is told.
	overrunGrace = 2 * time.Second
	// taskLabel is the profiler's label of the goroutines of a job; its value is the task's id.
	taskLabel = "task"
	// maxStack bounds the stack of a job in the log.
	maxStack = 4000
)

// errAbandoned says that a job did not end and is waited for no more.
var errStillRunning = errors.New("the job did not end when it was told to")

// abandonedText is what the log says of it.
const stillRunningText = "job abandoned: it did not end when it was told to; its task is taken over once this process has ended"

// supervise has code of a job's module do its work in a goroutine of its own, by whose label it is found, and waits for its end.
func (p *Processor) supervise(ctx context.Context, e execution, runWorker func(context.Context) error) error {
	return p.await(ctx, e, guard.Start(func() (err error) {
		pprof.Do(ctx, pprof.Labels(taskLabel, strconv.FormatInt(e.task.ID, 10)), func(ctx context.Context) { err = runWorker(ctx) })
		return err
	}))
}

// await waits for the end of a job. One that goes on though its context has ended is told of: nothing can end it. It is waited
// for all the same, since its task must not run twice, until this process has no more time for that.
func (p *Processor) await(ctx context.Context, e execution, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(overrunGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
	}
	p.logger(e).Error("job goes on though it was told to end", zap.NamedError("because", context.Cause(ctx)), zap.String("stack", stackOf(e.task.ID)))
	p.tracker.AddOverrun(1)
	defer p.tracker.AddOverrun(-1)
	select {
	case err := <-done:
		p.logger(e).Warn("job that went on has ended")
		return err
	case <-p.waitingStopped:
		return errStillRunning
	}
}

// stackOf returns where the goroutines of a task's job are.
func stackOf(task int64) string {
	var profile bytes.Buffer
	if pprof.Lookup("goroutine").WriteTo(&profile, 1) != nil {
		return ""
	}
	var found []string
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, fmt.Sprintf("%q:%q", taskLabel, fmt.Sprint(task))) {
			found = append(found, stack)
		}
	}
	text := strings.Join(found, "\n\n")
	return text[:min(len(text), maxStack)]
}
