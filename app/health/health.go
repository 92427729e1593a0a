// Package health answers whether the process lives and whether it can do its work.
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

// checkTimeout bounds one check, so that an answer comes even when a dependency hangs.
const checkTimeout = 3 * time.Second

// databaseCheck is the check without which /health is a 503.
const databaseCheck = "database"

// Failure is why a check fails.
type Failure struct {
	// Text may be shown to everybody.
	Text string
	// Cause is for the log.
	Cause error
}

// Error returns the text alone.
func (f *Failure) Error() string { return f.Text }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Because returns a Failure, or nil where nothing is the cause.
func NewFailure(text string, cause error) error {
	if cause == nil {
		return nil
	}
	return &Failure{Text: text, Cause: cause}
}

// Health asks the checks of all modules.
type Health struct {
	checks []server.Check
	log    *zap.Logger

	mu     sync.Mutex
	failed map[string]string // what was last logged, by the name of the check
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

// alive says that the process serves requests; nothing else is asked, so that no outage outside restarts it.
func (h *Health) live(w http.ResponseWriter, _ *http.Request) error {
	return server.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready is 200 only when every part can do its work, and names those that cannot.
func (h *Health) ready(w http.ResponseWriter, r *http.Request) error {
	parts, failing := h.runChecks(r.Context())
	status, word := http.StatusOK, "ready"
	if len(failing) > 0 {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	return server.WriteJSON(w, status, map[string]any{"status": word, "checks": parts, "failing": failing})
}

// health keeps the form that existing programs read: one word for each part, 503 when the database is gone.
func (h *Health) health(w http.ResponseWriter, r *http.Request) error {
	parts, failing := h.runChecks(r.Context())
	status, word := http.StatusOK, "healthy"
	switch {
	case slices.Contains(failing, databaseCheck):
		status, word = http.StatusServiceUnavailable, "unhealthy"
	case len(failing) > 0:
		word = "degraded"
	}
	body := map[string]any{"status": word, "timestamp": time.Now().Unix()}
	for name, text := range parts {
		body[name] = text
	}
	return server.WriteJSON(w, status, body)
}

// ask runs all checks at once and returns a word or a reason for each, and the names of those that fail, sorted.
func (h *Health) runChecks(ctx context.Context) (parts map[string]string, failing []string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	answers := make([]error, len(h.checks))
	var wg sync.WaitGroup
	for i, check := range h.checks {
		wg.Go(func() { answers[i] = runCheck(ctx, check) })
	}
	wg.Wait()
	parts, failing = map[string]string{}, []string{}
	for i, check := range h.checks {
		h.logChange(check.Name, answers[i])
		switch {
		case answers[i] != nil:
			parts[check.Name] = answers[i].Error()
			failing = append(failing, check.Name)
		case check.Role != nil:
			parts[check.Name] = check.Role()
		default:
			parts[check.Name] = "ok"
		}
	}
	slices.Sort(failing)
	return parts, failing
}

// note logs what has changed of a check, with the cause, which is not shown.
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
		h.log.Info("check passes again", zap.String("check", name))
	default:
		h.log.Warn("check fails", zap.String("check", name), zap.String("reason", text), logging.Error(errors.Unwrap(err)))
	}
	h.failed[name] = text
}

// asked asks one check. A panic of it says nothing to those who ask.
func runCheck(ctx context.Context, check server.Check) error {
	err := guard.Call(func() error { return check.Ready(ctx) })
	if _, ok := errors.AsType[*guard.PanicError](err); ok {
		return NewFailure("internal error, see the log", err)
	}
	return err
}
