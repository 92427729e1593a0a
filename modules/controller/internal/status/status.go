// Package status reports the WorkerApps and their controller to `inner status`.
package status

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/status"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

const (
	// pageSize is the most objects of one list request.
	pageSize = 500
	// minFailed is how many WorkerApps have to fail, and be the majority, for the platform to be degraded: a few broken ones are
	// their users' doing.
	minFailed = 5
)

// New returns the status component "workers".
func New(clients *kube.Clients, c *config.Config) status.Component {
	return status.Component{Name: "workers", Probe: func(ctx context.Context) (status.Report, error) {
		var t tally
		options := metav1.ListOptions{Limit: pageSize}
		for {
			list, err := clients.Dynamic.Resource(workerapp.Resource()).Namespace(c.Kubernetes.Namespaces.Worker).List(ctx, options)
			if err != nil {
				return status.Report{}, err
			}
			for i := range list.Items {
				t.add(&list.Items[i], time.Now(), c.Controller.ProgressDeadline)
			}
			if options.Continue = list.GetContinue(); options.Continue == "" {
				break
			}
		}
		leader, err := clients.Leader(ctx, c)
		if err == nil {
			err = t.countUnmigrated(ctx, clients, c.Kubernetes.Namespaces)
		}
		return t.report(leader), err
	}}
}

// countUnmigrated counts the workers that are still reached through the headless Service of an earlier release.
func (t *tally) countUnmigrated(ctx context.Context, clients *kube.Clients, namespaces config.Namespaces) error {
	options := metav1.ListOptions{Limit: pageSize, LabelSelector: workerapp.WorkerLabel}
	for {
		list, err := clients.Typed.CoreV1().Services(namespaces.Ingress).List(ctx, options)
		if err != nil {
			return err
		}
		for i := range list.Items {
			if children.PointsToLegacy(&list.Items[i], namespaces.Worker) {
				t.unmigrated++
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}

// tally counts WorkerApps.
type tally struct {
	total, failed, stalled, unmigrated int
	phases                             map[workerapp.Phase]int
	failing                            []status.Detail // the first of the failed ones
}

// add counts one WorkerApp. A change that was not observed within the progress deadline indicates a failing controller.
func (t *tally) add(u *unstructured.Unstructured, now time.Time, timeout time.Duration) {
	t.total++
	if t.phases == nil {
		t.phases = map[workerapp.Phase]int{}
	}
	app, err := workerapp.FromUnstructured(u)
	if err != nil {
		t.addFailing(u.GetName(), err.Error())
		return
	}
	t.phases[app.Status.Phase]++
	switch {
	case app.Status.Phase == workerapp.Failed:
		t.addFailing(u.GetName(), app.Status.Message)
	case app.Status.ObservedGeneration < app.Generation && now.Sub(lastChange(u)) > timeout && !heldByOthers(u):
		t.stalled++
	}
}

// heldByOthers reports whether the object waits for finalizers other than Inner's to be deleted.
func heldByOthers(u *unstructured.Unstructured) bool {
	return u.GetDeletionTimestamp() != nil && !slices.Contains(u.GetFinalizers(), workerapp.Finalizer)
}

// lastChange returns when the object was last written or deleted, apart from its status.
func lastChange(u *unstructured.Unstructured) time.Time {
	last := u.GetCreationTimestamp().Time
	if deleted := u.GetDeletionTimestamp(); deleted != nil {
		last = deleted.Time
	}
	for _, entry := range u.GetManagedFields() {
		if entry.Subresource == "" && entry.Time != nil && entry.Time.After(last) {
			last = entry.Time.Time
		}
	}
	return last
}

func (t *tally) addFailing(name, message string) {
	t.failed++
	if len(t.failing) < status.MaxListed {
		t.failing = append(t.failing, status.Detail{Name: name, Value: message})
	}
}

// report returns the counts with the leader's host; leader is "" if no process leads.
func (t *tally) report(leader string) status.Report {
	host, _, _ := strings.Cut(leader, "_")
	report := status.Report{Condition: status.OK,
		Details: append([]status.Detail{{Name: "leader", Value: host}},
			status.Listed(t.failing, int64(t.failed), "inner workers list --failing")...),
		Text: fmt.Sprintf("%d WorkerApps: %d running, %d deploying, %d failed",
			t.total, t.phases[workerapp.Running], t.phases[workerapp.Deploying], t.failed)}
	if leader == "" {
		report.Condition = status.Down
		report.Text += "; no process leads the controller"
		return report
	}
	if t.unmigrated > 0 {
		report.Text += fmt.Sprintf("; %d not yet migrated from the headless Service of an earlier release", t.unmigrated)
	}
	if t.stalled > 0 {
		report.Condition = status.Degraded
		report.Text += fmt.Sprintf("; %d not observed by the controller", t.stalled)
	}
	if t.failed >= minFailed && 2*t.failed > t.total {
		report.Condition = status.Degraded
		report.Text += "; most fail, which is unlikely to be their users' doing"
	}
	return report
}
