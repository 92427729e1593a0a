// Package job is the seam of the task queue: what it requires of the modules whose jobs it runs, and what it offers to
// them.
package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/fx"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
)

// DefaultLane is the lane of job types that name none.
const DefaultLane = config.DefaultLane

// SlowLane is for jobs that wait for external systems, SchemaLane for schema changes, of which each user's run one at a time,
// NotifyLane for notifying the Combinator pods.
const (
	SlowLane   = "slow"
	SchemaLane = "schema"
	NotifyLane = "notify"
)

// Task is one execution of an accepted task.
type Task struct {
	// ID is console_tasks.id.
	ID int64
	// Type is the job type.
	Type string
	// Attempt counts the executions from 1. Snoozed and parked executions do not count.
	Attempt int
}

// Payload is the input of a job. It is decoded from task_info when the task is accepted and again when it runs.
type Payload interface {
	// Validate returns an error that names the field by its JSON name, without repeating the value.
	Validate() error
	// OrderingKey names the subject of the task: tasks with the same key run one at a time, in the order in which they
	// were accepted.
	OrderingKey() string
}

// Secret is a payload with values that are stored only as long as they are needed and are never shown.
type Secret interface {
	Payload
	// WithoutSecrets returns the payload without those values. It must be a valid payload.
	WithoutSecrets() Payload
}

// Spec describes a job type.
type Spec struct {
	// Type is the name in task_type; Aliases are accepted in its place.
	Type    string
	Aliases []string
	// Lane separates slow work from fast; "" is DefaultLane.
	Lane string
	// Attempts limits the executions of a task, and Timeout each of them; 0 means the configured value.
	Attempts int
	Timeout  time.Duration
}

// Definition is a registered job type.
type Definition struct {
	Spec
	// Secret is true if the payload is a Secret.
	Secret  bool
	prepare func(info []byte) (Prepared, error)
}

// Prepared is a task whose payload was decoded and validated.
type Prepared struct {
	// OrderingKey is the payload's.
	OrderingKey string
	// Info is the payload as JSON, as it is stored.
	Info []byte
	// Erased is Info without the values of a Secret; nil for other payloads.
	Erased []byte
	// Execute runs the job. The texts of its error, and of OnDiscarded's, contain no value of a Secret.
	Execute func(ctx context.Context, task Task) error
	// OnDiscarded calls the job's DiscardHandler, if it is one, because the task was discarded or cancelled.
	OnDiscarded func(ctx context.Context, task Task, reason string) error
}

// Prepare decodes and validates a payload. Its error names the field and is meant for the client.
func (d Definition) Prepare(info []byte) (Prepared, error) { return d.prepare(info) }

// Job does the work of one type.
type Job[P Payload] interface {
	// Execute brings the actual state to the desired state. It may run twice, late and out of order. It returns nil, or an
	// error whose Kind decides what happens to the task.
	Execute(ctx context.Context, task Task, payload P) error
}

// DiscardHandler is a Job that updates other rows when its task is discarded.
type DiscardHandler[P Payload] interface {
	// OnDiscarded is called after the last attempt, after a terminal error, and after an operator cancelled the task. The
	// reason is a text for users. It may use the database only. If it fails, the task is retried, unless the error is
	// certain to recur: a panic, a value that the database refuses, a terminal error.
	OnDiscarded(ctx context.Context, task Task, payload P, reason string) error
}

// Define returns the definition of a job type. A module has its job types in internal/jobs, one file each, and provides their
// definitions in module.go by As.
func Define[P Payload](spec Spec, j Job[P]) Definition {
	if spec.Lane == "" {
		spec.Lane = DefaultLane
	}
	var zero P
	_, secret := any(zero).(Secret)
	handler, _ := j.(DiscardHandler[P])
	return Definition{Spec: spec, Secret: secret, prepare: func(info []byte) (Prepared, error) {
		payload, err := decode[P](info)
		if err != nil {
			return Prepared{}, err
		}
		stored, erased, err := encode(payload)
		if err != nil {
			return Prepared{}, err
		}
		return Prepared{
			OrderingKey: payload.OrderingKey(),
			Info:        stored,
			Erased:      erased,
			Execute: func(ctx context.Context, task Task) error {
				return redactError(j.Execute(ctx, task, payload), stored, erased)
			},
			OnDiscarded: func(ctx context.Context, task Task, reason string) error {
				if handler == nil {
					return nil
				}
				return redactError(handler.OnDiscarded(ctx, task, payload, reason), stored, erased)
			},
		}, nil
	}}
}

// encode returns the payload as it is stored, and as it is stored after its secrets were erased.
func encode(payload Payload) (stored, erased []byte, err error) {
	if stored, err = json.Marshal(payload); err != nil {
		return nil, nil, fmt.Errorf("task_info: %w", err)
	}
	if s, ok := payload.(Secret); ok {
		if erased, err = json.Marshal(s.WithoutSecrets()); err != nil {
			return nil, nil, fmt.Errorf("task_info: %w", err)
		}
	}
	return stored, erased, nil
}

func decode[P Payload](info []byte) (P, error) {
	var payload P
	if info = bytes.TrimSpace(info); len(info) == 0 || info[0] != '{' {
		return payload, errors.New("task_info: must be an object")
	}
	if err := json.Unmarshal(info, &payload); err != nil {
		return payload, errors.New(server.JSONErrorText("task_info", err))
	}
	if err := payload.Validate(); err != nil {
		return payload, fmt.Errorf("task_info.%w", err)
	}
	return payload, nil
}

// As annotates an fx constructor of a Definition so that it contributes to the group "jobs".
func As(constructor any) any { return fx.Annotate(constructor, fx.ResultTags(`group:"jobs"`)) }
