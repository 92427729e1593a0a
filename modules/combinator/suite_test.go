package combinator_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/txnkv"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/kv"
	"app238.com/inner/modules/combinator/internal/rdb"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/stack/tikv"
	"app238.com/inner/test/testdatabase"
)

func TestMain(m *testing.M) { os.Exit(tikv.Run(m)) }

// timeout bounds everything that has no bound of its own.
const timeout = 2 * time.Minute

// bundle holds the dependencies of combinator's jobs on a platform database and engines of its own.
type bundle struct {
	t      testing.TB
	config *config.Config
	db     *testdatabase.Database
	store  *store.Store
	rdb    *rdb.Engine
	kv     *kv.Engine
	pods   *fakePods
	queue  *fakeQueue
	faults *faults
	// tenants is the DSN of the shared database of users, and head the prefix of the names of roles and databases.
	tenants, head string
}

// setup returns a bundle; change may change the configuration before the engines are created.
func setup(t testing.TB, change ...func(*config.Config)) *bundle {
	t.Helper()
	b := &bundle{t: t, db: testdatabase.New(t), pods: &fakePods{}, queue: &fakeQueue{}, faults: &faults{}}
	tenants := testdatabase.NewEmpty(t)
	b.config = b.db.Config
	c := &b.config.Combinator
	c.RDB.DSN = tenants.Config.Database.DSN
	unique := strings.ToLower(rand.Text()[:8])
	// Other tests share the engines, as other platforms.
	b.config.Platform = "test-" + unique
	b.tenants, b.head = c.RDB.DSN.Reveal(), "r"+unique+"_"
	// Roles and databases are global to the server, which other tests share.
	c.RDB.Names.Role = b.head + "{user_uid}"
	c.KV.PD = strings.Split(os.Getenv("INNER_TEST_PD"), ",")
	require.NotEmpty(t, c.KV.PD[0], "INNER_TEST_PD is not set: this test needs a TiKV cluster; run make test")
	c.KV.Prefix = "t" + unique + "_{user_uid}_{resource_id}/"
	for _, f := range change {
		f(b.config)
	}
	require.NoError(t, b.config.Validate())
	platform := sql.OpenDB(b.faults.connector(mustConnect(t, b.config)))
	t.Cleanup(func() { _ = platform.Close() })
	b.store = store.New(database.NewEnt(platform), platform, b.config)
	var err error
	b.rdb, err = rdb.NewWith(b.config, b.store, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)),
		func(c config.RDB, name string) (driver.Connector, error) {
			connector, err := database.EngineConnector(c, name)
			if err != nil {
				return nil, err
			}
			if _, measured := t.(*testing.B); measured {
				return connector, nil
			}
			return b.faults.connector(testdatabase.Checked(t, connector)), nil
		})
	require.NoError(t, err)
	b.kv, err = kv.New(b.config, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)))
	require.NoError(t, err)
	t.Cleanup(b.cleanup)
	return b
}

func mustConnect(t testing.TB, c *config.Config) driver.Connector {
	t.Helper()
	connector, err := database.Connector(c)
	require.NoError(t, err)
	return testdatabase.Checked(t, connector)
}

// cleanup drops the databases, schemas and roles of the test.
func (b *bundle) cleanup() {
	b.faults.off()
	require.NoError(b.t, b.kv.Stop(context.Background()))
	require.NoError(b.t, b.rdb.Close())
	admin := b.admin("")
	defer func() { _ = admin.Close() }()
	for _, name := range column(b.t, admin, `SELECT datname FROM pg_database WHERE substr(datname, 1, length($1::TEXT)) = $1`,
		b.head) {
		_, err := admin.Exec(`DROP DATABASE ` + database.Quote(name))
		require.NoError(b.t, err)
	}
	for _, name := range column(b.t, admin, `SELECT nspname FROM pg_namespace WHERE substr(nspname, 1, 5) = 'user_'`) {
		_, err := admin.Exec(`DROP SCHEMA ` + database.Quote(name) + ` CASCADE`)
		require.NoError(b.t, err)
	}
	var current string
	require.NoError(b.t, admin.QueryRow(`SELECT current_database()`).Scan(&current))
	for _, name := range column(b.t, admin, `SELECT rolname FROM pg_roles WHERE substr(rolname, 1, length($1::TEXT)) = $1`, b.head) {
		_, err := admin.Exec(`REVOKE ALL ON DATABASE ` + database.Quote(current) + ` FROM ` + database.Quote(name) + `; DROP ROLE ` +
			database.Quote(name))
		require.NoError(b.t, err)
	}
}

func column(t testing.TB, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	found, err := db.Query(query, args...)
	require.NoError(t, err)
	defer func() { _ = found.Close() }()
	var all []string
	for found.Next() {
		var one string
		require.NoError(t, found.Scan(&one))
		all = append(all, one)
	}
	require.NoError(t, found.Err())
	return all
}

// admin connects to a database of the RDB engine as its administrator, with the plain driver; "" is the shared database.
func (b *bundle) admin(name string) *sql.DB {
	db := b.connect(name, nil)
	db.SetMaxIdleConns(0) // tests open many of these
	return db
}

// connect connects to a database of the RDB engine.
func (b *bundle) connect(name string, user *url.Userinfo) *sql.DB { return b.open(b.dsn(name, user)) }

// dsn returns the DSN of a database of the RDB engine.
func (b *bundle) dsn(name string, user *url.Userinfo) string {
	b.t.Helper()
	u, err := url.Parse(b.tenants)
	require.NoError(b.t, err)
	if name != "" {
		u.Path = "/" + name
	}
	if user != nil {
		u.User = user
	}
	return u.String()
}

// open connects with the plain driver.
func (b *bundle) open(dsn string) *sql.DB {
	b.t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = db.Close() })
	return db
}

// login connects as a user's role.
func (b *bundle) login(userUID, password string) *sql.DB { return b.open(b.address(userUID, password)) }

// address returns the DSN of a user's role.
func (b *bundle) address(userUID, password string) string {
	b.t.Helper()
	role := strings.ReplaceAll(b.config.Combinator.RDB.Names.Role, "{user_uid}", userUID)
	name := ""
	if pattern := b.config.Combinator.RDB.Names.Database; pattern != "" {
		name = strings.ReplaceAll(pattern, "{user_uid}", userUID)
	}
	return b.dsn(name, url.UserPassword(role, password))
}

// client returns a client of TiKV itself.
func (b *bundle) client() *txnkv.Client {
	b.t.Helper()
	client, err := txnkv.NewClient(b.config.Combinator.KV.PD)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = client.Close() })
	return client
}

// prefix returns the prefix of a resource of u1.
func (b *bundle) prefix(resourceID string) string {
	return strings.NewReplacer("{user_uid}", "u1", "{resource_id}", resourceID).Replace(b.config.Combinator.KV.Prefix)
}

// params returns the dependencies of the jobs.
func (b *bundle) params() jobs.Params {
	return jobs.Params{Store: b.store, RDB: b.rdb, KV: b.kv, Queue: b.queue, Pods: b.pods}
}

// run executes a task of the job with this payload, until no part of it is left, and then the tasks about the user that it
// queued.
func (b *bundle) run(kind string, payload any) error {
	b.t.Helper()
	err := b.executeAll(kind, payload)
	for _, next := range b.queue.takeRemovals() {
		if err == nil {
			err = b.executeAll(next.kind, next.payload)
		}
	}
	return err
}

func (b *bundle) executeAll(kind string, payload any) error {
	b.t.Helper()
	for {
		err := b.execute(job.Task{ID: 1, Type: kind, Attempt: 1}, payload)
		if later, ok := errors.AsType[*job.Error](err); !ok || !strings.HasPrefix(later.Text, "a part of the resource is removed") {
			return err
		}
	}
}

// execute executes a task once.
func (b *bundle) execute(task job.Task, payload any) error {
	b.t.Helper()
	p := b.params()
	for _, d := range []job.Definition{
		jobs.NewCreateRDB(p, b.config), jobs.NewDeleteRDB(p), jobs.NewCreateKV(p), jobs.NewDeleteKV(p), jobs.NewRegisterUser(p),
		jobs.NewNotifyPods(p), jobs.NewMeasureRDB(p), jobs.NewSweepKV(p), jobs.NewSyncPasswords(p),
		jobs.NewRemoveTenant(p),
	} {
		if d.Type != task.Type {
			continue
		}
		info, err := json.Marshal(payload)
		require.NoError(b.t, err)
		prepared, err := d.Prepare(info)
		require.NoError(b.t, err)
		err = prepared.Execute(context.Background(), task)
		if failed, ok := errors.AsType[*job.Error](err); ok && failed.Kind == job.Terminal {
			require.NoError(b.t, prepared.OnDiscarded(context.Background(), task, failed.Text))
		}
		return err
	}
	b.t.Fatalf("no job %s", task.Type)
	return nil
}

// ref returns the payload about a resource.
func ref(userUID, resourceID string) map[string]string {
	return map[string]string{"user_uid": userUID, "resource_id": resourceID, "name": "mine"}
}

// user inserts a user as the Outer does.
func (b *bundle) user(uid, key string) {
	b.t.Helper()
	_, err := b.db.Exec(`INSERT INTO users (uid, email, password_hash, secret_key) VALUES ($1, $2, '-', $3)`, uid,
		uid+"@example.com", key)
	require.NoError(b.t, err)
}

// resource inserts a resource as the Outer does.
func (b *bundle) resource(uid, rid, kind string) {
	b.t.Helper()
	_, err := b.db.Exec(`INSERT INTO combinator_resources (user_uid, resource_type, resource_id, status, msg) VALUES ($1, $2, $3, 'loading', '')`, uid, kind, rid)
	require.NoError(b.t, err)
}

// remove deletes the row of a resource of u1 as the Outer does.
func (b *bundle) remove(rid string) {
	b.t.Helper()
	_, err := b.db.Exec(`DELETE FROM combinator_resources WHERE user_uid = $1 AND resource_id = $2`, "u1", rid)
	require.NoError(b.t, err)
}

// status returns the status of a resource of u1.
func (b *bundle) status(rid string) string {
	b.t.Helper()
	var status string
	require.NoError(b.t,
		b.db.QueryRow(`SELECT status FROM combinator_resources WHERE user_uid = $1 AND resource_id = $2`, "u1", rid).Scan(&status))
	return status
}
