// Package profiling serves Go's profiler on a separate loopback address.
package profiling

import (
	"net/http"
	"net/http/pprof" // the default mux, where it registers itself, is not served
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
)

// headerTimeout is the only time limit: recording a profile may take minutes.
const headerTimeout = 5 * time.Second

// Server serves the profiler.
type Server struct{ *server.Auxiliary }

// New returns a server that listens once started, unless profiling.listen is empty.
func New(c *config.Config, log *zap.Logger) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return &Server{server.NewAuxiliary("profiling.listen", c.Profiling.Listen,
		&http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}, log)}
}
