package job

import (
	"errors"
	"fmt"
	"time"

	"app238.com/inner/app/database"
)

// ErrInvalid is what an error is that says of a call that it is wrong by itself: nothing was begun.
var ErrInvalid = errors.New("invalid")

// Kind says what becomes of a task whose execution returned an error.
type Kind int

// The kinds.
const (
	// Failed: the attempt failed; it is tried again until the attempts are used up.
	Retry Kind = iota
	// Permanent: no further attempt can help; the task is an error now.
	Terminal
	// Later: nothing is wrong, but it is too early; the attempt does not count.
	Snooze
	// Parked: the work goes on elsewhere; the task waits until Queue.Wake and holds neither worker nor ordering key.
	Parked
	// Superseded: a newer task made this one pointless.
	Superseded
)

// Error is a result other than success.
type Error struct {
	Kind Kind
	// Text is for users: it holds no message of a driver or of the cluster, no secret and no SQL.
	Text string
	// After is the least wait before the next execution, for Later, at most five minutes; with Growing it is longer the older the task is, so
	// that many waiting tasks do not storm a dependency that comes back.
	Delay   time.Duration
	Backoff bool
	// Longest is how long a wait that grows becomes, at most five minutes; 0: half a minute, for what comes back by itself.
	MaxDelay time.Duration
	// Cause is for the log.
	Cause error
	// Quoted marks a text with words from outside, such as a container's last lines: shown to its owner, never logged.
	Quoted bool
}

// Error returns text and cause, for the log.
func (e *Error) Error() string {
	text := e.Text
	if e.Quoted {
		text = "(see the task)"
	}
	if e.Cause == nil {
		return text
	}
	return text + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// NewPermanent says that no further attempt can help.
func NewTerminal(format string, args ...any) *Error {
	return &Error{Kind: Terminal, Text: fmt.Sprintf(format, args...)}
}

// NewFailed says in words for users why an attempt failed.
func NewRetry(text string, cause error) *Error {
	return &Error{Kind: Retry, Text: text, Cause: cause}
}

// NewUnavailable says that something the job needs is away: the task waits for it without using up its attempts.
func NewUnavailable(dependency string, cause error) *Error {
	return &Error{Kind: Snooze, Text: "waiting for the " + dependency + ", which is unavailable", Delay: 2 * time.Second, Backoff: true, Cause: cause}
}

// NewLater asks to be run again after a while.
func NewSnooze(after time.Duration, text string) *Error {
	return &Error{Kind: Snooze, Text: text, Delay: after}
}

// NewParked says what the task waits for.
func NewParked(text string) *Error { return &Error{Kind: Parked, Text: text} }

// NewSuperseded says what made the task pointless.
func NewSuperseded(text string) *Error { return &Error{Kind: Superseded, Text: text} }

// AsError returns err as an *Error. One that did not say what it is counts as a failed attempt, and its text is not
// for users. A value that the database refuses is refused at the next attempt too, so the attempt is the last.
func AsError(err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Kind: Retry, Text: "internal error, see the log", Cause: err}
	}
	if e.Kind == Retry && database.IsBadData(e.Cause) {
		return &Error{Kind: Terminal, Text: "the database takes no such value: " + e.Text, Cause: e.Cause, Quoted: e.Quoted}
	}
	return e
}
