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
	// List returns the matching tasks: the running ones, then the claimed ones, then the others, each newest first.
	List(ctx context.Context, filter Filter) (Page, error)
	// Show returns everything about a task except secrets. An unknown id is an *Error with a text for users.
	Show(ctx context.Context, id int64) (Details, error)
	// Retry returns discarded, cancelled and superseded tasks to the queue with all their attempts, and returns the
	// result for each task. Tasks in other states are not changed. A selection without a status is of discarded tasks.
	Retry(ctx context.Context, s Selection) ([]Change, error)
	// Cancel cancels pending and waiting tasks and calls OnDiscarded of their jobs. Work that they started elsewhere
	// continues. A selection without a status is of pending and waiting tasks.
	Cancel(ctx context.Context, s Selection) ([]Change, error)
	// Stats returns the numbers of tasks.
	Stats(ctx context.Context) (Stats, error)
	// Activity returns what the queue does now, without reading ended tasks, and counts the tasks with ids above after.
	Activity(ctx context.Context, after int64) (Activity, error)
}

// TaskRunner runs tasks that are already in the queue, for the command line.
type TaskRunner interface {
	// RunTask runs a pending or waiting task in this process, by the rules of Runner.Run. A snoozed or parked task is
	// made due first. If jobType is not "", it must be the type of the task.
	RunTask(ctx context.Context, id int64, jobType string, progress func(taskID int64, text string)) error
}

// MaxPage is the largest Filter.Limit.
const MaxPage = 1000

// RecentTasks is Filter.Among of the views of one worker or user: to read so many rows takes about a second.
const RecentTasks = 1_000_000

// Statuses returns the states of a task, in the order in which a task goes through them.
func Statuses() []string {
	return []string{"pending", "processing", "waiting", "finished", "error", "superseded", "cancelled"}
}

// States of a processing task. They are not stored: a process reports with its heartbeats which tasks it runs.
const (
	// Running: a worker runs the task, as of the last heartbeat of its process.
	Running = "running"
	// Claimed: a process has claimed the task, and no worker has started it.
	Claimed = "claimed"
)

// FilterStatuses returns the values of Filter.Status: Statuses, and the two states of a processing task.
func FilterStatuses() []string { return append([]string{Running, Claimed}, Statuses()...) }

// Filter selects tasks. An empty field matches every task.
type Filter struct {
	// Status is one of FilterStatuses, Type a job type or an alias, Key an ordering key.
	Status, Type, Key string
	// User is the users.uid and Worker the workers.wid that a task is about, by its ordering key.
	User, Worker string
	// Since and Until limit the time of the accept: not before, and before.
	Since, Until Moment
	// Among limits the search to so many of the newest tasks, if it is not 0: most filters have no index.
	Among int64
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
	case f.Status != "" && !slices.Contains(FilterStatuses(), f.Status):
		return fmt.Errorf("status: must be one of %s", strings.Join(FilterStatuses(), ", "))
	case f.Since.after(f.Until):
		return errors.New("until: must be after since")
	}
	return nil
}

// Moment is a point in time by the database's clock. Its zero value is none.
type Moment struct {
	// At is the time, or the zero time for an age.
	At time.Time
	// Age is how long ago it is, if At is the zero time and Age is not 0.
	Age time.Duration
}

// In returns the moment as a time, for this time of the database's clock; none as the zero time.
func (m Moment) In(now time.Time) time.Time {
	if m.At.IsZero() && m.Age != 0 {
		return now.Add(-m.Age)
	}
	return m.At
}

// after reports whether m is not before another moment, as far as that is known without a clock.
func (m Moment) after(other Moment) bool {
	if m.Age != 0 && other.Age != 0 {
		return m.Age <= other.Age
	}
	return !m.At.IsZero() && !other.At.IsZero() && !m.At.Before(other.At)
}

// Selection selects the tasks of a change: those with these ids, or all that match the filter, whose Limit and Before do not
// count.
type Selection struct {
	IDs    []int64
	Filter Filter
	// DryRun changes nothing, and returns what would be changed.
	DryRun bool
}

// Validate returns an error that names the invalid field.
func (s Selection) Validate() error {
	f := s.Filter
	if len(s.IDs) == 0 && f == (Filter{}) {
		return errors.New("name tasks by their ids, or select them by a filter")
	}
	if len(s.IDs) > 0 && f != (Filter{}) {
		return errors.New("name tasks by their ids or select them by a filter, not both")
	}
	f.Limit = 1
	return f.Validate()
}

// Summary is a task in a list.
type Summary struct {
	ID     int64  `json:"task_id"`
	Type   string `json:"task_type"`
	Status string `json:"status"`
	// Running reports whether a worker runs the task, as of the last heartbeat of its process.
	Running     bool       `json:"running"`
	Detail      string     `json:"detailed_status"`
	Lane        string     `json:"lane"`
	OrderingKey string     `json:"ordering_key"`
	Attempts    int        `json:"attempts"`
	LastError   string     `json:"last_error"`
	CreatedAt   time.Time  `json:"created_at"`
	StartedAt   *time.Time `json:"started_at,omitempty"`
	FinishedAt  *time.Time `json:"finished_at,omitempty"`
}

// State returns the status, which for a processing task is Running or Claimed.
func (s Summary) State() string {
	switch {
	case s.Running:
		return Running
	case s.Status == "processing":
		return Claimed
	}
	return s.Status
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
	// Claimed counts its tasks, Running those that a worker runs, and Waiting those that no worker has started.
	Claimed int64 `json:"claimed"`
	Running int64 `json:"running"`
	Waiting int64 `json:"waiting"`
	// OldestWaiting is how long the oldest of those has waited, in seconds.
	OldestWaiting float64 `json:"oldest_waiting_seconds"`
	// Overrun counts jobs that are still running after they were cancelled.
	Overrun int64 `json:"overrun_jobs"`
	// HeartbeatAge is the time since its last heartbeat in seconds, by the database's clock.
	HeartbeatAge float64 `json:"heartbeat_age_seconds"`
}

// MaxRunning is the largest number of tasks in Activity.Running.
const MaxRunning = 50

// Activity is what the queue does at one moment.
type Activity struct {
	// Newest is the id of the newest task, and Accepted the number of tasks accepted after another one.
	Newest, Accepted int64
	// Pending, Processing and Waiting are the numbers of unfinished tasks.
	Pending, Processing, Waiting int64
	Lanes                        []Backlog
	Processes                    []Load
	// Running are tasks that workers run, the newest first.
	Running []Summary
}

// Unfinished returns the number of tasks that have not ended.
func (a Activity) Unfinished() int64 { return a.Pending + a.Processing + a.Waiting }

// Count is the number of tasks of a lane and type in one state; processing tasks are counted as running and as claimed.
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
