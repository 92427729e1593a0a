package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"app238.com/inner/app/logging"
	"app238.com/inner/modules/controller/workerapp"
)

// fact is the state of one thing in words.
type fact struct {
	what, state string
	mood        mood
}

// view is everything about the worker at one moment.
type view struct {
	facts []fact
	phase string
	rows  rows
	task  task
}

// observe reads the task, the rows and the objects, all at once.
func (d *demo) observe(ctx context.Context) (v view, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		v.task, err = d.outer.task(ctx, d.task)
		return err
	})
	group.Go(func() (err error) {
		v.rows, err = d.outer.rows(ctx)
		return err
	})
	found := make([]map[string]any, len(d.objects))
	for i, o := range d.objects {
		group.Go(func() (err error) {
			found[i], err = o.read(ctx, d.clients)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return view{}, err
	}
	v.phase = text(found[0], "status", "phase")
	v.facts = []fact{taskFact(d.task, v.task), d.versionFact(v.rows), d.workerFact(v.rows)}
	for i, o := range d.objects {
		v.facts = append(v.facts, objectFact(o, found[i]))
	}
	return v, nil
}

func objectFact(o object, found map[string]any) fact {
	f := fact{what: o.kind + " " + o.namespace + "/" + o.name, state: absent}
	if found != nil {
		f.state = o.describe(found)
		phase, _, _ := strings.Cut(f.state, ":")
		f.mood = moodOf(phase)
	}
	return f
}

func taskFact(id int64, t task) fact {
	state := t.Status
	if t.DetailedStatus != "" && t.DetailedStatus != t.Status {
		state += ": " + t.DetailedStatus
	}
	if t.Attempts > 1 {
		state += fmt.Sprintf(" (attempt %d)", t.Attempts)
	}
	return fact{fmt.Sprintf("task %d", id), state, moodOf(t.Status)}
}

func (d *demo) versionFact(r rows) fact {
	state := r.version
	if r.message != "" {
		state += ": " + r.message
	}
	return fact{fmt.Sprintf("row of version %d", d.outer.version), state, moodOf(r.version)}
}

func (d *demo) workerFact(r rows) fact {
	state := r.worker
	if r.active.Valid {
		state += fmt.Sprintf(", active version %d", r.active.Int64)
	}
	return fact{"row of worker " + d.outer.worker, state, moodOf(r.worker)}
}

func moodOf(word string) mood {
	switch word {
	case "finished", "success", "active", string(workerapp.Running):
		return good
	case "error", "cancelled", "superseded", string(workerapp.Failed):
		return bad
	}
	return plain
}

// result tells whether the deploy is over, and how it failed if it did.
func (d *demo) result(v view) (over bool, failure error) {
	switch v.task.Status {
	case "error", "cancelled", "superseded":
		reason := v.rows.message
		if reason == "" {
			reason = v.task.LastError
		}
		return true, fmt.Errorf("worker %s is not Running: its task ended as %s: %s",
			d.outer.worker, v.task.Status, logging.Redact(reason))
	case "finished":
		running := v.phase == string(workerapp.Running) && v.rows.version == "success" && v.rows.worker == "active"
		if !running || v.rows.active.Int64 != d.outer.version {
			return false, nil // the limit ends this, should it stay so
		}
		return true, nil
	}
	return false, nil
}

var errPending = errors.New("the deploy has no outcome yet")
