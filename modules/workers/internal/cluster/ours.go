package cluster

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/modules/controller/workerapp"
)

const serviceKind = "Service"

// ours tells whether Inner made an object that carries a worker's labels: others copy labels, and another platform may have the
// same names in a shared ingress namespace. There a Service says by its target whose it is, and so whose the route of its name is; the
// names of workers whose Service is another's are kept in others, until the routes come.
func (l *Lister) ours(kind workerapp.Object, item metav1.Object, others map[string]bool) bool {
	n := item.GetLabels()[workerapp.AppLabel]
	if n == "" || !kind.Named(item.GetName(), n) {
		return false
	}
	u, ok := item.(*unstructured.Unstructured)
	switch {
	case !ok:
		return true
	case !kind.Ingress: // a Service, which has the worker's own name where an earlier release made it, or a user for himself
		return item.GetName() != n || field(u, "clusterIP") == corev1.ClusterIPNone
	case kind.Kind == serviceKind:
		if strings.HasSuffix(field(u, "externalName"), workerapp.ServiceSuffix(l.namespaces.Worker)) {
			return true
		}
		others[n] = true
		return false
	}
	return !others[n] && l.serves(u, n)
}

func field(u *unstructured.Unstructured, name string) string {
	value, _, err := unstructured.NestedString(u.Object, "spec", name)
	if err != nil {
		return ""
	}
	return value
}

// serves tells whether a route is for a host of this platform's domain.
func (l *Lister) serves(route *unstructured.Unstructured, n string) bool {
	rules, _, err := unstructured.NestedSlice(route.Object, "spec", "routes")
	if err != nil {
		return false
	}
	for _, rule := range rules {
		if rule, ok := rule.(map[string]any); ok {
			if match, ok := rule["match"].(string); ok && strings.Contains(match, "`"+workerapp.Host(n, l.domain)+"`") {
				return true
			}
		}
	}
	return false
}
