// Package memory bounds the garbage of a large heap.
//
// GOGC lets garbage grow in proportion to the live heap. That is right for a small one: collecting less often costs little
// memory. A replica that caches the objects of 10,000 workers would hold twice their size in garbage, most of it while it reads
// them.
package memory

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
)

const (
	// allowance is how many bytes of garbage may lie beside any live heap; GOGC alone decides below.
	allowance = 96 << 20
	// minPercent is the least share of garbage, in percent of the live heap: less would cost more time than it saves memory.
	minPercent = 35
	// defaultPercent is Go's own GOGC.
	defaultPercent = 100
	// liveHeap is the name of the size of the live heap at the end of the last collection.
	liveHeap = "/gc/heap/live:bytes"
)

// limiter sets the share of garbage after each collection.
type limiter struct {
	configured int
	current    atomic.Int64
	stopped    atomic.Bool
}

// LimitGarbage sets the share of garbage after each collection, until stop is called: what GOGC says, but beyond the allowance no
// more than the least share. It changes nothing if GOGC turns the collector off.
func LimitGarbage() (stop func()) {
	l := &limiter{configured: configuredPercent()}
	if l.configured < 0 {
		return func() {}
	}
	l.current.Store(int64(l.configured))
	l.adjust()
	l.awaitCollection()
	return func() {
		l.stopped.Store(true)
		debug.SetGCPercent(l.configured)
	}
}

// configuredPercent returns GOGC; -1 if the collector is off.
func configuredPercent() int {
	value := os.Getenv("GOGC")
	if value == "off" {
		return -1
	}
	if percent, err := strconv.Atoi(value); err == nil {
		return percent
	}
	return defaultPercent
}

// awaitCollection has the next collection adjust the share: it finds that nothing refers to the marker.
func (l *limiter) awaitCollection() {
	marker := &struct{ self *limiter }{l} // with a pointer, since small objects without one share their memory
	runtime.AddCleanup(marker, func(l *limiter) {
		if l.stopped.Load() {
			return
		}
		l.adjust()
		l.awaitCollection()
	}, l)
}

// adjust sets the share for the live heap. It stops the program for a moment, so small changes are left out.
func (l *limiter) adjust() {
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return
	}
	next, current := int64(percentFor(sample[0].Value.Uint64(), l.configured)), l.current.Load()
	if change := max(next-current, current-next); change*10 <= current {
		return
	}
	l.current.Store(next)
	debug.SetGCPercent(int(next))
}

// percentFor returns the share for a live heap of this many bytes.
func percentFor(live uint64, configured int) int {
	if live == 0 {
		return configured
	}
	return min(configured, max(minPercent, int(min(allowance*100/live, uint64(configured)))))
}
