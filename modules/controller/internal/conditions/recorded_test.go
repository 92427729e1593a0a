package conditions_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

func TestFailureAndRecoveryAfterRunAreRecorded(t *testing.T) {
	t.Parallel()
	app := setup()
	degraded, down := crashed, crashed
	degraded.Since, degraded.Serving, down.Since = noon, true, noon
	for _, test := range []struct {
		state    conditions.State
		err      error
		recorded bool
	}{
		{running, nil, true}, {deploying, nil, false}, {degraded, nil, true}, {degraded, nil, false}, {down, errors.New("away"), true},
		{deploying, nil, false}, {down, nil, true}, {down, nil, false}, {running, nil, true}, {running, nil, false}, {down, nil, true},
	} {
		outcome, ok := step(t, app, test.state, test.err)
		require.Equal(t, test.recorded, ok, "%+v", test)
		if ok && test.state.Phase == workerapp.Failed {
			require.Equal(t, rollout.Outcome{WorkerID: "a", OwnerID: "b", Origin: workerapp.Origin{Version: 7, Task: 42},
				Reason: "exit code 1", HadRun: true, Since: noon, Serving: test.state.Serving}, outcome)
		}
	}
}
