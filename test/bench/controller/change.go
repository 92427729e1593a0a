package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

// changeRatio is the most that a changed image may take to its new pod, as a multiple of a patch of the Deployment alone.
const changeRatio = 2

// barePrefix begins the names of Deployments that Inner does not know.
const barePrefix = "bare-"

// measureChanges changes one image after the other, while nothing else happens: in turn of a WorkerApp and of a Deployment that
// is the same but for its name, and that no controller but Kubernetes' own knows.
func (w *fixture) measureChanges(ctx context.Context, i *inner, o options, found *results, before stats) error {
	changes := min(o.changes, o.apps)
	if err := w.createBare(ctx, changes); err != nil {
		return err
	}
	started, err := w.watch(ctx, corev1.SchemeGroupVersion.WithResource("pods"), func(u *unstructured.Unstructured) string {
		containers, _, err := unstructured.NestedSlice(u.Object, "spec", "containers")
		if err != nil || !strings.Contains(fmt.Sprint(containers), image(2)) {
			return ""
		}
		return u.GetLabels()[workerapp.AppLabel]
	})
	if err != nil {
		return err
	}
	defer started.close()
	running, err := w.watch(ctx, workerapp.Resource(), runningAt(2))
	if err != nil {
		return err
	}
	defer running.close()
	times, err := w.timeChanges(ctx, changes, started)
	if err != nil {
		return err
	}
	if err := running.count(ctx, changes); err != nil {
		return err
	}
	after, err := i.quiet(ctx)
	if err != nil {
		return err
	}
	found.add("writes/changed-image", "writes",
		float64(after.objectWrites()-before.objectWrites())/float64(changes)).atMost(writesChanged)
	for _, p := range []struct{ party, name string }{{"", "change-to-pod"}, {barePrefix, "change-to-pod/bare"}} {
		found.add(p.name+"/p50", "ms", quantile(times[p.party], 0.5))
		found.add(p.name+"/p99", "ms", quantile(times[p.party], 0.99))
	}
	found.add("change-to-pod/inner:bare", "ratio", quantile(times[""], 0.5)/quantile(times[barePrefix], 0.5)).atMost(changeRatio)
	return nil
}

// timeChanges returns the milliseconds from each change to its new pod, by the prefix of the party.
func (w *fixture) timeChanges(ctx context.Context, changes int, started *lookout) (map[string][]float64, error) {
	times := map[string][]float64{}
	for n := range changes {
		parties := []string{"", barePrefix}
		if n%2 == 1 {
			parties = []string{barePrefix, ""}
		}
		for _, party := range parties {
			begun := time.Now()
			if err := w.change(ctx, party, n); err != nil {
				return nil, err
			}
			at, err := started.when(ctx, party+appName(workerID(n)))
			if err != nil {
				return nil, err
			}
			times[party] = append(times[party], float64(at.Sub(begun).Microseconds())/1000)
		}
	}
	return times, nil
}

// change changes the image of a WorkerApp or of a bare Deployment.
func (w *fixture) change(ctx context.Context, party string, n int) error {
	if party == "" {
		return w.deploy(ctx, workerID(n), 2)
	}
	patch := fmt.Sprintf(`[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": %q}]`, image(2))
	_, err := w.clients.Dynamic.Resource(deployments()).Namespace(workerNamespace).
		Patch(ctx, party+appName(workerID(n)), types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// createBare copies the Deployments of the first n workers, without the label by which Inner knows its objects, and waits until
// they are available.
func (w *fixture) createBare(ctx context.Context, n int) error {
	available, err := w.watch(ctx, deployments(), func(u *unstructured.Unstructured) string {
		replicas, _, err := unstructured.NestedInt64(u.Object, "status", "availableReplicas")
		if err != nil || replicas != 1 || !strings.HasPrefix(u.GetName(), barePrefix) {
			return ""
		}
		return u.GetName()
	})
	if err != nil {
		return err
	}
	defer available.close()
	if err := each(ctx, n, func(ctx context.Context, i int) error {
		name := appName(workerID(i))
		found, err := w.clients.Get(ctx, deployments(), workerNamespace, name)
		if err != nil {
			return err
		}
		text, err := modelText(found)
		if err != nil {
			return err
		}
		bare := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(text, `"`+name+`"`, `"`+barePrefix+name+`"`)), &bare.Object); err != nil {
			return err
		}
		bare.SetOwnerReferences(nil)
		for _, labels := range [][]string{{"metadata", "labels"}, {"spec", "template", "metadata", "labels"}} {
			unstructured.RemoveNestedField(bare.Object, append(labels, workerapp.WorkerLabel)...)
		}
		_, err = w.clients.Create(ctx, deployments(), bare)
		return err
	}); err != nil {
		return err
	}
	return available.count(ctx, n)
}
