package store

import "math"

// Ids of a sequence grow in the order of their inserts. Those of CockroachDB's unique_rowid() hold the clock of the
// inserting node, in units of 10 µs, above 15 bits of the node's number: clocks may differ by half a second, so such ids
// tell which of two is newer only when they are further apart. Ids of a sequence do not grow that large.
const (
	maxSequenceID = 1 << 53
	rowidSecond   = 100_000 << 15
)

// Newer reports whether version a of a worker is newer than its version b. When the ids cannot tell, the order of the tasks
// decides: later says that the task of a was accepted after the task of b.
func Newer(a, b int64, later bool) bool {
	if a != b && a > maxSequenceID && b > maxSequenceID && max(a, b)-min(a, b) < rowidSecond {
		return later
	}
	return a > b
}

// lastNotNewer returns the highest id of a version that is not certainly newer than the version with this id.
func lastNotNewer(id int64) int64 {
	if id > maxSequenceID {
		return id + min(rowidSecond-1, math.MaxInt64-id)
	}
	return id
}
