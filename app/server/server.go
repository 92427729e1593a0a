package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gorilla/mux"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
)

// Server serves the routes of all modules on one address.
type Server struct {
	http         *http.Server
	config       config.HTTP
	log          *zap.Logger
	certificates *certificates
	connections  *connections
	listener     net.Listener
	draining     atomic.Bool
	done         chan struct{}
}

// New returns a server for routes, which listens once started. A nil middleware is skipped.
func New(c *config.Config, log *zap.Logger, m *Metrics, routes []Route, middlewares ...Middleware) *Server {
	log = log.Named("http")
	s := &Server{
		config:       c.HTTP,
		log:          log,
		certificates: newCertificates(c.HTTP.TLS, m, log),
		connections:  newConnections(c.HTTP.MaxConnections, m),
		done:         make(chan struct{}),
	}
	s.http = NewHTTP(c.HTTP, NewHandler(c.HTTP, log, routes, append(slices.Clone(middlewares), m.Middleware)...))
	s.http.ErrorLog = connectionLog(log)
	s.http.ConnContext, s.http.ConnState = s.connections.register, s.connections.stateChanged
	return s
}

// NewHTTP returns a server with the configured timeouts and limits.
func NewHTTP(c config.HTTP, handler http.Handler) *http.Server {
	s := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: c.ReadHeaderTimeout,
		ReadTimeout:       c.ReadTimeout,
		WriteTimeout:      c.WriteTimeout,
		IdleTimeout:       c.IdleTimeout,
		MaxHeaderBytes:    c.HeaderLimit,
		Protocols:         &http.Protocols{},
	}
	// Clients keep a few connections each; HTTP/2 would only add attack surface.
	s.Protocols.SetHTTP1(true)
	return s
}

// NewHandler returns the routes behind the middleware: request id, access log and recovery around all, and for each route the
// given middleware, the client certificate, the limits of bodies and requests, and the timeout. HEAD works where GET does.
func NewHandler(c config.HTTP, log *zap.Logger, routes []Route, middlewares ...Middleware) http.Handler {
	router := mux.NewRouter()
	bodies := &bodies{memory: c.BodyMemory, log: log}
	all, allowed := newSlots(c.MaxRequests), map[string][]string{}
	for _, route := range routes {
		slots := all
		if route.Probe || route.Monitoring {
			slots = nil
		}
		handler := bodies.receive(cmp.Or(route.BodyLimit, c.BodyLimit),
			slots.limit(timeOut(c.RequestTimeout)(adapt(route.Handler, log)), log))
		if c.TLS.ClientCA != "" && !route.Probe {
			handler = requireCertificate(handler, log)
		}
		for _, middleware := range middlewares {
			if middleware != nil {
				handler = middleware(route, handler)
			}
		}
		if route.Monitoring {
			handler = markMonitoring(handler)
		}
		methods := []string{route.Method}
		if route.Method == http.MethodGet {
			methods = append(methods, http.MethodHead) // net/http omits the body
		}
		router.Path(route.Path).Methods(methods...).Handler(handler)
		allowed[route.Path] = append(allowed[route.Path], methods...)
	}
	for path, methods := range allowed {
		router.Path(path).Handler(refuseMethod(methods, log)) // matches only after all methods of the path
	}
	router.NotFoundHandler = adapt(func(http.ResponseWriter, *http.Request) error {
		return NotFound("no such route")
	}, log)
	return chain(router, identify, logRequests(log), recovery(log))
}

// refuseMethod answers requests with an unsupported method of a path.
func refuseMethod(methods []string, log *zap.Logger) http.Handler {
	slices.Sort(methods)
	allow := strings.Join(slices.Compact(methods), ", ")
	return adapt(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", allow)
		return &Error{Status: http.StatusMethodNotAllowed, Text: "method not allowed"}
	}, log)
}

func adapt(handler Handler, log *zap.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := handler(w, r); err != nil {
			writeError(w, r, err, log)
		}
	})
}

// Start listens and serves in the background.
func (s *Server) Start(ctx context.Context) error {
	tls, err := s.certificates.start()
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.config.Listen)
	if err != nil {
		s.certificates.stop()
		return fmt.Errorf("http.listen: %w", err)
	}
	s.listener, s.http.TLSConfig = listener, tls
	s.http.Handler = s.closeWhileDraining(s.http.Handler)
	s.log.Info("listening", zap.String("address", listener.Addr().String()), zap.Bool("tls", tls != nil))
	go func() {
		defer close(s.done)
		if err := s.serve(s.connections.listen(listener)); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("server ended", zap.Error(err))
		}
	}()
	return nil
}

func (s *Server) serve(l net.Listener) error {
	if s.http.TLSConfig == nil {
		return s.http.Serve(l)
	}
	return s.http.ServeTLS(l, "", "")
}

// Address returns the address that the server listens on, once started.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Stop stops listening, waits for requests in flight up to the configured timeout, and cuts off the rest.
func (s *Server) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.ShutdownTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.log.Warn("requests cut off at shutdown", zap.Error(err))
		err = s.http.Close()
	}
	<-s.done
	s.certificates.stop()
	return err
}
