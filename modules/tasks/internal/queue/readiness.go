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
	// probeTimeout limits one probe. It is shorter than the time limit of a check of /readyz.
	probeTimeout = 2 * time.Second
	// resultTTL is how long the result of a probe is reused, so that many requests cost one small write a second.
	resultTTL = time.Second
	// failureThreshold is the number of consecutive failed commits after which this replica is not ready without a
	// probe.
	failureThreshold = 3
	// failureTTL is how long it is not ready after the last of them; then a probe decides, because no accepts arrive
	// any more.
	failureTTL = 5 * time.Second
)

// readiness reports whether accepts succeed: by the commits that are made or, if there are none, by a probe.
type readiness struct {
	probe   func(context.Context) error
	probing chan struct{} // held while probing

	mu          sync.Mutex
	succeededAt time.Time // time of the last success
	failures    int       // failed commits since then
	failedAt    time.Time // time of the last of them
	err         error     // of the last failed commit or probe
	probedAt    time.Time
}

func newReadiness(probe func(context.Context) error) *readiness {
	return &readiness{probe: probe, probing: make(chan struct{}, 1)}
}

// record records the result of a commit. An error caused by the tasks themselves is ignored.
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

// cached returns what is known without a probe.
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

// Ready returns nil if tasks can be accepted, otherwise an error whose text may be shown.
func (q *Queue) Ready(ctx context.Context) error {
	err := q.ready.check(ctx)
	return health.NewFailure("database: "+database.Explain(err), err)
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
	if cached, err := r.cached(); cached { // by the previous prober
		return err
	}
	// The result is shared with callers that may wait longer than this one.
	probeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	began := time.Now()
	err := r.probe(probeCtx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probedAt = time.Now()
	switch {
	case err != nil:
		r.err = err
	case !r.failedAt.Before(began): // commits failed meanwhile
		return r.err
	case time.Since(r.failedAt) < failureTTL: // commits decide
		r.err = nil
	default:
		r.succeeded()
	}
	return err
}
