package job

import (
	"errors"
	"fmt"
	"time"

	"app238.com/inner/app/database"
)

// ErrInvalid marks an error of a call with invalid arguments: nothing was started.
var ErrInvalid = errors.New("invalid")

// Kind decides what happens to a task whose execution returned an error.
type Kind int

// The kinds.
const (
	// Retry: the attempt failed; the task is retried until its attempts are used up.
	Retry Kind = iota
	// Terminal: no further attempt can succeed; the task is discarded.
	Terminal
	// Snooze: the task is run again later; the attempt does not count.
	Snooze
	// Parked: the task waits for Queue.Resume and holds neither a worker nor its ordering key.
	Parked
	// Superseded: a newer task made this one unnecessary.
	Superseded
)

// Error is the result of an execution other than success.
type Error struct {
	Kind Kind
	// Text is for users: it contains no driver's or cluster's message, no secret and no SQL.
	Text string
	// Delay is the minimum delay of a snoozed task, at most five minutes. With Backoff it grows with the age of the
	// task, so that many waiting tasks do not overload a dependency that recovers.
	Delay   time.Duration
	Backoff bool
	// MaxDelay limits a delay with Backoff, at most five minutes; 0 means 30 seconds.
	MaxDelay time.Duration
	// Cause is for the log.
	Cause error
	// Quoted marks a Text with output of a user's program, such as a container's last lines: it is shown to its owner
	// and never logged.
	Quoted bool
}

// Error returns Text and Cause, for the log.
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

// Unwrap returns Cause.
func (e *Error) Unwrap() error { return e.Cause }

// NewTerminal returns an error after which the task is discarded.
func NewTerminal(format string, args ...any) *Error {
	return &Error{Kind: Terminal, Text: fmt.Sprintf(format, args...)}
}

// NewRetry returns an error after which the task is retried. The text is for users.
func NewRetry(text string, cause error) *Error {
	return &Error{Kind: Retry, Text: text, Cause: cause}
}

// NewUnavailable returns an error that snoozes the task with backoff until a dependency is available again.
func NewUnavailable(dependency string, cause error) *Error {
	return &Error{Kind: Snooze, Text: "waiting for the " + dependency + ", which is unavailable", Delay: 2 * time.Second,
		Backoff: true, Cause: cause}
}

// NewSnooze returns an error after which the task is run again after a delay.
func NewSnooze(after time.Duration, text string) *Error {
	return &Error{Kind: Snooze, Text: text, Delay: after}
}

// NewParked returns an error that parks the task. The text says what it waits for.
func NewParked(text string) *Error { return &Error{Kind: Parked, Text: text} }

// NewSuperseded returns an error that marks the task superseded. The text says by what.
func NewSuperseded(text string) *Error { return &Error{Kind: Superseded, Text: text} }

// AsError returns err as an *Error. Any other error becomes a Retry with a generic text. An attempt that failed because
// the database refused a value becomes Terminal: the next one would fail too.
func AsError(err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Kind: Retry, Text: "internal error, see the log", Cause: err}
	}
	if e.Kind == Retry && database.IsBadData(e.Cause) {
		return &Error{Kind: Terminal, Text: "the database refuses the value: " + e.Text, Cause: e.Cause, Quoted: e.Quoted}
	}
	return e
}
