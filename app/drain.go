package app

import (
	"context"
	"errors"
	"sync/atomic"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
)

// drain is the time between a stop signal and the shutdown: the process is not ready, and still serves all requests until
// load balancers have noticed.
type drain struct{ started atomic.Bool }

func newDrain() *drain { return &drain{} }

// drainCheck is the readiness check that fails while the process drains.
func drainCheck(d *drain) server.Check {
	return server.Check{Name: "serving", Ready: func(context.Context) error {
		if d.started.Load() {
			return errors.New("draining")
		}
		return nil
	}}
}

// startDrain is invoked last, so that its hook runs before everything else stops.
func startDrain(lc fx.Lifecycle, d *drain, s *server.Server, c *config.Config, log *zap.Logger) {
	lc.Append(fx.StopHook(func(ctx context.Context) {
		d.started.Store(true)
		s.Drain()
		if c.HTTP.DrainTime <= 0 {
			return
		}
		log.Named("http").Info("drain started", zap.Duration("time", c.HTTP.DrainTime))
		ctx, cancel := context.WithTimeout(ctx, c.HTTP.DrainTime)
		defer cancel()
		<-ctx.Done()
	}))
}
