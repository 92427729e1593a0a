package rdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
)

// resumed is the context of a process that was stopped until after its deadline, and whose timers have not fired yet.
type resumed struct{ context.Context }

func (resumed) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

// countingConnector counts the connections that are asked of it.
type countingConnector struct{ count atomic.Int32 }

func (c *countingConnector) Connect(context.Context) (driver.Conn, error) {
	c.count.Add(1)
	return nil, errors.New("away")
}

func (c *countingConnector) Driver() driver.Driver { return nil }

func TestNothingIsSentAfterTheDeadline(t *testing.T) {
	t.Parallel()
	c := &config.Config{Platform: "test"}
	c.Combinator.RDB = config.RDB{DSN: "postgres://engine", RequestTimeout: time.Minute,
		Names: config.RDBNames{Schema: "user_{user_uid}_{resource_id}", Role: "user_{user_uid}"}}
	connector := &countingConnector{}
	connect := func(config.RDB, string) (driver.Connector, error) { return connector, nil }
	e, err := NewWith(c, nil, zap.NewNop(), connect)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	on := func(ctx context.Context, work func(ctx context.Context, db *sql.DB) error) error {
		return e.on(ctx, "", work)
	}
	for name, send := range map[string]func(ctx context.Context) error{
		"exec": func(ctx context.Context) error {
			return on(ctx, func(ctx context.Context, db *sql.DB) error { return e.exec(ctx, db, `SELECT 1`) })
		},
		"read": func(ctx context.Context) error {
			return on(ctx, func(ctx context.Context, db *sql.DB) error {
				_, err := e.read(ctx, db, `SELECT 1`, nil, new(int))
				return err
			})
		},
		"rows": func(ctx context.Context) error {
			return e.forEachRow(ctx, "", func() {}, func(string, string) {}, `SELECT 'a', 'b'`)
		},
		"numbers": func(ctx context.Context) error {
			_, err := e.queryNumbers(ctx, "", `SELECT 'a', 1`)
			return err
		},
	} {
		err := send(resumed{t.Context()})
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.ErrorIs(t, err, engine.ErrUnavailable, name)
		require.NotErrorIs(t, err, engine.ErrUncertain, name)
		require.Zero(t, connector.count.Load(), name)
		require.Error(t, send(t.Context()), name)
		require.Equal(t, int32(1), connector.count.Swap(0), name)
	}
}
