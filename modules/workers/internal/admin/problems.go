package admin

import (
	"fmt"
	"strings"
	"time"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/workers/admin"
	"app238.com/inner/modules/workers/internal/store"
)

// late is how long a task may be pending before that is a problem.
const late = time.Minute

// problems returns what is wrong with a worker, the cause first.
func problems(d admin.Details) []string {
	all := []string{}
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if d.ClusterError != "" {
		add("the cluster could not be read: %s", d.ClusterError)
	}
	if d.TasksError != "" {
		add("the tasks could not be read: %s", d.TasksError)
	}
	rowProblems(d, add)
	taskProblems(d, add)
	if d.ClusterError == "" {
		clusterProblems(d, add)
	}
	return all
}

func rowProblems(d admin.Details, add func(string, ...any)) {
	for _, v := range d.Versions {
		newest, active := d.Newest != nil && v.ID == d.Newest.ID, v.ID == d.ActiveVersion
		switch {
		case newest && v.Status == store.Error && active:
			add("version %d has failed: %s", v.ID, v.Message)
		case newest && v.Status == store.Error && d.ActiveVersion != 0:
			add("version %d has failed, version %d serves: %s", v.ID, d.ActiveVersion, v.Message)
		case newest && v.Status == store.Error:
			add("version %d has failed, and none has served: %s", v.ID, v.Message)
		case active && v.Status == store.Success && v.Message != "":
			add("version %d served, and fails now: %s", v.ID, v.Message)
		}
	}
	if d.Status == store.Loading && d.TasksError == "" && !unfinished(d) {
		add("the row is loading and no task is unfinished; the job audit.stuck_rows repairs it")
	}
}

// unfinished reports whether a task about the worker will still write its row.
func unfinished(d admin.Details) bool {
	for _, t := range d.Tasks {
		if t.Status == "pending" || t.Status == "processing" || t.Status == "waiting" {
			return true
		}
	}
	return false
}

// taskProblems reports the tasks that fail, and the newest one if it was discarded.
func taskProblems(d admin.Details, add func(string, ...any)) {
	for i, t := range d.Tasks {
		switch {
		case i == 0 && t.Status == "error" && !mentioned(d, t.Detail):
			add("task %d (%s) was discarded: %s", t.ID, t.Type, t.Detail)
		case t.Status == "pending" && t.LastError != "":
			add("task %d (%s) is retried after attempt %d: %s", t.ID, t.Type, t.Attempts, t.LastError)
		case t.Status == "pending" && time.Since(t.CreatedAt) > late:
			add("task %d (%s) has been pending since %s UTC: %s", t.ID, t.Type, t.CreatedAt.UTC().Format(time.DateTime), t.Detail)
		}
	}
}

func clusterProblems(d admin.Details, add func(string, ...any)) {
	deployed := d.ActiveVersion != 0 || d.Status == store.Active
	switch {
	case d.App == nil && deployed:
		add("the WorkerApp %s does not exist; the next audit restores it (inner audit --dry-run)",
			workerapp.Name(d.WorkerID, d.UserUID))
		return
	case d.App == nil:
		return // nothing was deployed
	case d.App.Deleting:
		add("the WorkerApp is being deleted")
	case !d.App.Observed:
		add("the controller has not observed the WorkerApp; does a replica lead it (inner status)?")
	case d.App.Phase == string(workerapp.Failed) && !mentioned(d, d.App.Message):
		add("the WorkerApp has failed: %s", d.App.Message)
	}
	if d.Deployment != nil {
		if d.Deployment.Failure != "" && !mentioned(d, d.Deployment.Failure) {
			add("no pod can be created: %s", d.Deployment.Failure)
		}
		if d.Deployment.Ready < d.Deployment.Desired {
			add("%d of %d pods are ready", d.Deployment.Ready, d.Deployment.Desired)
		}
	}
	for _, p := range d.Pods {
		if !p.Ready && p.Reason != "" {
			add("pod %s: %s", p.Name, p.Reason)
		}
	}
	for _, problem := range d.Route.Problems {
		add("route: %s", problem)
	}
}

// mentioned reports whether a message says what the row of a version says already.
func mentioned(d admin.Details, message string) bool {
	for _, v := range d.Versions {
		if message != "" && v.Message != "" && (strings.Contains(v.Message, message) || strings.Contains(message, v.Message)) {
			return true
		}
	}
	return false
}
