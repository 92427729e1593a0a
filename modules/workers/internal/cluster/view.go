package cluster

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/workers/admin"
)

const (
	// namesPerRequest keeps the label selector of a request short.
	namesPerRequest = 50
	// maxEvents is the most events of a view, and maxEventPods the most pods whose events are read.
	maxEvents, maxEventPods = 10, 3
)

// Viewer reads what the cluster has of workers, for people. It reads from the API server and lists, since the Role of the
// deployment allows no more than that for most kinds.
type Viewer struct {
	clients    *kube.Clients
	config     *config.Config
	domain     string
	namespaces config.Namespaces
}

// NewViewer returns a Viewer.
func NewViewer(clients *kube.Clients, c *config.Config) *Viewer {
	return &Viewer{clients: clients, config: c, domain: c.Domain, namespaces: c.Kubernetes.Namespaces}
}

// Leader returns the host of the process that leads the controller, "" if none does.
func (v *Viewer) Leader(ctx context.Context) (string, error) {
	identity, err := v.clients.Leader(ctx, v.config)
	host, _, _ := strings.Cut(identity, "_")
	return host, err
}

func deployments() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("deployments")
}

func core(resource string) schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource(resource)
}

func routes() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}
}

// Ready returns the number of ready pods of those of the named workers that have a Deployment.
func (v *Viewer) Ready(ctx context.Context, names []string) (map[string]int64, error) {
	ready := map[string]int64{}
	for some := range slices.Chunk(names, namesPerRequest) {
		found, err := list[appsv1.Deployment](ctx, v, deployments(), v.namespaces.Worker, metav1.ListOptions{
			LabelSelector: workerapp.AppLabel + " in (" + strings.Join(some, ",") + ")"})
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			ready[d.Name] = int64(d.Status.ReadyReplicas)
		}
	}
	return ready, nil
}

// View returns what the cluster has of a worker.
func (v *Viewer) View(ctx context.Context, w admin.Worker) (view admin.Cluster, err error) {
	view = admin.Cluster{Pods: []admin.Pod{}, Events: []admin.Event{},
		Route: admin.Route{Hosts: []string{}, Problems: []string{}}}
	name := workerapp.Name(w.WorkerID, w.UserUID)
	found, err := v.clients.Get(ctx, workerapp.Resource(), v.namespaces.Worker, name)
	switch {
	case kube.Absent(err):
	case err != nil:
		return view, fmt.Errorf("read the WorkerApp: %w", err)
	default:
		view.App = appOf(found)
	}
	if view.Deployment, err = v.deployment(ctx, name); err != nil {
		return view, fmt.Errorf("list Deployments: %w", err)
	}
	pods, err := list[corev1.Pod](ctx, v, core("pods"), v.namespaces.Worker, metav1.ListOptions{
		LabelSelector: workerapp.AppLabel + "=" + name})
	if err != nil {
		return view, fmt.Errorf("list pods: %w", err)
	}
	for i := range pods {
		view.Pods = append(view.Pods, podOf(&pods[i]))
	}
	slices.SortStableFunc(view.Pods, func(a, b admin.Pod) int { // failing ones first, then the newest
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.Name, b.Name))
	})
	if view.Events, err = v.events(ctx, name, view.Pods); err != nil {
		return view, fmt.Errorf("list events: %w", err)
	}
	if view.Route, err = v.route(ctx, w, name); err != nil {
		return view, fmt.Errorf("route: %w", err)
	}
	if w.ActiveVersion != 0 && view.Deployment != nil && view.Deployment.Desired > 0 && view.Deployment.Ready == 0 {
		view.Route.Problems = append(view.Route.Problems, "no pod is ready, so requests are answered with an error")
	}
	return view, nil
}

func rank(p admin.Pod) int {
	if p.Ready {
		return 1
	}
	return 0
}

func appOf(found *unstructured.Unstructured) *admin.App {
	state := stateOf(found)
	shown := &admin.App{
		Name: found.GetName(), Version: state.Version, Task: state.Task, Recorded: state.Recorded, Deleting: state.Deleting,
		CreatedAt: found.GetCreationTimestamp().UTC(),
	}
	app, err := workerapp.FromUnstructured(found)
	if err != nil {
		shown.Phase, shown.Message = string(workerapp.Failed), err.Error()
		return shown
	}
	shown.Phase, shown.Message = string(app.Status.Phase), app.Status.Message
	shown.Observed = app.Status.ObservedGeneration >= app.Generation && app.Status.Version == state.Version &&
		app.Status.Task == state.Task
	return shown
}

func (v *Viewer) deployment(ctx context.Context, name string) (*admin.Deployment, error) {
	found, err := list[appsv1.Deployment](ctx, v, deployments(), v.namespaces.Worker, named(name))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	d := found[0]
	shown := &admin.Deployment{Desired: 1, Updated: int64(d.Status.UpdatedReplicas), Ready: int64(d.Status.ReadyReplicas)}
	if d.Spec.Replicas != nil {
		shown.Desired = int64(*d.Spec.Replicas)
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			shown.Failure = plain(c.Message)
		}
	}
	return shown, nil
}

// events returns the newest events of the worker's objects, which share its name, and of some pods that are not ready.
func (v *Viewer) events(ctx context.Context, name string, pods []admin.Pod) ([]admin.Event, error) {
	names := []string{name}
	for _, p := range pods {
		if !p.Ready && len(names) <= maxEventPods {
			names = append(names, p.Name)
		}
	}
	all := []admin.Event{}
	for _, of := range names {
		found, err := list[corev1.Event](ctx, v, core("events"), v.namespaces.Worker, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("involvedObject.name", of).String()})
		if err != nil {
			return nil, err
		}
		for i := range found {
			all = append(all, eventOf(&found[i]))
		}
	}
	slices.SortStableFunc(all, func(a, b admin.Event) int { return b.LastAt.Compare(a.LastAt) })
	return all[:min(len(all), maxEvents)], nil
}

func eventOf(e *corev1.Event) admin.Event {
	last, count := e.LastTimestamp.Time, int64(e.Count)
	if last.IsZero() {
		last = e.EventTime.Time
	}
	if e.Series != nil {
		last, count = e.Series.LastObservedTime.Time, int64(e.Series.Count)
	}
	if last.IsZero() {
		last = e.CreationTimestamp.Time
	}
	return admin.Event{
		Type: e.Type, Reason: e.Reason, Object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name, Message: plain(e.Message),
		Count: max(count, 1), LastAt: last.UTC(),
	}
}

var hostOfRule = regexp.MustCompile("Host\\(`([^`]*)`\\)")

// route follows the way of a request from the hosts to the Service in front of the pods.
func (v *Viewer) route(ctx context.Context, w admin.Worker, name string) (admin.Route, error) {
	r := admin.Route{Hosts: []string{}, Problems: []string{}, External: workerapp.ExternalName(name)}
	problem := func(format string, args ...any) { r.Problems = append(r.Problems, fmt.Sprintf(format, args...)) }
	if w.ActiveVersion == 0 {
		return r, nil // nothing has served yet
	}
	found, err := v.clients.List(ctx, routes(), v.namespaces.Ingress, named(name))
	switch {
	case apierrors.IsNotFound(err):
		problem("the cluster does not have the kind IngressRoute: is Traefik installed?")
	case err != nil:
		return r, err
	case len(found.Items) == 0:
		problem("the IngressRoute %s/%s does not exist", v.namespaces.Ingress, name)
	default:
		for _, match := range hostOfRule.FindAllStringSubmatch(fmt.Sprint(found.Items[0].Object["spec"]), -1) {
			r.Hosts = append(r.Hosts, match[1])
		}
		// A command may run without the setting domain.
		if want := workerapp.Hosts(w.WorkerID, w.UserUID, v.domain)[0]; v.domain != "" && !slices.Contains(r.Hosts, want) {
			problem("the IngressRoute has no rule for %s", want)
		}
	}
	external, err := list[corev1.Service](ctx, v, core("services"), v.namespaces.Ingress, named(r.External))
	switch {
	case err != nil:
		return r, err
	case len(external) == 0:
		problem("the Service %s/%s does not exist", v.namespaces.Ingress, r.External)
		return r, nil
	}
	r.Target = external[0].Spec.ExternalName
	target, ours := strings.CutSuffix(r.Target, workerapp.ServiceSuffix(v.namespaces.Worker))
	if !ours || target != workerapp.ServiceName(name) && target != name {
		problem("the Service %s leads to %s", r.External, r.Target)
		return r, nil
	}
	inner, err := list[corev1.Service](ctx, v, core("services"), v.namespaces.Worker, named(target))
	if err == nil && len(inner) == 0 {
		problem("the Service %s/%s does not exist", v.namespaces.Worker, target)
	}
	return r, err
}

// named selects the object with this name.
func named(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
}

// list returns the selected objects of a kind.
func list[T any](ctx context.Context, v *Viewer, resource schema.GroupVersionResource, namespace string,
	options metav1.ListOptions) ([]T, error) {
	found, err := v.clients.List(ctx, resource, namespace, options)
	if err != nil {
		return nil, err
	}
	all := make([]T, len(found.Items))
	for i, item := range found.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &all[i]); err != nil {
			return nil, fmt.Errorf("%s %s: %w", resource.Resource, item.GetName(), err)
		}
	}
	return all, nil
}

// plain returns a message of the cluster without secrets.
func plain(message string) string {
	return strings.TrimSpace(logging.Redact(logging.Printable(message)))
}
