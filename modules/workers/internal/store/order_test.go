package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/workers/internal/store"
)

func TestNewerUsesTaskOrderForCloseRowIDs(t *testing.T) {
	t.Parallel()
	const rowid = 1_180_000_000_000_000_000 // one of 2026
	for name, c := range map[string]struct {
		a, b               int64
		ifEarlier, ifLater bool
	}{
		"counted":                   {a: 2, b: 1, ifEarlier: true, ifLater: true},
		"counted, older":            {a: 1, b: 2},
		"the same":                  {a: rowid, b: rowid},
		"seconds apart":             {a: rowid + 2*100_000<<15, b: rowid, ifEarlier: true, ifLater: true},
		"seconds apart, older":      {a: rowid, b: rowid + 2*100_000<<15},
		"400 ms apart":              {a: rowid + 40_000<<15, b: rowid, ifLater: true},
		"400 ms apart, other order": {a: rowid, b: rowid + 40_000<<15, ifLater: true},
		"counted beside a rowid":    {a: rowid, b: 1<<53 - 1, ifEarlier: true, ifLater: true},
	} {
		require.Equal(t, c.ifEarlier, store.Newer(c.a, c.b, false), name)
		require.Equal(t, c.ifLater, store.Newer(c.a, c.b, true), name)
	}
}
