// Package status tells operators how the WorkerApps fare.
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
	// page is the most WorkerApps of one answer.
	pageSize = 500
	// named is the most failing WorkerApps that are named.
	maxFailing = 10
)

// New returns the part that is the WorkerApps and their controller.
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

// countUnmoved counts the workers that are still reached by what an earlier release made.
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

// add counts one. A WorkerApp that nobody has looked at for longer than a rollout may take without progress tells of a
// controller that does not work.
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

// report tells of the WorkerApps and of the process that runs the controller for all, "" where none does.
func (t *tally) report(leader string) status.Report {
	host, _, _ := strings.Cut(leader, "_")
	report := status.Report{Condition: status.OK, Details: append([]status.Detail{{Name: "leader", Value: host}}, t.failing...), Text: fmt.Sprintf("%d WorkerApps: %d running, %d deploying, %d failed",
		t.total, t.phases[workerapp.Running], t.phases[workerapp.Deploying], t.phases[workerapp.Failed])}
	if leader == "" {
		report.Condition = status.Down
		report.Text += "; no process leads the controller"
		return report
	}
	if t.unmigrated > 0 {
		report.Text += fmt.Sprintf("; %d still to be moved from the headless Service of an earlier release", t.unmigrated)
	}
	if t.stalled > 0 {
		report.Condition = status.Degraded
		report.Text += fmt.Sprintf("; the controller has not looked at %d of them", t.stalled)
	}
	return report
}
