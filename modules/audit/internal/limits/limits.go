// Package limits says how much an audit may delete. It is arithmetic only.
package limits

import (
	"fmt"
	"math"
)

// Refusal says why nothing may be deleted when there are now rows where there were before at the most, or returns "". It
// refuses when more than the share of them is gone. No rows where there were some is always more.
func Refusal(what string, now, before int64, share float64) string {
	lost := before - now
	switch {
	case before > 0 && now == 0:
		return fmt.Sprintf("there are no rows of kind %s, and there were %d", what, before)
	case float64(lost) > share*float64(before):
		return fmt.Sprintf("the rows of kind %s have shrunk from %d to %d, by more than audit.maxShrink allows", what, before, now)
	}
	return ""
}

// OfShare returns the largest number of things that is deleted at most: the share of them, rounded up, so that a kind with
// few things can be cleaned up as well.
func OfShare(things int64, share float64) int64 { return int64(math.Ceil(share * float64(things))) }

// UpTo returns how many things all kinds together may have deleted before those that come later: half of the most is
// shared out among the kinds, so that the first ones cannot take all of it.
func UpTo(most, kinds, later int) int { return most - most/(2*kinds)*later }
