// Package admin declares what the command line calls to show workers.
package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"app238.com/inner/modules/tasks/job"
)

// Admin shows workers. It needs the database; what the cluster has is shown if it answers.
type Admin interface {
	// List returns the matching workers, the newest first.
	List(ctx context.Context, filter Filter) (Page, error)
	// Show returns everything about the worker with this workers.wid, or ErrNotFound.
	Show(ctx context.Context, workerID string) (Details, error)
	// Leader returns the host of the process that runs the controller, "" if none does.
	Leader(ctx context.Context) (string, error)
}

// ErrNotFound is returned for a worker without a row.
var ErrNotFound = errors.New("no such worker")

// MaxPage is the largest Filter.Limit.
const MaxPage = 1000

// Statuses returns the values of workers.status.
func Statuses() []string { return []string{"unloaded", "loading", "active", "error"} }

// Filter selects workers. An empty field matches every worker.
type Filter struct {
	// User is a users.uid, Status one of Statuses.
	User, Status string
	// Failing selects workers in error, and those whose newest or active version has failed.
	Failing bool
	// Limit is the maximum number of workers, at most MaxPage.
	Limit int
	// Before limits the list to lower workers.id; 0 for the first page.
	Before int64
}

// Validate returns an error that names the invalid field.
func (f Filter) Validate() error {
	switch {
	case f.Limit < 1 || f.Limit > MaxPage:
		return fmt.Errorf("limit: must be 1 to %d", MaxPage)
	case f.Before < 0:
		return errors.New("before: must be the id of a row")
	case f.Status != "" && !slices.Contains(Statuses(), f.Status):
		return fmt.Errorf("status: must be one of %s", strings.Join(Statuses(), ", "))
	}
	return nil
}

// Worker is a worker's row with its newest version.
type Worker struct {
	ID       int64  `json:"id"`
	WorkerID string `json:"worker_id"`
	UserUID  string `json:"user_uid"`
	Name     string `json:"worker_name"`
	Status   string `json:"status"`
	// ActiveVersion is the version that served last, 0 if none has.
	ActiveVersion int64 `json:"active_version_id,omitempty"`
	// Newest is the newest version, nil if there is none.
	Newest *Version `json:"newest_version,omitempty"`
	// Message is why the worker or its newest version fails; "" if nothing is recorded.
	Message  string `json:"message"`
	CPU      string `json:"assigned_cpu"`
	Memory   string `json:"assigned_memory"`
	Disk     string `json:"assigned_disk"`
	Replicas int64  `json:"max_replicas"`
	Region   string `json:"main_region"`
	// Ready is the number of ready pods, nil if the cluster has no Deployment or does not answer.
	Ready     *int64    `json:"ready_replicas,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// Version is a row of worker_deploy_versions.
type Version struct {
	ID        int64     `json:"version_id"`
	Image     string    `json:"image"`
	Port      int64     `json:"port"`
	Status    string    `json:"status"`
	Message   string    `json:"msg"`
	CreatedAt time.Time `json:"created_at"`
}

// Page is one page of a list.
type Page struct {
	Workers []Worker `json:"workers"`
	// Next is the Before of the next page, 0 for the last one.
	Next int64 `json:"next_before,omitempty"`
	// ClusterError is why the cluster was not read; "" if it was.
	ClusterError string `json:"cluster_error,omitempty"`
}

// Details is everything about a worker.
type Details struct {
	// Problems are what is wrong, the cause first.
	Problems []string `json:"problems"`
	Worker
	// Versions are the newest versions.
	Versions []Version `json:"versions"`
	// Tasks are the newest tasks about the worker, of the newest job.RecentTasks tasks. TasksError is why they were not read; "" if
	// they were.
	Tasks      []job.Summary `json:"tasks"`
	TasksError string        `json:"tasks_error,omitempty"`
	Cluster
	// ClusterError is why the cluster was not read; "" if it was.
	ClusterError string `json:"cluster_error,omitempty"`
}

// Cluster is what the cluster has of a worker. A field is nil if its object does not exist.
type Cluster struct {
	App        *App        `json:"worker_app,omitempty"`
	Deployment *Deployment `json:"deployment,omitempty"`
	Pods       []Pod       `json:"pods"`
	Events     []Event     `json:"events"`
	Route      Route       `json:"route"`
}

// App is the WorkerApp.
type App struct {
	// Name is the name of the worker's objects.
	Name    string `json:"name"`
	Phase   string `json:"phase"`
	Message string `json:"message"`
	// Version and Task are those that it was written for.
	Version int64 `json:"version_id"`
	Task    int64 `json:"task_id"`
	// Observed reports whether the controller has observed this state, and Recorded whether the rows have its outcome.
	Observed  bool      `json:"observed"`
	Recorded  bool      `json:"recorded"`
	Deleting  bool      `json:"deleting"`
	CreatedAt time.Time `json:"created_at"`
}

// Deployment counts the pods of a worker.
type Deployment struct {
	Desired int64 `json:"desired"`
	// Updated pods are of the present template.
	Updated int64 `json:"updated"`
	Ready   int64 `json:"ready"`
	// Failure is why no pod can be created; "" if they can.
	Failure string `json:"failure"`
}

// Pod is a pod of a worker.
type Pod struct {
	Name string `json:"name"`
	Node string `json:"node"`
	// Status is its phase, or why a container waits or has ended, as kubectl shows it.
	Status string `json:"status"`
	Ready  bool   `json:"ready"`
	// Reason is why it is not ready, or why its container restarted; "" if there is nothing to report.
	Reason    string    `json:"reason"`
	Restarts  int64     `json:"restarts"`
	CreatedAt time.Time `json:"created_at"`
}

// Event is an event of the worker's objects.
type Event struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Object  string `json:"object"`
	Message string `json:"message"`
	// Count is how often it happened, LastAt the last time.
	Count  int64     `json:"count"`
	LastAt time.Time `json:"last_at"`
}

// Route is how requests reach the pods: the hosts lead to the Service External, which leads to Target, and that to the pods.
type Route struct {
	Hosts    []string `json:"hosts"`
	External string   `json:"external_service"`
	Target   string   `json:"target"`
	// Problems are what keeps requests from the pods.
	Problems []string `json:"problems"`
}
