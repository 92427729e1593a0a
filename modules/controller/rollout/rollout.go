// Package rollout is what the controller asks of whoever owns the database rows: a seam, implemented by modules/workers.
//
// The controller knows no rows. It is told what a worker's pods shall find in their environment, and it tells how the
// rollout of a version ended.
package rollout

import (
	"context"
	"errors"
	"time"

	"app238.com/inner/modules/controller/workerapp"
)

// ErrNoOwner says that no row justifies the worker any more. A Source returns it.
var ErrNoOwner = errors.New("the worker or its owner is not in the database")

// Content is what a worker's pods find in their environment beside what the platform adds.
type Content struct {
	// Env is the user's environment, from workers.env_json.
	Env map[string]string
	// SecretKey is the owner's key for the Combinator, from users.secret_key. It goes into the worker's Secret only.
	SecretKey string
	// Served tells that a version of the worker has been a success, from workers.active_version_id.
	Served bool
}

// Source looks up the content of a worker. It is asked only when the content may have changed or was lost.
type Source interface {
	Content(ctx context.Context, workerID, ownerID string) (Content, error)
}

// Outcome is how the rollout of a version ended.
type Outcome struct {
	WorkerID, OwnerID string
	// Origin names the version and the task that asked for it.
	workerapp.Origin
	// Running is true when every pod of this version serves; false when the rollout failed for now.
	Running bool
	// Reason says in words why it failed.
	Reason string
	// Later says that the version had run before it failed; Since is since when its pods fail, and Serving tells whether any
	// pod serves all the same.
	HadRun  bool
	Since   time.Time
	Serving bool
}

// Recorder writes an outcome to the database. The same outcome may come more than once, a failure may be followed by success
// of the same version, and a success by a later failure. An error means that it was not recorded: the controller tries again.
type Recorder interface {
	Record(ctx context.Context, outcome Outcome) error
}
