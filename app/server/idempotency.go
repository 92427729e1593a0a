package server

import (
	"net/http"
	"regexp"
)

// IdempotencyHeader names the key by which a repeated request gets the first one's response and has no further effect.
const IdempotencyHeader = "Idempotency-Key"

var idempotencyKey = regexp.MustCompile(`^[\x21-\x7e]{1,255}$`)

// IdempotencyKey returns the request's key, "" for none. An invalid key is a 400.
func IdempotencyKey(r *http.Request) (string, error) {
	keys := r.Header.Values(IdempotencyHeader)
	switch {
	case len(keys) == 0:
		return "", nil
	case len(keys) > 1:
		return "", BadRequest("%s: must not come twice", IdempotencyHeader)
	case !idempotencyKey.MatchString(keys[0]):
		return "", BadRequest("%s: must be 1 to 255 visible ASCII characters", IdempotencyHeader)
	}
	return keys[0], nil
}

// KeyReused returns the 409 for a key that was used for a different request.
func KeyReused() *Error { return Conflict(IdempotencyHeader + ": was used for a different request") }
