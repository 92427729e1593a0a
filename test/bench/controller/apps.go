package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

const (
	ownerID = "bench"
	// connections is how many requests the bare loop has under way, and whoever makes WorkerApps: as many as Inner's
	// controller has at most with its default settings.
	connections = 48
)

func appName(workerID string) string { return workerapp.Name(workerID, ownerID) }

func workerID(i int) string { return fmt.Sprintf("w%05d", i) }

func image(version int64) string { return fmt.Sprintf("registry.test/app:%d", version) }

// newWorkerApp returns a WorkerApp as the deploy job writes it. The simulated node has room for all of them.
func newWorkerApp(id string, version int64) *unstructured.Unstructured {
	return workerapp.ToApply(workerNamespace, workerapp.Spec{
		WorkerID: id, OwnerID: ownerID, Image: image(version), Port: 8080,
		AssignedCPU: "1m", AssignedMemory: "1Mi", AssignedDisk: "1Mi", MaxReplicas: 1,
	}, workerapp.Origin{Version: version, Task: version})
}

// deploy writes a WorkerApp, again for about a minute where the API server was too busy.
func (w *fixture) deploy(ctx context.Context, id string, version int64) error {
	patient := wait.Backoff{Steps: 8, Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.5}
	return retry.OnError(patient, kube.Unavailable, func() error {
		_, err := w.clients.Apply(ctx, workerapp.Resource(), newWorkerApp(id, version))
		return err
	})
}

// deployAll writes n WorkerApps at once.
func (w *fixture) deployAll(ctx context.Context, n int, version int64) error {
	return each(ctx, n, func(ctx context.Context, i int) error { return w.deploy(ctx, workerID(i), version) })
}

// each calls do for 0 to n-1, as many at once as there are connections.
func each(ctx context.Context, n int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// runningAt tells a WorkerApp of that version that runs.
func runningAt(version int64) func(*unstructured.Unstructured) string {
	return func(u *unstructured.Unstructured) string {
		app, err := workerapp.FromUnstructured(u)
		if err != nil || app.Status.Phase != workerapp.Running || app.Status.Version != version {
			return ""
		}
		return app.Name
	}
}
