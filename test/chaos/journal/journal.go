// Package journal is the record of executions of a replica in the chaos tests, a file: its lines survive SIGKILL of the
// process, and writing it needs none of the servers that the tests break.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Event is the kind of a line.
type Event string

// The events.
const (
	// Listening is written once, when the replica has started.
	Listening Event = "listening"
	// Begin and End enclose one execution of a task.
	Begin Event = "begin"
	End   Event = "end"
)

// Outcome is the result of an execution.
type Outcome string

// The outcomes. Aborted: its context ended first.
const (
	Done    Outcome = "done"
	Retry   Outcome = "failed"
	Snooze  Outcome = "later"
	Parked  Outcome = "parked"
	Aborted Outcome = "aborted"
)

// Line is one line of a journal.
type Line struct {
	Event Event `json:"event"`
	// At is the time in nanoseconds since the Unix epoch, by the clock that all replicas and the database share.
	At int64 `json:"at"`
	// Address is where the replica listens.
	Address string `json:"address,omitempty"`
	// Execution counts those of this replica; its End has the number of its Begin.
	Execution int64 `json:"execution,omitempty"`
	// Task is console_tasks.id; Key and Seq are its payload's.
	Task int64  `json:"task,omitempty"`
	Key  string `json:"key,omitempty"`
	Seq  int    `json:"seq,omitempty"`
	// Outcome is set in an End.
	Outcome Outcome `json:"outcome,omitempty"`
}

// Time returns the line's time.
func (l Line) Time() time.Time { return time.Unix(0, l.At) }

// Journal is a journal open for writing. It is safe for concurrent use.
type Journal struct{ file *os.File }

// Open creates a journal, or appends to an existing one.
func Open(path string) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return &Journal{file}, nil
}

// Write appends a line with the current time.
func (j *Journal) Write(line Line) error {
	line.At = time.Now().UnixNano()
	encoded, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	// One system call for each line: a kill leaves a complete line or none.
	if _, err := j.file.Write(append(encoded, '\n')); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Close ends the writing.
func (j *Journal) Close() error { return j.file.Close() }

// Read returns the lines so far; none if there is no journal yet.
func Read(path string) ([]Line, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var lines []Line
	for encoded := range bytes.Lines(content) {
		if !bytes.HasSuffix(encoded, []byte("\n")) {
			break // being written
		}
		var line Line
		if err := json.Unmarshal(encoded, &line); err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
		lines = append(lines, line)
	}
	return lines, nil
}
