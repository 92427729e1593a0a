package lifecycle

import (
	"math"
	"math/rand/v2"
	"time"
)

// The schedule of a domain that is not verified: dense while its owner is at it, then thinner by a constant factor. With
// these figures a week has about 75 checks.
const (
	firstThin = 4 * time.Minute
	thinning  = 1.14
	longest   = 4 * time.Hour
)

// dense are the gaps after the first checks: ten checks within twenty minutes.
var dense = []time.Duration{
	15 * time.Second, 30 * time.Second, 45 * time.Second, 90 * time.Second, 2 * time.Minute, 3 * time.Minute, 3 * time.Minute,
	4 * time.Minute, 4 * time.Minute,
}

// Gap returns the time between check n, counted from 1, and the next one.
func Gap(n int64) time.Duration {
	if n <= int64(len(dense)) {
		return dense[max(n, 1)-1]
	}
	factor := math.Pow(thinning, float64(n-int64(len(dense))-1))
	if factor > float64(longest)/float64(firstThin) {
		return longest
	}
	return time.Duration(float64(firstThin) * factor)
}

// SlowAfter is after how many checks in a row without an answer a domain is one of the slow ones, which have places of their own: the
// question may be a lost packet or dead name servers, and only these come again and again.
const SlowAfter = 2

// patience is the least time before the next check of a domain whose name servers gave no answer so many times in a row.
func timeout(unanswered int64) time.Duration {
	if unanswered < SlowAfter {
		return 0
	}
	doublings := min(unanswered-SlowAfter, 10)
	return min(time.Minute<<doublings, longest)
}

// spread is the share by which a gap is shortened at random, so that domains which came together part.
const spread = 0.05

func jittered(d time.Duration) time.Duration {
	return d - time.Duration(rand.Float64()*spread*float64(d))
}
