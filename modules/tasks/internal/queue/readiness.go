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
	probeTimeout = 2 * time.Second
	// fresh is how long what was found out holds, so that many who ask cost one small write a second.
	resultTTL = time.Second
	// manyFailures is how many commits in a row have to fail until that alone says that this replica cannot accept.
	failureThreshold = 3
	// failureHold is how long it says so after the last of them; then a probe decides, since nobody sends accepts any more.
	failureTTL = 5 * time.Second
)

// readiness knows whether accepts succeed: by those that come, and, where none do, by a probe.
type readiness struct {
	probe   func(context.Context) error
	probing chan struct{} // held by the one who probes

	mu          sync.Mutex
	succeededAt time.Time // the last success
	failures    int       // commits that failed since
	failedAt    time.Time // the last of them
	err         error     // of the last failure, of a commit or a probe
	probedAt    time.Time
}

func newReadiness(probe func(context.Context) error) *readiness {
	return &readiness{probe: probe, probing: make(chan struct{}, 1)}
}

// note takes down what became of a commit. A failure that its tasks are to blame for says nothing.
func (r *readiness) record(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.succeeded()
	case database.IsUnavailable(err):
		r.failures++
		r.failedAt, r.err = time.Now(), err
	}
}

func (r *readiness) succeeded() {
	r.succeededAt, r.failures, r.err = time.Now(), 0, nil
}

// known returns what is known without a probe.
func (r *readiness) cached() (cached bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.failures >= failureThreshold && time.Since(r.failedAt) < failureTTL:
		return true, r.err
	case r.failures == 0 && time.Since(r.succeededAt) < resultTTL:
		return true, nil
	}
	return time.Since(r.probedAt) < resultTTL && !r.probedAt.Before(r.failedAt), r.err
}

// Check is the part of /readyz that says whether this replica can accept tasks.
func (q *Queue) Check() server.Check { return server.Check{Name: "accepts", Ready: q.Ready} }

// Ready returns nil where tasks can be accepted, or an error whose text may be shown.
func (q *Queue) Ready(ctx context.Context) error {
	err := q.ready.check(ctx)
	return health.Because("database: "+database.Explain(err), err)
}

func (r *readiness) check(ctx context.Context) error {
	if cached, err := r.cached(); cached {
		return err
	}
	select {
	case r.probing <- struct{}{}:
		defer func() { <-r.probing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if cached, err := r.cached(); cached { // by the one who had the turn before
		return err
	}
	// What is found out is for others too, who may wait longer than this one.
	probing, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	began := time.Now()
	err := r.probe(probing)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probedAt = time.Now()
	switch {
	case err != nil:
		r.err = err
	case !r.failedAt.Before(began): // accepts failed meanwhile
		return r.err
	case time.Since(r.failedAt) < failureTTL: // the accepts that come decide
		r.err = nil
	default:
		r.succeeded()
	}
	return err
}
