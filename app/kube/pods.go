package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/config"
)

// byAddress is the name of the index of pods by IP address.
const byAddress = "address"

// confirmationTTL is how long a read of a pod from the API server is valid. Networks do not reassign the address of a
// terminated pod sooner.
const confirmationTTL = time.Second

var errNotListed = errors.New("pods not listed")

// Pod identifies a running pod.
type Pod struct {
	UID, Name, Address string
}

// Pods watches the pods of a namespace that match a label selector. The watch begins with Start or the first query.
type Pods struct {
	source   podSource
	informer cache.SharedIndexInformer

	start    sync.Once
	watching sync.WaitGroup
	stopped  chan struct{}
	stop     sync.Once

	mu        sync.Mutex
	confirmed map[string]time.Time // by UID
}

// combinatorLabels is the key of the setting with the labels of Combinator pods.
const combinatorLabels = "combinator.pods.labels"

// CheckSelectors returns an error that names every setting whose label selector cannot be read.
func CheckSelectors(c *config.Config) error {
	errs := []error{checkSelector(combinatorLabels, c.Combinator.Pods.Labels)}
	for _, kind := range slices.Sorted(maps.Keys(c.HTTP.Access)) {
		if a := c.HTTP.Access[kind]; a.Mode == config.AccessPods {
			errs = append(errs, checkSelector("http.access."+kind+".labels", a.Labels))
		}
	}
	return errors.Join(errs...)
}

func checkSelector(key, text string) error {
	if _, err := labels.Parse(text); err != nil {
		return config.Wrong(fmt.Errorf("%s: must be a label selector such as app=combinator,tier!=test", key))
	}
	return nil
}

// NewPods returns a watch of the pods that match a label selector such as "app=combinator,tier!=test", the value of the
// setting key.
func NewPods(clients *Clients, namespace, key, selector string) (*Pods, error) {
	if err := checkSelector(key, selector); err != nil {
		return nil, err
	}
	source := podSource{clients, namespace, &denials{verbs: map[string]time.Time{}}}
	informer, err := NewInformer(source, InformerOptions{
		Example: &corev1.Pod{}, Selector: selector, Indexers: cache.Indexers{byAddress: addresses}, Transform: stripPod,
	})
	return &Pods{source: source, stopped: make(chan struct{}), confirmed: map[string]time.Time{}, informer: informer}, err
}

// NewCombinatorPods returns a watch of the Combinator pods.
func NewCombinatorPods(clients *Clients, c *config.Config) (*Pods, error) {
	return NewPods(clients, c.Kubernetes.Namespaces.Combinator, combinatorLabels, c.Combinator.Pods.Labels)
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

// Ready returns an error until all pods were listed. Its text is safe for clients.
func (p *Pods) Ready(context.Context) error {
	if p.informer.HasSynced() {
		return nil
	}
	return cmp.Or(p.Permitted(), errNotListed)
}

// Permitted returns an error that names the rights that the API server denied last. Its text is safe for clients.
func (p *Pods) Permitted() error {
	if verbs := p.source.denied.sorted(); len(verbs) > 0 {
		return fmt.Errorf("no right to %s pods in namespace %s", strings.Join(verbs, " and "), p.source.namespace)
	}
	return nil
}

// waitForSync waits until all pods were listed or ctx is done. It does not wait for a right: nobody grants it while a request
// waits, and waiting requests would use up the slots of others.
func (p *Pods) waitForSync(ctx context.Context) error {
	if err := p.Start(ctx); err != nil || p.informer.HasSynced() {
		return err
	}
	var denied error
	ended := cache.WaitForCacheSync(ctx.Done(), func() bool {
		denied = p.Permitted()
		return denied != nil || p.informer.HasSynced()
	})
	switch {
	case p.informer.HasSynced():
		return nil
	case !ended:
		return fmt.Errorf("list pods: %w", context.DeadlineExceeded)
	}
	return denied
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
	ctx, cancel := context.WithTimeout(ctx, p.source.clients.timeout)
	defer cancel()
	pod, err := p.source.Get(ctx, cached.Name)
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
