// Package faults is shared by the tests that inject random faults.
package faults

import (
	"context"
	"crypto/rand"
	"math/big"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Seed returns INNER_CHAOS_SEED, or a random seed, and prints it.
func Seed(t *testing.T) uint64 {
	t.Helper()
	given := os.Getenv("INNER_CHAOS_SEED")
	if given == "" {
		n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
		require.NoError(t, err)
		given = n.String()
	}
	seed, err := strconv.ParseUint(given, 10, 64)
	require.NoError(t, err, "INNER_CHAOS_SEED")
	t.Logf("INNER_CHAOS_SEED=%d", seed)
	return seed
}

// Pause waits for d or until ctx ends: the duration of a fault, or of the time between faults.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
