package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"app238.com/inner/app/config"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/tracing"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/processor"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/collector"
)

// leakyJob fails with its secret in the error, in a different way at each attempt.
type leakyJob struct {
	mu     sync.Mutex
	reason string
}

func (*leakyJob) Execute(_ context.Context, task job.Task, v vault) error {
	cause := fmt.Errorf("the cluster said %s", *v.Value)
	switch task.Attempt {
	case 1:
		return cause
	case 2:
		panic(cause)
	case 3:
		return fmt.Errorf("write: %w", job.NewRetry("refused "+*v.Value, cause))
	}
	return &job.Error{Kind: job.Terminal, Text: "refused " + *v.Value, Cause: cause}
}

func (j *leakyJob) OnDiscarded(_ context.Context, _ job.Task, v vault, reason string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.reason == "" {
		j.reason = reason
		return errors.New("no row for " + *v.Value)
	}
	return nil
}

func TestSecretsOfErrorsAreRedactedEverywhere(t *testing.T) {
	t.Parallel()
	const secret = "hidden-value"
	b := setup(t)
	j := &leakyJob{}
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.leaky"}, j)}))
	core, logs := observer.New(zap.DebugLevel)
	b.log = logging.Redacting(core)
	to := collector.New(t)
	traces, err := tracing.New(&config.Config{Tracing: config.Tracing{Endpoint: to.URL, Ratio: 1, Timeout: time.Second}})
	require.NoError(t, err)
	id, err := b.queue.AcceptInfo(t.Context(), "test.leaky", []byte(`{"key":"shown-key","value":"`+secret+`"}`), "")
	require.NoError(t, err)
	_, err = b.db.ExecContext(t.Context(),
		`UPDATE console_tasks SET trace_parent = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01'`)
	require.NoError(t, err)
	p := processor.New(b.config, b.log, b.registry, b.store, b.heartbeats, claims.NewTracker(b.config), newMetrics(t), traces)
	require.NoError(t, p.Start(t.Context()))
	stop := sync.OnceFunc(func() { require.NoError(t, p.Stop(context.Background())) })
	t.Cleanup(stop)
	view := b.awaitStatus(t, id, store.Failed)
	stop()
	require.NoError(t, traces.Stop(t.Context()))
	require.Equal(t, "refused ***", view.LastError)
	require.Equal(t, "refused ***", j.reason)
	require.Zero(t, b.count(t, `task_detailed_status LIKE '%`+secret+`%'`))
	shown, err := b.admin().Show(t.Context(), id)
	require.NoError(t, err)
	texts := fmt.Sprint(shown.Errors)
	require.Contains(t, texts, "the cluster said ***")
	require.NotContains(t, texts, secret)
	failed := 0
	for _, span := range to.Spans() {
		require.NotContains(t, span.Text, secret)
		if span.Failed {
			failed++
		}
	}
	require.GreaterOrEqual(t, failed, 4)
	for _, line := range logs.All() {
		require.NotContains(t, fmt.Sprint(line.Message, line.ContextMap()), secret)
	}
	require.Equal(t, "refused ***: the cluster said ***", logs.FilterMessage("task discarded").All()[0].ContextMap()["error"])
}
