// Package controller turns WorkerApps into running workers: it makes and heals their objects, tells in their status how
// they fare, and reports how rollouts ended.
package controller

import (
	"go.uber.org/fx"

	"app238.com/inner/app/server"
	appstatus "app238.com/inner/app/status"
	"app238.com/inner/modules/controller/internal/status"
)

// Module provides the controller and its readiness check. It asks for a rollout.Source and a rollout.Recorder.
var Module = fx.Module("controller",
	fx.Provide(
		New,
		server.AsCheck(func(c *Controller) server.Check {
			return server.Check{Name: "controller", Ready: c.Ready, Role: c.Role}
		}),
		appstatus.As(status.New),
	),
)

// Start has the controller started.
var Start = fx.Invoke(func(lc fx.Lifecycle, c *Controller) { lc.Append(fx.StartStopHook(c.Start, c.Stop)) })
