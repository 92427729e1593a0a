package tasks_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
)

func TestAcceptTakesBothFormsAndAliases(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, body := range []string{
		`{"task_type":"test.echo","task_info":{"text":"a"}}`,
		`{"task_type":"EchoJob","task_info":{"text":"a","unknown":1}}`,
		`{"task_type":"test.echo","timestamp":1700000000,"data":"eyJ0ZXh0IjoiYSJ9"}`,
	} {
		w := b.request(http.MethodPost, "/api/acceptTask", body)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		var got map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.Equal(t, "task accepted", got["message"])
		require.Greater(t, got["received_at"], 1.7e9)
		_, echoed := got["timestamp"]
		require.Equal(t, strings.Contains(body, "timestamp"), echoed)
		id, ok := got["task_id"].(float64)
		require.True(t, ok)
		view, err := b.store.View(t.Context(), int64(id))
		require.NoError(t, err)
		require.Equal(t, "test.echo", view.Type)
		require.Equal(t, store.Pending, view.Status)
	}
}

func TestInvalidRequestNamesFieldAndLeavesNoRow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, want := range map[string]string{
		``:                                    "body",
		`not json`:                            "body",
		`[]`:                                  "body",
		`{"task_type":"test.echo"`:            "body",
		`{}`:                                  "task_type",
		`{"task_type":7}`:                     "task_type",
		`{"task_type":"nope","task_info":{}}`: "task_type",
		`{"task_type":"test.echo"}`:           "task_info",
		`{"task_type":"test.echo","task_info":null}`:                          "task_info",
		`{"task_type":"test.echo","task_info":[]}`:                            "task_info",
		`{"task_type":"test.echo","task_info":"x"}`:                           "task_info",
		`{"task_type":"test.echo","task_info":{}}`:                            "task_info.text",
		`{"task_type":"test.echo","task_info":{"text":1}}`:                    "task_info.text",
		`{"task_type":"test.echo","task_info":{"text":"a"},"data":"e30="}`:    "task_info",
		`{"task_type":"test.echo","data":"e30="}`:                             "timestamp",
		`{"task_type":"test.echo","timestamp":0,"data":"e30="}`:               "timestamp",
		`{"task_type":"test.echo","timestamp":-1,"data":"e30="}`:              "timestamp",
		`{"task_type":"test.echo","timestamp":1.5,"data":"e30="}`:             "timestamp",
		`{"task_type":"test.echo","timestamp":"1","data":"e30="}`:             "timestamp",
		`{"task_type":"test.echo","timestamp":1}`:                             "data",
		`{"task_type":"test.echo","timestamp":1,"data":"%%%"}`:                "data",
		`{"task_type":"test.echo","timestamp":1,"data":"eyJ0ZXh0IjoiYSJ9Cg"}`: "data",
		`{"task_type":"test.echo","timestamp":1,"data":"bm90IGpzb24="}`:       "data",
		`{"task_type":"test.echo","timestamp":1,"data":"e30="}`:               "task_info.text",
	} {
		w := b.request(http.MethodPost, "/api/acceptTask", body)
		require.Equal(t, http.StatusBadRequest, w.Code, body)
		var answer struct{ Error string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer), w.Body)
		require.True(t, strings.HasPrefix(answer.Error, want+":"), "%s -> %s", body, answer.Error)
	}
	require.Zero(t, b.count(t, "true"))
}

func TestRefusedRequestsHaveTheirStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := `{"task_type":"` + strings.Repeat("x", int(b.config.HTTP.TaskBodyLimit)) + `"}`
	require.Equal(t, http.StatusRequestEntityTooLarge, b.request(http.MethodPost, "/api/acceptTask", long).Code)
	kept := `{"task_type":"test.echo","task_info":{"text":"` + strings.Repeat("x", int(b.config.HTTP.BodyLimit)) + `"}}`
	require.Equal(t, http.StatusRequestEntityTooLarge, b.request(http.MethodPost, "/api/acceptTask", kept).Code)
	dropped := strings.Replace(kept, `"text":`, `"text":"short","unknown":`, 1)
	require.Equal(t, http.StatusOK, b.request(http.MethodPost, "/api/acceptTask", dropped).Code, "unknown fields do not count")
	require.Equal(t, http.StatusUnsupportedMediaType,
		b.request(http.MethodPost, "/api/acceptTask", `{}`, "Content-Type", "text/plain").Code)
	require.Equal(t, http.StatusMethodNotAllowed, b.request(http.MethodGet, "/api/acceptTask", ``).Code)
	require.Equal(t, http.StatusNotFound, b.request(http.MethodGet, "/api/nothing", ``).Code)
	require.Equal(t, http.StatusNotFound, b.request(http.MethodGet, "/api/tasks/999", ``).Code)
	require.Equal(t, http.StatusBadRequest, b.request(http.MethodGet, "/api/tasks/abc", ``).Code)
}

func TestIdempotencyKeyMakesOneTask(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const body = `{"task_type":"test.echo","task_info":{"text":"once"}}`
	answers := make([]string, 16)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			w := b.request(http.MethodPost, "/api/acceptTask", body, "Idempotency-Key", "abc")
			var got struct {
				TaskID int64 `json:"task_id"`
			}
			if w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &got) != nil {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			answers[i] = fmt.Sprint(got.TaskID)
		})
	}
	wg.Wait()
	for _, a := range answers {
		require.Equal(t, answers[0], a)
	}
	require.Equal(t, 1, b.count(t, "true"))
	other := b.request(http.MethodPost, "/api/acceptTask", strings.Replace(body, "once", "else", 1), "Idempotency-Key", "abc")
	require.Equal(t, http.StatusConflict, other.Code)
	require.Equal(t, http.StatusBadRequest, b.request(http.MethodPost, "/api/acceptTask", body, "Idempotency-Key", "").Code)
}

func TestTaskViewOmitsTaskInfo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "k", "hidden-text")
	w := b.request(http.MethodGet, fmt.Sprintf("/api/tasks/%d", id), ``)
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `"status":"pending"`)
	require.NotContains(t, w.Body.String(), "hidden-text")
}
