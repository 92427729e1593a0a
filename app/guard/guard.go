// Package guard confines a panic to its unit of work: one task, domain, WorkerApp, tick or check. Loops and goroutines that run
// code of a module call it through this package, and continue after a panic.
package guard

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// PanicError is the error of a panic. Its text contains the stack and is for the log only.
type PanicError struct {
	// Value is the argument of panic.
	Value any
	// Stack is the stack of the goroutine.
	Stack []byte
}

// Error returns value and stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// exited is the Value if runtime.Goexit ended the goroutine.
const exited = "the goroutine exited during its work"

// Call runs work and returns its error, or a *PanicError.
func Call(work func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return work()
}

// Start runs work in a new goroutine and delivers its error, or a *PanicError, also if work calls runtime.Goexit.
func Start(work func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		err := error(&PanicError{Value: exited})
		defer func() { done <- err }()
		err = Call(work)
	}()
	return done
}

// Wait returns nil when the goroutines of a group have ended, or the error of ctx if that ends first.
func Wait(ctx context.Context, group *sync.WaitGroup) error {
	ended := Start(func() error {
		group.Wait()
		return nil
	})
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Collector returns a collector that reports a panic of c as an invalid metric: Prometheus calls collectors in its own
// goroutines.
func Collector(c prometheus.Collector) prometheus.Collector { return collector{c} }

type collector struct{ prometheus.Collector }

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	err := Call(func() error {
		c.Collector.Collect(to)
		return nil
	})
	if err != nil {
		to <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	}
}
