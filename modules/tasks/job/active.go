package job

import "context"

// Busy tells what is being worked at.
type ActiveKeys interface {
	// Busy returns those of the ordering keys that have a task which has not ended: pending, processing or waiting.
	ActiveKeys(ctx context.Context, orderingKeys []string) ([]string, error)
}
