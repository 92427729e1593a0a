package queue

import (
	"context"
	"sync"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/app/health"
	"app238.com/inner/app/server"
)

const (
	// probeTime bounds one probe. It is less than the time that a check of /readyz has.
	probeTime = 2 * time.Second
	// fresh is how long what was found out holds, so that many who ask cost one small write a second.
	fresh = time.Second
	// manyFailures is how many commits in a row have to fail until that alone says that this replica cannot accept.
	manyFailures = 3
	// failureHold is how long it says so after the last of them; then a probe decides, since nobody sends accepts any more.
	failureHold = 5 * time.Second
)

// readiness knows whether accepts succeed: by those that come, and, where none do, by a probe.
type readiness struct {
	probe func(context.Context) error
	turn  chan struct{} // held by the one who probes

	mu       sync.Mutex
	proven   time.Time // the last success
	failures int       // commits that failed since
	failed   time.Time // the last of them
	fault    error     // of the last failure, of a commit or a probe
	probed   time.Time
}

func newReadiness(probe func(context.Context) error) *readiness {
	return &readiness{probe: probe, turn: make(chan struct{}, 1)}
}

// note takes down what became of a commit. A failure that its tasks are to blame for says nothing.
func (r *readiness) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.succeeded()
	case database.IsUnavailable(err):
		r.failures++
		r.failed, r.fault = time.Now(), err
	}
}

func (r *readiness) succeeded() {
	r.proven, r.failures, r.fault = time.Now(), 0, nil
}

// known returns what is known without a probe.
func (r *readiness) known() (known bool, fault error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.failures >= manyFailures && time.Since(r.failed) < failureHold:
		return true, r.fault
	case r.failures == 0 && time.Since(r.proven) < fresh:
		return true, nil
	}
	return time.Since(r.probed) < fresh && !r.probed.Before(r.failed), r.fault
}

// Check is the part of /readyz that says whether this replica can accept tasks.
func (q *Queue) Check() server.Check { return server.Check{Name: "accepts", Ready: q.Ready} }

// Ready returns nil where tasks can be accepted, or an error whose text may be shown.
func (q *Queue) Ready(ctx context.Context) error {
	fault := q.ready.ask(ctx)
	return health.NewFailure("database: "+database.Explain(fault), fault)
}

func (r *readiness) ask(ctx context.Context) error {
	if known, fault := r.known(); known {
		return fault
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if known, fault := r.known(); known { // by the one who had the turn before
		return fault
	}
	// What is found out is for others too, who may wait longer than this one.
	probing, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	began := time.Now()
	err := r.probe(probing)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probed = time.Now()
	switch {
	case err != nil:
		r.fault = err
	case !r.failed.Before(began): // accepts failed meanwhile
		return r.fault
	case time.Since(r.failed) < failureHold: // the accepts that come decide
		r.fault = nil
	default:
		r.succeeded()
	}
	return err
}
