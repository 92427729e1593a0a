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
	// overrunGrace is how long a job may take to stop after its context has ended before it is logged.
	overrunGrace = 2 * time.Second
	// taskLabel is the profiler label of a job's goroutines; its value is the task's id.
	taskLabel = "task"
	// maxStack limits the stack of a job in the log, in bytes.
	maxStack = 4000
)

// errStillRunning is returned for a job that did not stop and is no longer waited for.
var errStillRunning = errors.New("the job did not stop after cancellation")

// stillRunningText is the log message for errStillRunning.
const stillRunningText = "job still running: its task is recovered once this process has exited"

// supervise runs code of a job's module in a goroutine with the label taskLabel, and waits until it returns.
func (p *Processor) supervise(ctx context.Context, e execution, work func(context.Context) error) error {
	return p.await(ctx, e, guard.Start(func() (err error) {
		pprof.Do(ctx, pprof.Labels(taskLabel, strconv.FormatInt(e.task.ID, 10)), func(ctx context.Context) { err = work(ctx) })
		return err
	}))
}

// await waits until a job returns. It logs a job that keeps running after its context has ended: nothing can stop it,
// and its task must not run twice, so it is waited for until this process has to exit.
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
	p.logger(e).Error("job still running after cancellation", zap.NamedError("cause", context.Cause(ctx)),
		zap.String("stack", stackOf(e.task.ID)))
	p.tracker.AddOverrun(1)
	defer p.tracker.AddOverrun(-1)
	select {
	case err := <-done:
		p.logger(e).Warn("job stopped after overrun")
		return err
	case <-p.waitingStopped:
		return errStillRunning
	}
}

// stackOf returns the stacks of the goroutines of a task's job.
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
