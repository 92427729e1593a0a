package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/config"
)

// byAddress is the name of the index of pods by IP address.
const byAddress = "address"

// confirmationTTL is how long a read of a pod from the API server is valid. Networks do not reassign the address of a
// terminated pod sooner.
const confirmationTTL = time.Second

// Pod identifies a running pod.
type Pod struct {
	UID, Name, Address string
}

// Pods watches the pods of a namespace that match a label selector. The watch begins with Start or the first query.
type Pods struct {
	clients  *Clients
	informer cache.SharedIndexInformer

	start    sync.Once
	watching sync.WaitGroup
	stopped  chan struct{}
	stop     sync.Once

	mu        sync.Mutex
	confirmed map[string]time.Time // by UID
}

// podSource uses the clients lazily: a command may be built without a cluster.
type podSource struct {
	clients   *Clients
	namespace string
}

func (p podSource) List(ctx context.Context, o metav1.ListOptions) (*corev1.PodList, error) {
	return p.clients.Typed.CoreV1().Pods(p.namespace).List(ctx, o)
}

func (p podSource) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	return p.clients.Typed.CoreV1().Pods(p.namespace).Watch(ctx, o)
}

// NewPods returns a watch of the pods that match a label selector such as "app=combinator,tier!=test".
func NewPods(clients *Clients, namespace, selector string) (*Pods, error) {
	if _, err := labels.Parse(selector); err != nil {
		return nil, fmt.Errorf("labels %q: not a label selector", selector)
	}
	informer, err := NewInformer(podSource{clients, namespace}, InformerOptions{
		Example: &corev1.Pod{}, Selector: selector, Indexers: cache.Indexers{byAddress: addresses}, Transform: stripPod,
	})
	return &Pods{clients: clients, stopped: make(chan struct{}), confirmed: map[string]time.Time{}, informer: informer}, err
}

// NewCombinatorPods returns a watch of the Combinator pods.
func NewCombinatorPods(clients *Clients, c *config.Config) (*Pods, error) {
	pods, err := NewPods(clients, c.Kubernetes.Namespaces.Combinator, c.Combinator.Pods.Labels)
	if err != nil {
		return nil, fmt.Errorf("combinator.pods.labels: %w", err)
	}
	return pods, nil
}

// stripPod drops unused fields before the pod is cached.
func stripPod(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		pod.ManagedFields, pod.Annotations = nil, nil
		pod.Spec = corev1.PodSpec{HostNetwork: pod.Spec.HostNetwork}
	}
	return object, nil
}

func addresses(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	var all []string
	for _, ip := range pod.Status.PodIPs {
		all = append(all, canonical(ip.IP))
	}
	if len(all) == 0 && pod.Status.PodIP != "" {
		all = []string{canonical(pod.Status.PodIP)}
	}
	return all, nil
}

// canonical returns the comparable form of an IP address.
func canonical(address string) string {
	if ip := net.ParseIP(address); ip != nil {
		return ip.String()
	}
	return address
}

// Start starts the watch and returns at once.
func (p *Pods) Start(context.Context) error {
	p.start.Do(func() {
		p.watching.Go(func() { p.informer.Run(p.stopped) })
	})
	return nil
}

// Stop stops the watch and waits for its goroutines.
func (p *Pods) Stop(context.Context) error {
	p.start.Do(func() {}) // a later Start does nothing
	p.stop.Do(func() { close(p.stopped) })
	p.watching.Wait()
	return nil
}

// Ready returns an error until all pods were listed.
func (p *Pods) Ready(context.Context) error {
	if !p.informer.HasSynced() {
		return errors.New("pods not listed")
	}
	return nil
}

// waitForSync waits until all pods were listed or ctx is done.
func (p *Pods) waitForSync(ctx context.Context) error {
	if err := p.Start(ctx); err != nil || p.informer.HasSynced() {
		return err
	}
	if !cache.WaitForCacheSync(ctx.Done(), p.informer.HasSynced) {
		return fmt.Errorf("list pods: %w", context.DeadlineExceeded)
	}
	return nil
}

// Running returns the running pods with an address, including terminating ones.
func (p *Pods) Running(ctx context.Context) ([]Pod, error) {
	if err := p.waitForSync(ctx); err != nil {
		return nil, err
	}
	var running []Pod
	for _, object := range p.informer.GetStore().List() {
		if pod, ok := object.(*corev1.Pod); ok && pod.Status.Phase == corev1.PodRunning && pod.Status.PodIP != "" {
			running = append(running, Pod{UID: string(pod.UID), Name: pod.Name, Address: pod.Status.PodIP})
		}
	}
	return running, nil
}

// At returns the name of the only running pod with an IP address; "" if there is none or more than one, or if the pod uses
// the host's network or is terminating. The API server confirms the pod: the cache is not enough, since addresses are
// reassigned.
func (p *Pods) At(ctx context.Context, address string) (string, error) {
	if err := p.waitForSync(ctx); err != nil {
		return "", err
	}
	objects, err := p.informer.GetIndexer().ByIndex(byAddress, canonical(address))
	if err != nil {
		return "", err
	}
	var found *corev1.Pod
	for _, object := range objects {
		pod, ok := object.(*corev1.Pod)
		if !ok || !hasOwnAddress(pod) {
			continue
		}
		if found != nil {
			return "", nil
		}
		found = pod
	}
	if found == nil {
		return "", nil
	}
	confirmed, err := p.confirm(ctx, found, canonical(address))
	if err != nil || !confirmed {
		return "", err
	}
	return found.Name, nil
}

// hasOwnAddress reports whether a pod's address identifies it.
func hasOwnAddress(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil && !pod.Spec.HostNetwork
}

// confirm reads the pod from the API server and compares UID and address.
func (p *Pods) confirm(ctx context.Context, cached *corev1.Pod, address string) (bool, error) {
	p.mu.Lock()
	fresh := time.Since(p.confirmed[string(cached.UID)]) < confirmationTTL
	p.mu.Unlock()
	if fresh {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.clients.timeout)
	defer cancel()
	pod, err := p.clients.Typed.CoreV1().Pods(cached.Namespace).Get(ctx, cached.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	at, err := addresses(pod)
	if err != nil || pod.UID != cached.UID || !hasOwnAddress(pod) || !slices.Contains(at, address) {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for uid, when := range p.confirmed {
		if time.Since(when) >= confirmationTTL {
			delete(p.confirmed, uid)
		}
	}
	p.confirmed[string(cached.UID)] = time.Now()
	return true, nil
}
