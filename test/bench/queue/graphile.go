package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// graphile is graphile-worker with its settings, in a Node process of its own.
type graphile struct {
	fixture     *fixture
	label       string
	batched     bool
	concurrency int
}

// graphileParties are graphile-worker with its defaults, but for the number of jobs that run at the same time, and with
// the batching of its documentation, there also with the 24 jobs that it shows its best figures with.
func (w *fixture) graphileParties() []party {
	if w.node == "" {
		return nil
	}
	return []party{
		&graphile{w, graphileDefault, false, 4},
		&graphile{w, graphileBatched, true, 4},
		&graphile{w, graphileBest, true, 24},
	}
}

const (
	graphileDefault = "graphile-default-4"
	graphileBatched = "graphile-batched-4"
	graphileBest    = "graphile-batched-24"
)

func graphileNames() []string { return []string{graphileDefault, graphileBatched, graphileBest} }

// newGraphileStore makes graphile-worker's tables.
func (w *fixture) newGraphileStore(ctx context.Context, dsn string) (*store, error) {
	if err := w.migrateGraphile(ctx, dsn); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	return &store{
		db: conn, dsn: dsn, table: "graphile_worker._private_jobs",
		reset: `TRUNCATE graphile_worker._private_jobs, graphile_worker._private_job_queues`,
		open:  `SELECT EXISTS (SELECT 1 FROM graphile_worker._private_jobs WHERE id >= $1)`,
	}, nil
}

// graphileBacklog writes jobs as graphile-worker's own performance test does.
const graphileBacklog = `SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
	SELECT json_populate_record(NULL::graphile_worker.job_spec, json_build_object(
		'identifier', 'noop', 'payload', json_build_object('key', 'left-' || i, 'at', 0)))
	FROM generate_series(1, $1::INT) AS i))`

func (g *graphile) name() string { return g.label }

func (g *graphile) in(s scenario) func(ctx context.Context) (sample, error) {
	if s.name != burnDown && !s.isLoop() {
		return nil
	}
	return func(ctx context.Context) (sample, error) { return g.measure(ctx, s) }
}

// measure lets the Node process measure itself. Between its warm-up and the measurement the tables are vacuumed as those
// of the others are.
func (g *graphile) measure(ctx context.Context, s scenario) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, cellTimeout)
	defer cancel()
	o, store := g.fixture.options, g.fixture.graphile
	if err := store.fresh(ctx, 0); err != nil {
		return nil, err
	}
	settings := nodeSettings{
		Batched: g.batched, Concurrency: g.concurrency, ProducerPool: poolSize, WarmUp: milliseconds(o.warmUp),
		WarmUpRoom: warmUpRoom, WarmLimit: milliseconds(warmLimit), Producers: s.producers, Rate: s.rate,
		Senders: openSenders, Late: milliseconds(o.late), Length: milliseconds(o.closed), Drain: milliseconds(o.drain),
	}
	switch {
	case s.rate > 0:
		settings.Length = milliseconds(o.open)
	case s.name == burnDown:
		settings.Backlog, settings.Drain = o.backlog, milliseconds(o.burn)
	}
	node, err := g.fixture.startNode(ctx, store.dsn, settings)
	if err != nil {
		return nil, err
	}
	defer node.end()
	if _, err := node.answer(); err != nil {
		return nil, err
	}
	if settings.Backlog > 0 {
		if _, err := store.db.Exec(ctx, store.reset); err != nil {
			return nil, err
		}
		if _, err := store.db.Exec(ctx, graphileBacklog, settings.Backlog); err != nil {
			return nil, fmt.Errorf("write the backlog: %w", err)
		}
	}
	if err := store.vacuum(ctx); err != nil {
		return nil, err
	}
	if err := node.proceed(); err != nil {
		return nil, err
	}
	return node.answer()
}

// migrateTimeout bounds the making of the tables.
const migrateTimeout = time.Minute

func (w *fixture) migrateGraphile(ctx context.Context, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	node, err := w.startNode(ctx, dsn, nodeSettings{Migrate: true, ProducerPool: 1})
	if err != nil {
		return err
	}
	return node.wait()
}
