// Package app assembles the program: the fx graph of the shared components and the modules.
package app

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime"
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
	"app238.com/inner/app/memory"
	"app238.com/inner/app/metrics"
	"app238.com/inner/app/openapi"
	"app238.com/inner/app/profiling"
	"app238.com/inner/app/server"
	"app238.com/inner/app/status"
	"app238.com/inner/app/tracing"
	"app238.com/inner/app/version"
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
		fx.Invoke(logVersion),
		fx.Invoke(limitGarbage, registerMetrics, checkPooler, startServer),
		Modules(),
		tasks.Start,
		controller.Start,
		domains.Start,
		audit.Start,
		fx.Invoke(startDrain),
		fx.StopTimeout(c.HTTP.DrainTime+c.Tasks.ShutdownTimeout+c.HTTP.ShutdownTimeout+stopMargin),
	)
}

// WithVersion returns the option that gives the program its version.
func WithVersion(v version.Version) fx.Option { return fx.Replace(v) }

// logVersion writes the first line of the log.
func logVersion(log *zap.Logger, v version.Version) {
	log.Info("inner gateway", zap.String("version", string(v)), zap.String("go", runtime.Version()))
}

// Modules returns the modules without starting them.
func Modules() fx.Option {
	return fx.Options(tasks.Module, workers.Module, controller.Module, combinator.Module, domains.Module, audit.Module)
}

// Base returns the shared components.
func Base(c *config.Config) fx.Option {
	return fx.Options(
		Core(c),
		fx.Provide(
			server.AsRoutes(metricsRoutes),
			server.AsRoutes(openapi.Routes),
			server.AsMiddleware((*tracing.Tracing).Middleware),
			newClients,
			kube.NewCombinatorPods,
			access.New,
			fx.Annotate(health.New, fx.ParamTags(`group:"readiness"`, "", "")),
			server.AsRoutes((*health.Health).Routes),
			profiling.New,
			newMetricsServer,
			server.NewMetrics,
			fx.Annotate(newServer, fx.ParamTags("", "", "", "", `group:"routes"`, `group:"middleware"`)),
			server.AsCheck(databaseCheck),
			server.AsCheck(databaseServerCheck),
			server.AsCheck(clusterCheck),
			newDrain,
			server.AsCheck(drainCheck),
			server.AsCheck((*access.Guard).Check),
			status.As(databaseStatus),
			status.As(clusterStatus),
		),
		// The watch of pods starts with its first use: most commands never use it.
		fx.Invoke(func(lc fx.Lifecycle, p *kube.Pods) { lc.Append(fx.StopHook(p.Stop)) }),
	)
}

// Core returns what every program on the platform's database needs: configuration, version, log, metrics, tracing and
// connections.
func Core(c *config.Config) fx.Option {
	return fx.Options(
		fx.Supply(c, version.Development),
		fx.WithLogger(func(log *zap.Logger) fxevent.Logger {
			l := &fxevent.ZapLogger{Logger: log.Named("fx")}
			l.UseLogLevel(zap.DebugLevel)
			return l
		}),
		fx.Provide(
			logging.NewLogger,
			metrics.NewRegistry,
			tracing.New,
			newConnector,
			database.Pool,
			database.NewPreparedPool,
			database.OpenHeartbeat,
			database.NewEnt,
		),
		fx.Invoke(
			func(lc fx.Lifecycle, t *tracing.Tracing) { lc.Append(fx.StopHook(t.Stop)) },
			func(lc fx.Lifecycle, db *sql.DB) { lc.Append(fx.StopHook(db.Close)) },
			func(lc fx.Lifecycle, s *database.PreparedPool) { lc.Append(fx.StopHook(s.Close)) },
			func(lc fx.Lifecycle, h *database.Heartbeat) { lc.Append(fx.StopHook(h.Close)) },
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

// registerMetrics registers the metrics of the version, the checks and the database's connections.
func registerMetrics(r *prometheus.Registry, v version.Version, h *health.Health, db *sql.DB) error {
	return errors.Join(version.Register(r, v), health.Register(r, h), r.Register(collectors.NewDBStatsCollector(db, "platform")))
}

func limitGarbage(lc fx.Lifecycle) {
	stop := func() {}
	lc.Append(fx.StartStopHook(func() { stop = memory.LimitGarbage() }, func() { stop() }))
}

func newServer(c *config.Config, log *zap.Logger, m *server.Metrics, guard *access.Guard, routes []server.Route,
	middlewares []server.Middleware) *server.Server {
	return server.New(c, log, m, guard.Protect(routes), middlewares...)
}

// metricsRoutes returns the routes of metrics that http.listen serves.
func metricsRoutes(c *config.Config, registry *prometheus.Registry, log *zap.Logger) []server.Route {
	if c.HTTP.MetricsListen != "" {
		return nil
	}
	return metrics.Routes(registry, log)
}

func newMetricsServer(c *config.Config, registry *prometheus.Registry, log *zap.Logger, guard *access.Guard) *metrics.Server {
	return metrics.NewServer(c, log, guard.Protect(metrics.Routes(registry, log)))
}

func startServer(lc fx.Lifecycle, p *profiling.Server, m *metrics.Server, s *server.Server, guard *access.Guard,
	pods *kube.Pods) {
	lc.Append(fx.StartStopHook(p.Start, p.Stop))
	lc.Append(fx.StartHook(pods.Start))
	lc.Append(fx.StartStopHook(guard.Start, guard.Stop))
	lc.Append(fx.StartStopHook(m.Start, m.Stop))
	lc.Append(fx.StartStopHook(s.Start, s.Stop))
}

func databaseCheck(c *config.Config, db *sql.DB) server.Check {
	return server.Check{Name: "database", Ready: func(ctx context.Context) error {
		err := database.Ping(ctx, db, c)
		return health.NewFailure(database.Explain(err), err)
	}}
}

// databaseServerCheck names what is wrong with a server that works.
func databaseServerCheck(c *config.Config, db *sql.DB) server.Check {
	return server.Check{Name: "database server", Degrades: true, Ready: func(ctx context.Context) error {
		found, err := database.Inspect(ctx, db, c)
		if err != nil {
			return health.NewFailure(database.Explain(err), err)
		}
		if problem := found.Problem(); problem != "" {
			return errors.New(problem)
		}
		return nil
	}}
}

func clusterCheck(clients *kube.Clients) server.Check {
	return server.Check{Name: "kubernetes", Degrades: true, Ready: func(ctx context.Context) error {
		return health.NewFailure("does not answer", clients.Ping(ctx))
	}}
}
