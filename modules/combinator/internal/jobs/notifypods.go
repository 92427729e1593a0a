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

// NotifyPodsType is the job type that tells the Combinator pods that a resource is gone. Deletions queue it.
const NotifyPodsType = "combinator.notify_pods"

const (
	// tellAtOnce bounds how many pods are told at the same time.
	tellAtOnce = 16
	// tellAgain is the least wait before the pods are told again, when one of them did not answer.
	tellAgain = 3 * time.Second
)

// NotifyPods is the payload: tell the pods that this resource is gone.
type NotifyPods struct {
	Ref
	ResourceType string `json:"resource_type"`
}

// UnmarshalJSON decodes both parts: the embedded one's own method would leave the type out.
func (n *NotifyPods) UnmarshalJSON(data []byte) error {
	var sent struct {
		ResourceType string `json:"resource_type"`
	}
	err := unmarshalBoth(data, &n.Ref, &sent)
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

// OrderingKey is the notice, so that a pod which does not answer holds up no job on the resource.
func (n NotifyPods) OrderingKey() string { return "notice/" + n.Ref.OrderingKey() }

type notifyPods struct{ Params }

// NewNotifyPods defines the job.
func NewNotifyPods(p Params) job.Definition {
	return job.Define(job.Spec{Type: NotifyPodsType, Lane: job.NotifyLane}, notifyPods{p})
}

// Execute tells every pod that runs, and ends when each has answered or is gone. A pod that was told already understands it
// once more.
func (j notifyPods) Execute(ctx context.Context, _ job.Task, p NotifyPods) error {
	row, err := j.Store.Resource(ctx, p.UserUID, p.ResourceID, p.ResourceType)
	switch {
	case err == nil && row.Status == store.Active:
		return job.NewTerminal("the resource is there")
	case err != nil && !errors.Is(err, store.ErrNoResource):
		return databaseError("reading the resource", err)
	}
	pods, err := j.Pods.Running(ctx)
	if err != nil {
		return job.NewUnavailable("cluster", err)
	}
	silent := j.tell(ctx, pods, p)
	if len(silent) == 0 {
		return nil
	}
	again := job.NewSnooze(tellAgain, fmt.Sprintf("waiting for %d of %d Combinator pods to answer", len(silent), len(pods)))
	again.Backoff, again.Cause = true, errors.New(strings.Join(silent, "; "))
	return again
}

// tell tells the pods and returns what went wrong with those that did not answer.
func (j notifyPods) tell(ctx context.Context, pods []kube.Pod, p NotifyPods) []string {
	failures := make([]error, len(pods))
	var group errgroup.Group
	group.SetLimit(tellAtOnce)
	for i, pod := range pods {
		group.Go(func() error {
			failures[i] = guard.Call(func() error { return j.Pods.Tell(ctx, pod, p.ResourceType, p.resource()) })
			return nil
		})
	}
	_ = group.Wait() // they tell by failures
	var silent []string
	for i, err := range failures {
		if err != nil {
			silent = append(silent, pods[i].Name+": "+err.Error())
		}
	}
	return silent
}
