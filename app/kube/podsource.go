package kube

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// podSource uses the clients lazily: a command may be built without a cluster.
type podSource struct {
	clients   *Clients
	namespace string
	denied    *denials
}

func (p podSource) List(ctx context.Context, o metav1.ListOptions) (*corev1.PodList, error) {
	list, err := p.clients.Typed.CoreV1().Pods(p.namespace).List(ctx, o)
	p.denied.note(err, "list")
	return list, err
}

func (p podSource) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := p.clients.Typed.CoreV1().Pods(p.namespace).Watch(ctx, o)
	p.denied.note(err, "watch")
	if err == nil && o.SendInitialEvents != nil {
		p.denied.note(nil, "list") // the stream replaces the list, which is not requested again
	}
	return w, err
}

// Get reads a pod.
func (p podSource) Get(ctx context.Context, name string) (*corev1.Pod, error) {
	pod, err := p.clients.Typed.CoreV1().Pods(p.namespace).Get(ctx, name, metav1.GetOptions{})
	p.denied.note(err, "get")
	return pod, err
}

// denialTTL is how long a denial is remembered: whether a right is still missing is seen only when it is used.
const denialTTL = 2 * time.Minute

// denials are the verbs that the API server forbade when each was last requested, and when that was.
type denials struct {
	mu    sync.Mutex
	verbs map[string]time.Time
}

// note records the result of a request. Other errors than these prove nothing about rights.
func (d *denials) note(err error, verb string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil, apierrors.IsNotFound(err):
		delete(d.verbs, verb)
	case apierrors.IsForbidden(err):
		d.verbs[verb] = time.Now()
	}
}

func (d *denials) sorted() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.verbs, func(_ string, at time.Time) bool { return time.Since(at) > denialTTL })
	return slices.Sorted(maps.Keys(d.verbs))
}
