package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Each power of two of nanoseconds is parted into 2^subBits buckets, so a percentile is off by less than 1 %.
const (
	subBits    = 7
	subBuckets = 1 << subBits
	buckets    = (64 - subBits + 1) * subBuckets
)

// histogram counts durations. It may be written to from several goroutines without a lock.
type histogram struct {
	counts [buckets]atomic.Int64
	total  atomic.Int64
}

func (h *histogram) record(d time.Duration) {
	h.counts[bucket(max(0, d))].Add(1)
	h.total.Add(1)
}

func (h *histogram) reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
	h.total.Store(0)
}

func bucket(d time.Duration) int {
	n := uint64(d)
	if n < subBuckets {
		return int(n)
	}
	shift := bits.Len64(n) - subBits - 1
	return (shift+1)*subBuckets + int(n>>shift) - subBuckets
}

// middle is the duration that a bucket stands for.
func middle(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket/subBuckets - 1
	low := uint64(bucket%subBuckets+subBuckets) << shift
	return time.Duration(low + uint64(1)<<shift/2)
}

// percentile returns the duration that a share p, from 0 to 1, of the recorded ones do not exceed; 0 without any.
func (h *histogram) percentile(p float64) time.Duration {
	total := h.total.Load()
	if total == 0 {
		return 0
	}
	rank := max(1, int64(p*float64(total)+0.5))
	seen := int64(0)
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= rank {
			return middle(i)
		}
	}
	return middle(buckets - 1)
}
