package combinator_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/rdb"
	"app238.com/inner/modules/tasks/job"
)

// hanging is a server that does not answer: every connection attempt waits until its context ends.
type hanging struct {
	driver.Connector
	waiting *atomic.Int32
}

func (h hanging) Connect(ctx context.Context) (driver.Conn, error) {
	h.waiting.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestHangingDatabaseDoesNotBlockOtherUsers(t *testing.T) {
	t.Parallel()
	b := setup(t, ownDatabases)
	for _, uid := range []string{"u1", "u2"} {
		b.user(uid, "sk_"+uid)
		require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": uid}))
	}
	c := *b.config
	c.Combinator.RDB.MaxOpenConnections, c.Combinator.RDB.RequestTimeout = 2, 2*timeout
	var waiting atomic.Int32
	e, err := rdb.NewWith(&c, b.store, zap.NewNop(), func(c config.RDB, name string) (driver.Connector, error) {
		connector, err := database.EngineConnector(c, name)
		if err == nil && name == b.database("u1") {
			return hanging{connector, &waiting}, nil
		}
		return connector, err
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })

	create := func(ctx context.Context, uid, rid string) error {
		r := engine.Resource{UserUID: uid, ResourceID: rid}
		return e.Create(ctx, engine.Tenant{UserUID: uid, Key: "sk_" + uid, Names: e.TenantNames(uid)}, r, e.Name(r))
	}
	const callers = 10
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	for i := range callers {
		group.Go(func() error { return create(ctx, "u1", fmt.Sprintf("h%d", i)) })
	}
	require.Eventually(t, func() bool { return waiting.Load() == callers }, timeout, 10*time.Millisecond)
	require.NoError(t, create(t.Context(), "u2", "r"))
	require.NoError(t, e.Ready(t.Context()))
	require.True(t, b.schemaExists("u2", "r"))
	cancel()
	require.Error(t, group.Wait())
}

// refusing is a server that accepts no connection.
type refusing struct{ driver.Connector }

func (refusing) Connect(context.Context) (driver.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func TestUnreachableDatabaseDoesNotKeepKeysFromOtherUsers(t *testing.T) {
	t.Parallel()
	b := setup(t, ownDatabases)
	for _, uid := range []string{"u1", "u2", "u3"} {
		b.user(uid, "sk_"+uid)
		require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": uid}))
	}
	_, err := b.db.Exec(`UPDATE users SET secret_key = secret_key || '_new'`)
	require.NoError(t, err)
	connect := func(unreachable ...string) {
		require.NoError(t, b.rdb.Close())
		b.rdb, err = rdb.NewWith(b.config, b.store, zap.NewNop(), func(c config.RDB, name string) (driver.Connector, error) {
			connector, err := database.EngineConnector(c, name)
			if err == nil && slices.Contains(unreachable, name) {
				return refusing{connector}, nil
			}
			return connector, err
		})
		require.NoError(t, err)
	}
	sync := func() *job.Error {
		var failed *job.Error
		require.ErrorAs(t, b.run(jobs.SyncPasswordsType, map[string]string{}), &failed)
		require.Equal(t, job.Terminal, failed.Kind, failed)
		return failed
	}
	connect("")
	require.Contains(t, sync().Text, "the RDB engine is unavailable")
	connect(b.database("u1"), b.database("u2"))
	require.Contains(t, sync().Text, "not up to date: 2;")
	require.NoError(t, b.login("u3", "sk_u3_new").Ping())
	connect()
	require.NoError(t, b.run(jobs.SyncPasswordsType, map[string]string{}))
	require.NoError(t, b.login("u1", "sk_u1_new").Ping())
}
