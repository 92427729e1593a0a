package jobs

import (
	"errors"

	"app238.com/inner/app/database"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/store"
)

// databaseError maps an error of the database to the error of a task.
func databaseError(what string, err error) error {
	if database.IsUnavailable(err) {
		return job.NewUnavailable("database", err)
	}
	return job.NewRetry(what+" failed", err)
}

// clusterError maps an error of the API server to the error of a task.
func clusterError(what string, err error) error {
	switch {
	case kube.WebhookUnavailable(err): // the webhook may never come back, so each try counts as an attempt
		return job.NewRetry(what+" failed: a webhook of the cluster does not answer", err)
	case kube.Unavailable(err):
		return job.NewUnavailable("cluster", err)
	case kube.Refused(err):
		e := job.NewTerminal("%s failed: the cluster refused the worker's settings: %s", what, kube.InvalidFields(err))
		e.Cause = err
		return e
	}
	return job.NewRetry(what+" failed", err)
}

// rolloutFailed ends a task whose rollout failed. The reason may quote output of the container.
func rolloutFailed(reason string) error {
	failed := job.NewTerminal("the rollout failed: %s", reason)
	failed.Quoted = true
	return failed
}

func isNotFound(err error) bool {
	return errors.Is(err, store.ErrNoWorker) || errors.Is(err, store.ErrNoVersion) || errors.Is(err, store.ErrNoUser)
}
