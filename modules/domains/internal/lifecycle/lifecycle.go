// Package lifecycle computes, as a pure function, the state of a custom domain after a check and the time of its next check.
package lifecycle

import (
	"time"

	"app238.com/inner/app/config"
)

// Kind is the result of a check, as it is stored and exported in metrics.
type Kind string

// The kinds.
const (
	// Valid: the TXT record exists and the domain points at its target.
	Valid Kind = "right"
	// Invalid: the DNS answered, and a record is missing or different.
	Invalid Kind = "wrong"
	// Unreachable: the lookup failed. It does not count as a failure.
	Unreachable Kind = "unknown"
	// Refused: the row did not pass validation, so the DNS is not queried.
	Refused Kind = "refused"
)

// Values of custom_domains.status.
const (
	Pending = "pending"
	Success = "success"
	Error   = "error"
)

// Outcome is the result of a check with its reason.
type Outcome struct {
	Kind Kind
	// Text is the reason in words for users.
	Text string
}

// State is the stored state of a domain. Times are in UTC, by the database's clock.
type State struct {
	// Verified is true while the domain is served.
	Verified bool
	// Checks counts the scheduled checks since Started, Failures the failed checks in a row since FailingSince.
	Checks, Failures int64
	// Unanswered counts the unreachable checks in a row.
	Unanswered   int64
	Started      time.Time
	FailingSince time.Time
	Next         time.Time
	// Status is the desired custom_domains.status; empty keeps what Outer wrote.
	Status string
	// Last is the last outcome.
	Last Outcome
}

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
