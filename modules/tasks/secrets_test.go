package tasks_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/internal/admin"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/encryption"
	"app238.com/inner/modules/tasks/internal/httpapi"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// vault is a payload with a secret.
type vault struct {
	Key   string  `json:"key"`
	Value *string `json:"value"`
}

func (v vault) Validate() error             { return nil }
func (v vault) OrderingKey() string         { return v.Key }
func (v vault) WithoutSecrets() job.Payload { return vault{Key: v.Key} }

// vaultJob erases its secret and reports whether it ran with one.
type vaultJob struct {
	queue job.Queue
	ran   chan bool
}

func (j vaultJob) Execute(ctx context.Context, task job.Task, v vault) error {
	select {
	case j.ran <- v.Value != nil:
	case <-ctx.Done(): // a third report is not read
		return ctx.Err()
	}
	if v.Value == nil {
		return nil
	}
	if err := j.queue.EraseSecrets(ctx, task.ID, v); err != nil {
		return err
	}
	return job.NewParked("waiting to be resumed")
}

// setupVault is setup with the job type "test.vault".
func setupVault(t *testing.T) (*fixture, vaultJob) {
	t.Helper()
	b := setup(t)
	j := vaultJob{queue: b.queue, ran: make(chan bool, 2)}
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.vault"}, j)}))
	return b, j
}

func TestShowRedactsSecrets(t *testing.T) {
	t.Parallel()
	b, _ := setupVault(t)
	id, err := b.queue.AcceptInfo(t.Context(), "test.vault", []byte(`{"key":"k","value":"hidden"}`), "")
	require.NoError(t, err)
	d, err := b.admin().Show(t.Context(), id)
	require.NoError(t, err)
	require.JSONEq(t, `{"key":"k","value":null}`, string(d.Info))
	_, err = b.db.ExecContext(t.Context(), `UPDATE console_tasks SET task_info = '{"value":["hidden"]}' WHERE id = $1`, id)
	require.NoError(t, err)
	d, err = b.admin().Show(t.Context(), id)
	require.NoError(t, err)
	require.Nil(t, d.Info, "an invalid payload")
	text, err := json.Marshal(d)
	require.NoError(t, err)
	require.NotContains(t, string(text), "hidden")
}

func TestEraseSecretsRemovesThemFromTheRow(t *testing.T) {
	t.Parallel()
	b, j := setupVault(t)
	const body = `{"task_type":"test.vault","task_info":{"key":"k","value":"hidden"}}`
	w := b.request(http.MethodPost, "/api/acceptTask", body, "Idempotency-Key", "once")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var first struct {
		TaskID int64 `json:"task_id"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &first))
	b.start(t)
	b.awaitStatus(t, first.TaskID, store.Waiting)
	require.Zero(t, b.count(t, `task_info LIKE '%hidden%'`))
	again := b.request(http.MethodPost, "/api/acceptTask", body, "Idempotency-Key", "once")
	require.Equal(t, http.StatusOK, again.Code, "the same request after its secret was erased")
	require.Contains(t, again.Body.String(), fmt.Sprintf(`"task_id":%d,`, first.TaskID))
	require.NoError(t, b.queue.Resume(t.Context(), "k"))
	b.awaitStatus(t, first.TaskID, store.Finished)
	require.True(t, <-j.ran)
	require.False(t, <-j.ran)
}

func TestActiveTypesListsTasksThatHaveNotEnded(t *testing.T) {
	t.Parallel()
	b, j := setupVault(t)
	id, err := b.queue.AcceptInfo(t.Context(), "test.vault", []byte(`{"key":"k","value":"v"}`), "")
	require.NoError(t, err)
	b.start(t)
	b.awaitStatus(t, id, store.Waiting)
	unfinished := func(key string, after int64) []string {
		types, err := b.queue.ActiveTypes(t.Context(), key, after)
		require.NoError(t, err)
		return types
	}
	require.Equal(t, []string{"test.vault"}, unfinished("k", 0), "a parked one")
	require.Empty(t, unfinished("k", id), "not the one itself")
	require.Empty(t, unfinished("other", 0))
	require.NoError(t, b.queue.Resume(t.Context(), "k"))
	b.awaitStatus(t, id, store.Finished)
	require.Empty(t, unfinished("k", 0))
	require.True(t, <-j.ran)
	require.False(t, <-j.ran)
}

// withKeys sets the encryption keys of the fixture and of processes started afterwards.
func (b *fixture) withKeys(t *testing.T, letters string) {
	t.Helper()
	var keys []string
	for letter := range strings.SplitSeq(letters, "") {
		keys = append(keys, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32))))
	}
	b.config.Tasks.EncryptionKeys = config.Secret(strings.Join(keys, ","))
	keyring, err := encryption.New(b.config)
	require.NoError(t, err)
	b.store = store.New(b.db.DB, b.db.Prepared, keyring, b.config)
	b.queue = queue.New(b.registry, b.store, claims.NewTracker(b.config), newMetrics(t), nil)
	b.handler = server.NewHandler(b.config.HTTP, zap.NewNop(), httpapi.New(b.config, b.queue, b.store).Routes())
}

func TestEncryptedPayloadRunsAfterKeyRotation(t *testing.T) {
	t.Parallel()
	b, j := setupVault(t)
	b.withKeys(t, "a")
	const body = `{"task_type":"test.vault","task_info":{"key":"k","value":"hidden"}}`
	require.Equal(t, http.StatusOK, b.request(http.MethodPost, "/api/acceptTask", body, "Idempotency-Key", "once").Code)
	require.Equal(t, 1, b.count(t, `task_info LIKE 'sealed:%' AND task_info NOT LIKE '%hidden%'`))
	b.withKeys(t, "ba")
	again := b.request(http.MethodPost, "/api/acceptTask", body, "Idempotency-Key", "once")
	require.Equal(t, http.StatusOK, again.Code, "the same request, encrypted with another key by now")
	other := strings.Replace(body, "hidden", "other", 1)
	require.Equal(t, http.StatusConflict, b.request(http.MethodPost, "/api/acceptTask", other, "Idempotency-Key", "once").Code)
	b.start(t)
	require.True(t, <-j.ran)
	require.Equal(t, 1, b.count(t, `TRUE`))
}

func TestEncryptedPayloadOfUnknownTypeIsNotShown(t *testing.T) {
	t.Parallel()
	b, _ := setupVault(t)
	b.withKeys(t, "a")
	id, err := b.queue.AcceptInfo(t.Context(), "test.vault", []byte(`{"key":"k","value":"hidden"}`), "")
	require.NoError(t, err)
	d, err := admin.New(registry.New(), b.store).Show(t.Context(), id)
	require.NoError(t, err)
	require.Nil(t, d.Info)
}

func TestTaskWithUnknownKeyWaitsForProcessWithKey(t *testing.T) {
	t.Parallel()
	b, j := setupVault(t)
	b.withKeys(t, "a")
	id, err := b.queue.AcceptInfo(t.Context(), "test.vault", []byte(`{"key":"k","value":"hidden"}`), "")
	require.NoError(t, err)
	b.withKeys(t, "b")
	stop := b.start(t)
	require.Eventually(t, func() bool {
		view, err := b.store.View(t.Context(), id)
		require.NoError(t, err)
		return view.Status == store.Pending && strings.Contains(view.Detail, "tasks.encryptionKeys")
	}, 20*time.Second, 10*time.Millisecond)
	d, err := b.admin().Show(t.Context(), id)
	require.NoError(t, err)
	require.Nil(t, d.Info)
	require.Zero(t, d.Attempts, "only executions are attempts")
	stop()
	b.withKeys(t, "ba")
	_, err = b.store.MakeDue(t.Context(), id)
	require.NoError(t, err)
	b.start(t)
	require.True(t, <-j.ran)
}
