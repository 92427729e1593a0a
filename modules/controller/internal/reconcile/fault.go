package reconcile

import (
	"errors"
	"time"

	"app238.com/inner/modules/controller/internal/status"
)

// fault is what keeps a WorkerApp from being made that no mere repetition mends: the owner must change something, or the
// database or the cluster's rules must. It fails the WorkerApp and says why.
type fault struct {
	reason, message string
	// cause, where there is one, is tried again like any error; its own words are for the log.
	cause error
}

func (f *fault) Error() string { return f.message }

func (f *fault) Unwrap() error { return f.cause }

func faultOf(err error) (*fault, bool) {
	var f *fault
	ok := errors.As(err, &f)
	return f, ok
}

// again returns when to look again. A name in the environment is mended by a new task, which brings a look by itself;
// rows may come back without one.
func (f *fault) again(slow time.Duration) (time.Duration, error) {
	if f.reason == status.NoOwner {
		return slow, nil
	}
	return 0, f.cause
}
