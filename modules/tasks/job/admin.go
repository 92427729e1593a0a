package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Admin is the operators' view of the queue. It needs the database only.
type Admin interface {
	// Types returns the job types with their aliases, sorted by name. It does not query the database.
	Types() []Spec
	// List returns the matching tasks, newest first.
	List(ctx context.Context, filter Filter) (Page, error)
	// Show returns everything about a task except secrets. An unknown id is an *Error with a text for users.
	Show(ctx context.Context, id int64) (Details, error)
	// Retry returns discarded, cancelled and superseded tasks to the queue with all their attempts, and returns the
	// result for each id. Tasks in other states are not changed.
	Retry(ctx context.Context, ids []int64) ([]Change, error)
	// Cancel cancels pending and waiting tasks and calls OnDiscarded of their jobs. Work that they started elsewhere
	// continues.
	Cancel(ctx context.Context, ids []int64) ([]Change, error)
	// Stats returns the numbers of tasks.
	Stats(ctx context.Context) (Stats, error)
}

// TaskRunner runs tasks that are already in the queue, for the command line.
type TaskRunner interface {
	// RunTask runs a pending or waiting task in this process, by the rules of Runner.Run. A snoozed or parked task is
	// made due first. If jobType is not "", it must be the type of the task.
	RunTask(ctx context.Context, id int64, jobType string, progress func(taskID int64, text string)) error
}

// MaxPage is the largest Filter.Limit.
const MaxPage = 1000

// Statuses returns the states of a task, in the order in which a task goes through them.
func Statuses() []string {
	return []string{"pending", "processing", "waiting", "finished", "error", "superseded", "cancelled"}
}

// Filter selects tasks. An empty field matches every task.
type Filter struct {
	// Status is one of Statuses, Type a job type or an alias, Key an ordering key.
	Status, Type, Key string
	// Limit is the number of tasks to return, 1 to MaxPage.
	Limit int
	// Before selects tasks with smaller ids; 0 selects the first page.
	Before int64
}

// Validate returns an error that names the invalid field.
func (f Filter) Validate() error {
	switch {
	case f.Limit < 1 || f.Limit > MaxPage:
		return fmt.Errorf("limit: must be 1 to %d", MaxPage)
	case f.Before < 0:
		return errors.New("before: must be the id of a task")
	case f.Status != "" && !slices.Contains(Statuses(), f.Status):
		return fmt.Errorf("status: must be one of %s", strings.Join(Statuses(), ", "))
	}
	return nil
}

// Summary is a task in a list.
type Summary struct {
	ID          int64      `json:"task_id"`
	Type        string     `json:"task_type"`
	Status      string     `json:"status"`
	Detail      string     `json:"detailed_status"`
	Lane        string     `json:"lane"`
	OrderingKey string     `json:"ordering_key"`
	Attempts    int        `json:"attempts"`
	LastError   string     `json:"last_error"`
	CreatedAt   time.Time  `json:"created_at"`
	StartedAt   *time.Time `json:"started_at,omitempty"`
	FinishedAt  *time.Time `json:"finished_at,omitempty"`
}

// Page is one page of a list.
type Page struct {
	Tasks []Summary `json:"tasks"`
	// Next is Filter.Before for the next page, 0 on the last page.
	Next int64 `json:"next_before,omitempty"`
}

// Details is everything about a task except secrets.
type Details struct {
	Summary
	// RunAt is the time from which a pending task may run, and at which a parked task is rechecked.
	RunAt time.Time `json:"run_at"`
	// ClaimedBy is the process that runs the task and ClaimedOn its host; both are "" if none does.
	ClaimedBy string `json:"claimed_by"`
	ClaimedOn string `json:"claimed_on"`
	// ClaimNumber counts the claims.
	ClaimNumber int64 `json:"claim_number"`
	// Takeovers counts the processes that ended while running the task.
	Takeovers      int    `json:"takeovers"`
	Resumed        bool   `json:"woken"`
	IdempotencyKey string `json:"idempotency_key"`
	// Errors are the errors of the failed attempts, oldest first.
	Errors []AttemptError `json:"attempt_errors"`
	// Info is the payload, nil if it must not be shown.
	Info json.RawMessage `json:"task_info,omitempty"`
}

// AttemptError is the error of one attempt.
type AttemptError struct {
	Attempt int    `json:"attempt"`
	At      string `json:"at"`
	Error   string `json:"error"`
}

// Change is the result of an operator's change of one task.
type Change struct {
	ID      int64 `json:"task_id"`
	Changed bool  `json:"changed"`
	// Status is the state of the task after the change, "" if there is no such task.
	Status string `json:"status"`
	// Text says what was done, or why nothing was.
	Text string `json:"text"`
}

// Stats are numbers of tasks.
type Stats struct {
	Counts []Count   `json:"counts"`
	Lanes  []Backlog `json:"lanes"`
	// Processes are the processes that send heartbeats.
	Processes []Load `json:"processes"`
}

// Load is the number of claimed tasks of a process as of its last heartbeat.
type Load struct {
	// Process is its identity in console_tasks.claimed_by.
	Process string `json:"process"`
	Host    string `json:"host"`
	// Claimed counts its tasks, and Waiting those that no worker has started.
	Claimed int64 `json:"claimed"`
	Waiting int64 `json:"waiting"`
	// OldestWaiting is how long the oldest of those has waited, in seconds.
	OldestWaiting float64 `json:"oldest_waiting_seconds"`
	// Overrun counts jobs that are still running after they were cancelled.
	Overrun int64 `json:"overrun_jobs"`
}

// Count is the number of tasks of a lane and type in one state.
type Count struct {
	Lane   string `json:"lane"`
	Type   string `json:"task_type"`
	Status string `json:"status"`
	Count  int64  `json:"count"`
}

// Backlog is the pending tasks of a lane.
type Backlog struct {
	Lane    string `json:"lane"`
	Pending int64  `json:"pending"`
	// Oldest is the age of the oldest of them in seconds, by the database's clock.
	Oldest float64 `json:"oldest_pending_seconds"`
}
