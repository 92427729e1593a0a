package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// logTail is how many of the last lines of Inner's log are shown of a test that failed.
const logTail = 80

// explain shows what a failed test left: rows, WorkerApps and the end of Inner's log. Of a failure that comes under load only,
// nothing else is left.
func (w *fixture) explain(t *testing.T) {
	t.Helper()
	if !t.Failed() {
		return
	}
	ctx := context.WithoutCancel(t.Context())
	var text strings.Builder
	for _, query := range []string{
		`SELECT COALESCE(string_agg(CAST(t AS TEXT), ' | ' ORDER BY t.id), '') FROM console_tasks AS t`,
		`SELECT COALESCE(string_agg(CAST(t AS TEXT), ' | ' ORDER BY t.id), '') FROM workers AS t`,
		`SELECT COALESCE(string_agg(CAST(t AS TEXT), ' | ' ORDER BY t.id), '') FROM worker_deploy_versions AS t`,
	} {
		var rows string
		if err := w.db.QueryRowContext(ctx, query).Scan(&rows); err != nil {
			rows = err.Error()
		}
		fmt.Fprintln(&text, rows)
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
