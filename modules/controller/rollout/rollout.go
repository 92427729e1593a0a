// Package rollout declares what the controller needs of the module that owns the database rows: a seam that modules/workers
// implements.
//
// The controller reads no rows. It asks for the environment of a worker's pods, and reports the outcome of each rollout.
package rollout

import (
	"context"
	"errors"
	"time"

	"app238.com/inner/modules/controller/workerapp"
)

// ErrNoOwner is returned by a Source if the worker or its owner has no row any more.
var ErrNoOwner = errors.New("the worker or its owner is not in the database")

// Content is the environment of a worker's pods without the keys that the platform adds.
type Content struct {
	// Env is the user's environment, from workers.env_json.
	Env map[string]string
	// SecretKey is the owner's key for the Combinator, from users.secret_key. It is stored in the worker's Secret only.
	SecretKey string
	// Served means that a version of the worker was successful, from workers.active_version_id.
	Served bool
}

// Source reads the content of a worker from the database. It is called only if the content may have changed or was lost.
type Source interface {
	Content(ctx context.Context, workerID, ownerID string) (Content, error)
}

// Outcome is the outcome of the rollout of a version.
type Outcome struct {
	WorkerID, OwnerID string
	// Origin identifies the version and its task.
	workerapp.Origin
	// Running is true if every pod of this version is ready, false if the rollout has failed for now.
	Running bool
	// Reason is why it failed, for people.
	Reason string
	// HadRun means that the version ran before it failed. Since is the time since when its pods fail, and Serving whether any
	// pod is ready nevertheless.
	HadRun  bool
	Since   time.Time
	Serving bool
}

// Recorder writes an outcome to the database. It may be called more than once with the same outcome, with a success after a
// failure of the same version, and with a failure after a success. The controller retries after an error.
type Recorder interface {
	Record(ctx context.Context, outcome Outcome) error
}
