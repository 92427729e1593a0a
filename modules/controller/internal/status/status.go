// Package status reports the WorkerApps and their controller to `inner status`.
package status

import (
	"context"
	"fmt"
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
	// maxFailing is the most failing WorkerApps listed by name.
	maxFailing = 10
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
	total, stalled, unmigrated int
	phases                     map[workerapp.Phase]int
	failing                    []status.Detail
}

// add counts one WorkerApp. One that was not observed within the progress deadline indicates a failing controller.
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
	case app.Status.ObservedGeneration < app.Generation && now.Sub(app.CreationTimestamp.Time) > timeout:
		t.stalled++
	}
}

func (t *tally) addFailing(name, message string) {
	if len(t.failing) < maxFailing {
		t.failing = append(t.failing, status.Detail{Name: name, Value: message})
	}
}

// report returns the counts with the leader's host; leader is "" if no process leads.
func (t *tally) report(leader string) status.Report {
	host, _, _ := strings.Cut(leader, "_")
	report := status.Report{Condition: status.OK, Details: append([]status.Detail{{Name: "leader", Value: host}}, t.failing...),
		Text: fmt.Sprintf("%d WorkerApps: %d running, %d deploying, %d failed",
			t.total, t.phases[workerapp.Running], t.phases[workerapp.Deploying], t.phases[workerapp.Failed])}
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
	return report
}
