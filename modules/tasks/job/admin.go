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

// Admin is what operators may see of the queue and do to it. It needs the database only.
type Admin interface {
	// Types returns the job types with their aliases, sorted by name. It does not ask the database.
	Types() []Spec
	// List returns the tasks that match, the newest first.
	List(ctx context.Context, filter Filter) (Page, error)
	// Show returns all of a task that may be shown. That there is no such task is a *Error with a text for users.
	Show(ctx context.Context, id int64) (Details, error)
	// Retry returns tasks that ended without success to the queue, with all their attempts before them. It tells of
	// each what became of it; a task that is in no such state is left as it is.
	Retry(ctx context.Context, ids []int64) ([]Change, error)
	// Cancel ends tasks that are pending or waiting, and has their rows say so. What they began goes on.
	Cancel(ctx context.Context, ids []int64) ([]Change, error)
	// Stats counts the tasks.
	Stats(ctx context.Context) (Stats, error)
}

// TaskRunner runs tasks that are in the queue already, for the command line.
type TaskRunner interface {
	// RunTask runs a pending or waiting task in this process, by the rules of Runner.Run. One that waits for a later time
	// or is parked is made due first. A jobType other than "" must be the task's.
	RunTask(ctx context.Context, id int64, jobType string, progress func(taskID int64, text string)) error
}

// MaxPage is the most tasks of one page.
const MaxPage = 1000

// Statuses returns the states of a task, in the order of its life.
func Statuses() []string {
	return []string{"pending", "processing", "waiting", "finished", "error", "superseded", "cancelled"}
}

// Filter says which tasks are listed. What is empty matches every task.
type Filter struct {
	// Status is one of Statuses, Type a job type or alias, Key an ordering key.
	Status, Type, Key string
	// Limit is the most tasks that are returned, at most MaxPage.
	Limit int
	// Before is the id that all returned ones are below; 0 for the first page.
	Before int64
}

// Validate tells whether a list can be made by the filter; if not, its error names the field.
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

// Page is a part of a list.
type Page struct {
	Tasks []Summary `json:"tasks"`
	// Next is the Before of the page that follows, 0 for the last one.
	Next int64 `json:"next_before,omitempty"`
}

// Details is all of a task that may be shown.
type Details struct {
	Summary
	// RunAt is the time before which the task does not run, or at which a parked one is looked at again.
	RunAt time.Time `json:"run_at"`
	// ClaimedBy is the process that runs the task and ClaimedOn its host, both "" where none does.
	ClaimedBy string `json:"claimed_by"`
	ClaimedOn string `json:"claimed_on"`
	// ClaimNumber counts the claims.
	ClaimNumber int64 `json:"claim_number"`
	// Takeovers counts the processes that ended while they had the task.
	Takeovers      int    `json:"takeovers"`
	Resumed        bool   `json:"woken"`
	IdempotencyKey string `json:"idempotency_key"`
	// Errors are those of the attempts that failed, the oldest first.
	Errors []AttemptError `json:"attempt_errors"`
	// Info is the payload, nil where it may not be shown.
	Info json.RawMessage `json:"task_info,omitempty"`
}

// AttemptError is the kept error of one attempt.
type AttemptError struct {
	Attempt int    `json:"attempt"`
	At      string `json:"at"`
	Error   string `json:"error"`
}

// Change is what became of one task that an operator wanted changed.
type Change struct {
	ID      int64 `json:"task_id"`
	Changed bool  `json:"changed"`
	// Status is the state that the task is in now, "" where there is no such task.
	Status string `json:"status"`
	// Text says in words what was done, or why nothing was.
	Text string `json:"text"`
}

// Stats counts tasks.
type Stats struct {
	Counts []Count   `json:"counts"`
	Lanes  []Backlog `json:"lanes"`
	// Processes are those that give heartbeats.
	Processes []Load `json:"processes"`
}

// Load is what a process has claimed and not yet done, as of its last heartbeat.
type Load struct {
	// Process is its identity in console_tasks.claimed_by.
	Process string `json:"process"`
	Host    string `json:"host"`
	// Claimed counts its tasks, and Waiting those of them that no worker has begun.
	Claimed int64 `json:"claimed"`
	Waiting int64 `json:"waiting"`
	// OldestWaiting is for how long the oldest of these has waited, in seconds.
	OldestWaiting float64 `json:"oldest_waiting_seconds"`
	// Overrun counts jobs that go on though they were told to end.
	Overrun int64 `json:"overrun_jobs"`
}

// Count is the number of tasks of a lane and type in a state.
type Count struct {
	Lane   string `json:"lane"`
	Type   string `json:"task_type"`
	Status string `json:"status"`
	Count  int64  `json:"count"`
}

// Backlog is the pending tasks of a lane that has some.
type Backlog struct {
	Lane    string `json:"lane"`
	Pending int64  `json:"pending"`
	// Oldest is the age of the oldest of them in seconds, by the database's clock.
	Oldest float64 `json:"oldest_pending_seconds"`
}
