package platform_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// extent is how long the platform works, and how much of it breaks meanwhile.
type extent struct {
	// span is how long it works at least.
	span time.Duration
	// breaks says whether anything breaks, faults how often at least; each kind breaks once in any case.
	breaks bool
	faults int
	// sampleInterval is how often its size is measured.
	sampleInterval time.Duration
	// audits is how often the platform audits itself, and goes over all domains.
	audits time.Duration
	// measures is how often the sizes of schemas are measured; 0: every 15 s.
	measures time.Duration
	// resync is how often all domains are compared with their rows; 0: every 2 s.
	resync time.Duration
	// retention is how long ended tasks are kept; 0: for longer than the test takes.
	retention time.Duration
	// ownDatabase is the template of the names of the databases that users have; without it all share one.
	ownDatabase string
}

// soaking tells whether the platform works for long with nothing broken, to see whether anything grows.
func soaking() bool { return os.Getenv("INNER_CHAOS") == "soak" }

// operates tells whether the platform's database is operated as real ones are, behind a pooler: that takes the time that make
// chaos has.
func (e extent) operates() bool { return e.faults > 0 }

// newExtent is short in make test, half an hour of faults in make chaos, and an hour without any in make soak. INNER_CHAOS_SPAN
// says how long otherwise.
func newExtent(t *testing.T) extent {
	t.Helper()
	e := extent{sampleInterval: 10 * time.Second, audits: 30 * time.Second, breaks: true}
	switch mode := os.Getenv("INNER_CHAOS"); {
	case mode == "":
		return e
	case soaking():
		e.span, e.audits, e.breaks = time.Hour, 10*time.Second, false
	default:
		require.Equal(t, "long", mode, "INNER_CHAOS")
		e.span, e.faults, e.sampleInterval = 30*time.Minute, 50, time.Minute
	}
	if given := os.Getenv("INNER_CHAOS_SPAN"); given != "" {
		var err error
		e.span, err = time.ParseDuration(given)
		require.NoError(t, err, "INNER_CHAOS_SPAN")
	}
	if soaking() {
		e.sampleInterval, e.retention = e.span/120, max(e.span/12, time.Minute)
	}
	return e
}
