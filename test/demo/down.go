package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	clearPoll = 100 * time.Millisecond
	// clearLimit bounds taking away what the demonstration has put into servers that are the user's own.
	clearLimit = 90 * time.Second
)

// keepServing waits until the user has had enough, or Inner ends by itself.
func (d *demo) keepServing(ctx context.Context) error {
	select {
	case <-ctx.Done():
		d.screen.line("")
		d.screen.step("", "%v", context.Cause(ctx))
		return nil
	case <-d.inner.serving.Done():
		return d.inner.serving.Failure()
	}
}

// bringDown takes away what must not stay, and ends Inner.
func (d *demo) bringDown(ctx context.Context) error {
	err := d.clear(ctx)
	if err != nil {
		err = fmt.Errorf("worker %s of user %s is left behind: %w", d.outer.worker, d.outer.user, err)
	}
	d.screen.step("inner", "stopping")
	return errors.Join(err, d.stopInner(ctx))
}

// clear deletes the worker as the Outer would, where the servers outlive the demonstration.
func (d *demo) clear(ctx context.Context) error {
	if !d.written || !d.opts.givenDB && !d.opts.givenKube {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, clearLimit, fmt.Errorf("not gone within %s", clearLimit))
	defer cancel()
	d.screen.step("clearing up", "deleting worker %s and user %s", d.outer.worker, d.outer.user)
	id, err := d.outer.accept(ctx, deleteType, workerPayload{WorkerID: d.outer.worker, UserUID: d.outer.user})
	if err != nil {
		return err
	}
	if err := until(ctx, clearPoll, func(ctx context.Context) error { return d.gone(ctx, id) }); err != nil {
		return err
	}
	if err := d.outer.remove(ctx); err != nil {
		return err
	}
	d.screen.step("clearing up", "done")
	return nil
}

// gone fails while the task of the deletion is not finished or an object is still there.
func (d *demo) gone(ctx context.Context, taskID int64) error {
	t, err := d.outer.task(ctx, taskID)
	if err != nil {
		return err
	}
	if t.Status != "finished" {
		return fmt.Errorf("task %d is %s: %s", taskID, t.Status, t.DetailedStatus)
	}
	for _, o := range d.objects {
		found, err := o.read(ctx, d.clients)
		if err != nil {
			return err
		}
		if found != nil {
			return fmt.Errorf("%s %s/%s is still there", o.kind, o.namespace, o.name)
		}
	}
	return nil
}
