package chaos_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/chaos/echo"
)

// A job may end its process each time, by its use of memory or a fault of the runtime. That must not go on for ever, nor
// cost the tasks anything that happen to be in the same process.
func TestTaskThatCrashesProcessesIsDiscarded(t *testing.T) {
	t.Parallel()
	const others = 80
	w := newFixture(t)
	w.maxTakeovers = 5
	gate := w.file("deadly", "gate")
	r := w.start(t, "replica-1")
	deadly, err := r.accept(t.Context(), echo.Note{Key: "deadly", Seq: 1, Token: "deadly", Deadly: true, Hold: 2000, Gate: gate})
	require.NoError(t, err)
	behind, err := r.accept(t.Context(), echo.Note{Key: "deadly", Seq: 2, Token: "behind", Hold: 1})
	require.NoError(t, err)
	_, err = acceptAll(t.Context(), r, others, single("other", 200, ""))
	require.NoError(t, err)
	open(t, gate)
	all := []*replica{r}
	w.await(t, 3*timeout, "the deadly task is given up and the others are done", func() bool {
		select {
		case <-r.process.Done():
			r, err = w.launch(t.Context(), fmt.Sprintf("replica-%d", len(all)+1))
			require.NoError(t, err)
			t.Cleanup(r.process.Kill)
			all = append(all, r)
		default:
		}
		return w.count(t, `SELECT count(*) FROM console_tasks WHERE finished_at IS NULL`) == 0
	})
	for id, row := range w.rows(t) {
		if id != deadly {
			require.Equal(t, "finished", row.status, row.info)
			continue
		}
		require.Equal(t, "error", row.status)
		require.Equal(t, "discarded: 5 processes ended while running it", row.last)
	}
	byTask := map[int64]int{}
	for _, e := range executions(t, all...) {
		byTask[e.task]++
	}
	require.Equal(t, w.maxTakeovers, byTask[deadly], "executions of what ends its process")
	require.Len(t, all, w.maxTakeovers+1)
	require.Equal(t, 1, byTask[behind], "what waits behind it runs when it is given up")
	w.requireSound(t)
}
