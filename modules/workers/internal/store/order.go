package store

import "math"

// Ids of a sequence grow in the order in which they are given. Those of CockroachDB's unique_rowid() hold the clock of the node
// that made them, in units of 10 µs, above 15 bits of the node's number: clocks may differ by half a second, so that such ids
// say which of two is newer only where they are further apart. Counted ids do not grow that large.
const (
	largestCounted = 1 << 53
	rowidSecond    = 100_000 << 15
)

// Newer tells whether version a of a worker is newer than its version b. Where the ids cannot tell, the order of the tasks does:
// later says that the task that asked for a was accepted after the one that asked for b.
func Newer(a, b int64, later bool) bool {
	if a != b && a > largestCounted && b > largestCounted && max(a, b)-min(a, b) < rowidSecond {
		return later
	}
	return a > b
}

// lastNotNewer returns the highest id of a version that is not certainly newer than the one with this id.
func lastNotNewer(id int64) int64 {
	if id > largestCounted {
		return id + min(rowidSecond-1, math.MaxInt64-id)
	}
	return id
}
