package cache

import (
	"crypto/sha256"
	"reflect"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// maxShared is how many parts are kept for sharing. Beyond it they are forgotten, and the next ones kept.
const maxShared = 4096

// parts holds parts of objects by their content, so that equal parts of cached objects exist once: the Deployments and
// NetworkPolicies of two workers differ in little more than names.
type parts struct {
	mu        sync.Mutex
	byContent map[partKey]any
}

type partKey struct {
	kind reflect.Type
	sum  [sha256.Size]byte
}

// encodable is a pointer to a part of a built-in kind.
type encodable[T any] interface {
	*T
	Marshal() ([]byte, error)
}

// share returns the first part with the content of part. It must not be changed.
func share[T any, P encodable[T]](s *parts, part P) P {
	if part == nil {
		return nil
	}
	encoded, err := part.Marshal()
	if err != nil {
		return part
	}
	key := partKey{reflect.TypeFor[T](), sha256.Sum256(encoded)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.byContent[key].(P); ok {
		return first
	}
	if s.byContent == nil || len(s.byContent) >= maxShared {
		s.byContent = map[partKey]any{}
	}
	s.byContent[key] = part
	return part
}

// shareTemplate shares the parts of a pod template that hold no name.
func (s *parts) shareTemplate(pod *corev1.PodSpec) {
	pod.Affinity = share(s, pod.Affinity)
	pod.SecurityContext = share(s, pod.SecurityContext)
	for i := range pod.Containers {
		c := &pod.Containers[i]
		c.LivenessProbe, c.ReadinessProbe, c.StartupProbe =
			share(s, c.LivenessProbe), share(s, c.ReadinessProbe), share(s, c.StartupProbe)
		c.Lifecycle, c.SecurityContext = share(s, c.Lifecycle), share(s, c.SecurityContext)
		resources := c.Resources // not the container itself, which would be kept too
		c.Resources = *share(s, &resources)
	}
}

// sharePolicy shares the rules of a NetworkPolicy.
func (s *parts) sharePolicy(spec *networkingv1.NetworkPolicySpec) {
	rules := share(s, &networkingv1.NetworkPolicySpec{Ingress: spec.Ingress, Egress: spec.Egress, PolicyTypes: spec.PolicyTypes})
	spec.Ingress, spec.Egress, spec.PolicyTypes = rules.Ingress, rules.Egress, rules.PolicyTypes
}
