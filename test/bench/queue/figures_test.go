package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMedianIsTheMiddleOfTheRuns(t *testing.T) {
	t.Parallel()
	require.Zero(t, median(nil))
	require.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
}

func TestRoundKeepsFourDigitsAndWholeNumbers(t *testing.T) {
	t.Parallel()
	for given, want := range map[float64]float64{0: 0, 12345.6: 12346, 1.23456: 1.235, 0.00123456: 0.001235} {
		require.InDelta(t, want, round(given), 1e-12)
	}
}

func TestPercentilesAreExactToOnePercent(t *testing.T) {
	t.Parallel()
	var h histogram
	require.Zero(t, h.percentile(0.5))
	for i := 1; i <= 1000; i++ {
		h.record(time.Duration(i) * time.Millisecond)
	}
	require.InEpsilon(t, 500*time.Millisecond, h.percentile(0.5), 0.01)
	require.InEpsilon(t, 990*time.Millisecond, h.percentile(0.99), 0.01)
	require.InEpsilon(t, time.Second, h.percentile(1), 0.01)
	h.reset()
	require.Zero(t, h.percentile(0.5))
}

func TestEveryBucketHoldsItsOwnMiddle(t *testing.T) {
	t.Parallel()
	for i := range bucket(time.Hour) {
		require.Equal(t, i, bucket(middle(i)))
	}
	require.Less(t, bucket(1<<63-1), buckets)
}

// measured makes results of one metric for two cells.
func measured(metric string, over, under []float64) *results {
	res := newResults([]string{"a", "b"})
	for _, v := range over {
		res.add("a", sample{metric: v})
	}
	for _, v := range under {
		res.add("b", sample{metric: v})
	}
	return res
}

func TestARatioIsThatOfTheMedians(t *testing.T) {
	t.Parallel()
	r := ratio{over: "a", under: "b", metric: completed}
	value, runs, ok := r.of(measured(completed, []float64{10, 30, 20}, []float64{5, 10, 40}))
	require.True(t, ok)
	require.InDelta(t, 2, value, 0)
	require.Equal(t, []float64{2, 3, 0.5}, runs)
	_, _, ok = r.of(measured(completed, []float64{10}, nil))
	require.False(t, ok)
	_, _, ok = r.of(measured(completed, []float64{10}, []float64{0}))
	require.False(t, ok)
}

func TestBarsBite(t *testing.T) {
	t.Parallel()
	least, most := ratio{least: 6}, ratio{most: 1.5}
	require.Equal(t, passed, least.compare(6))
	require.Equal(t, missed, least.compare(5.99))
	require.Equal(t, passed, most.compare(1.5))
	require.Equal(t, missed, most.compare(1.51))
	require.Equal(t, noBar, ratio{}.compare(0))
	require.Equal(t, ">= 6", least.bar())
	require.Equal(t, "<= 1.5", most.bar())
}

func TestUnmeasuredBarIsMissedUnlessExcluded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	none := newResults(nil)
	failed, err := writeRatios(&out, none, options{})
	require.NoError(t, err)
	require.True(t, failed)
	require.Contains(t, out.String(), string(notDone))
	failed, err = writeRatios(&out, none, options{only: []string{"x"}})
	require.NoError(t, err)
	require.False(t, failed)
}

func TestAFigureIsOneLineOfJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, measured(completed, []float64{1, 3, 2}, nil).write(&out))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	var f figure
	require.NoError(t, json.Unmarshal(out.Bytes(), &f))
	require.Equal(t, figure{Figure: "a/completed", Value: 2, Unit: "tasks/s", Min: 1, Max: 3, Runs: 3}, f)
	out.Reset()
	require.NoError(t, writeFigure(&out, figure{Bar: ">= 6"}))
	require.Contains(t, out.String(), `"bar":">= 6"`)
}

func TestRatiosCompareMeasuredCells(t *testing.T) {
	t.Parallel()
	o, err := parseOptions(nil)
	require.NoError(t, err)
	w := &fixture{options: o, inner: &store{}, river: &store{}, node: "somewhere"}
	names := map[string]bool{}
	for _, cells := range newPlan(o, w).scenarios {
		for _, c := range cells {
			require.False(t, names[c.name], c.name)
			names[c.name] = true
		}
	}
	for _, r := range ratios {
		require.Contains(t, names, r.over)
		if r.under == "" {
			require.NotEmpty(t, r.bar(), "of one cell alone there is no ratio, but a bar: %s", r.what)
			continue
		}
		require.Contains(t, names, r.under)
	}
	for name := range quickly {
		require.Contains(t, names, name)
	}
}

func TestOnlyNamesWhatIsMeasured(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--only", "closed-16/river,burn"})
	require.NoError(t, err)
	require.True(t, o.wants("closed-16/river-tuned-4"))
	require.True(t, o.wants("burn-down/inner"))
	require.False(t, o.wants("closed-16/inner-http"))
	require.True(t, o.wantsOneOf(graphileNames()))
	_, err = parseOptions([]string{"--runs", "0"})
	require.Error(t, err)
}

func TestPgbenchsReportIsRead(t *testing.T) {
	t.Parallel()
	rate, err := reported("latency average = 0.8 ms\ntps = 1234.5 (without initial connection time)\n", rateLine)
	require.NoError(t, err)
	require.InDelta(t, 1234.5, rate, 0)
	_, err = reported("nothing", rateLine)
	require.Error(t, err)
}
