// Package controller reconciles WorkerApps: it applies and repairs their objects, writes their status, and reports the outcomes
// of rollouts.
package controller

import (
	"go.uber.org/fx"

	"app238.com/inner/app/server"
	appstatus "app238.com/inner/app/status"
	"app238.com/inner/modules/controller/internal/status"
)

// Module provides the controller, the election of the leader, the controller's checks and its part of `inner status`. It needs a
// rollout.Source and a rollout.Recorder.
var Module = fx.Module("controller",
	fx.Provide(
		New,
		(*Controller).Election,
		server.AsCheck(func(c *Controller) server.Check { return server.Check{Name: "caches", Ready: c.Synced} }),
		server.AsCheck(func(c *Controller) server.Check {
			return server.Check{Name: "controller", Degrades: true, Ready: c.Ready, Role: c.Role}
		}),
		appstatus.As(status.New),
	),
)

// Start runs the controller with the application.
var Start = fx.Invoke(func(lc fx.Lifecycle, c *Controller) { lc.Append(fx.StartStopHook(c.Start, c.Stop)) })
