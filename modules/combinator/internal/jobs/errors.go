package jobs

import (
	"context"
	"errors"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

const (
	// busyRetryInterval is the first delay of a task whose object is locked by other sessions. The delay grows, as the locks may
	// be held for any time and other users need the lane's workers.
	busyRetryInterval = 5 * time.Second
	// turnInterval is the delay of a task that has done a part: the tasks of other users run before the next part.
	turnInterval = 2 * time.Second
	// otherNameRetryInterval is the delay of a task that waits for a correction of the name templates.
	otherNameRetryInterval = time.Minute
	// leaseRetryInterval is the first delay of a task whose user's lease is held by another task.
	leaseRetryInterval = time.Second
)

// engineError maps an error of an engine to the error of a task.
func engineError(name string, err error) error {
	if kept, ok := errors.AsType[*engine.DependencyError](err); ok {
		return job.NewRetry(kept.Error(), nil)
	}
	if other, ok := errors.AsType[*engine.OtherPlatformError](err); ok {
		e := job.NewTerminal("%s in the %s was made by another platform and stays unchanged", other.Object, name)
		e.Cause = err
		return e
	}
	switch {
	case errors.Is(err, engine.ErrNotConfigured):
		return job.NewTerminal("this platform has no %s", name)
	case errors.Is(err, engine.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return job.NewUnavailable(name, err)
	case errors.Is(err, engine.ErrBusy):
		e := job.NewSnooze(busyRetryInterval, "waiting until this resource is no longer in use in the "+name)
		e.Cause, e.Backoff, e.MaxDelay = err, true, config.LongestSnooze
		return e
	case errors.Is(err, engine.ErrUnfinished):
		return job.NewSnooze(turnInterval, "a part of the resource is removed, the rest follows")
	case errors.Is(err, engine.ErrOtherName):
		// The row keeps its status: the data exists, and the configuration has to be corrected.
		e := job.NewSnooze(otherNameRetryInterval,
			"waiting until the configuration gives this resource the name that it has in the "+name)
		e.Cause = err
		return e
	case errors.Is(err, engine.ErrInvalid):
		e := job.NewTerminal("the %s cannot accept this resource: see the log", name)
		e.Cause = err
		return e
	}
	return job.NewRetry("the "+name+" refused", err)
}

// periodicError is engineError for a periodic job: when the engine is unavailable, the job waits for its next execution.
func periodicError(name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, engine.ErrUnavailable) {
		e := job.NewTerminal("the %s is unavailable; the next periodic execution tries again", name)
		e.Cause = err
		return e
	}
	return engineError(name, err)
}

// databaseError maps an error of the database to the error of a task.
func databaseError(what string, err error) error {
	switch {
	case errors.Is(err, store.ErrNoResource), errors.Is(err, store.ErrNoUser):
		return job.NewTerminal("%s", err.Error())
	case database.IsUnavailable(err):
		return job.NewUnavailable("database", err)
	}
	return job.NewRetry(what+" failed", err)
}

// leaseError maps an error of a user's lease to the error of a task.
func leaseError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrLeaseHeld), errors.Is(err, store.ErrLeaseLost):
		e := job.NewSnooze(leaseRetryInterval, "waiting until another task of the same user is done with the "+rdbEngine)
		e.Cause, e.Backoff = err, true
		return e
	}
	return databaseError("leasing the user", err)
}
