package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"app238.com/inner/app/guard"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// NotifyPodsType is the job type that notifies the Combinator pods of a deleted resource. Deletions queue it.
const NotifyPodsType = "combinator.notify_pods"

const (
	// maxConcurrentNotices bounds the pods that are notified at the same time.
	maxConcurrentNotices = 16
	// noticeRetryInterval is the first delay before the pods that did not acknowledge are notified again.
	noticeRetryInterval = 3 * time.Second
)

// NotifyPods is the payload: notify the pods that this resource was deleted.
type NotifyPods struct {
	Ref
	ResourceType string `json:"resource_type"`
}

// UnmarshalJSON decodes the Ref and the type: the embedded Ref's own method would ignore the type.
func (n *NotifyPods) UnmarshalJSON(data []byte) error {
	var sent struct {
		ResourceType string `json:"resource_type"`
	}
	err := unmarshalWithRef(data, &n.Ref, &sent)
	n.ResourceType = sent.ResourceType
	return err
}

// Validate checks the ids and the type.
func (n NotifyPods) Validate() error {
	if n.ResourceType != store.RDB && n.ResourceType != store.KV {
		return errors.New("resource_type: must be rdb or kv")
	}
	return n.Ref.Validate()
}

// OrderingKey is the notice, so that a pod that does not answer does not block other tasks about the resource.
func (n NotifyPods) OrderingKey() string { return "notice/" + n.Ref.OrderingKey() }

type notifyPods struct{ Params }

// NewNotifyPods defines the job.
func NewNotifyPods(p Params) job.Definition {
	return job.Define(job.Spec{Type: NotifyPodsType, Lane: job.NotifyLane}, notifyPods{p})
}

// Execute notifies every running pod, and ends when each has acknowledged or stopped. A notice may arrive twice.
func (j notifyPods) Execute(ctx context.Context, _ job.Task, p NotifyPods) error {
	row, err := j.Store.Resource(ctx, p.UserUID, p.ResourceID, p.ResourceType)
	switch {
	case err == nil && row.Status == store.Active:
		return job.NewTerminal("the resource exists")
	case err != nil && !errors.Is(err, store.ErrNoResource):
		return databaseError("reading the resource", err)
	}
	pods, err := j.Pods.Running(ctx)
	if err != nil {
		return job.NewUnavailable("cluster", err)
	}
	failed := j.notifyAll(ctx, pods, p)
	if len(failed) == 0 {
		return nil
	}
	text := fmt.Sprintf("waiting for %d of %d Combinator pods to answer", len(failed), len(pods))
	snooze := job.NewSnooze(noticeRetryInterval, text)
	snooze.Backoff, snooze.Cause = true, errors.New(strings.Join(failed, "; "))
	return snooze
}

// notifyAll notifies the pods and returns the errors of those that did not acknowledge.
func (j notifyPods) notifyAll(ctx context.Context, pods []kube.Pod, p NotifyPods) []string {
	failures := make([]error, len(pods))
	var group errgroup.Group
	group.SetLimit(maxConcurrentNotices)
	for i, pod := range pods {
		group.Go(func() error {
			failures[i] = guard.Call(func() error { return j.Pods.Notify(ctx, pod, p.ResourceType, p.resource()) })
			return nil
		})
	}
	_ = group.Wait() // the errors are in failures
	var failed []string
	for i, err := range failures {
		if err != nil {
			failed = append(failed, pods[i].Name+": "+err.Error())
		}
	}
	return failed
}
