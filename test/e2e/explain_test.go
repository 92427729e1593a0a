package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// logTail is how many of the last lines of Inner's log are shown of a test that failed.
const logTail = 80

// explain shows what a failed test left: rows, WorkerApps and the end of Inner's log. Of a failure that comes under load only, nothing
// else is left.
func (w *fixture) explain(t *testing.T) {
	t.Helper()
	if !t.Failed() {
		return
	}
	ctx := context.WithoutCancel(t.Context())
	var text strings.Builder
	for _, query := range []string{
		`SELECT to_jsonb(t) - 'task_info' FROM console_tasks t ORDER BY id`,
		`SELECT to_jsonb(t) - 'env_json' FROM workers t ORDER BY id`, `SELECT to_jsonb(t) FROM worker_deploy_versions t ORDER BY id`,
	} {
		rows, err := w.db.QueryContext(ctx, query)
		if err != nil {
			fmt.Fprintln(&text, err)
			continue
		}
		for rows.Next() {
			var row sql.NullString
			_ = rows.Scan(&row)
			fmt.Fprintln(&text, row.String)
		}
		fmt.Fprint(&text, "\n")
		if rows.Err() != nil || rows.Close() != nil {
			fmt.Fprintln(&text, "the rows were not read to the end")
		}
	}
	apps, err := w.clients.Dynamic.Resource(workerapp.Resource()).Namespace(w.namespaces.Worker).List(ctx, metav1.ListOptions{})
	if err != nil {
		fmt.Fprintln(&text, err)
	} else {
		for _, app := range apps.Items {
			fmt.Fprintln(&text, app.GetName(), app.GetGeneration(), app.GetAnnotations(), app.Object["status"])
		}
	}
	content, err := os.ReadFile(w.logFile)
	lines := strings.Split(string(content), "\n")
	fmt.Fprintln(&text, strings.Join(lines[max(0, len(lines)-logTail):], "\n"), err)
	t.Log(text.String())
}
