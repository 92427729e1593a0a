package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/postgres"
)

// serverSettings undo what the test stack sets for speed: everything is as PostgreSQL delivers it, but for the number of
// connections.
var serverSettings = map[string]string{
	"autovacuum_naptime":        "1min",
	"fsync":                     "on",
	"full_page_writes":          "on",
	"max_connections":           "700",
	"max_wal_size":              "1GB",
	"track_activity_query_size": "1024",
}

// poolSize is how many connections each queue may open: Inner's default, given to the others as well.
const poolSize = 24

// fixture is what the parties share: the server, a database for each kind of party, and a folder.
type fixture struct {
	options options
	server  *postgres.Server
	binDir  string
	// scratch is a folder that goes with the run.
	scratch string
	// node is the folder in which graphile-worker is installed; "" where there is no Node.
	node string
	// overHTTP is Inner over HTTP, tunedRiver the River that it is compared with under pressure, and rate what that one does
	// undisturbed, in tasks a second, once it is known.
	overHTTP, tunedRiver *queue
	rate                 float64
	// stores holds the database of each kind of party.
	inner, river, graphile, bare *store
}

func newFixture(ctx context.Context, o options) (w *fixture, err error) {
	w = &fixture{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.scratch, err = os.MkdirTemp("", "bench-queue-"); err != nil {
		return w, err
	}
	if w.binDir, err = build.PostgreSQL(ctx, build.Options{}); err != nil {
		return w, err
	}
	if o.wantsOneOf(graphileNames()) {
		if w.node, err = installGraphile(ctx); err != nil {
			return w, err
		}
	}
	if w.server, err = postgres.Start(ctx, postgres.Options{BinDir: w.binDir, Settings: serverSettings}); err != nil {
		return w, err
	}
	for _, s := range []struct {
		into  **store
		make  func(ctx context.Context, dsn string) (*store, error)
		name  string
		where bool
	}{
		{&w.inner, newInnerStore, "inner", true},
		{&w.bare, newInnerStore, "bare", true},
		{&w.river, newRiverStore, "river", true},
		{&w.graphile, w.newGraphileStore, "graphile", w.node != ""},
	} {
		if !s.where {
			continue
		}
		if err = w.server.CreateDatabase(ctx, s.name); err != nil {
			return w, err
		}
		if *s.into, err = s.make(ctx, w.server.DSN(s.name)); err != nil {
			return w, fmt.Errorf("database %s: %w", s.name, err)
		}
	}
	return w, nil
}

// parties returns all parties, in the order of output.
func (w *fixture) parties() []party {
	return slices.Concat(w.innerParties(), w.riverParties(), w.graphileParties(), w.bareParties(), []party{&idle{w}})
}

// close ends the server and removes what the run left.
func (w *fixture) close() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, s := range []*store{w.inner, w.bare, w.river, w.graphile} {
		if s != nil {
			errs = append(errs, s.db.Close(ctx))
		}
	}
	if w.server != nil {
		errs = append(errs, w.server.Close())
	}
	if w.scratch != "" {
		errs = append(errs, os.RemoveAll(w.scratch))
	}
	return errors.Join(errs...)
}

// store is one party's database, as the benchmark reads it from outside.
type store struct {
	db  *pgx.Conn
	dsn string
	// table holds the tasks.
	table string
	// reset empties the tables.
	reset string
	// prefill writes $1 tasks that have ended; "" where the queue keeps none.
	prefill string
	// open tells whether any task with an id from $1 on has not ended. It begins with the newest ones, and does not read the
	// entries of earlier ended tasks.
	open string
	// ended counts the tasks whose end is committed; "" where the queue keeps none.
	ended string
	// scan reads the whole table, as a report does.
	scan string
}

// fresh gives the tables the state that every party begins with.
func (s *store) fresh(ctx context.Context, prefill int) error {
	if _, err := s.db.Exec(ctx, s.reset); err != nil {
		return fmt.Errorf("empty the tables: %w", err)
	}
	if s.prefill != "" {
		if _, err := s.db.Exec(ctx, s.prefill, prefill); err != nil {
			return fmt.Errorf("write finished tasks: %w", err)
		}
	}
	return s.vacuum(ctx)
}

// vacuum makes statistics current and gets writes of earlier work out of the way.
func (s *store) vacuum(ctx context.Context) error {
	for _, statement := range []string{"VACUUM (ANALYZE) " + s.table, "CHECKPOINT"} {
		if _, err := s.db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// isOpen tells whether any task since the mark has not ended.
func (s *store) isOpen(ctx context.Context, since mark) (open bool, err error) {
	err = s.db.QueryRow(ctx, s.open, since.next).Scan(&open)
	return open, err
}

// mark is the state of a table before a measurement.
type mark struct {
	// ended is how many tasks had ended, next the lowest id of those to come.
	ended, next int64
}

// mark returns the state of the table.
func (s *store) mark(ctx context.Context) (m mark, err error) {
	if m.ended, err = s.endedCount(ctx); err != nil {
		return m, err
	}
	err = s.db.QueryRow(ctx, `SELECT COALESCE(max(id), 0) + 1 FROM `+s.table).Scan(&m.next)
	return m, err
}

// walPosition returns how many bytes the database has written to its log.
func (s *store) walPosition(ctx context.Context) (bytes float64, err error) {
	err = s.db.QueryRow(ctx, `SELECT (pg_current_wal_lsn() - '0/0'::PG_LSN)::FLOAT8`).Scan(&bytes)
	return bytes, err
}

// endedCount counts the tasks whose end is committed.
func (s *store) endedCount(ctx context.Context) (n int64, err error) {
	err = s.db.QueryRow(ctx, s.ended).Scan(&n)
	return n, err
}
