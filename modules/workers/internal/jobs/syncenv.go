package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"app238.com/inner/ent"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/desired"
)

// SyncEnvType is the job type of a changed environment.
const SyncEnvType = "worker.sync_env"

// SyncEnv is the payload of a changed environment. The environment in the request may be large and is not stored, as it is
// in workers.env_json. A digest in its place distinguishes requests.
type SyncEnv struct {
	Sync
	Digest string `json:"digest,omitempty"`
}

// UnmarshalJSON decodes the payload and drops the environment.
func (s *SyncEnv) UnmarshalJSON(encoded []byte) error {
	type plain SyncEnv
	if err := json.Unmarshal(encoded, (*plain)(s)); err != nil {
		return err
	}
	if len(s.Data) == 0 {
		return nil
	}
	data, err := json.Marshal(s.Data)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	s.Digest, s.Data = hex.EncodeToString(sum[:]), map[string]*string{}
	return nil
}

type syncEnv struct{ sync }

var _ job.DiscardHandler[SyncEnv] = syncEnv{}

// NewSyncEnv defines the job. The desired state is workers.env_json, which the controller copies to the ConfigMap.
func NewSyncEnv(p Params) job.Definition {
	return job.Define(job.Spec{Type: SyncEnvType, Aliases: []string{"SyncEnvJob", "SyncEnv"}}, syncEnv{sync{p, checkEnvironment}})
}

// Execute implements job.Job.
func (s syncEnv) Execute(ctx context.Context, task job.Task, p SyncEnv) error {
	return s.sync.Execute(ctx, task, p.Sync)
}

// OnDiscarded implements job.DiscardHandler.
func (s syncEnv) OnDiscarded(ctx context.Context, task job.Task, p SyncEnv, reason string) error {
	return s.sync.OnDiscarded(ctx, task, p.Sync, reason)
}

// checkEnvironment rejects an invalid environment before anything is changed.
func checkEnvironment(_ context.Context, w *ent.Worker, _ Sync) error {
	if err := desired.CheckEnvironment(w.EnvJSON); err != nil {
		return job.NewTerminal("%s", err.Error())
	}
	return nil
}
