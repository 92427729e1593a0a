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
	// look is how often its size is measured.
	look time.Duration
	// audits is how often the platform audits itself, and goes over all domains.
	audits time.Duration
	// retention is how long ended tasks are kept; 0: for longer than the test takes.
	retention time.Duration
}

// soaking tells whether the platform works for long with nothing broken, to see whether anything grows.
func soaking() bool { return os.Getenv("INNER_CHAOS") == "soak" }

// newExtent is short in make test, half an hour of faults in make chaos, and an hour without any in make soak. INNER_CHAOS_SPAN
// says how long otherwise.
func newExtent(t *testing.T) extent {
	t.Helper()
	mode := os.Getenv("INNER_CHAOS")
	if mode == "" {
		return extent{look: 10 * time.Second, audits: 30 * time.Second, breaks: true}
	}
	e := extent{span: 30 * time.Minute, faults: 50, look: time.Minute, audits: 30 * time.Second, breaks: true}
	if soaking() {
		e = extent{span: time.Hour, audits: 10 * time.Second}
	} else {
		require.Equal(t, "long", mode, "INNER_CHAOS")
	}
	if given := os.Getenv("INNER_CHAOS_SPAN"); given != "" {
		var err error
		e.span, err = time.ParseDuration(given)
		require.NoError(t, err, "INNER_CHAOS_SPAN")
	}
	if soaking() {
		e.look, e.retention = e.span/120, e.span/12
	}
	return e
}
