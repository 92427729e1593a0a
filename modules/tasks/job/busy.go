package job

import "context"

// Busy tells what is being worked at.
type Busy interface {
	// Busy returns those of the ordering keys that have a task which has not ended: pending, processing or waiting.
	Busy(ctx context.Context, orderingKeys []string) ([]string, error)
}
