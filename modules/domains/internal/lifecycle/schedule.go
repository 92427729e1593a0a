package lifecycle

import (
	"math"
	"math/rand/v2"
	"time"
)

// The schedule of an unverified domain: the initial gaps are short, later ones grow by a constant factor up to a maximum. A
// week has about 75 checks.
const (
	firstGrowingGap = 4 * time.Minute
	gapFactor       = 1.14
	maxGap          = 4 * time.Hour
)

// initialGaps are the gaps after the first checks: ten checks within twenty minutes.
var initialGaps = []time.Duration{
	15 * time.Second, 30 * time.Second, 45 * time.Second, 90 * time.Second, 2 * time.Minute, 3 * time.Minute, 3 * time.Minute,
	4 * time.Minute, 4 * time.Minute,
}

// Gap returns the time between check n, counted from 1, and the next one.
func Gap(n int64) time.Duration {
	if n <= int64(len(initialGaps)) {
		return initialGaps[max(n, 1)-1]
	}
	factor := math.Pow(gapFactor, float64(n-int64(len(initialGaps))-1))
	if factor > float64(maxGap)/float64(firstGrowingGap) {
		return maxGap
	}
	return time.Duration(float64(firstGrowingGap) * factor)
}

// SlowAfter is the number of unreachable checks in a row after which a domain is slow. Slow domains have slots of their own. A
// single unreachable check may be a lost packet, several are dead name servers.
const SlowAfter = 2

// unreachableGap is the minimum time until the next check of a domain after so many unreachable checks in a row.
func unreachableGap(unanswered int64) time.Duration {
	if unanswered < SlowAfter {
		return 0
	}
	doublings := min(unanswered-SlowAfter, 10)
	return min(time.Minute<<doublings, maxGap)
}

// jitterShare is the maximum share by which a gap is shortened at random, so that checks of many domains spread.
const jitterShare = 0.05

func jittered(d time.Duration) time.Duration {
	return d - time.Duration(rand.Float64()*jitterShare*float64(d))
}
