package status

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/status"
)

// fakeEngine is an engine that is configured or not, and ready or not.
type fakeEngine struct {
	configured bool
	err        error
}

func (p fakeEngine) Configured() bool            { return p.configured }
func (p fakeEngine) Ready(context.Context) error { return p.err }

func TestOnlyConfiguredUnreachableEngineIsDown(t *testing.T) {
	t.Parallel()
	for want, engines := range map[status.Condition][]fakeEngine{
		status.OK:   {{configured: true}, {configured: false, err: errors.New("no server")}},
		status.Down: {{configured: true, err: errors.New("does not answer")}},
	} {
		for _, e := range engines {
			answer := status.ProbeAll(t.Context(), []status.Component{component("engine", e)}, time.Minute, error.Error)
			require.Equal(t, want, answer.Condition, "%+v", e)
		}
	}
}
