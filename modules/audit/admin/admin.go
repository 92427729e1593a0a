// Package admin declares what operators may ask of the audit, and the results of audits for logs and the command line.
package admin

import (
	"context"
	"errors"
	"time"
)

// Admin runs dry runs and reads the results of audits.
type Admin interface {
	// DryRun audits without changing or recording anything, and reports what an audit would do now. A kind whose audit failed
	// has an Error.
	DryRun(ctx context.Context, sink Sink) (Audit, error)
	// Last returns the totals of the latest audit, or ErrNone.
	Last(ctx context.Context) (Audit, error)
}

// ErrNone is returned before the first audit.
var ErrNone = errors.New("there was no audit yet")

// Sink receives users and findings in the order in which an audit reads them.
type Sink interface {
	// User is called for each user, before the first finding.
	User(u User)
	// Finding is called for each finding, after its action was decided and carried out.
	Finding(f Finding)
}

// User is a user and the number of rows that belong to it.
type User struct {
	UID       string `json:"user_uid"`
	Workers   int64  `json:"workers"`
	Resources int64  `json:"resources"`
	Domains   int64  `json:"domains"`
}

// Problem is the kind of a finding.
type Problem string

// The problems.
const (
	// Missing: parts of a row's object do not exist.
	Missing Problem = "missing"
	// Stuck: a row is loading and has no unfinished task.
	Stuck Problem = "stuck"
	// Ownerless: the user of a row does not exist.
	Ownerless Problem = "ownerless"
	// Orphan: an object exists without a row.
	Orphan Problem = "orphan"
)

// Action is what is done about a finding.
type Action string

// The actions.
const (
	// Repair: the owning module repairs it.
	Repair Action = "repair"
	// Delete: the owning module deletes it.
	Delete Action = "delete"
	// Wait: nothing yet; a later audit may act.
	Wait Action = "wait"
	// Report: it is only reported.
	Report Action = "report"
	// Fail: the repair or deletion failed; the log has the error.
	Fail Action = "failed"
)

// Finding is one problem and what is done about it.
type Finding struct {
	Kind    string  `json:"kind"`
	Name    string  `json:"name"`
	Owner   string  `json:"user_uid"`
	ID      string  `json:"id"`
	Problem Problem `json:"problem"`
	// Parts are the missing parts of a row's object, or the parts of an orphan that exist.
	Parts  []string `json:"parts,omitempty"`
	Action Action   `json:"action"`
	// Why is the reason for the action, in words for operators.
	Why string `json:"why"`
	// Since is the time of an orphan's first observation, in UTC; nil when a dry run observes it first.
	Since *time.Time `json:"orphan_since,omitempty"`
}

// Audit is the totals of one audit.
type Audit struct {
	// Task is console_tasks.id, 0 for a dry run.
	Task int64 `json:"task_id,omitempty"`
	// Mode is the value of audit.mode.
	Mode       string     `json:"mode"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Users      int64      `json:"users"`
	// Refusal is the reason why no orphan of any kind may be deleted; "" if deletions are allowed.
	Refusal string `json:"refusal"`
	Kinds   []Kind `json:"kinds"`
}

// Kind is the totals of one kind of object. In a dry run Repaired and Deleted are what an audit would do.
type Kind struct {
	Kind    string `json:"kind"`
	Objects int64  `json:"objects"`
	Rows    int64  `json:"rows"`
	// Missing, Stuck and Ownerless count rows with a problem; one row may have several.
	Missing   int64 `json:"missing"`
	Stuck     int64 `json:"stuck"`
	Ownerless int64 `json:"ownerless"`
	Orphans   int64 `json:"orphans"`
	// Repaired and Deleted count the actions that the owning module accepted.
	Repaired int64 `json:"repaired"`
	Deleted  int64 `json:"deleted"`
	// Refusal is the reason why no orphan of this kind may be deleted, Error the reason why the audit of this kind failed; ""
	// for none.
	Refusal string `json:"refusal"`
	Error   string `json:"error"`
}
