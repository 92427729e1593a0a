package job_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/job"
)

type withoutDiscardHandler struct{}

func (withoutDiscardHandler) Execute(context.Context, job.Task, greeting) error { return nil }

func TestOnDiscardedIsOptional(t *testing.T) {
	t.Parallel()
	task, err := job.Define(job.Spec{Type: "example.greet"}, withoutDiscardHandler{}).Prepare([]byte(`{"name":"Ada"}`))
	require.NoError(t, err)
	require.NoError(t, task.OnDiscarded(t.Context(), job.Task{}, "cancelled"))
}
