// Package health serves liveness, readiness and health. Readiness is whether traffic may come to this process, health also what
// is degraded.
package health

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/server"
	"app238.com/inner/app/version"
)

const (
	// checkTimeout bounds each check, so that a hanging dependency does not block the response.
	checkTimeout = 3 * time.Second
	// answerMargin is how much earlier the context of a check ends, so that it can still return its own reason.
	answerMargin = 250 * time.Millisecond
)

// errSilent is the result of a check that does not return in time.
var errSilent = fmt.Errorf("no answer within %s", checkTimeout)

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

// Health runs the checks of all modules.
type Health struct {
	checks  []server.Check
	version version.Version
	log     *zap.Logger
	// running are the checks in progress, by name: callers share one run, so that a check that never returns occupies one
	// goroutine.
	running singleflight.Group

	mu     sync.Mutex
	failed map[string]string // the last logged text by name of the check
}

// New returns a Health over checks.
func New(checks []server.Check, v version.Version, log *zap.Logger) *Health {
	return &Health{checks: checks, version: v, log: log.Named("health"), failed: map[string]string{}}
}

// Routes returns /health, /healthz and /readyz.
func (h *Health) Routes() []server.Route {
	return []server.Route{
		{Method: http.MethodGet, Path: "/health", Handler: h.health, Access: config.OperationRoutes, Monitoring: true},
		{Method: http.MethodGet, Path: "/healthz", Handler: h.live, Access: config.OperationRoutes, Probe: true, Monitoring: true},
		{Method: http.MethodGet, Path: "/readyz", Handler: h.ready, Access: config.OperationRoutes, Probe: true, Monitoring: true},
	}
}

// live answers that the process serves requests. It runs no check, so that no outage of a dependency restarts the process.
func (h *Health) live(w http.ResponseWriter, _ *http.Request) error {
	return server.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers 200 if no failing check makes this process unready, else 503, and names the failing and the degraded checks.
func (h *Health) ready(w http.ResponseWriter, r *http.Request) error {
	found := h.runChecks(r.Context())
	status, word := http.StatusOK, "ready"
	if len(found.failing) > 0 {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	return server.WriteJSON(w, status, map[string]any{
		"status": word, "checks": found.texts, "failing": found.failing, "degraded": found.degraded})
}

// health answers in the form of existing clients: one word for each check, 503 only if the database fails.
func (h *Health) health(w http.ResponseWriter, r *http.Request) error {
	found := h.runChecks(r.Context())
	status, word := http.StatusOK, "healthy"
	switch {
	case slices.Contains(found.failing, databaseCheck):
		status, word = http.StatusServiceUnavailable, "unhealthy"
	case len(found.failing)+len(found.degraded) > 0:
		word = "degraded"
	}
	body := map[string]any{"status": word, "timestamp": time.Now().Unix(), "version": h.version}
	for name, text := range found.texts {
		body[name] = text
	}
	return server.WriteJSON(w, status, body)
}

// results are those of all checks: a word or reason for each by name, and the sorted names of those that fail.
type results struct {
	texts map[string]string
	// failing make the process unready, degraded do not.
	failing, degraded []string
}

// runChecks runs all checks concurrently.
func (h *Health) runChecks(ctx context.Context) results {
	answers := make([]error, len(h.checks))
	var wg sync.WaitGroup
	for i, check := range h.checks {
		wg.Go(func() { answers[i] = h.runCheck(ctx, check) })
	}
	wg.Wait()
	found := results{texts: map[string]string{}, failing: []string{}, degraded: []string{}}
	for i, check := range h.checks {
		h.logChange(check.Name, answers[i])
		switch {
		case answers[i] != nil && check.Degrades:
			found.degraded = append(found.degraded, check.Name)
		case answers[i] != nil:
			found.failing = append(found.failing, check.Name)
		}
		switch {
		case answers[i] != nil:
			found.texts[check.Name] = answers[i].Error()
		case check.Role != nil:
			found.texts[check.Name] = check.Role()
		default:
			found.texts[check.Name] = "ok"
		}
	}
	slices.Sort(found.failing)
	slices.Sort(found.degraded)
	return found
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

// runCheck runs one check, or waits for its run in progress, for at most checkTimeout, whatever the check does with its context.
// The text of a panic is not shown to clients.
func (h *Health) runCheck(ctx context.Context, check server.Check) error {
	ended := h.running.DoChan(check.Name, func() (any, error) {
		// Other callers wait for this run too, so it does not end with the first one's request.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout-answerMargin)
		defer cancel()
		return nil, guard.Call(func() error { return check.Ready(limited) })
	})
	limit := time.NewTimer(checkTimeout)
	defer limit.Stop()
	select {
	case result := <-ended:
		if _, ok := errors.AsType[*guard.PanicError](result.Err); ok {
			return NewFailure("internal error, see the log", result.Err)
		}
		return result.Err
	case <-limit.C:
		return errSilent
	}
}
