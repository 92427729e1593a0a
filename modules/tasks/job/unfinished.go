package job

import "context"

// Unfinished tells what work is on its way.
type Unfinished interface {
	// Unfinished returns those of the ordering keys that have a task which has not ended: pending, processing or waiting.
	Unfinished(ctx context.Context, orderingKeys []string) ([]string, error)
}
