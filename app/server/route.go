// Package server is the cluster-internal HTTP server: it knows middleware, errors and JSON, and no route by name.
package server

import (
	"context"
	"net/http"

	"go.uber.org/fx"
)

// Handler answers a request, or returns an error: an *Error is sent as it says, every other one as a plain 500, logged
// with the request's id.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Route is one method and path of the HTTP interface. Modules contribute routes through the fx group "routes".
type Route struct {
	Method string
	// Path is a pattern of gorilla/mux.
	Path    string
	Handler Handler
	// Probe marks a route that tells whether the process lives: it is answered under overload too, and without a client
	// certificate.
	Probe bool
	// BodyLimit bounds the body in bytes; 0 stands for http.bodyLimit.
	BodyLimit int64
	// Access is the kind of route, a key of http.access, which says who may call it; "" for everybody.
	Access string
}

// Layer goes around the handler of a route, outside of limits and time-outs, and sees what is answered.
type Middleware func(route Route, next http.Handler) http.Handler

// Check tells whether one part of the process can do its work. Modules contribute checks through the fx group
// "readiness"; /readyz asks all of them.
type Check struct {
	// Name is what /readyz calls the part.
	Name string
	// Ready returns nil, or an error whose text may be shown: it holds no message of a driver or of the cluster.
	Ready func(ctx context.Context) error
	// Role, where it is set, says in words which part a process that is ready plays, instead of a mere "ok".
	Role func() string
}

// AsRoutes makes the fx constructor of a []Route one that contributes to the group of routes.
func AsRoutes(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"routes,flatten"`))
}

// AsLayer makes the fx constructor of a Layer one that contributes to the group of layers. The constructor may return nil.
func AsMiddleware(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"layers"`))
}

// AsCheck makes the fx constructor of a Check one that contributes to the group of readiness checks.
func AsCheck(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"readiness"`))
}
