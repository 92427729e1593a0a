package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"app238.com/inner/app/logging"
)

const (
	// auxiliaryConnections bounds the connections of an auxiliary server; further clients wait.
	auxiliaryConnections = 64
	auxiliaryStopTimeout = 2 * time.Second
)

// Auxiliary serves a handler on a separate address, beside Server: the profiler's, or that of metrics.
type Auxiliary struct {
	http     *http.Server
	setting  string
	address  string
	log      *zap.Logger
	listener net.Listener
	done     chan struct{}
}

// NewAuxiliary returns a server that listens on address once started, not at all if it is empty. setting is the key of the
// address.
func NewAuxiliary(setting, address string, s *http.Server, log *zap.Logger) *Auxiliary {
	log = log.Named("http")
	s.ErrorLog = connectionLog(log)
	return &Auxiliary{http: s, setting: setting, address: address, log: log, done: make(chan struct{})}
}

// Start listens and serves in the background.
func (a *Auxiliary) Start(ctx context.Context) error {
	if a.address == "" {
		return nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", a.address)
	if err != nil {
		return fmt.Errorf("%s: %w", a.setting, err)
	}
	a.listener = listener
	a.log.Info("listening", zap.String("setting", a.setting), zap.String("address", listener.Addr().String()))
	go func() {
		defer close(a.done)
		if err := a.http.Serve(netutil.LimitListener(listener, auxiliaryConnections)); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("server ended", zap.String("setting", a.setting), logging.Error(err))
		}
	}()
	return nil
}

// Address returns the address that the server listens on; "" if it does not.
func (a *Auxiliary) Address() string {
	if a.listener == nil {
		return ""
	}
	return a.listener.Addr().String()
}

// Stop stops the server and soon cuts off what it still serves.
func (a *Auxiliary) Stop(ctx context.Context) error {
	if a.listener == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, auxiliaryStopTimeout)
	defer cancel()
	err := a.http.Shutdown(ctx)
	if err != nil {
		err = a.http.Close()
	}
	<-a.done
	return err
}
