package jobs

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/wish"
)

// SyncEnvType is the job type of a changed environment.
const SyncEnvType = "worker.sync_env"

// NewSyncEnv defines the job. What comes with the task is not looked at: the wish is workers.env_json, which the controller
// reads and puts into the ConfigMap.
func NewSyncEnv(p Params) job.Definition {
	return job.Define(job.Spec{Type: SyncEnvType, Aliases: []string{"SyncEnvJob", "SyncEnv"}}, sync{p, checkEnvironment})
}

// checkEnvironment refuses what no pod can have before anything is changed.
func checkEnvironment(_ context.Context, w *ent.Worker, _ Sync) error {
	if err := wish.CheckEnvironment(w.EnvJSON); err != nil {
		return job.NewPermanent("%s", err.Error())
	}
	return nil
}
