// Package lifecycle is the life of a custom domain as a pure function: what it is after a check, and when it is checked next.
package lifecycle

import (
	"time"

	"app238.com/inner/app/config"
)

// Kind is what came of a check.
type Kind string

// The kinds.
const (
	// Right: the record is there, and the domain points at its target.
	Valid Kind = "right"
	// Wrong: the DNS answered, and something is not there or not as it must be.
	Invalid Kind = "wrong"
	// Unknown: the DNS could not be asked. It counts for nothing.
	Unreachable Kind = "unknown"
	// Refused: the rules do not let the row be served, whatever the DNS says.
	Refused Kind = "refused"
)

// Values of custom_domains.status.
const (
	Pending = "pending"
	Success = "success"
	Error   = "error"
)

// Outcome is the result of a check.
type Outcome struct {
	Kind Kind
	// Text says it in words for users.
	Text string
}

// State is what is remembered of a domain. Times are in UTC, by the database's clock.
type State struct {
	// Verified tells whether it is served.
	Verified bool
	// Checks counts the checks of the schedule since Begun, Failures the failed ones in a row since FailingSince.
	Checks, Failures int64
	// Unanswered counts the checks in a row that were Unknown.
	Unanswered   int64
	Begun        time.Time
	FailingSince time.Time
	Next         time.Time
	// Status is what custom_domains.status is to be; empty: what Outer wrote.
	Status string
	// Last is the last outcome.
	Last Outcome
}

// Policy is how long a domain is given.
type Policy struct {
	// ScheduleFor is how long one that is not verified is checked by the schedule.
	ScheduleFor time.Duration
	// WithdrawFailures and WithdrawAfter are what a verified one is forgiven.
	WithdrawFailures int64
	WithdrawAfter    time.Duration
	// Retry is the time between checks of a verified one that fails.
	Retry time.Duration
	// Rest is the time after which one is checked that has no schedule, should the job domain.check not have done it.
	Rest time.Duration
}

// NewPolicy returns the policy of a configuration.
func NewPolicy(c *config.Config) Policy {
	d := c.Domains
	return Policy{
		ScheduleFor: d.ScheduleFor, WithdrawFailures: int64(d.WithdrawFailures), WithdrawAfter: d.WithdrawAfter,
		Retry: d.RetryInterval, Rest: 2 * d.CheckInterval,
	}
}

// Advance returns the state after a check that ended at now.
func (p Policy) Next(s State, o Outcome, now time.Time) State {
	due := !now.Before(s.Next)
	s.Last = o
	if s.Unanswered++; o.Kind != Unreachable {
		s.Unanswered = 0
	}
	switch {
	case o.Kind == Refused:
		s.Verified, s.Status, s.Failures, s.FailingSince = false, Error, 0, time.Time{}
		s.Next = now.Add(p.Rest)
		return s
	case o.Kind == Valid:
		s.Verified, s.Status, s.Failures, s.FailingSince = true, Success, 0, time.Time{}
		s.Next = now.Add(p.Rest)
		return s
	case s.Verified:
		return p.doubt(s, o, now)
	}
	return p.wait(s, o, now, due)
}

// doubt is a verified domain that is not right any more, or could not be asked about.
func (p Policy) doubt(s State, o Outcome, now time.Time) State {
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
	// Withdrawn; the schedule begins anew, so that it comes back soon after it was put right.
	s.Verified, s.Status = false, Error
	s.Begun, s.Checks = now, 0
	s.Next = now.Add(jittered(Gap(1)))
	return s
}

// wait is a domain that has yet to become right. A check out of turn leaves the schedule as it is.
func (p Policy) wait(s State, o Outcome, now time.Time, due bool) State {
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
	if now.Sub(s.Begun) < p.ScheduleFor {
		s.Next = now.Add(jittered(max(Gap(s.Checks), timeout(s.Unanswered))))
		return s
	}
	if o.Kind == Unreachable && s.Status != Error {
		// It is not given up before the DNS has said that it is wrong.
		s.Next = now.Add(jittered(longest))
		return s
	}
	s.Status = Error
	s.Next = now.Add(p.Rest)
	return s
}
