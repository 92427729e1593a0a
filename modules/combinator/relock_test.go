package combinator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// holdSequences makes a user lock a sequence in each of these schemas, by its number, for which no right on the schema is
// needed, and again as soon as the session was terminated, until the test ends.
func (b *bundle) holdSequences(uid string, rids []string) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var held, all sync.WaitGroup
	b.t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	for _, rid := range rids {
		db := b.login(uid, "sk_"+uid)
		var id int64
		require.NoError(b.t, db.QueryRow(`SELECT '`+b.schema(uid, rid)+`.numbers'::REGCLASS::OID::BIGINT`).Scan(&id))
		held.Add(1)
		all.Go(func() {
			for first := true; ctx.Err() == nil; {
				tx, err := db.BeginTx(ctx, nil)
				if err == nil {
					_, err = tx.Exec(`SET idle_in_transaction_session_timeout = 0; ` + fmt.Sprintf(`SELECT nextval(%d::REGCLASS)`, id))
				}
				if err == nil && first {
					first = false
					held.Done()
				}
				for err == nil { // until the session is terminated
					_, err = tx.ExecContext(ctx, `SELECT pg_sleep(0.02)`)
				}
				if tx != nil {
					_ = tx.Rollback()
				}
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	held.Wait()
}

func TestUserRelockingSchemasDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "nextval holds a sequence")
	b := setup(t, longLockTimeout, func(c *config.Config) { c.Combinator.RDB.ConnectionLimit = 0 })
	b.user("u1", "sk_u1")
	b.user("u2", "sk_u2")
	b.resource("u2", "r", "rdb")
	rids := make([]string, 24)
	for i := range rids {
		rids[i] = fmt.Sprintf("r%d", i)
		b.addSchema("u1", rids[i])
		db := b.login("u1", "sk_u1")
		_, err := db.Exec(`CREATE SEQUENCE ` + b.schema("u1", rids[i]) + `.numbers`)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	b.holdSequences("u1", rids)
	tasks := map[int64]string{}
	for i, rid := range rids {
		b.remove(rid)
		tasks[int64(i)+10] = rid
	}
	// The lane has one worker: it runs each of the user's tasks, and then another user's.
	round := func() {
		for id, rid := range tasks {
			err := b.execute(job.Task{ID: id, Type: jobs.DeleteRDBType, Attempt: 1}, ref("u1", rid))
			if later, ok := errors.AsType[*job.Error](err); err != nil && (!ok || later.Kind != job.Snooze) {
				require.NoError(t, err)
			}
			if err == nil {
				delete(tasks, id)
			}
		}
	}
	startedAt := time.Now()
	require.NoError(t, b.withoutWaiting(func() error {
		round()
		return b.run(jobs.CreateRDBType, ref("u2", "r"))
	}))
	t.Logf("the other user's schema was created after %s, with %d schemas of the user left", time.Since(startedAt), len(tasks))
	require.Eventually(t, func() bool {
		round()
		return len(tasks) == 0
	}, timeout, 10*time.Millisecond, "all schemas are dropped in the end")
}

func TestOtherTasksYieldWhileUsersSchemaIsLocked(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "LOCK TABLE")
	b := setup(t, longLockTimeout)
	b.user("u1", "sk_u1")
	b.addSchema("u1", "r1")
	b.resource("u1", "r2", "rdb")
	held := b.lock(b.connect("", nil), "u1", "r1")
	b.remove("r1")
	drop := func() error { return b.execute(job.Task{ID: 7, Type: jobs.DeleteRDBType, Attempt: 1}, ref("u1", "r1")) }
	create := func() error { return b.execute(job.Task{ID: 8, Type: jobs.CreateRDBType, Attempt: 1}, ref("u1", "r2")) }
	require.Error(t, drop())
	var later *job.Error
	require.ErrorAs(t, create(), &later)
	require.Equal(t, job.Snooze, later.Kind)
	require.NoError(t, held.Rollback())
	require.NoError(t, drop(), "the task itself is not excluded")
	require.NoError(t, create())
}
