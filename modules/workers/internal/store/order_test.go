package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/workers/internal/store"
)

func TestRowidsOfTheSameSecondAreInTheOrderOfTheirTasks(t *testing.T) {
	t.Parallel()
	const rowid = 1_180_000_000_000_000_000 // one of 2026
	for name, c := range map[string]struct {
		a, b           int64
		before, anyway bool
	}{
		"counted":                   {a: 2, b: 1, before: true, anyway: true},
		"counted, older":            {a: 1, b: 2},
		"the same":                  {a: rowid, b: rowid},
		"seconds apart":             {a: rowid + 2*100_000<<15, b: rowid, before: true, anyway: true},
		"seconds apart, older":      {a: rowid, b: rowid + 2*100_000<<15},
		"400 ms apart":              {a: rowid + 40_000<<15, b: rowid, anyway: true},
		"400 ms apart, other order": {a: rowid, b: rowid + 40_000<<15, anyway: true},
		"counted beside a rowid":    {a: rowid, b: 1<<53 - 1, before: true, anyway: true},
	} {
		require.Equal(t, c.before, store.Newer(c.a, c.b, false), name)
		require.Equal(t, c.anyway, store.Newer(c.a, c.b, true), name)
	}
}
