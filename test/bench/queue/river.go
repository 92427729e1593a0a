package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// What River is tuned to: the time between two fetches at the least, and between two polls.
const (
	riverCooldown = 2 * time.Millisecond
	riverPoll     = 20 * time.Millisecond
)

// riverArgs is the payload of River's jobs, the same as Inner's.
type riverArgs struct{ note }

// Kind implements river.JobArgs.
func (riverArgs) Kind() string { return "noop" }

// riverWorker is the job that does nothing.
type riverWorker struct {
	river.WorkerDefaults[riverArgs]
	seen *watch
}

// Work implements river.Worker.
func (w *riverWorker) Work(_ context.Context, j *river.Job[riverArgs]) error {
	w.seen.enter(j.Args.note)
	return nil
}

// newRiverStore makes River's tables.
func newRiverStore(ctx context.Context, dsn string) (*store, error) {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	return &store{
		db: conn, dsn: dsn, table: "river_job",
		reset: `TRUNCATE river_job, river_leader, river_queue`,
		prefill: `INSERT INTO river_job (kind, args, max_attempts, state, attempt, attempted_at, attempted_by, finalized_at)
			SELECT 'noop', json_build_object('key', 'old-' || i, 'at', 0)::JSONB, 25, 'completed', 1, now(), '{old}', now()
			FROM generate_series(1, $1::INT) AS i`,
		open: `SELECT EXISTS (SELECT 1 FROM river_job WHERE id >= $1
			AND state IN ('available', 'running', 'retryable', 'scheduled') ORDER BY id DESC LIMIT 1)`,
		ended: `SELECT count(*) FROM river_job WHERE state = 'completed'`,
		scan:  `SELECT kind, state, count(*), avg(length(args::TEXT)) FROM river_job GROUP BY 1, 2`,
	}, nil
}

// riverParties are River with its defaults and tuned, each with few and with many workers.
func (w *fixture) riverParties() []party {
	var parties []party
	for _, tuned := range []bool{false, true} {
		for _, workers := range []int{4, 100, 2000} {
			label := fmt.Sprintf("river-default-%d", workers)
			if tuned {
				label = fmt.Sprintf("river-tuned-%d", workers)
			}
			q := &queue{
				label: label, options: w.options, store: w.river, loads: workers < 2000, burns: true,
				start: func(ctx context.Context, seen *watch) (session, error) {
					return startRiver(ctx, w.river.dsn, seen, workers, tuned)
				},
				backlog: w.riverBacklog, mayLag: true,
			}
			parties = append(parties, q)
			if tuned && workers == 100 {
				w.tunedRiver = q
			}
		}
	}
	return append(parties, w.pressedRiver())
}

// riverSession is a River client, running.
type riverSession struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
}

func newRiver(ctx context.Context, dsn string, c *river.Config) (*riverSession, error) {
	poolConfig, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	poolConfig.MaxConns = poolSize
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), c)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &riverSession{pool: pool, client: client}, nil
}

func startRiver(ctx context.Context, dsn string, seen *watch, workers int, tuned bool) (session, error) {
	registered := river.NewWorkers()
	river.AddWorker(registered, &riverWorker{seen: seen})
	c := &river.Config{
		// The default logger, but for standard output, which is for the figures.
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		Workers: registered,
	}
	if tuned {
		c.FetchCooldown, c.FetchPollInterval = riverCooldown, riverPoll
	}
	s, err := newRiver(ctx, dsn, c)
	if err != nil {
		return nil, err
	}
	// The client would stop with the context that it is started with.
	if err := s.client.Start(context.WithoutCancel(ctx)); err != nil {
		s.pool.Close()
		return nil, err
	}
	return s, nil
}

func (s *riverSession) producer(context.Context) (producer, error) {
	return riverProducer{s.client}, nil
}

func (s *riverSession) stop(ctx context.Context) error {
	defer s.pool.Close()
	return s.client.Stop(ctx)
}

type riverProducer struct{ client *river.Client[pgx.Tx] }

func (p riverProducer) accept(ctx context.Context, n note) error {
	_, err := p.client.Insert(ctx, riverArgs{n}, nil)
	return err
}

func (riverProducer) close() error { return nil }

// riverBatch is how many jobs of a backlog are written at once.
const riverBatch = 10_000

// riverBacklog writes n jobs through River itself, so that they are as River makes them.
func (w *fixture) riverBacklog(ctx context.Context, n int) error {
	s, err := newRiver(ctx, w.river.dsn, &river.Config{})
	if err != nil {
		return err
	}
	defer s.pool.Close()
	for n > 0 {
		batch := make([]river.InsertManyParams, min(n, riverBatch))
		for i := range batch {
			batch[i].Args = riverArgs{newNote(0)}
		}
		if _, err := s.client.InsertManyFast(ctx, batch); err != nil {
			return err
		}
		n -= len(batch)
	}
	return nil
}
