// Package app assembles the program: the fx graph of the shared components and the modules.
package app

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/zap"

	"app238.com/inner/app/access"
	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/health"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/clientlog"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/metrics"
	"app238.com/inner/app/openapi"
	"app238.com/inner/app/profiling"
	"app238.com/inner/app/server"
	"app238.com/inner/app/status"
	"app238.com/inner/app/tracing"
	"app238.com/inner/modules/audit"
	"app238.com/inner/modules/combinator"
	"app238.com/inner/modules/controller"
	"app238.com/inner/modules/domains"
	"app238.com/inner/modules/tasks"
	"app238.com/inner/modules/workers"
)

// stopMargin is the time for stopping beyond the configured drain and shutdown timeouts.
const stopMargin = 15 * time.Second

// Serve returns the options of the whole program. The lifecycle starts the HTTP server, the processor pool, the cron
// ticker and the informers, in that order, and stops them in reverse.
func Serve(c *config.Config) fx.Option {
	return fx.Options(
		Base(c),
		fx.Invoke(registerMetrics, checkPooler, startServer),
		Modules(),
		tasks.Start,
		controller.Start,
		domains.Start,
		audit.Start,
		fx.Invoke(startDrain),
		fx.StopTimeout(c.HTTP.DrainTime+c.Tasks.ShutdownTimeout+c.HTTP.ShutdownTimeout+stopMargin),
	)
}

// Modules returns the modules without starting them.
func Modules() fx.Option {
	return fx.Options(tasks.Module, workers.Module, controller.Module, combinator.Module, domains.Module, audit.Module)
}

// Base returns the shared components.
func Base(c *config.Config) fx.Option {
	return fx.Options(
		fx.Supply(c),
		fx.WithLogger(func(log *zap.Logger) fxevent.Logger {
			l := &fxevent.ZapLogger{Logger: log.Named("fx")}
			l.UseLogLevel(zap.DebugLevel)
			return l
		}),
		fx.Provide(
			logging.NewLogger,
			metrics.NewRegistry,
			server.AsRoutes(metrics.Routes),
			server.AsRoutes(openapi.Routes),
			tracing.New,
			server.AsMiddleware((*tracing.Tracing).Middleware),
			newConnector,
			database.Pool,
			database.NewPreparedPool,
			database.OpenHeartbeat,
			database.NewEnt,
			newClients,
			kube.NewCombinatorPods,
			access.New,
			fx.Annotate(health.New, fx.ParamTags(`group:"readiness"`, "")),
			server.AsRoutes((*health.Health).Routes),
			profiling.New,
			server.NewMetrics,
			fx.Annotate(newServer, fx.ParamTags("", "", "", "", `group:"routes"`, `group:"middleware"`)),
			server.AsCheck(databaseCheck),
			server.AsCheck(clusterCheck),
			newDrain,
			server.AsCheck(drainCheck),
			status.As(databaseStatus),
			status.As(clusterStatus),
		),
		fx.Invoke(
			func(lc fx.Lifecycle, t *tracing.Tracing) { lc.Append(fx.StopHook(t.Stop)) },
			func(lc fx.Lifecycle, db *sql.DB) { lc.Append(fx.StopHook(db.Close)) },
			func(lc fx.Lifecycle, s *database.PreparedPool) { lc.Append(fx.StopHook(s.Close)) },
			func(lc fx.Lifecycle, h *database.Heartbeat) { lc.Append(fx.StopHook(h.Close)) },
			// The watch of pods starts with its first use: most commands never use it.
			func(lc fx.Lifecycle, p *kube.Pods) { lc.Append(fx.StopHook(p.Stop)) },
		),
	)
}

// newConnector returns the connector of the platform's database.
func newConnector(c *config.Config, t *tracing.Tracing) (driver.Connector, error) {
	connector, err := database.Connector(c)
	if err != nil {
		return nil, err
	}
	return t.Connector(connector)
}

// newClients redirects the log of the client libraries before it creates the clients.
func newClients(c *config.Config, t *tracing.Tracing, log *zap.Logger) (*kube.Clients, error) {
	clientlog.Install(log.Named("controller"))
	return kube.NewClients(c, t.Transport())
}

// registerMetrics registers the metrics of the readiness checks and the database's connections.
func registerMetrics(r *prometheus.Registry, h *health.Health, db *sql.DB) error {
	return errors.Join(health.Register(r, h), r.Register(collectors.NewDBStatsCollector(db, "platform")))
}

func newServer(c *config.Config, log *zap.Logger, m *server.Metrics, guard *access.Guard, routes []server.Route,
	middlewares []server.Middleware) *server.Server {
	return server.New(c, log, m, guard.Protect(routes), middlewares...)
}

func startServer(lc fx.Lifecycle, p *profiling.Server, s *server.Server, guard *access.Guard, pods *kube.Pods) {
	lc.Append(fx.StartStopHook(p.Start, p.Stop))
	lc.Append(fx.StartHook(pods.Start))
	lc.Append(fx.StartStopHook(guard.Start, guard.Stop))
	lc.Append(fx.StartStopHook(s.Start, s.Stop))
}

func databaseCheck(c *config.Config, db *sql.DB) server.Check {
	return server.Check{Name: "database", Ready: func(ctx context.Context) error {
		err := database.Ping(ctx, db, c)
		return health.NewFailure(database.Explain(err), err)
	}}
}

func clusterCheck(clients *kube.Clients) server.Check {
	return server.Check{Name: "kubernetes", Ready: func(ctx context.Context) error {
		return health.NewFailure("does not answer", clients.Ping(ctx))
	}}
}
