package kube

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
)

// conflictBackoff spans over a second: while a Deployment rolls out, its controller writes its status several times a
// second.
var conflictBackoff = wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 8}

// IsConflict reports whether err means that somebody else changed or created the object since it was read: a 409. It is not
// a failure; the next attempt, on what is there now, is expected to succeed.
func IsConflict(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// RetryConflicts calls write again, with growing delays, while it returns a conflict; write reads the object anew each time.
func RetryConflicts(write func() error) error {
	return retry.OnError(conflictBackoff, apierrors.IsConflict, write)
}
