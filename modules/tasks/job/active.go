package job

import "context"

// ActiveKeys finds the ordering keys that have unfinished tasks.
type ActiveKeys interface {
	// ActiveKeys returns the given ordering keys that have a pending, processing or waiting task.
	ActiveKeys(ctx context.Context, orderingKeys []string) ([]string, error)
}
