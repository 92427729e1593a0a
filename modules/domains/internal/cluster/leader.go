package cluster

import (
	"context"
	"time"

	"app238.com/inner/modules/domains/internal/store"
)

const (
	// changedLimit is how many of the latest changes are read at once; the resync finds the others.
	changedLimit = 1000
	// writeTime is how long it may take until others see a change.
	writeTime = 5 * time.Second
)

// Leader tells whether this process leads: kube.Election.
type Leader interface {
	// CheckLeader returns an error unless this process leads.
	CheckLeader() error
}

// Leading reports whether this process writes objects.
func (c *Cluster) Leading() bool { return c.leader.CheckLeader() == nil }

// EnqueueLatest enqueues, while this process leads, the names whose desired state any process has changed within the last time
// ago, and all that it has to reconcile when it begins to lead. It must not be called concurrently.
func (c *Cluster) EnqueueLatest(ctx context.Context, ago time.Duration) error {
	if !c.Leading() {
		c.led.Store(false)
		return nil
	}
	if c.led.CompareAndSwap(false, true) { // a name that is dropped meanwhile clears it again
		err := c.EnqueueChanged(ctx)
		if err != nil || !c.Leading() {
			c.led.Store(false)
		}
		return err
	}
	latest, err := c.store.ListChanged(ctx, ago+writeTime, changedLimit)
	if err != nil {
		return err
	}
	c.enqueueChanged(latest, c.queue.Add)
	return nil
}

// EnqueueChanged enqueues, while this process leads, the names that it has not reconciled since their desired state changed, or
// since their objects changed while another process led.
func (c *Cluster) EnqueueChanged(ctx context.Context) error {
	if !c.Leading() {
		return nil
	}
	for after := ""; ; {
		page, err := c.store.ListDesired(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].CDID
		c.enqueueChanged(page, c.queue.AddBacklog)
	}
}

func (c *Cluster) enqueueChanged(page []store.Desired, add func(name string)) {
	for _, w := range page {
		if !c.isReconciled(w) {
			c.setUser(w.Name, w.UserUID)
			add(w.Name)
		}
	}
}
