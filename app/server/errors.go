package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
)

// Error is a response other than success. Its text is sent to the client.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Text is for the client: it contains no message of a driver or of the cluster, no secret and no SQL.
	Text string
	// RetryAfter, if positive, is sent as Retry-After in whole seconds.
	RetryAfter time.Duration
	// Cause is logged and never sent.
	Cause error
}

// Error returns the text and the cause, for the log.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Text
	}
	return e.Text + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// BadRequest returns a 400.
func BadRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Text: fmt.Sprintf(format, args...)}
}

// NotFound returns a 404.
func NotFound(text string) *Error { return &Error{Status: http.StatusNotFound, Text: text} }

// Conflict returns a 409.
func Conflict(text string) *Error { return &Error{Status: http.StatusConflict, Text: text} }

// Unavailable returns a 503 with Retry-After.
func Unavailable(what string, cause error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Text: what + " is unavailable, try again", RetryAfter: 2 * time.Second,
		Cause: cause}
}

// writeError sends err. An unavailable database is a 503 on every route.
func writeError(w http.ResponseWriter, r *http.Request, err error, log *zap.Logger) {
	var e *Error
	switch {
	case errors.As(err, &e):
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		e = &Error{Status: http.StatusServiceUnavailable, Text: "the request took too long", RetryAfter: 2 * time.Second, Cause: err}
	case database.IsUnavailable(err):
		e = Unavailable("the database", fmt.Errorf("%s: %w", database.Explain(err), err))
	default:
		e = &Error{Status: http.StatusInternalServerError, Text: "internal error", Cause: err}
	}
	if e.Status >= http.StatusInternalServerError {
		log.Error("request failed", zap.String("request_id", RequestID(r.Context())), zap.Int("status", e.Status), logging.Error(e))
		e = &Error{Status: e.Status, Text: fmt.Sprintf("%s (request %s)", e.Text, RequestID(r.Context())), RetryAfter: e.RetryAfter}
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(e.RetryAfter.Seconds()))))
	}
	// The client may be gone.
	_ = WriteJSON(w, e.Status, map[string]string{"error": e.Text})
}
