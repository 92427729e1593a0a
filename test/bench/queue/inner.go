package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/pflag"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks"
	"app238.com/inner/modules/tasks/job"
)

// innerType is the job type that does nothing.
const innerType = "bench.noop"

// innerConfig is the default configuration, 4 workers included, for this database.
func innerConfig(dsn, kubeconfig string) (*config.Config, error) {
	flags := pflag.NewFlagSet("inner", pflag.ContinueOnError)
	config.AddFlags(flags)
	err := flags.Parse([]string{"--database", dsn, "--listen", "127.0.0.1:0", "--kubeconfig", kubeconfig})
	if err != nil {
		return nil, err
	}
	c, err := config.LoadForDatabase(flags)
	if err != nil {
		return nil, err
	}
	c.Debug = false // even with ENV=test
	return c, nil
}

// newInnerStore makes Inner's tables.
func newInnerStore(ctx context.Context, dsn string) (*store, error) {
	c, err := innerConfig(dsn, "")
	if err != nil {
		return nil, err
	}
	db, err := database.Open(c)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(database.Migrate(ctx, db), db.Close()); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	return &store{
		db: conn, dsn: dsn, table: "console_tasks",
		reset: `TRUNCATE console_tasks, inner_processes, inner_ticks`,
		prefill: `INSERT INTO console_tasks (task_type, task_status, task_detailed_status, task_info, ordering_key, attempts,
				claim_number, started_at, finished_at)
			SELECT 'bench.noop', 'finished', 'finished', '{"key":"old-' || i || '","at":0}', 'old-' || i, 1, 1, LOCALTIMESTAMP,
				LOCALTIMESTAMP FROM generate_series(1, $1::INT) AS i`,
		open: `SELECT EXISTS (SELECT 1 FROM console_tasks WHERE id >= $1 AND lane = 'default'
			AND task_status IN ('pending', 'processing') ORDER BY id DESC LIMIT 1)`,
		ended: `SELECT count(*) FROM console_tasks WHERE task_status = 'finished'`,
		scan:  `SELECT task_type, task_status, count(*), avg(length(task_info)) FROM console_tasks GROUP BY 1, 2`,
	}, nil
}

// What a process that died leaves: tasks that nobody took, or tasks that it had taken.
const (
	leftPending = `INSERT INTO console_tasks (task_type, task_detailed_status, task_info, ordering_key)
		SELECT 'bench.noop', 'accepted', '{"key":"left-' || i || '","at":0}', 'left-' || i || '-' || pg_current_xact_id()
		FROM generate_series(1, $1::INT) AS i`
	leftClaimed = `WITH dead AS (
			INSERT INTO inner_processes (id, host, version) VALUES ('a-dead-process', '', '') ON CONFLICT DO NOTHING)
		INSERT INTO console_tasks (task_type, task_status, task_detailed_status, task_info, ordering_key, claimed_by,
			claim_number, started_at)
		SELECT 'bench.noop', 'processing', 'claimed', '{"key":"left-' || i || '","at":0}', 'left-' || i || '-' || pg_current_xact_id(),
			'a-dead-process', 1, LOCALTIMESTAMP FROM generate_series(1, $1::INT) AS i`
	// leftOneKey is tasks of which only one may run at a time.
	leftOneKey = `INSERT INTO console_tasks (task_type, task_detailed_status, task_info, ordering_key)
		SELECT 'bench.noop', 'accepted', '{"key":"one","at":0}', 'one-' || pg_current_xact_id() FROM generate_series(1, $1::INT) AS i`
	// elsewhere is a lane that this process does not work on.
	leftElsewhere = `INSERT INTO console_tasks (task_type, task_detailed_status, task_info, ordering_key, lane)
		SELECT 'bench.noop', 'accepted', '{"key":"else-' || i || '","at":0}', 'else-' || i, 'elsewhere'
		FROM generate_series(1, $1::INT) AS i`
)

// What lies in the table of a party that is called crowded, unless the test is a quick one.
const (
	crowdFinished = 1_000_000
	crowdPending  = 100_000
	// fewPending is a backlog that is none to speak of.
	fewPending = 5_000
	// ofOneKey and fewOfOneKey are backlogs of a single ordering key.
	ofOneKey, fewOfOneKey = 10_000, 500
)

// innerParties are Inner over HTTP and in process, and Inner on what a dead process left.
func (w *fixture) innerParties() []party {
	inner := queue{options: w.options, store: w.inner}
	left := func(statement string) func(ctx context.Context, n int) error {
		return func(ctx context.Context, n int) error {
			_, err := w.inner.db.Exec(ctx, statement, n)
			return err
		}
	}
	start := func(overHTTP bool) func(ctx context.Context, seen *watch) (session, error) {
		return func(ctx context.Context, seen *watch) (session, error) {
			kubeconfig, err := w.idleKubeconfig()
			if err != nil {
				return nil, err
			}
			return startInner(ctx, w.inner.dsn, kubeconfig, seen, overHTTP, 0)
		}
	}
	overHTTP, inProcess, pending, claimed := inner, inner, inner, inner
	overHTTP.label, overHTTP.loads, overHTTP.start = "inner-http", true, start(true)
	inProcess.label, inProcess.loads, inProcess.start = "inner-in-process", true, start(false)
	pending.label, pending.burns, pending.start, pending.backlog = "inner", true, start(false), left(leftPending)
	claimed.label, claimed.burns, claimed.start, claimed.backlog = "inner-claimed", true, start(false), left(leftClaimed)
	finished, waiting := crowdFinished, crowdPending
	if w.options.quick {
		finished, waiting = finished/50, waiting/50
	}
	crowded, burning, few := overHTTP, pending, pending
	crowded.label, crowded.finished = "inner-http-crowded", finished
	crowded.crowd = func(ctx context.Context) error { return left(leftElsewhere)(ctx, waiting) }
	burning.label, burning.finished, burning.waiting = "inner-crowded", finished, waiting
	few.label, few.waiting = "inner-few", fewPending
	oneKey := pending
	oneKey.label, oneKey.waiting, oneKey.backlog = "inner-one-key", ofOneKey, left(leftOneKey)
	if w.options.quick {
		oneKey.waiting /= 10
	}
	fewOfIt := oneKey
	fewOfIt.label, fewOfIt.waiting = "inner-one-key-few", fewOfOneKey
	w.overHTTP = &overHTTP
	parties := []party{&overHTTP, &inProcess, &crowded, &pending, &claimed, &burning, &few, &oneKey, &fewOfIt}
	return append(parties, w.pressedInner(&overHTTP, &pending, &oneKey, &claimed))
}

// Validate implements job.Payload.
func (n note) Validate() error {
	if n.Key == "" {
		return errors.New("key: required")
	}
	return nil
}

// OrderingKey implements job.Payload.
func (n note) OrderingKey() string { return n.Key }

// noop is the job that does nothing.
type noop struct{ seen *watch }

// Execute implements job.Job.
func (j noop) Execute(ctx context.Context, _ job.Task, n note) error {
	if n.Hold {
		j.seen.held.Add(1)
		defer j.seen.held.Add(-1)
		return sleep(ctx, holdFor)
	}
	j.seen.enter(n)
	if n.Wait > 0 {
		return sleep(ctx, n.Wait)
	}
	return nil
}

// startInner starts the program's own graph, without the modules that need a cluster; workers 0: the default.
func startInner(ctx context.Context, dsn, kubeconfig string, seen *watch, overHTTP bool, workers int) (*innerSession, error) {
	c, err := innerConfig(dsn, kubeconfig)
	if err != nil {
		return nil, err
	}
	c.Tasks.Workers = cmp.Or(workers, c.Tasks.Workers)
	s := &innerSession{overHTTP: overHTTP}
	s.app = fx.New(
		app.Base(c),
		fx.Decorate(quiet),
		fx.Invoke(func(lc fx.Lifecycle, s *server.Server) { lc.Append(fx.StartStopHook(s.Start, s.Stop)) }),
		tasks.Module,
		fx.Provide(job.As(func() job.Definition { return job.Define(job.Spec{Type: innerType}, noop{seen}) })),
		tasks.Start,
		fx.Populate(&s.server, &s.queue),
	)
	if err := s.app.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// idleKubeconfig writes a kubeconfig of no cluster: the graph has clients, which nothing here uses.
func (w *fixture) idleKubeconfig() (string, error) {
	const content = `{apiVersion: v1, kind: Config, current-context: none,
		contexts: [{name: none, context: {cluster: none}}], clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]}`
	file := filepath.Join(w.scratch, "kubeconfig")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("kubeconfig: %w", err)
	}
	return file, nil
}

// quiet makes a logger that does all its usual work, redaction included, and writes to where nobody reads, but shows warnings.
func quiet(lc fx.Lifecycle, log *zap.Logger) (*zap.Logger, error) {
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(nowhere.Close))
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	redacted := func(to zapcore.WriteSyncer, level zapcore.LevelEnabler) zapcore.Core {
		return logging.Redacting(zapcore.NewCore(encoder.Clone(), zapcore.Lock(to), level)).Core()
	}
	return zap.New(zapcore.NewTee(redacted(nowhere, log.Level()), redacted(os.Stderr, zap.WarnLevel))), nil
}
