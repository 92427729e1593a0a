// Package lifecycle computes, as a pure function, the state of a custom domain after a check and the time of its next check.
package lifecycle

import (
	"time"
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
