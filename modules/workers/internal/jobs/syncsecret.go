package jobs

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/desired"
)

// SyncSecretType is the job type of a changed secret.
const SyncSecretType = "worker.sync_secret" //nolint:gosec // a job type, no credential

// NewSyncSecret defines the job. The keys are those of workers.secrets_json; the values come with the task and are
// written to the worker's Secret, also before the first deploy.
func NewSyncSecret(p Params) job.Definition {
	return job.Define(job.Spec{Type: SyncSecretType, Aliases: []string{"SyncSecretJob", "SyncSecret"}}, sync{p, p.patchSecret})
}

func (p Params) patchSecret(ctx context.Context, w *ent.Worker, s Sync) error {
	keys, err := desired.SecretKeys(w.SecretsJSON)
	if err != nil {
		return job.NewTerminal("%s", err.Error())
	}
	actual, found, err := p.Secrets.Get(ctx, s.WorkerID, s.UserUID)
	if err != nil {
		return clusterError("reading the Secret", err)
	}
	change, err := desired.DiffSecret(actual, keys, s.Data)
	switch {
	case err != nil:
		return job.NewTerminal("%s", err.Error())
	case change.Empty():
		return nil
	case found:
		err = p.Secrets.Patch(ctx, s.WorkerID, s.UserUID, change)
	default:
		err = p.Secrets.Create(ctx, s.WorkerID, s.UserUID, change.Set)
	}
	if err != nil {
		return clusterError("writing the Secret", err) // a conflict with a write of the controller is retried
	}
	return nil
}
