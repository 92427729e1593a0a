package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/logging"
)

// RequestIDHeader carries the request's id in requests and responses.
const RequestIDHeader = "X-Request-Id"

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

type requestIDKey struct{}

// RequestID returns the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// Peer returns the address of a request's connection without its port, "" for none. It ignores headers, which clients can
// forge.
func Peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

type middleware func(http.Handler) http.Handler

// chain wraps handler with middleware; the first one is outermost.
func chain(handler http.Handler, middlewares ...middleware) http.Handler {
	for _, middleware := range slices.Backward(middlewares) {
		handler = middleware(handler)
	}
	return handler
}

// recovery turns a panic of a handler into a 500.
func recovery(log *zap.Logger) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				p := recover()
				if p == nil {
					return
				}
				log.Error("handler panicked", zap.String("request_id", RequestID(r.Context())), zap.String("path", pathForLog(r)),
					zap.String("panic", logging.Redact(fmt.Sprint(p))), zap.ByteString("stack", debug.Stack()))
				writeError(w, r, &Error{Status: http.StatusInternalServerError, Text: "internal error"}, log)
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// identify gives the request an id: the client's if it is valid, else a random one.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(RequestIDHeader)
		if !requestID.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set(RequestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// logRequests logs each request without body, query and headers; requests of monitoring at level debug only.
func logRequests(log *zap.Logger) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begin := time.Now()
			rec := record(w)
			defer func() {
				level := zap.InfoLevel
				if rec.monitoring {
					level = zap.DebugLevel
				}
				log.Log(level, "request", zap.String("method", r.Method), zap.String("path", pathForLog(r)),
					zap.Int("status", rec.result()), zap.Int64("bytes", rec.bytes), zap.Duration("took", time.Since(begin)),
					zap.String("from", r.RemoteAddr), zap.String("request_id", RequestID(r.Context())))
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

// timeOut ends the request's context after limit; see writeError.
func timeOut(limit time.Duration) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), limit)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// markMonitoring marks the requests of a route as those of monitoring for the access log.
func markMonitoring(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := record(w)
		rec.monitoring = true
		next.ServeHTTP(rec, r)
	})
}

// recorder records the status and the size of a response.
type recorder struct {
	http.ResponseWriter
	status     int // 0 until the header is written
	bytes      int64
	monitoring bool
}

// record returns w if it is a recorder, else a new one around it.
func record(w http.ResponseWriter) *recorder {
	if r, ok := w.(*recorder); ok {
		return r
	}
	return &recorder{ResponseWriter: w}
}

// result returns the status of the response of a handler that has returned: net/http sends 200 if it wrote none.
func (r *recorder) result() int { return cmp.Or(r.status, http.StatusOK) }

// WriteHeader records the first status that ends the header: informational ones precede it, later ones are ignored.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes. The first one implies the status 200.
func (r *recorder) Write(p []byte) (int, error) {
	r.status = cmp.Or(r.status, http.StatusOK)
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController, and with it MaxBytesReader, reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// pathForLog returns the path, cut to a length that cannot fill the log.
func pathForLog(r *http.Request) string {
	const most = 200
	if path := r.URL.Path; len(path) <= most {
		return path
	}
	return r.URL.Path[:most] + "…"
}
