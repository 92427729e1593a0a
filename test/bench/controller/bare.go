package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/modules/controller/workerapp"
)

// Words that stand in the model for what each clone has of its own.
const (
	modelWorker = "qzqzqzqz"
	modelUID    = "model-uid"
)

// object is an object of the model: the text of one, and where it goes.
type object struct {
	resource  schema.GroupVersionResource
	namespace string
	text      string
}

func deployments() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("deployments")
}

// model has Inner make one worker and takes its objects, so that the bare loop writes the same ones.
func (w *fixture) model(ctx context.Context) ([]object, error) {
	i, err := w.startInner(ctx)
	if err != nil {
		return nil, err
	}
	defer i.process.Kill()
	running, err := w.watch(ctx, workerapp.Resource(), runningAt(1))
	if err != nil {
		return nil, err
	}
	defer running.close()
	if err := w.deploy(ctx, modelWorker, 1); err != nil {
		return nil, err
	}
	if err := running.count(ctx, 1); err != nil {
		return nil, err
	}
	name, core := appName(modelWorker), corev1.SchemeGroupVersion
	var objects []object
	for _, o := range []struct {
		resource        schema.GroupVersionResource
		namespace, name string
	}{
		{workerapp.Resource(), workerNamespace, name},
		{core.WithResource("secrets"), workerNamespace, workerapp.SecretName(name)},
		{core.WithResource("configmaps"), workerNamespace, workerapp.EnvName(name)},
		{networkingv1.SchemeGroupVersion.WithResource("networkpolicies"), workerNamespace, name},
		{deployments(), workerNamespace, name},
		{core.WithResource("services"), workerNamespace, workerapp.ServiceName(name)},
		{core.WithResource("services"), "ingress", workerapp.ExternalName(name)},
		{schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}, "ingress", name},
	} {
		found, err := w.clients.Get(ctx, o.resource, o.namespace, o.name)
		if err != nil {
			return nil, err
		}
		text, err := modelText(found)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object{o.resource, o.namespace, text})
	}
	return objects, i.stop(ctx)
}

// modelText removes what the API server gives an object.
func modelText(u *unstructured.Unstructured) (string, error) {
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"} {
		unstructured.RemoveNestedField(u.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations", "deployment.kubernetes.io/revision")
	for _, field := range []string{"clusterIP", "clusterIPs"} {
		unstructured.RemoveNestedField(u.Object, "spec", field)
	}
	delete(u.Object, "status")
	owners := u.GetOwnerReferences()
	for i := range owners {
		owners[i].UID = modelUID
	}
	if len(owners) > 0 {
		u.SetOwnerReferences(owners)
	}
	encoded, err := json.Marshal(u.Object)
	return string(encoded), err
}

// clone makes the objects of one worker, one after the other, each by write.
func clone(ctx context.Context, objects []object, id string, write writer) error {
	uid := ""
	for _, o := range objects {
		text := strings.ReplaceAll(strings.ReplaceAll(o.text, modelWorker, id), modelUID, uid)
		u := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
			return err
		}
		made, err := write(ctx, o.resource, u)
		if err != nil {
			return fmt.Errorf("write %s: %w", o.resource.Resource, err)
		}
		if o.resource == workerapp.Resource() {
			uid = string(made.GetUID())
		}
	}
	return nil
}

// writer is one way to make an object.
type writer func(context.Context, schema.GroupVersionResource, *unstructured.Unstructured) (*unstructured.Unstructured, error)

// bareParties are the ways in which the bare loop writes: by the requests that Inner sends too, and by those that cost the API
// server least, which do not record managed fields.
func bareParties() map[string]func(*fixture) writer {
	return map[string]func(*fixture) writer{
		"bare":        func(w *fixture) writer { return w.clients.Apply },
		"bare-create": func(w *fixture) writer { return w.clients.Create },
	}
}

// bareRollout measures how long the objects of n workers take to be written and to run without a controller.
func bareRollout(ctx context.Context, n int, party string, found *results) (running time.Duration, err error) {
	w, err := newFixture(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = closing(err, w.close) }()
	objects, err := w.model(ctx)
	if err != nil {
		return 0, fmt.Errorf("model: %w", err)
	}
	available, err := w.watch(ctx, deployments(), func(u *unstructured.Unstructured) string {
		replicas, _, err := unstructured.NestedInt64(u.Object, "status", "availableReplicas")
		if err != nil || replicas != 1 || u.GetName() == appName(modelWorker) {
			return ""
		}
		return u.GetName()
	})
	if err != nil {
		return 0, err
	}
	defer available.close()
	begun, used := time.Now(), processorTime()
	write := bareParties()[party](w)
	if err := each(ctx, n, func(ctx context.Context, i int) error { return clone(ctx, objects, workerID(i), write) }); err != nil {
		return 0, err
	}
	written := time.Since(begun)
	err = available.count(ctx, n)
	running = time.Since(begun)
	addProcessorTime(found, "rollout/"+party+"/cpu", used)
	found.add("rollout/"+party+"/written", "s", written.Seconds())
	found.add("rollout/"+party+"/running", "s", running.Seconds())
	return running, err
}
