package status

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/status"
)

// played is an engine that is there or not, and answers or not.
type played struct {
	configured bool
	fault      error
}

func (p played) Configured() bool            { return p.configured }
func (p played) Ready(context.Context) error { return p.fault }

func TestAnEngineIsDownOnlyWhenThereIsOneAndItDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for want, engines := range map[status.Condition][]played{
		status.OK:   {{configured: true}, {configured: false, fault: errors.New("nobody there")}},
		status.Down: {{configured: true, fault: errors.New("does not answer")}},
	} {
		for _, e := range engines {
			answer := status.Ask(t.Context(), []status.Component{part("engine", e)}, time.Minute, error.Error)
			require.Equal(t, want, answer.Condition, "%+v", e)
		}
	}
}
