package claims

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
)

func TestWindowFollowsWhatWorkersStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		active, started int
		late            bool
		slots           int
	}{
		"idle workers":                   {0, 0, false, 512},
		"workers that start many":        {4, 1000, false, 512},
		"workers that start some":        {4, 10, false, 14},
		"late claims":                    {4, 10, true, 10},
		"workers that all run long ones": {4, 0, false, 0},
		"one idle beside long ones":      {3, 0, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lane := NewTracker(&config.Config{Tasks: config.Tasks{Workers: 4, Buffer: 512}}).Lanes()[0]
			for range c.active {
				lane.StartTask(0)
			}
			lane.started.Store(int64(c.started))
			lane.adaptWindow(c.late)
			require.Equal(t, c.slots, lane.ReserveSlots(1000))
		})
	}
}
