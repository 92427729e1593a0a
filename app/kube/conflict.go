package kube

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

// conflictBackoff spans over a second: while a Deployment rolls out, its controller writes its status several times a
// second.
var conflictBackoff = wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 8}

// IsConflict reports whether err means that somebody else changed or created the object since it was read: a 409. It is not
// a failure; the next attempt, on what is there now, is expected to succeed.
func IsConflict(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// RetryConflicts calls write again, with growing delays, while it returns a conflict; write reads the object anew each time. It
// returns the last error of write, also once ctx ends.
func RetryConflicts(ctx context.Context, write func() error) error {
	var last error
	err := wait.ExponentialBackoffWithContext(ctx, conflictBackoff, func(context.Context) (done bool, err error) {
		if last = write(); IsConflict(last) {
			return false, nil
		}
		return true, last
	})
	if last == nil { // ctx had ended before the first call
		return err
	}
	return last
}
