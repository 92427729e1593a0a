package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHostileRequestsAreRefusedWithClearText(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	deploy := func(worker, user, version string) string {
		return fmt.Sprintf(`{"task_type":"worker.deploy_worker","task_info":{"worker_id":%s,"user_uid":%s,"version_id":%s}}`, worker,
			user, version)
	}
	apply := func(worker, image, port string) string {
		return fmt.Sprintf(`{"worker_id":%s,"user_uid":"u1","image":%s,"port":%s}`, worker, image, port)
	}
	long := `"` + strings.Repeat("a", 500) + `"`
	for _, bad := range []struct{ path, body, field string }{
		{"acceptTask", `not json`, "body"},
		{"acceptTask", `{"task_type":"worker.fly","task_info":{}}`, "task_type"},
		{"acceptTask", `{"task_type":"worker.deploy_worker","task_info":{"user_uid":"u1","version_id":1}}`, "task_info.worker_id"},
		{"acceptTask", deploy(`"w'1"`, `"u1"`, `1`), "task_info.worker_id"},
		{"acceptTask", deploy(`"w1;"`, `"u1"`, `1`), "task_info.worker_id"},
		{"acceptTask", deploy(`"w/1"`, `"u1"`, `1`), "task_info.worker_id"},
		{"acceptTask", deploy(long, `"u1"`, `1`), "task_info.worker_id"},
		{"acceptTask", deploy(`7`, `"u1"`, `1`), "task_info.worker_id"},
		{"acceptTask", deploy(`"w1"`, `"u\u0000"`, `1`), "task_info.user_uid"},
		{"acceptTask", deploy(`"w1"`, `"u1"`, `"1"`), "task_info.version_id"},
		{"acceptTask", deploy(`"w1"`, `"u1"`, `0`), "task_info.version_id"},
		{"acceptTask", deploy(`"w1"`, `"u1"`, `1e99`), "task_info.version_id"},
		{"acceptTask", deploy(`"w1"`, `"u1"`, `9223372036854775808`), "task_info.version_id"},
		{"acceptTask", `{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":"w1"}}`, "task_info.user_uid"},
		{"acceptTask", `{"task_type":"worker.delete_worker_cr","timestamp":0,"data":"e30="}`, "timestamp"},
		{"acceptTask", `{"task_type":"worker.delete_worker_cr","timestamp":1,"data":"***"}`, "data"},
		{"worker/deploy", apply(`"w1"`, `"app:1"`, `0`), "port"},
		{"worker/deploy", apply(`"w1"`, `"app:1"`, `70000`), "port"},
		{"worker/deploy", apply(`"w1"`, `"app:1"`, `"80"`), "port"},
		{"worker/deploy", apply(`"w1"`, `""`, `80`), "image"},
		{"worker/deploy", apply(`"w1"`, `"a b"`, `80`), "image"},
		{"worker/deploy", apply(`"w1"`, `"app:1; rm -rf /"`, `80`), "image"},
		{"worker/deploy", apply(`"w';--"`, `"app:1"`, `80`), "worker_id"},
		{"worker/deploy", `{}`, "worker_id"},
	} {
		status, answer := i.post(t, "/api/"+bad.path, bad.body)
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", bad.body, answer)
		var text struct{ Error string }
		require.NoError(t, json.Unmarshal([]byte(answer), &text), answer)
		require.True(t, strings.HasPrefix(text.Error, bad.field+":"), "%s -> %s", bad.body, text.Error)
	}
	require.Zero(t, w.count(t, acceptedTasks))
	require.Zero(t, w.count(t, `SELECT count(*) FROM worker_deploy_versions`))
}
