package auditor

import (
	"fmt"
	"math"
)

// refuseDeletions returns why nothing of a kind may be deleted, or "": either no rows are left of earlier ones, or more than
// the share of them is gone.
func refuseDeletions(kind string, rows, earlier int64, share float64) string {
	lost := earlier - rows
	switch {
	case earlier > 0 && rows == 0:
		return fmt.Sprintf("there are no rows of kind %s, and there were %d", kind, earlier)
	case float64(lost) > share*float64(earlier):
		return fmt.Sprintf("the rows of kind %s have shrunk from %d to %d, by more than audit.maxShrink allows", kind, earlier, rows)
	}
	return ""
}

// deletionLimit returns how many objects of a kind one audit may delete: the share of them, rounded up, so that a kind with
// few objects can be cleaned up as well.
func deletionLimit(objects int64, share float64) int64 {
	return int64(math.Ceil(share * float64(objects)))
}

// totalLimit returns how many objects of the kinds so far may be deleted while remaining of all kinds are yet to be audited:
// half of the maximum is shared among the kinds, so that the first ones cannot use all of it.
func totalLimit(maximum, kinds, remaining int) int { return maximum - maximum/(2*kinds)*remaining }
