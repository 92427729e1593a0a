// Package server is the cluster-internal HTTP server: it knows middleware, errors and JSON, and no route by name.
package server

import (
	"context"
	"net/http"

	"go.uber.org/fx"
)

// Handler answers a request, or returns an error: an *Error is sent as it is, any other one as a plain 500 and logged with the
// request's id.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Route is one method and path of the HTTP interface. Modules contribute routes through the fx group "routes".
type Route struct {
	Method string
	// Path is a pattern of gorilla/mux.
	Path    string
	Handler Handler
	// Probe marks a route for kubelet's probes: it has no limit of concurrent requests and requires no client certificate.
	Probe bool
	// Monitoring marks a route that kubelet, Prometheus and other monitors call: its requests are neither counted nor traced,
	// have no limit, so that an overload can be seen, and are logged at level debug only.
	Monitoring bool
	// BodyLimit is the largest body in bytes; 0 is http.bodyLimit.
	BodyLimit int64
	// Access is the kind of route, a key of http.access, which defines who may call it; "" is everybody.
	Access string
}

// Middleware wraps the handler of a route, outside of limits and timeouts.
type Middleware func(route Route, next http.Handler) http.Handler

// Check is a check of this process's health. Modules contribute checks through the fx group "readiness"; /readyz runs all of
// them.
type Check struct {
	// Name is the name in /readyz.
	Name string
	// Degrades is true if the process can take requests while the check fails: it is then shown as degraded, and stays ready.
	// What all replicas share degrades them: otherwise its failure would take away all endpoints of the Service at once.
	Degrades bool
	// Ready returns nil, or an error whose text is safe for clients: it contains no message of a driver or of the cluster. Only
	// one call runs at a time.
	Ready func(ctx context.Context) error
	// Role, unless nil, returns the role of a ready process, which /readyz shows instead of "ok".
	Role func() string
}

// AsRoutes annotates the fx constructor of a []Route so that it contributes to the group of routes.
func AsRoutes(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"routes,flatten"`))
}

// AsMiddleware annotates the fx constructor of a Middleware, which may return nil, so that it contributes to the group.
func AsMiddleware(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"middleware"`))
}

// AsCheck annotates the fx constructor of a Check so that it contributes to the group of readiness checks.
func AsCheck(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"readiness"`))
}
