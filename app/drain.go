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

// drain is the time between the wish that the process ends and its stopping: it says that it is not ready and does all its
// work until nobody sends it requests any more.
type drain struct{ begun atomic.Bool }

func newDrain() *drain { return &drain{} }

// drainCheck is the part of /readyz by which a balancer learns that the process is about to stop.
func drainCheck(d *drain) server.Check {
	return server.Check{Name: "serving", Ready: func(context.Context) error {
		if d.begun.Load() {
			return errors.New("about to stop")
		}
		return nil
	}}
}

// startDrain is invoked last, so that its hook runs before everything else stops.
func startDrain(lc fx.Lifecycle, d *drain, s *server.Server, c *config.Config, log *zap.Logger) {
	lc.Append(fx.StopHook(func(ctx context.Context) {
		d.begun.Store(true)
		s.Drain()
		if c.HTTP.DrainTime <= 0 {
			return
		}
		log.Named("http").Info("about to stop; waiting until requests go elsewhere", zap.Duration("time", c.HTTP.DrainTime))
		ctx, cancel := context.WithTimeout(ctx, c.HTTP.DrainTime)
		defer cancel()
		<-ctx.Done()
	}))
}
