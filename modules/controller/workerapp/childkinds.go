package workerapp

import "k8s.io/apimachinery/pkg/runtime/schema"

// ChildKind is a kind of object that Inner creates for a worker besides its WorkerApp.
type ChildKind struct {
	Kind     string
	Resource schema.GroupVersionResource
	// Ingress means the ingress namespace, which several platforms may share, instead of the worker namespace.
	Ingress bool
	names   []func(n string) string
}

// Named reports whether this or an earlier release names an object of this kind so for the worker named n.
func (k ChildKind) Named(name, n string) bool {
	for _, of := range k.names {
		if name == of(n) {
			return true
		}
	}
	return false
}

// ChildKinds returns every kind of object that Inner creates for a worker, each after those that it refers to.
//
// A new kind also needs a builder in internal/children, an informer in internal/cache, a line in internal/reconcile/children.go,
// which applies it, and one in objects_test.go.
func ChildKinds() []ChildKind {
	core := schema.GroupVersion{Version: "v1"}
	own := func(n string) string { return n }
	object := func(kind string, of schema.GroupVersion, resource string, names ...func(string) string) ChildKind {
		return ChildKind{Kind: kind, Resource: of.WithResource(resource), names: names}
	}
	external := object("Service", core, "services", ExternalName)
	route := object("IngressRoute", schema.GroupVersion{Group: "traefik.io", Version: "v1alpha1"}, "ingressroutes", own)
	external.Ingress, route.Ingress = true, true
	return []ChildKind{
		object("NetworkPolicy", schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}, "networkpolicies", own),
		object("Secret", core, "secrets", SecretName),
		object("ConfigMap", core, "configmaps", EnvName),
		object("Deployment", schema.GroupVersion{Group: "apps", Version: "v1"}, "deployments", own),
		object("PodDisruptionBudget", schema.GroupVersion{Group: "policy", Version: "v1"}, "poddisruptionbudgets", own),
		object("Service", core, "services", ServiceName, own),
		external,
		route,
	}
}
