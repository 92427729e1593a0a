package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/job"
)

// decoders are the parts of the graph that decode external data. No server is available.
type decoders struct {
	fx.In

	Routes []server.Route   `group:"routes"`
	Jobs   []job.Definition `group:"jobs"`
}

// nowhere is a cluster that does not answer.
const nowhere = `{"clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
	"contexts": [{"name": "x", "context": {"cluster": "x"}}], "current-context": "x"}`

// decoding returns the decoders of all modules.
func decoding(f *testing.F, c *config.Config) decoders {
	f.Helper()
	c.Kubernetes.Kubeconfig = filepath.Join(f.TempDir(), "kubeconfig")
	require.NoError(f, os.WriteFile(c.Kubernetes.Kubeconfig, []byte(nowhere), 0o600))
	var d decoders
	require.NoError(f, fx.New(app.Base(c), app.Modules(), fx.NopLogger, fx.Invoke(func(all decoders) { d = all })).Err())
	return d
}

// FuzzEveryPayload has the payload decoders of all job types read what a client may send.
func FuzzEveryPayload(f *testing.F) {
	for _, seed := range []string{
		`{"worker_id":"w1","user_uid":"u1","version_id":1}`, `{"worker_id":"w1","user_uid":"u1","data":{"K":"v","E":""}}`,
		`{"user_uid":"u1","name":"n","resource_id":"0123456789abcdef"}`, `{"UserUID":"u1","ResourceID":"0123456789abcdef"}`,
		`{"user_uid":"u1"}`, `{}`, `[]`, `{"data":null,"user_uid":1e999}`, "{\"worker_id\":\"\\u0000\"}",
	} {
		f.Add([]byte(seed))
	}
	d := decoding(f, load(f))
	require.NotEmpty(f, d.Jobs)
	f.Fuzz(func(t *testing.T, info []byte) {
		for _, definition := range d.Jobs {
			prepared, err := definition.Prepare(info)
			if err != nil {
				require.True(t, strings.HasPrefix(err.Error(), "task_info"), "%s: %v", definition.Type, err)
				continue
			}
			// What is stored is read again when the task runs, also after its secrets were erased.
			for _, stored := range [][]byte{prepared.Info, prepared.Erased} {
				if stored == nil {
					continue
				}
				again, err := definition.Prepare(stored)
				require.NoError(t, err, "%s: %s", definition.Type, stored)
				require.Equal(t, prepared.OrderingKey, again.OrderingKey)
				require.JSONEq(t, string(stored), string(again.Info))
			}
		}
	})
}

// FuzzEveryBody sends a body to every route that takes one. Without a database the answer is that it is away, or that the
// body is wrong, and never that something unforeseen happened.
func FuzzEveryBody(f *testing.F) {
	for _, seed := range []string{
		registers, deploys, reports, "[" + reports + "]", `{"task_type":"DeployWorkerJob","timestamp":1,"data":"e30="}`, "{", "[]",
		"null", `{"task_type":{}}`,
	} {
		f.Add(seed)
	}
	c := load(f)
	d := decoding(f, c)
	handler := server.NewHandler(c.HTTP, zap.NewNop(), d.Routes)
	f.Fuzz(func(t *testing.T, body string) {
		for _, route := range d.Routes {
			if route.Method != http.MethodPost {
				continue
			}
			r := httptest.NewRequestWithContext(t.Context(), route.Method, route.Path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			// An empty array of reports needs no database.
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest, http.StatusServiceUnavailable}, w.Code, "%s: %s", route.Path,
				w.Body)
			require.True(t, json.Valid(bytes.TrimSpace(w.Body.Bytes())))
		}
	})
}
