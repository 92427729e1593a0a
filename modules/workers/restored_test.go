package workers_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
)

// identity returns the database's id.
func (b *bundle) identity(t *testing.T) string {
	t.Helper()
	id, err := database.Identity(t.Context(), b.db.DB)
	require.NoError(t, err)
	return id
}

// origin returns the origin of w1's WorkerApp.
func (b *bundle) origin(t *testing.T) workerapp.Origin {
	t.Helper()
	found, err := b.clients.Get(t.Context(), workerapp.Resource(), b.namespace, workerapp.Name("w1", "u1"))
	require.NoError(t, err)
	return workerapp.OriginOf(found.GetAnnotations())
}

// forgetTask removes a task from the database, whose highest task is newest.
func (b *bundle) forgetTask(task, newest int64) {
	b.queue.mu.Lock()
	defer b.queue.mu.Unlock()
	if b.queue.acceptances == nil {
		b.queue.acceptances = map[int64]job.Acceptance{}
	}
	b.queue.acceptances[task] = job.Acceptance{Newest: newest}
}

// restoreOlderDatabase leaves the cluster at a version and a task that the restored database does not have.
func (b *bundle) restoreOlderDatabase(t *testing.T) {
	t.Helper()
	later := b.version(t, "app:ahead")
	requireKind(t, job.Parked, b.deploy(t, 900, later))
	b.record(t, later, 900, "")
	b.writeStatus(t, later, 900, workerapp.Running, "")
	b.exec(t, fmt.Sprintf(`UPDATE workers SET active_version_id = NULLIF(active_version_id, %d)`, later))
	b.exec(t, fmt.Sprintf(`DELETE FROM worker_deploy_versions WHERE id = %d`, later))
	b.forgetTask(900, 20)
}

func TestUnknownTaskIsNotNewer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	b.restoreOlderDatabase(t)
	before := b.identity(t)
	b.exec(t, `UPDATE workers SET secrets_json = '["A"]', status = 'active'`)
	b.exec(t, `INSERT INTO inner_audit_sightings (kind, name, first_task, last_task) VALUES ('worker', 'w-x-y', 1, 2)`)
	require.NoError(t, b.syncSecret(t, 21, `{"A":"1"}`), "by the rows no version has served")
	require.Equal(t, map[string]string{"A": "1"}, b.secret(t))
	requireKind(t, job.Parked, b.deploy(t, 22, v))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 22", v), b.app(t))
	require.NotEqual(t, before, b.identity(t), "the other WorkerApps are of another database too")
	require.Equal(t, workerapp.Origin{Version: int64(v), Task: 22, Accepted: "t0", Database: b.identity(t)}, b.origin(t))
	require.Equal(t, 1, b.logged.FilterMessageSnippet("the database was restored").Len())
	require.Zero(t, b.count(t, `SELECT count(*) FROM inner_audit_sightings`), "the grace period of the audit starts again")
	requireKind(t, job.Parked, b.deploy(t, 22, v))
	require.Equal(t, 1, b.logged.Len())
}

func TestTaskIDReusedAfterRestoreIsADifferentTask(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.deployed(t)
	b.exec(t, `UPDATE workers SET secrets_json = '["A"]'`)
	requireKind(t, job.Parked, b.syncSecret(t, 2, `{"A":"1"}`))
	b.record(t, v, 2, "")
	b.writeStatus(t, v, 2, workerapp.Running, "")
	require.NoError(t, b.syncSecret(t, 2, `{"A":null}`))
	b.queue.acceptances = map[int64]job.Acceptance{2: {Found: true, OrderingKey: "worker/u1/w1", At: "t1"}}
	b.exec(t, `UPDATE workers SET secrets_json = '["B"]'`)
	before := b.origin(t)
	requireKind(t, job.Parked, b.syncSecret(t, 2, `{"B":"2"}`))
	require.Equal(t, map[string]string{"B": "2"}, b.secret(t))
	require.NotEqual(t, before.Database, b.origin(t).Database, "the outcomes of both tasks must differ")
	b.record(t, v, 2, "")
	require.NoError(t, b.syncSecret(t, 2, `{"B":null}`))
}

func TestMarkedRestoreRestartsEveryTask(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	requireKind(t, job.Parked, b.deploy(t, 1, v))
	b.record(t, v, 1, "")
	b.writeStatus(t, v, 1, workerapp.Running, "")
	b.exec(t, `UPDATE worker_deploy_versions SET status = 'loading'`)
	b.exec(t, `UPDATE workers SET status = 'loading', active_version_id = NULL`)
	done, err := database.RenewIdentity(t.Context(), b.db.DB, b.identity(t))
	require.NoError(t, err)
	require.True(t, done)
	requireKind(t, job.Parked, b.deploy(t, 1, v))
	require.Equal(t, b.identity(t), b.origin(t).Database)
	requireKind(t, job.Parked, b.deploy(t, 1, v))
	b.record(t, v, 1, "")
	require.NoError(t, b.deploy(t, 1, v))
	require.Zero(t, b.logged.Len(), "the restore was already marked")
}

func TestVersionIDReusedAfterRestoreIsADifferentVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.version(t, "app:1"), b.version(t, "app:2")
	requireKind(t, job.Parked, b.deploy(t, 1, second))
	b.record(t, second, 1, "")
	b.exec(t, fmt.Sprintf(`UPDATE workers SET status = 'active', active_version_id = %d`, first))
	b.exec(t, fmt.Sprintf(`UPDATE worker_deploy_versions SET status = CASE id WHEN %d THEN 'success' ELSE 'loading' END`, first))
	_, err := database.RenewIdentity(t.Context(), b.db.DB, b.identity(t))
	require.NoError(t, err)
	requireKind(t, job.Parked, b.syncEnv(t, 2))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 2", first), b.app(t), "the active version of the rows")

	b.exec(t, `UPDATE workers SET active_version_id = NULL`)
	requireKind(t, job.Parked, b.deploy(t, 3, second))
	b.exec(t, fmt.Sprintf(`UPDATE worker_deploy_versions SET status = 'error' WHERE id = %d`, second))
	_, err = database.RenewIdentity(t.Context(), b.db.DB, b.identity(t))
	require.NoError(t, err)
	requireKind(t, job.Parked, b.deploy(t, 4, first))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 4", first), b.app(t), "a failed version supersedes nothing")
}

func TestOutcomeLostByRestoreIsRecordedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	requireKind(t, job.Parked, b.deploy(t, 1, v))
	b.record(t, v, 1, "")
	b.writeStatus(t, v, 1, workerapp.Running, "")
	b.exec(t, `UPDATE worker_deploy_versions SET status = 'loading'`)
	b.exec(t, `UPDATE workers SET status = 'loading', active_version_id = NULL`)
	before := b.identity(t)
	requireKind(t, job.Parked, b.deploy(t, 1, v))
	require.NotEqual(t, before, b.origin(t).Database, "the outcome of a WorkerApp with another database id is recorded")
	b.record(t, v, 1, "")
	require.NoError(t, b.deploy(t, 1, v))

	// The same for a change of the environment.
	requireKind(t, job.Parked, b.syncEnv(t, 2))
	b.record(t, v, 2, "")
	b.writeStatus(t, v, 2, workerapp.Running, "")
	b.exec(t, `UPDATE workers SET status = 'loading'`)
	require.NoError(t, b.syncEnv(t, 2))
	require.Equal(t, []string{fmt.Sprintf("active %d", v), fmt.Sprintf("%d success", v)}, b.rows(t))
}

func TestExpiredTaskDoesNotIndicateRestore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.version(t, "app:1")
	second := b.version(t, "app:2")
	requireKind(t, job.Parked, b.deploy(t, 5, second))
	b.record(t, second, 5, "")
	b.forgetTask(5, 30)
	before := b.identity(t)
	require.Contains(t, requireKind(t, job.Superseded, b.deploy(t, 4, first)), fmt.Sprintf("superseded by version %d", second))
	requireKind(t, job.Parked, b.syncEnv(t, 3))
	require.Equal(t, fmt.Sprintf("app:2 version %d task 3", second), b.app(t))
	require.Equal(t, before, b.identity(t))
}

func TestOutcomeOfOtherDatabaseIsNotRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	outcome := rollout.Outcome{WorkerID: "w1", OwnerID: "u1", Running: true,
		Origin: workerapp.Origin{Version: int64(v), Task: 1, Accepted: "t0", Database: "another"}}
	require.NoError(t, b.recorder.Record(t.Context(), outcome))
	require.Equal(t, []string{"unloaded", fmt.Sprintf("%d loading", v)}, b.rows(t))
	require.Equal(t, []string{`worker.restore_worker {"worker_id":"w1","user_uid":"u1"}`}, b.queue.accepted)
	require.Len(t, b.queue.resumed, 1, "a parked task of another outcome is resumed")
	outcome.WorkerID = "unknown"
	require.NoError(t, b.recorder.Record(t.Context(), outcome))
	require.Len(t, b.queue.accepted, 1)
}

func TestAuditReportsWorkerAppOfOtherDatabaseAsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.rollOut(t, "app:1", 1, "")
	ours, other := []string{"w-w1-u1 u1 w1 worker/u1/w1 [WorkerApp]"},
		[]string{"w-w1-u1 u1 w1 worker/u1/w1 [WorkerApp of another database]"}
	require.Equal(t, ours, b.listActual(t))
	b.restoreOlderDatabase(t)
	require.Equal(t, other, b.listActual(t), "the version does not exist")
	b.exec(t, `UPDATE workers SET active_version_id = `+fmt.Sprint(v))
	require.NoError(t,
		b.inventory.Repair(t.Context(), inventory.Desired{ID: "w1", Owner: "u1"}, inventory.Drift{Missing: []string{"WorkerApp"}}))
	require.NoError(t, b.run(t, "worker.restore_worker", 23, ""))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 23", v), b.app(t))
	require.Equal(t, ours, b.listActual(t))
	done, err := database.RenewIdentity(t.Context(), b.db.DB, b.identity(t))
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, other, b.listActual(t), "the database has a new id")
	require.NoError(t, b.run(t, "worker.restore_worker", 24, ""))
	require.Equal(t, ours, b.listActual(t))
}

func TestTaskMissingFromDatabaseWritesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	b.forgetTask(900, 20)
	requireKind(t, job.Retry, b.deploy(t, 900, v))
	require.Empty(t, b.app(t))
}
