// Package guard keeps a panic to the piece of work that it comes from: one task, domain, WorkerApp, tick or check. Whatever
// runs the code of a module in a loop or a goroutine calls it by this package, and goes on.
package guard

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// PanicError is a panic made an error. Its text has the stack and is for the log only.
type PanicError struct {
	// Value is what the work panicked with.
	Value any
	// Stack is where.
	Stack []byte
}

// Error returns value and stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// exited is the Value where the goroutine ended without a panic, by runtime.Goexit.
const exited = "the goroutine was ended in the midst of its work"

// Call does a piece of work and returns its error, or a *PanicError.
func Call(work func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return work()
}

// Start does a piece of work in a goroutine of its own and delivers its error, or a *PanicError, also where the work ends
// that goroutine.
func Start(work func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		err := error(&PanicError{Value: exited})
		defer func() { done <- err }()
		err = Call(work)
	}()
	return done
}

// Wait returns nil once the goroutines of a group have ended, or the error of ctx where that ends before.
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

// Collector returns a collector that has no values where c panics. Prometheus calls collectors in goroutines of its own.
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
