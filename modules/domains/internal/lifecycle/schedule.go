package lifecycle

import (
	"math"
	"math/rand/v2"
	"time"

	"app238.com/inner/app/config"
)

// Policy is the durations and limits of the lifecycle.
type Policy struct {
	// ScheduleFor is how long an unverified domain is checked by the schedule.
	ScheduleFor time.Duration
	// A verified domain is withdrawn after WithdrawFailures failures in a row and not before WithdrawAfter.
	WithdrawFailures int64
	WithdrawAfter    time.Duration
	// Retry is the time between checks of a failing verified domain.
	Retry time.Duration
	// IdleInterval is the time between checks of other domains, in case the job domain.check does not run.
	IdleInterval time.Duration
}

// NewPolicy returns the policy of a configuration.
func NewPolicy(c *config.Config) Policy {
	d := c.Domains
	return Policy{
		ScheduleFor: d.ScheduleFor, WithdrawFailures: int64(d.WithdrawFailures), WithdrawAfter: d.WithdrawAfter,
		Retry: d.RetryInterval, IdleInterval: 2 * d.CheckInterval,
	}
}

// Next returns the state after a check that ended at now.
func (p Policy) Next(s State, o Outcome, now time.Time) State {
	due := !now.Before(s.Next)
	s.Last = o
	if s.Unanswered++; o.Kind != Unreachable {
		s.Unanswered = 0
	}
	switch {
	case o.Kind == Refused:
		s.Verified, s.Status, s.Failures, s.FailingSince = false, Error, 0, time.Time{}
		s.Next = now.Add(p.IdleInterval)
		return s
	case o.Kind == Valid:
		s.Verified, s.Status, s.Failures, s.FailingSince = true, Success, 0, time.Time{}
		s.Next = now.Add(p.IdleInterval)
		return s
	case s.Verified:
		return p.onFailure(s, o, now)
	}
	return p.onPending(s, o, now, due)
}

// onFailure is Next for a verified domain whose check was invalid or unreachable.
func (p Policy) onFailure(s State, o Outcome, now time.Time) State {
	s.Next = now.Add(jittered(p.Retry))
	if o.Kind == Unreachable {
		return s
	}
	if s.Failures == 0 {
		s.FailingSince = now
	}
	s.Failures++
	if s.Failures < p.WithdrawFailures || now.Sub(s.FailingSince) < p.WithdrawAfter {
		return s
	}
	// Withdraw it and restart the schedule, so that it is served soon after its owner has repaired it.
	s.Verified, s.Status = false, Error
	s.Started, s.Checks = now, 0
	s.Next = now.Add(jittered(Gap(1)))
	return s
}

// onPending is Next for an unverified domain. An unscheduled check does not change the schedule.
func (p Policy) onPending(s State, o Outcome, now time.Time, due bool) State {
	if o.Kind == Invalid {
		if s.Failures == 0 {
			s.FailingSince = now
		}
		s.Failures++
	}
	if !due {
		return s
	}
	s.Checks++
	if now.Sub(s.Started) < p.ScheduleFor {
		s.Next = now.Add(jittered(max(Gap(s.Checks), unreachableGap(s.Unanswered))))
		return s
	}
	if o.Kind == Unreachable && s.Status != Error {
		// It does not become an error before a check was invalid.
		s.Next = now.Add(jittered(maxGap))
		return s
	}
	s.Status = Error
	s.Next = now.Add(p.IdleInterval)
	return s
}

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
