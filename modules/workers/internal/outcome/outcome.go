// Package outcome is the workers' side of a rollout: it tells the controller what the rows wish the pods to see, and
// writes to the rows how a rollout ended.
package outcome

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/jobs"
	"app238.com/inner/modules/workers/internal/rows"
)

// Outcome implements rollout.Source and rollout.Recorder.
type Outcome struct {
	rows  *rows.Rows
	queue job.Queue
}

// New returns an Outcome.
func New(r *rows.Rows, q job.Queue) *Outcome { return &Outcome{rows: r, queue: q} }

// Content implements rollout.Source.
func (o *Outcome) Content(ctx context.Context, workerID, ownerID string) (rollout.Content, error) {
	w, err := o.rows.Worker(ctx, workerID, ownerID)
	if err != nil {
		return rollout.Content{}, noOwner(err)
	}
	key, err := o.rows.SecretKey(ctx, ownerID)
	if err != nil {
		return rollout.Content{}, noOwner(err)
	}
	env, err := environment(w.EnvJSON)
	if err != nil {
		return rollout.Content{}, err
	}
	return rollout.Content{Env: env, SecretKey: key}, nil
}

func noOwner(err error) error {
	if errors.Is(err, rows.ErrNoWorker) || errors.Is(err, rows.ErrNoUser) {
		return rollout.ErrNoOwner
	}
	return err
}

// environment reads env_json. A value that is not a string is taken as its JSON text, since a pod sees strings only.
func environment(encoded string) (map[string]string, error) {
	if encoded == "" {
		return map[string]string{}, nil
	}
	var values map[string]json.RawMessage
	if json.Unmarshal([]byte(encoded), &values) != nil {
		return nil, errors.New("env_json is not a JSON object") // the decoder's message may quote a value
	}
	env := make(map[string]string, len(values))
	for name, raw := range values {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		env[name] = text
	}
	return env, nil
}

// Record implements rollout.Recorder: it writes the rows, then lets the parked task look at them. A success after a
// failure heals the task too.
func (o *Outcome) Record(ctx context.Context, r rollout.Outcome) error {
	var err error
	if r.Running {
		err = o.rows.Succeeded(ctx, r.WorkerID, r.OwnerID, int(r.Version))
	} else {
		err = o.rows.Failed(ctx, r.WorkerID, r.OwnerID, int(r.Version), r.Reason)
	}
	if err != nil {
		return fmt.Errorf("record version %d: %w", r.Version, err)
	}
	if r.Running {
		if err := o.queue.Heal(ctx, r.Task); err != nil {
			return fmt.Errorf("heal task %d: %w", r.Task, err)
		}
	}
	return o.queue.Wake(ctx, jobs.OrderingKey(r.WorkerID, r.OwnerID))
}
