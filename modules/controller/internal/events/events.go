// Package events writes Kubernetes events about WorkerApps: what `kubectl describe` shows of what happened.
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

// How many events are written: none of them is worth holding up anything else, or filling the cluster's storage.
const (
	qps   = 10
	burst = 50
	// perApp events of one WorkerApp at once, then one every five minutes.
	burstPerApp = 25
	qpsPerApp   = 1.0 / 300
)

// Announcer writes events until it is stopped. Many that say the same of one WorkerApp become one with a count.
type Recorder struct {
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
}

// New makes an Announcer that writes through clients until it is stopped.
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

// Announce tells of something that happened to app.
func (a *Recorder) Event(app *workerapp.WorkerApp, warning bool, reason, message string) {
	kind := corev1.EventTypeNormal
	if warning {
		kind = corev1.EventTypeWarning
	}
	a.recorder.Event(&corev1.ObjectReference{
		APIVersion: workerapp.GroupVersion().String(), Kind: workerapp.Kind, Namespace: app.Namespace, Name: app.Name,
		UID: app.UID, ResourceVersion: app.ResourceVersion,
	}, kind, reason, message)
}

// Stop ends the goroutines. Events that are not written yet are lost.
func (a *Recorder) Stop() { a.broadcaster.Shutdown() }
