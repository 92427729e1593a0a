package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
)

// BenchmarkARequest is what everything around a handler costs a request of the size of an accept.
func BenchmarkARequest(b *testing.B) {
	c := config.HTTP{BodyLimit: 1 << 20, BodyMemory: 64 << 20, MaxRequests: 1000, RequestTimeout: timeout}
	handler := server.NewHandler(c, zap.NewNop(), []server.Route{{Method: http.MethodPost, Path: "/api/acceptTask",
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			var body struct {
				Type string `json:"task_type"`
			}
			if err := server.ReadJSON(r, &body); err != nil {
				return err
			}
			return server.WriteJSON(w, http.StatusOK, body)
		}}})
	const sent = `{"task_type":"worker.deploy_worker","task_info":{"worker_id":"hello","user_uid":"demo","version_id":1}}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/api/acceptTask", strings.NewReader(sent))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(b, http.StatusOK, w.Code)
	}
}
