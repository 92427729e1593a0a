package platform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/program"
)

const (
	// verifyTimeout is the longest time for one of the checks at the end.
	verifyTimeout = time.Minute

	workerNamespace  = "worker"
	ingressNamespace = "ingress"
)

// findings collects what differs from the accepted requests.
type findings struct{ texts []string }

func (f *findings) add(format string, arguments ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, arguments...))
}

// check compares the platform with what was accepted and returns what differs, or could not be checked.
func (w *fixture) check(ctx context.Context, outers []*outer) (found []string) {
	f := &findings{}
	for _, one := range []struct {
		what   string
		verify func(context.Context, []*outer, *findings) error
	}{
		{"tasks", w.checkTasks}, {"workers", w.checkWorkers}, {"objects", w.checkObjects}, {"schemas", w.checkSchemas},
		{"keys", w.checkKeys},
		{"resources", w.checkResources}, {"domains", w.checkDomains}, {"audit", w.checkByAudit},
	} {
		timed, cancel := context.WithTimeout(ctx, verifyTimeout)
		if err := one.verify(timed, outers, f); err != nil {
			f.add("%s cannot be checked: %v", one.what, err)
		}
		cancel()
	}
	return f.texts
}

// checkTasks: each accepted request is one task, which has ended; there is no other with a key.
func (w *fixture) checkTasks(ctx context.Context, outers []*outer, f *findings) error {
	type task struct {
		id             int64
		status, detail string
	}
	rows, err := w.db.QueryContext(ctx,
		`SELECT idempotency_key, id, task_status, task_type || ': ' || task_detailed_status || ' ' || last_error
		FROM console_tasks WHERE idempotency_key IS NOT NULL`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	tasks := map[string]task{}
	for rows.Next() {
		var key string
		var one task
		if err := rows.Scan(&key, &one.id, &one.status, &one.detail); err != nil {
			return err
		}
		tasks[key] = one
	}
	for _, o := range outers {
		for _, a := range o.accepted {
			one, ok := tasks[a.key]
			delete(tasks, a.key)
			switch {
			case !ok && w.extent.retention > 0 && time.Since(a.at) > w.extent.retention: // removed
			case !ok || one.id != a.id:
				f.add("task %d (%s) was accepted and is lost", a.id, a.key)
			case one.status == "finished" || one.status == "superseded" || one.status == "cancelled":
			case one.status == "error" && (o.mayFail[a.key] || a.gone()):
			default:
				f.add("task %d (%s) is %s: %s", a.id, a.key, one.status, one.detail)
			}
		}
	}
	for key := range tasks {
		f.add("task %s was never accepted", key)
	}
	return rows.Err()
}

// checkWorkers: rows, objects and pods of each worker are as its last requests say.
func (w *fixture) checkWorkers(ctx context.Context, outers []*outer, f *findings) error {
	for _, o := range outers {
		for _, k := range o.workers {
			if k.deleted {
				continue
			}
			if err := w.checkWorker(ctx, k, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *fixture) checkWorker(ctx context.Context, k *desiredWorker, f *findings) error {
	var status, version string
	var active, loading int
	if err := w.db.QueryRowContext(ctx, `SELECT w.status, COALESCE(w.active_version_id, 0), v.status,
		(SELECT count(*) FROM worker_deploy_versions l WHERE l.worker_id = w.id AND l.status = 'loading')
		FROM workers w JOIN worker_deploy_versions v ON v.id = $1 WHERE w.id = $2`, k.serves, k.row).Scan(&status, &active, &version, &loading); err != nil {
		return fmt.Errorf("worker %s: %w", k.id, err)
	}
	if status != "active" || active != k.serves || version != "success" || loading != 0 {
		f.add("worker %s is %s on version %d, version %d is %s, %d are loading", k.id, status, active, k.serves, version, loading)
	}
	n := workerapp.Name(k.id, k.owner)
	deployment, err := w.clients.Get(ctx, schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"},
		workerNamespace, n)
	if err != nil {
		f.add("Deployment %s: %v", n, err)
		return nil
	}
	if image := imageOf(deployment); image != k.image {
		f.add("Deployment %s has image %s, not %s", n, image, k.image)
	}
	if ready, _, _ := unstructured.NestedInt64(deployment.Object, "status", "readyReplicas"); ready != 1 {
		f.add("Deployment %s has %d pods that serve", n, ready)
	}
	return w.checkSettings(ctx, k, n, f)
}

func imageOf(deployment *unstructured.Unstructured) string {
	containers, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if len(containers) != 1 {
		return fmt.Sprintf("of %d containers", len(containers))
	}
	container, _ := containers[0].(map[string]any)
	image, _, _ := unstructured.NestedString(container, "image")
	return image
}

func (w *fixture) checkSettings(ctx context.Context, k *desiredWorker, n string, f *findings) error {
	environment, err := w.clients.Typed.CoreV1().ConfigMaps(workerNamespace).Get(ctx, workerapp.EnvName(n), metav1.GetOptions{})
	if err != nil || !maps.Equal(environment.Data, k.env) {
		f.add("environment of %s is %v, not %v (%v)", n, environment.Data, k.env, err)
	}
	secret, err := w.clients.Typed.CoreV1().Secrets(workerNamespace).Get(ctx, n+"-secret", metav1.GetOptions{})
	if err != nil {
		f.add("Secret of %s: %v", n, err)
		return nil
	}
	users := map[string]string{}
	for name, value := range secret.Data {
		if strings.HasPrefix(name, "KEY") {
			users[name] = string(value)
		}
	}
	if !maps.Equal(users, k.secrets) || string(secret.Data["RAYSAIL_SECRET_KEY"]) != "sk_"+k.owner {
		f.add("secrets of %s are %v, not %v", n, users, k.secrets)
	}
	return nil
}

// checkObjects: nothing is left of deleted workers and domains, and each worker has one pod.
func (w *fixture) checkObjects(ctx context.Context, outers []*outer, f *findings) error {
	desired, domains := map[string]bool{}, map[string]bool{}
	for _, o := range outers {
		for _, k := range o.workers {
			desired[k.id] = !k.deleted
		}
		for _, d := range o.domains {
			domains["custom-domain-"+d.cdid] = !d.deleted
		}
	}
	pods := map[string]int{}
	for _, kind := range []struct{ group, version, resource, namespace string }{
		{workerapp.Resource().Group, workerapp.Resource().Version, workerapp.Resource().Resource, workerNamespace},
		{"apps", "v1", "deployments", workerNamespace}, {"", "v1", "services", workerNamespace},
		{"", "v1", "configmaps", workerNamespace},
		{"", "v1", "secrets", workerNamespace}, {"", "v1", "pods", workerNamespace},
		{"networking.k8s.io", "v1", "networkpolicies", workerNamespace},
		{"", "v1", "services", ingressNamespace}, {"traefik.io", "v1alpha1", "ingressroutes", ingressNamespace},
		{"cert-manager.io", "v1", "certificates", ingressNamespace},
	} {
		list, err := w.clients.List(ctx, schema.GroupVersionResource{Group: kind.group, Version: kind.version, Resource: kind.resource},
			kind.namespace, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("list %s: %w", kind.resource, err)
		}
		for _, one := range list.Items {
			id, worker := one.GetLabels()["worker-id"]
			custom := one.GetLabels()["app"] == "custom-domain"
			switch {
			case worker && !desired[id], custom && !domains[one.GetName()]:
				f.add("%s %s is left over", kind.resource, one.GetName())
			case kind.resource == "pods" && one.GetDeletionTimestamp() == nil:
				pods[id]++
			}
		}
	}
	for id, wanted := range desired {
		if wanted && pods[id] != 1 {
			f.add("worker %s has %d pods", id, pods[id])
		}
	}
	return nil
}

// checkDomains: each domain is verified and has its objects.
func (w *fixture) checkDomains(ctx context.Context, outers []*outer, f *findings) error {
	for _, o := range outers {
		for _, d := range o.domains {
			if d.deleted {
				continue
			}
			var status string
			if err := w.db.QueryRowContext(ctx, `SELECT status FROM custom_domains WHERE cdid = $1`, d.cdid).Scan(&status); err != nil {
				return err
			}
			if status != "success" {
				f.add("domain %s is %s", d.name, status)
			}
			for _, resource := range []schema.GroupVersionResource{
				{Version: "v1", Resource: "services"}, {Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"},
				{Group: "cert-manager.io", Version: "v1", Resource: "certificates"},
			} {
				if _, err := w.clients.Get(ctx, resource, ingressNamespace, "custom-domain-"+d.cdid); err != nil {
					f.add("%s of domain %s: %v", resource.Resource, d.name, err)
				}
			}
		}
	}
	return nil
}

// checkByAudit: Inner's own audit finds nothing either.
func (w *fixture) checkByAudit(ctx context.Context, _ []*outer, f *findings) error {
	out, err := exec.CommandContext(ctx, program.Path(), "audit", "--dry-run", "-o", "json", "--config", w.configFile).Output()
	if err != nil {
		return fmt.Errorf("inner audit --dry-run: %w", err)
	}
	var result struct {
		Findings []struct{ Kind, Name, Problem, Why string }
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return err
	}
	for _, one := range result.Findings {
		f.add("the audit finds %s %s %s: %s", one.Kind, one.Name, one.Problem, one.Why)
	}
	return nil
}
