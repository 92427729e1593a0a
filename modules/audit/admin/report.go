// Package admin is what an audit found and did, for logs and the command line.
package admin

import (
	"context"
	"errors"
	"time"
)

// Auditor is what operators may ask of the audit.
type Admin interface {
	// DryRun audits without changing or recording anything, and tells what an audit would do now. What it could not list
	// is in the Fault of its kind.
	DryRun(ctx context.Context, sink Sink) (Audit, error)
	// Last returns what the latest audit recorded, or ErrNone.
	Last(ctx context.Context) (Audit, error)
}

// ErrNone says that there was no audit yet.
var ErrNone = errors.New("there was no audit yet")

// Sink is told what an audit finds, in the order in which it does.
type Sink interface {
	// User is called for each user, before the first finding.
	User(u User)
	// Finding is called for each fault and each orphan, once it is known what is done about it.
	Finding(f Finding)
}

// User is a user and the number of rows that belong to it.
type User struct {
	UID       string `json:"user_uid"`
	Workers   int64  `json:"workers"`
	Resources int64  `json:"resources"`
	Domains   int64  `json:"domains"`
}

// Problem is what is wrong.
type Problem string

// The problems.
const (
	// Missing: what a row needs does not exist.
	Missing Problem = "missing"
	// Stuck: a row is loading, and no task is going to end that.
	Stuck Problem = "stuck"
	// Ownerless: the user of a row does not exist.
	Ownerless Problem = "ownerless"
	// Orphan: a thing exists that no row wishes.
	Orphan Problem = "orphan"
)

// Action is what is done about a problem.
type Action string

// The actions.
const (
	// Repair: its module puts it right.
	Repair Action = "repair"
	// Delete: its module takes it away.
	Delete Action = "delete"
	// Wait: nothing yet; a later audit may.
	Wait Action = "wait"
	// Tell: nothing but telling.
	Tell Action = "report"
	// Fail: it was tried and failed; the log tells why.
	Fail Action = "failed"
)

// Finding is one fault or orphan and what is done about it.
type Finding struct {
	Kind    string  `json:"kind"`
	Name    string  `json:"name"`
	Owner   string  `json:"user_uid"`
	ID      string  `json:"id"`
	Problem Problem `json:"problem"`
	// Parts are the missing parts of a row, or the parts of an orphan that were found.
	Parts  []string `json:"parts,omitempty"`
	Action Action   `json:"action"`
	// Why says in words why this is done and not something else.
	Why string `json:"why"`
	// Since is when an orphan was first seen, in UTC; nil where a dry run is the first to see it.
	Since *time.Time `json:"orphan_since,omitempty"`
}

// Audit is one audit's totals.
type Audit struct {
	// Task is console_tasks.id, 0 for a dry run.
	Task int64 `json:"task_id,omitempty"`
	// Mode is the value of audit.mode.
	Mode       string     `json:"mode"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Users      int64      `json:"users"`
	// Refusal says why nothing of any kind may be deleted, "" where nothing speaks against it.
	Refusal string `json:"refusal"`
	Kinds   []Kind `json:"kinds"`
}

// Kind is the totals of one kind of thing. In a dry run Repaired and Deleted are what would be.
type Kind struct {
	Kind   string `json:"kind"`
	Things int64  `json:"things"`
	Rows   int64  `json:"rows"`
	// Missing, Stuck and Ownerless are rows at fault; one row may be several.
	Missing   int64 `json:"missing"`
	Stuck     int64 `json:"stuck"`
	Ownerless int64 `json:"ownerless"`
	Orphans   int64 `json:"orphans"`
	// Repaired and Deleted are what the owning module took on.
	Repaired int64 `json:"repaired"`
	Deleted  int64 `json:"deleted"`
	// Refusal says why nothing of this kind may be deleted; Fault why the kind could not be audited to the end. Both are
	// "" where all is well.
	Refusal string `json:"refusal"`
	Fault   string `json:"fault"`
}
