package main

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// paceDelay is how long after the call an open loop begins, so that its senders are there.
const paceDelay = 20 * time.Millisecond

// pace tells due the moments of an open loop as they come. It sleeps in the kernel: the timers of Go's scheduler may be a
// millisecond late on an idle process, which is more than some of what is measured.
func pace(ctx context.Context, rate, total int, due chan<- time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := clock() + paceDelay
	for i := range total {
		at := begin + time.Duration(i)*time.Second/time.Duration(rate)
		if err := sleepUntil(at); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		due <- at // has room for all
	}
	return nil
}

func sleepUntil(at time.Duration) error {
	for {
		left := at - clock()
		if left <= 0 {
			return nil
		}
		span := syscall.NsecToTimespec(int64(left))
		if err := syscall.Nanosleep(&span, nil); err != nil && err != syscall.EINTR {
			return fmt.Errorf("sleep: %w", err)
		}
	}
}
