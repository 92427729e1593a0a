package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/gorilla/mux"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
)

// Server serves the routes of all modules on one address.
type Server struct {
	http     *http.Server
	config   config.HTTP
	log      *zap.Logger
	listener net.Listener
	draining atomic.Bool
	done     chan struct{}
}

// New returns a server for routes; it listens once started.
func New(c *config.Config, log *zap.Logger, routes []Route) *Server {
	log = log.Named("http")
	return &Server{
		config: c.HTTP,
		log:    log,
		http: &http.Server{
			Handler:           NewHandler(c.HTTP, log, routes),
			ReadHeaderTimeout: c.HTTP.ReadHeaderTimeout,
			ReadTimeout:       c.HTTP.ReadTimeout,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          zap.NewStdLog(log),
		},
		done: make(chan struct{}),
	}
}

// NewHandler returns the routes behind the middleware: recover, request id, access log, body limit, time-out.
func NewHandler(c config.HTTP, log *zap.Logger, routes []Route) http.Handler {
	router := mux.NewRouter()
	for _, route := range routes {
		router.Path(route.Path).Methods(route.Method).Handler(adapt(route.Handler, log))
	}
	router.NotFoundHandler = adapt(func(http.ResponseWriter, *http.Request) error {
		return NotFound("no such route")
	}, log)
	router.MethodNotAllowedHandler = adapt(func(http.ResponseWriter, *http.Request) error {
		return &Error{Status: http.StatusMethodNotAllowed, Text: "method not allowed"}
	}, log)
	return chain(router, recovery(log), identify, accessLog(log), limitBody(c.BodyLimit), timeOut(c.RequestTimeout))
}

func adapt(handler Handler, log *zap.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := handler(w, r); err != nil {
			fail(w, r, err, log)
		}
	})
}

// Start listens and serves in the background.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	s.listener = listener
	s.http.Handler = s.leave(s.http.Handler)
	s.log.Info("listening", zap.String("address", listener.Addr().String()))
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("server ended", zap.Error(err))
		}
	}()
	return nil
}

// Address returns the address that the server listens on, once started.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Stop stops listening, lets requests under way end within the configured time, and drops the rest.
func (s *Server) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.ShutdownTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.log.Warn("requests were cut off at shutdown", zap.Error(err))
		err = s.http.Close()
	}
	<-s.done
	return err
}
