// Package events writes Kubernetes events about WorkerApps, which `kubectl describe` shows.
package events

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

// Limits of event writes, so that events neither delay other requests nor fill the cluster's storage.
const (
	qps   = 10
	burst = 50
	// burstPerApp events of one WorkerApp at once, then one every five minutes.
	burstPerApp = 25
	qpsPerApp   = 1.0 / 300
)

// Recorder writes events. Equal events of one WorkerApp are counted in one event.
type Recorder struct {
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
}

// New returns a Recorder that writes through clients until Stop.
func New(clients *kube.Clients) (*Recorder, error) {
	limited, err := clients.WithRateLimit(qps, burst)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	broadcaster := record.NewBroadcaster(record.WithCorrelatorOptions(record.CorrelatorOptions{
		BurstSize: burstPerApp, QPS: qpsPerApp,
	}))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: limited.Typed.CoreV1().Events("")})
	return &Recorder{
		broadcaster: broadcaster,
		recorder:    broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: kube.FieldManager}),
	}, nil
}

// Event queues an event about app and returns at once. The type is corev1.EventTypeNormal or corev1.EventTypeWarning, the reason
// one word in CamelCase.
func (r *Recorder) Event(app *workerapp.WorkerApp, eventType, reason, message string) {
	r.recorder.Event(&corev1.ObjectReference{
		APIVersion: workerapp.GroupVersion().String(), Kind: workerapp.Kind, Namespace: app.Namespace, Name: app.Name,
		UID: app.UID, ResourceVersion: app.ResourceVersion,
	}, eventType, reason, message)
}

// Stop ends the goroutines. Queued events are lost.
func (r *Recorder) Stop() { r.broadcaster.Shutdown() }
