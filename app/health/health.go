// Package health serves liveness and readiness.
package health

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/server"
)

// checkTimeout bounds each check, so that a hanging dependency does not block the response.
const checkTimeout = 3 * time.Second

// databaseCheck is the check whose failure makes /health a 503.
const databaseCheck = "database"

// Failure is the error of a failed check.
type Failure struct {
	// Text is safe for clients.
	Text string
	// Cause is for the log.
	Cause error
}

// Error returns the text alone.
func (f *Failure) Error() string { return f.Text }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// NewFailure returns a Failure, or nil for a nil cause.
func NewFailure(text string, cause error) error {
	if cause == nil {
		return nil
	}
	return &Failure{Text: text, Cause: cause}
}

// Health runs the readiness checks of all modules.
type Health struct {
	checks []server.Check
	log    *zap.Logger

	mu     sync.Mutex
	failed map[string]string // the last logged text by name of the check
}

// New returns a Health over checks.
func New(checks []server.Check, log *zap.Logger) *Health {
	return &Health{checks: checks, log: log.Named("health"), failed: map[string]string{}}
}

// Routes returns /health, /healthz and /readyz.
func (h *Health) Routes() []server.Route {
	return []server.Route{
		{Method: http.MethodGet, Path: "/health", Handler: h.health, Access: config.OperationRoutes},
		{Method: http.MethodGet, Path: "/healthz", Handler: h.live, Access: config.OperationRoutes, Probe: true},
		{Method: http.MethodGet, Path: "/readyz", Handler: h.ready, Access: config.OperationRoutes, Probe: true},
	}
}

// live answers that the process serves requests. It runs no check, so that no outage of a dependency restarts the process.
func (h *Health) live(w http.ResponseWriter, _ *http.Request) error {
	return server.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers 200 if all checks pass, else 503, and names the failing checks.
func (h *Health) ready(w http.ResponseWriter, r *http.Request) error {
	results, failing := h.runChecks(r.Context())
	status, word := http.StatusOK, "ready"
	if len(failing) > 0 {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	return server.WriteJSON(w, status, map[string]any{"status": word, "checks": results, "failing": failing})
}

// health answers in the form of existing clients: one word for each check, 503 only if the database fails.
func (h *Health) health(w http.ResponseWriter, r *http.Request) error {
	results, failing := h.runChecks(r.Context())
	status, word := http.StatusOK, "healthy"
	switch {
	case slices.Contains(failing, databaseCheck):
		status, word = http.StatusServiceUnavailable, "unhealthy"
	case len(failing) > 0:
		word = "degraded"
	}
	body := map[string]any{"status": word, "timestamp": time.Now().Unix()}
	for name, text := range results {
		body[name] = text
	}
	return server.WriteJSON(w, status, body)
}

// runChecks runs all checks concurrently and returns a word or reason for each, and the sorted names of the failing ones.
func (h *Health) runChecks(ctx context.Context) (results map[string]string, failing []string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	answers := make([]error, len(h.checks))
	var wg sync.WaitGroup
	for i, check := range h.checks {
		wg.Go(func() { answers[i] = runCheck(ctx, check) })
	}
	wg.Wait()
	results, failing = map[string]string{}, []string{}
	for i, check := range h.checks {
		h.logChange(check.Name, answers[i])
		switch {
		case answers[i] != nil:
			results[check.Name] = answers[i].Error()
			failing = append(failing, check.Name)
		case check.Role != nil:
			results[check.Name] = check.Role()
		default:
			results[check.Name] = "ok"
		}
	}
	slices.Sort(failing)
	return results, failing
}

// logChange logs a changed result of a check, with its cause.
func (h *Health) logChange(name string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch before := h.failed[name]; {
	case text == before:
	case err == nil:
		h.log.Info("check recovered", zap.String("check", name))
	default:
		h.log.Warn("check failed", zap.String("check", name), zap.String("reason", text), logging.Error(errors.Unwrap(err)))
	}
	h.failed[name] = text
}

// runCheck runs one check. The text of a panic is not shown to clients.
func runCheck(ctx context.Context, check server.Check) error {
	err := guard.Call(func() error { return check.Ready(ctx) })
	if _, ok := errors.AsType[*guard.PanicError](err); ok {
		return NewFailure("internal error, see the log", err)
	}
	return err
}
