package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Overloaded returns the 429, with Retry-After, that is the response to a request beyond the limits. It had no effect.
func Overloaded() *Error {
	return &Error{Status: http.StatusTooManyRequests, Text: "too many requests at once, try again", RetryAfter: time.Second}
}

// bodies reads the bodies of requests into memory before a request takes one of the slots, so that slow clients do not occupy
// slots.
type bodies struct {
	// memory is the limit of all bodies in memory, in bytes.
	memory int64
	held   atomic.Int64
	log    *zap.Logger
}

// receive is the middleware that reads bodies of at most limit bytes into memory.
func (b *bodies) receive(limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		if r.ContentLength > limit { // a client that waits for 100 Continue does not send the body
			writeError(w, r, TooLarge("body", limit), b.log)
			return
		}
		body := &heldBody{bodies: b}
		defer body.release()
		received := receiving(r.Context())
		err := body.fill(http.MaxBytesReader(w, r.Body, limit), r.ContentLength)
		received()
		if err != nil {
			writeError(w, r, bodyError(err), b.log)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body.data))
		next.ServeHTTP(w, r)
	})
}

// TooLarge returns the 413 for a body, or a part of it, of more than limit bytes.
func TooLarge(what string, limit int64) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("%s: longer than %d bytes", what, limit)}
}

func bodyError(err error) error {
	if beyond, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return TooLarge("body", beyond.Limit)
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Status: http.StatusBadRequest, Text: "body: could not be read", Cause: err}
}

// heldBody is a body in memory, counted as it arrives: an announced length alone takes no memory from others.
type heldBody struct {
	bodies *bodies
	data   []byte
}

// Bounds of a body's first buffer, in bytes; it doubles as needed.
const minChunk, maxChunk = 512, 8192

func (h *heldBody) fill(from io.Reader, announced int64) error {
	// One byte more than announced, so that EOF is read without growing.
	h.data = make([]byte, 0, min(max(announced+1, minChunk), maxChunk))
	for {
		if len(h.data) == cap(h.data) {
			h.data = slices.Grow(h.data, len(h.data))
		}
		n, err := from.Read(h.data[len(h.data):cap(h.data)])
		h.data = h.data[:len(h.data)+n]
		held := h.bodies.held.Add(int64(n))
		switch {
		case h.bodies.memory > 0 && held > h.bodies.memory:
			return Overloaded()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (h *heldBody) release() { h.bodies.held.Add(-int64(len(h.data))) }

// slots limits the number of requests that are handled concurrently; nil is no limit.
type slots chan struct{}

func newSlots(n int) slots {
	if n < 1 {
		return nil
	}
	return make(slots, n)
}

// limit refuses requests when all slots are taken.
func (s slots) limit(next http.Handler, log *zap.Logger) http.Handler {
	if s == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s <- struct{}{}:
			defer func() { <-s }()
			next.ServeHTTP(w, r)
		default:
			writeError(w, r, Overloaded(), log)
		}
	})
}
