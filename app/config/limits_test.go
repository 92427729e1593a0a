package config

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// validConfig returns the defaults and a domain, which has none.
func validConfig(t *testing.T) *Config {
	t.Helper()
	c, err := readDefaults()
	require.NoError(t, err)
	c.Domain = "example.com"
	require.NoError(t, c.Validate())
	return c
}

// requireInvalid requires that the setting is invalid with this value.
func requireInvalid(t *testing.T, key string, set func(reflect.Value)) {
	t.Helper()
	c := validConfig(t)
	for _, s := range c.settings() {
		if s.key == key {
			set(s.value)
			require.ErrorContains(t, c.Validate(), key+": must be ", "%v", s.value)
			return
		}
	}
	require.Fail(t, "unknown setting: "+key)
}

func TestEveryNumberAndDurationHasLimits(t *testing.T) {
	t.Parallel()
	numbers, durations := allLimits().numbers, allLimits().durations
	for _, s := range validConfig(t).settings() {
		var found bool
		switch {
		case s.value.Type() == reflect.TypeFor[time.Duration]():
			_, found = durations[s.key]
		case s.value.CanInt(), s.value.CanUint(), s.value.CanFloat():
			_, found = numbers[s.key]
		default:
			continue
		}
		require.True(t, found, "%s has no limits", s.key)
	}
	for _, key := range slices.Sorted(maps.Keys(durations)) {
		limits := durations[key]
		for _, d := range []time.Duration{limits[0] - 1, limits[1] + 1, -time.Second, math.MaxInt64, math.MinInt64} {
			requireInvalid(t, key, func(v reflect.Value) { v.SetInt(int64(d)) })
		}
	}
	for _, key := range slices.Sorted(maps.Keys(numbers)) {
		limits := numbers[key]
		for _, n := range []float64{limits[0] - 1, limits[1] + 1, -1, math.MaxInt32, math.NaN()} {
			if key == "http.bodyMemory" && n == math.MaxInt32 || key == "domains.removalMinimum" && n < 1e9 && n > 0 {
				continue
			}
			requireInvalid(t, key, func(v reflect.Value) {
				if v.CanFloat() {
					v.SetFloat(n)
				} else {
					v.SetInt(int64(n))
				}
			})
		}
	}
	for _, n := range []int{0, -1, maxWorkers + 1} {
		c := validConfig(t)
		c.Tasks.Lanes = map[string]int{"slow": n}
		require.ErrorContains(t, c.Validate(), "tasks.lanes.slow")
	}
}

func TestErrorNamesAFractionalLimit(t *testing.T) {
	t.Parallel()
	c := validConfig(t)
	c.Controller.RestartsPerSecond = 0.001
	require.EqualError(t, c.Validate(), "controller.restartsPerSecond: must be 0.01 to 10000")
}
