package processor

import (
	"cmp"
	"math/rand/v2"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/tasks/job"
)

// maxSnooze is the longest delay of a snoozed task with backoff, unless the job sets another.
const maxSnooze = 30 * time.Second

// backoff is a delay that doubles with every attempt after the first up to longest.
func backoff(delay, longest time.Duration, attempts int64) time.Duration {
	for range attempts - 1 {
		if delay *= 2; delay >= longest {
			return longest
		}
	}
	return delay
}

// snoozeDelay is the delay before a snoozed task runs again. The age of the task is in seconds.
func snoozeDelay(e *job.Error, age float64) time.Duration {
	delay := min(e.Delay, config.LongestSnooze)
	if e.Backoff {
		longest := min(cmp.Or(e.MaxDelay, maxSnooze), config.LongestSnooze)
		delay = max(delay, min(time.Duration(age/8*float64(time.Second)), longest))
	}
	return jitter(delay)
}

// jitter varies a delay by a fifth, so that tasks that failed together do not run again together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
