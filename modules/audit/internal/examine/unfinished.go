package examine

import (
	"context"
	"maps"
	"slices"
)

func keys(set map[string]bool) []string { return slices.Collect(maps.Keys(set)) }

// unfinished returns which of the ordering keys have an unfinished task, asking for a page at a time.
func (r *run) unfinished(ctx context.Context, orderingKeys []string) (map[string]bool, error) {
	found := map[string]bool{}
	for part := range slices.Chunk(orderingKeys, r.config.PageSize) {
		busy, err := r.tasks.ActiveKeys(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, key := range busy {
			found[key] = true
		}
	}
	return found, nil
}
