package nearest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/nearest"
)

func TestNearestNameIsFound(t *testing.T) {
	t.Parallel()
	names := []string{"status", "statistics", "tasks", "tasks.workers", "tasks.pollInterval", "user", "until"}
	for name, want := range map[string]string{
		"statsu": "status", "stat": "", "task": "tasks", "TASKS.WORKERS": "tasks.workers", "tasks.wrkers": "tasks.workers",
		"tasks.pollintervall": "tasks.pollInterval", "usr": "user", "nothing": "", "": "", "ä": "",
	} {
		require.Equal(t, want, nearest.To(name, names), name)
	}
	require.Equal(t, "; did you mean tasks?", nearest.Hint("taks", names))
	require.Empty(t, nearest.Hint("zzz", names))
}
