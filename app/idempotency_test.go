package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/testdatabase"
)

// deploying is the HTTP interface on a database with the workers w1 and w2 of the user u1, and w3 of u2.
type deploying struct {
	*listening
	db *testdatabase.Database
}

func newDeploying(t *testing.T, dsn func(*config.Config)) *deploying {
	t.Helper()
	db := testdatabase.New(t)
	_, err := db.ExecContext(t.Context(), `INSERT INTO workers (wid, user_uid, worker_name)
		VALUES ('w1', 'u1', 'a worker'), ('w2', 'u1', 'a worker'), ('w3', 'u2', 'a worker')`)
	require.NoError(t, err)
	dsn(db.Config)
	return &deploying{listening: newDescription(t).listen(t, db.Config, false), db: db}
}

func direct(*config.Config) {}

// deploy requests a deploy with a key, and returns status and response.
func (d *deploying) deploy(t *testing.T, body, key string) (int, string) {
	t.Helper()
	return d.send(t, http.MethodPost, "/api/worker/deploy", body, "Idempotency-Key", key)
}

// counts returns how many versions and how many tasks there are.
func (d *deploying) counts(t *testing.T) (versions, tasks int) {
	t.Helper()
	require.NoError(t, d.db.QueryRowContext(t.Context(),
		`SELECT (SELECT count(*) FROM worker_deploy_versions), (SELECT count(*) FROM console_tasks)`).Scan(&versions, &tasks))
	return versions, tasks
}

// attempt is deploy for several goroutines at once: it tells the answer, or in its place what is wrong.
func (d *deploying) attempt(t *testing.T, key string) string {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/api/worker/deploy", strings.NewReader(deploys))
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	answer, err := d.client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestRepeatedDeployWithKeyIsOneVersion(t *testing.T) {
	t.Parallel()
	d := newDeploying(t, direct)
	const repeats = 40
	answers := make([]string, repeats, 2*repeats)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = d.attempt(t, "once") })
	}
	wg.Wait()
	for range repeats {
		_, answer := d.deploy(t, deploys, "once")
		answers = append(answers, answer)
	}
	for _, answer := range answers {
		require.Equal(t, answers[0], answer)
	}
	versions, tasks := d.counts(t)
	require.Equal(t, 1, versions)
	require.Equal(t, 1, tasks)
}

func TestDeployKeyBelongsToOneRequestOfUser(t *testing.T) {
	t.Parallel()
	d := newDeploying(t, direct)
	status, first := d.deploy(t, deploys, "once")
	require.Equal(t, http.StatusOK, status, first)
	for _, other := range []string{
		strings.Replace(deploys, "app:1", "app:2", 1), strings.Replace(deploys, "8080", "8081", 1),
		strings.Replace(deploys, "w1", "w2", 1),
	} {
		status, answer := d.deploy(t, other, "once")
		require.Equal(t, http.StatusConflict, status, "%s: %s", other, answer)
	}
	status, answer := d.deploy(t, strings.NewReplacer("u1", "u2", "w1", "w3").Replace(deploys), "once")
	require.Equal(t, http.StatusOK, status, "another user's same key: %s", answer)
	require.NotEqual(t, first, answer)
	status, answer = d.send(t, http.MethodPost, "/api/acceptTask", registers, "Idempotency-Key", "once")
	require.Equal(t, http.StatusOK, status, "a task's same key: %s", answer)
	status, answer = d.deploy(t, deploys, "")
	require.Equal(t, http.StatusBadRequest, status, answer)
	status, answer = d.deploy(t, strings.Replace(deploys, "w1", "w9", 1), "nobody's")
	require.Equal(t, http.StatusNotFound, status, answer)
	versions, tasks := d.counts(t)
	require.Equal(t, 2, versions)
	require.Equal(t, 3, tasks)
	// What was promised is still the answer when the worker is gone.
	_, err := d.db.ExecContext(t.Context(), `DELETE FROM workers WHERE wid = 'w1'`)
	require.NoError(t, err)
	status, answer = d.deploy(t, deploys, "once")
	require.Equal(t, http.StatusOK, status, answer)
	require.Equal(t, first, answer)
}

func TestDeployWithLostCommitIsFoundByKey(t *testing.T) {
	t.Parallel()
	var p *proxy.Proxy
	d := newDeploying(t, func(c *config.Config) {
		p = proxy.New(t, c.Database.DSN.Reveal())
		c.Database.DSN = config.Secret(p.DSN)
	})
	p.LoseAnswers("COMMIT", 1)
	status, answer := d.deploy(t, deploys, "once")
	require.Equal(t, http.StatusServiceUnavailable, status, answer)
	left, _ := p.Outstanding()
	require.Zero(t, left, "no answer was lost: the test shows nothing")
	var version, task int
	require.NoError(t,
		d.db.QueryRowContext(t.Context(), `SELECT (SELECT id FROM worker_deploy_versions), (SELECT id FROM console_tasks)`).
			Scan(&version, &task), "exactly one of each")
	status, answer = d.deploy(t, deploys, "once")
	require.Equal(t, http.StatusOK, status, answer)
	var receipt struct {
		VersionID int `json:"version_id"`
		TaskID    int `json:"task_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &receipt))
	require.Equal(t, version, receipt.VersionID)
	require.Equal(t, task, receipt.TaskID)
}
