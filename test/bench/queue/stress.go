package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// stress disturbs the database of a party until the returned function is called.
type stress func(ctx context.Context, s *store) (end func() error, err error)

// heldTransaction has a transaction with an id that does nothing, as a forgotten session has: no row that is updated or
// deleted meanwhile can be vacuumed.
func heldTransaction(ctx context.Context, s *store) (func() error, error) {
	conn, err := pgx.Connect(ctx, s.dsn)
	if err != nil {
		return nil, err
	}
	for _, statement := range []string{"BEGIN", "SELECT pg_current_xact_id()"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return nil, errors.Join(err, conn.Close(ctx))
		}
	}
	return func() error { return conn.Close(context.WithoutCancel(ctx)) }, nil
}

// readers is how many connections activeReaders has.
const readers = 4

// activeReaders scans the table over and over in transactions of its own, as reports and dumps do.
func activeReaders(ctx context.Context, s *store) (func() error, error) {
	return repeatedly(ctx, s, readers, func(ctx context.Context, conn *pgx.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, s.scan)
		return errors.Join(err, tx.Rollback(ctx))
	})
}

// killInterval is how often killedBackends ends one.
const killInterval = 100 * time.Millisecond

// killedBackends ends a connection of the party every killInterval.
func killedBackends(ctx context.Context, s *store) (func() error, error) {
	const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> ALL ($1::INT[]) ORDER BY random() LIMIT 1`
	own := int32(s.db.PgConn().PID())
	return repeatedly(ctx, s, 1, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, kill, []int32{own, int32(conn.PgConn().PID())}); err != nil {
			return err
		}
		return sleep(ctx, killInterval)
	})
}

// repeatedly runs work over and over on n connections of its own.
func repeatedly(
	ctx context.Context, s *store, n int, work func(ctx context.Context, conn *pgx.Conn) error,
) (func() error, error) {
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	for range n {
		conn, err := pgx.Connect(ctx, s.dsn)
		if err != nil {
			cancel()
			return nil, errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
			for ctx.Err() == nil {
				if err := work(ctx, conn); err != nil && ctx.Err() == nil {
					return fmt.Errorf("stress: %w", err)
				}
			}
			return nil
		})
	}
	return func() error {
		cancel()
		return group.Wait()
	}, nil
}

// idleConnections is how many connections heldConnections has.
const idleConnections = 300

// heldConnections has many connections that do nothing.
func heldConnections(ctx context.Context, s *store) (func() error, error) {
	var conns []*pgx.Conn
	end := func() (err error) {
		for _, conn := range conns {
			err = errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
		}
		return err
	}
	for range idleConnections {
		conn, err := pgx.Connect(ctx, s.dsn)
		if err != nil {
			return nil, errors.Join(err, end())
		}
		conns = append(conns, conn)
	}
	return end, nil
}
