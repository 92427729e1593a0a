// Package profiling serves Go's profiler on a separate loopback address.
package profiling

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof" // the default mux, where it registers itself, is not served
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/logging"
)

// Time limits of the profiler's server. Recording a profile may take minutes, so writing has no limit.
const (
	headerTimeout = 5 * time.Second
	stopTimeout   = 2 * time.Second
)

// Server serves the profiler.
type Server struct {
	http     *http.Server
	listen   string
	log      *zap.Logger
	listener net.Listener
	done     chan struct{}
}

// New returns a server that listens once started, unless profiling.listen is empty.
func New(c *config.Config, log *zap.Logger) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return &Server{
		http:   &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout},
		listen: c.Profiling.Listen,
		log:    log.Named("http"),
		done:   make(chan struct{}),
	}
}

// Start listens and serves in the background.
func (s *Server) Start(ctx context.Context) error {
	if s.listen == "" {
		return nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.listen)
	if err != nil {
		return fmt.Errorf("profiling.listen: %w", err)
	}
	s.listener = listener
	s.log.Info("profiler listening", zap.String("address", listener.Addr().String()))
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("profiler ended", logging.Error(err))
		}
	}()
	return nil
}

// Address returns the address it listens on; "" if the profiler is off.
func (s *Server) Address() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Stop stops the server; the recording of a profile is cut off.
func (s *Server) Stop(ctx context.Context) error {
	if s.listener == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	return err
}
