package claims

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
)

func TestOfferNextKeepsTasksOrRequestsFetch(t *testing.T) {
	t.Parallel()
	full := make([]int64, maxNext)
	for i := range full {
		full[i] = int64(i + 1)
	}
	for name, c := range map[string]struct {
		open   bool
		before []int64
		ids    []int64
		kept   bool
	}{
		"lane with workers":    {true, nil, []int64{7, 8}, true},
		"more tasks":           {true, []int64{6}, []int64{7, 8}, true},
		"lane without workers": {false, nil, []int64{7, 8}, false},
		"one of another lane":  {true, nil, []int64{7, 0}, false},
		"too many":             {true, full, []int64{7}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := NewTracker(&config.Config{Tasks: config.Tasks{Workers: 1, Buffer: 4}})
			lane := b.Lanes()[0]
			lane.SetOpen(c.open)
			require.True(t, lane.addNext(c.before))
			b.OfferNext(lane, c.ids...)
			if c.kept {
				require.Len(t, b.NextOffered(), 1)
				require.Empty(t, b.Notified())
				require.Equal(t, append(c.before, c.ids...), lane.TakeNext(2*maxNext))
			} else {
				require.Len(t, b.Notified(), 1)
				require.Empty(t, b.NextOffered())
				require.Len(t, lane.TakeNext(2*maxNext), len(c.before))
			}
			require.Zero(t, lane.NextCount())
		})
	}
	b := NewTracker(&config.Config{})
	b.OfferNext(nil, 7)
	require.Len(t, b.Notified(), 1, "not a lane of this process")
}
