// Package kv implements the engine of users' key-value namespaces in TiKV, with its transactional API.
//
// A namespace is a prefix of all its keys. A record of each namespace, under keys of Inner's own, names its platform and its
// state; see records.go.
package kv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pingcaplog "github.com/pingcap/log"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/combinator/internal/engine"
)

const (
	// reopenInterval is the time between two tries to open the store.
	reopenInterval = 2 * time.Second
	// openTimeout bounds how long an operation waits until the store is open.
	openTimeout = 3 * time.Second
)

// Engine implements engine.KV. It connects on first use.
type Engine struct {
	config config.KV
	prefix config.Prefix
	// platform is the mark of this platform in the records.
	platform string
	open     func(ctx context.Context, c config.KV) (kvClient, error)
	log      *zap.Logger

	startOnce sync.Once
	ctx       context.Context
	cancel    context.CancelFunc
	opened    chan struct{} // closed once client is set
	client    kvClient
	done      chan struct{} // closed when the connecting goroutine has ended
	stopOnce  sync.Once
}

// New returns the engine.
func New(c *config.Config, log *zap.Logger) (*Engine, error) { return newWith(c, log, open) }

func newWith(c *config.Config, log *zap.Logger, open func(ctx context.Context, c config.KV) (kvClient, error)) (*Engine, error) {
	prefix, err := c.Combinator.KV.PrefixTemplate()
	if err != nil {
		return nil, fmt.Errorf("combinator.kv.prefix: %w", err)
	}
	e := &Engine{config: c.Combinator.KV, prefix: prefix, platform: c.PlatformMark(), open: open, log: log.Named("job"),
		opened: make(chan struct{}), done: make(chan struct{})}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, nil
}

// Configured implements engine.KV.
func (e *Engine) Configured() bool { return len(e.config.PD) > 0 || e.config.Embedded != "" }

// Start starts to connect.
func (e *Engine) Start(context.Context) error {
	if e.Configured() {
		e.startOnce.Do(func() { go e.connect() })
	}
	return nil
}

// connect opens the store, and tries again until it succeeds or the engine stops.
func (e *Engine) connect() {
	defer close(e.done)
	// The client's libraries have one logger per process.
	logger := e.log.Named("tikv").WithOptions(zap.IncreaseLevel(zap.ErrorLevel))
	pingcaplog.ReplaceGlobals(logger, &pingcaplog.ZapProperties{Core: logger.Core(), Level: zap.NewAtomicLevelAt(zap.ErrorLevel)})
	for {
		var opened kvClient
		err := guard.Call(func() (err error) {
			opened, err = e.open(e.ctx, e.config)
			return err
		})
		if err == nil {
			e.client = opened
			close(e.opened)
			e.log.Info("kv engine connected")
			return
		}
		e.log.Warn("kv engine connection failed", logging.Error(err))
		select {
		case <-e.ctx.Done():
			return
		case <-time.After(reopenInterval):
		}
	}
}

// Stop closes the connection.
func (e *Engine) Stop(context.Context) (err error) {
	e.stopOnce.Do(func() {
		e.cancel()
		e.startOnce.Do(func() { close(e.done) }) // not started, and cannot start any more
		<-e.done
		select {
		case <-e.opened:
			err = e.client.close()
		default:
		}
	})
	return err
}

// connected returns the client once the store is open.
func (e *Engine) connected(ctx context.Context) (kvClient, error) {
	if !e.Configured() {
		return nil, engine.ErrNotConfigured
	}
	if err := e.Start(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	select {
	case <-e.opened:
		return e.client, nil
	case <-e.ctx.Done():
		return nil, fmt.Errorf("%w: stopped", engine.ErrUnavailable)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: not connected", engine.ErrUnavailable)
	}
}

// Ready implements engine.KV.
func (e *Engine) Ready(ctx context.Context) error {
	if !e.Configured() {
		return nil
	}
	if _, err := e.scan(ctx, []byte(recordPrefix), []byte(recordPrefix+"\x00"), 1); err != nil {
		return errors.New("does not answer")
	}
	return nil
}

func (e *Engine) update(ctx context.Context, work func(ctx context.Context, tx transaction) error) error {
	s, err := e.connected(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
	defer cancel()
	return s.update(ctx, work)
}

func (e *Engine) scan(ctx context.Context, from, to []byte, limit int) ([]pair, error) {
	s, err := e.connected(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
	defer cancel()
	return s.scan(ctx, from, to, limit)
}

func (e *Engine) clear(ctx context.Context, from, to []byte) error {
	s, err := e.connected(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
	defer cancel()
	return s.clear(ctx, from, to)
}
