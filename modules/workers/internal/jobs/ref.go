package jobs

import (
	"fmt"

	"app238.com/inner/app/identifier"
)

// Ref names a worker in a payload.
type Ref struct {
	WorkerID string `json:"worker_id"`
	UserUID  string `json:"user_uid"`
}

// Validate checks both ids.
func (r Ref) Validate() error {
	if err := identifier.Check("worker_id", r.WorkerID); err != nil {
		return err
	}
	return identifier.Check("user_uid", r.UserUID)
}

// OrderingKey is the worker.
func (r Ref) OrderingKey() string { return OrderingKey(r.WorkerID, r.UserUID) }

// OrderingKey returns the ordering key of all tasks about a worker.
func OrderingKey(workerID, userUID string) string {
	return fmt.Sprintf("worker/%s/%s", userUID, workerID)
}
