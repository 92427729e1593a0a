package children

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// What Traefik is told: where it listens for the platform's traffic and where the certificate is.
const (
	entryPoint = "websecure"
	tlsSecret  = "worker-tls"
	routeKind  = "IngressRoute"
)

// Requests take the same port everywhere but in the pod, which resolves its name by itself: versions on different ports are
// served at once.
const (
	servicePort    = 80
	portName       = "http"
	legacyPortName = "former"
)

// Way is how far a worker is on the way from what an earlier release made, a headless Service that is reached by the pods'
// own port, to a Service with an address.
type Migration struct {
	// Former is the port under which requests still come beside port 80; 0: none do.
	LegacyPort int32
	// Begun says that they go to the Service with an address.
	Started bool
	// Routed says that the route leads to port 80.
	Routed bool
}

// Moved is the way of a worker that has nothing of an earlier release.
func Migrated() Migration { return Migration{Started: true, Routed: true} }

// Service builds the Service N-http in the worker namespace.
func (b Builder) Service(app *workerapp.WorkerApp, migration Migration) (Child, error) {
	spec := corev1ac.ServiceSpec().WithSelector(selector(app))
	for _, port := range migration.ports() {
		spec.WithPorts(port.WithTargetPort(intstr.FromString(portName)))
	}
	c, err := child(app, Services(), corev1ac.Service(workerapp.ServiceName(app.Name), b.WorkerNamespace).
		WithOwnerReferences(owner(app)).WithSpec(spec))
	c.Replaceable = true
	return c, err
}

// External builds the ExternalName Service N-ext in the ingress namespace, by which the route reaches the other namespace.
func (b Builder) External(app *workerapp.WorkerApp, migration Migration) (Child, error) {
	spec := corev1ac.ServiceSpec().WithType(corev1.ServiceTypeExternalName).
		WithExternalName(workerapp.ServiceName(app.Name) + b.externalSuffix()).
		WithPorts(migration.ports()...)
	c, err := child(app, Services(), corev1ac.Service(workerapp.ExternalName(app.Name), b.IngressNamespace).
		WithSpec(spec))
	c.Replaceable, c.Deferred = true, !migration.Started
	return c, err
}

// LeadsToFormer tells whether an ExternalName Service leads to the headless Service that an earlier release made in the worker
// namespace.
func PointsToLegacy(external *corev1.Service, workers string) bool {
	return external.Spec.ExternalName == external.Labels[workerapp.AppLabel]+workerapp.ServiceSuffix(workers)
}

// Points tells whether an ExternalName Service leads to workers of this Inner's worker namespace.
func (b Builder) PointsToWorkers(external *corev1.Service) bool {
	return strings.HasSuffix(external.Spec.ExternalName, b.externalSuffix())
}

// Made tells whether it was this Inner that made what is found of a worker in the ingress namespace, which other platforms may
// share. A route of an earlier release does not say so, and is what its Service is.
func (b Builder) Owns(external *corev1.Service, route *unstructured.Unstructured) bool {
	if external != nil && !b.PointsToWorkers(external) {
		return false
	}
	if route == nil {
		return external != nil
	}
	workers := route.GetAnnotations()[WorkersAnnotation]
	return workers == b.WorkerNamespace || workers == "" && external != nil
}

func (b Builder) externalSuffix() string { return workerapp.ServiceSuffix(b.WorkerNamespace) }

func (w Migration) ports() []*corev1ac.ServicePortApplyConfiguration {
	ports := []*corev1ac.ServicePortApplyConfiguration{
		corev1ac.ServicePort().WithName(portName).WithPort(servicePort).WithProtocol(corev1.ProtocolTCP),
	}
	if w.LegacyPort != 0 && w.LegacyPort != servicePort {
		ports = append(ports, corev1ac.ServicePort().WithName(legacyPortName).WithPort(w.LegacyPort).WithProtocol(corev1.ProtocolTCP))
	}
	return ports
}

// Route builds the IngressRoute N in the ingress namespace.
func (b Builder) Route(app *workerapp.WorkerApp, migration Migration) (Child, error) {
	var matches []string
	for _, host := range workerapp.Hosts(app.Spec.WorkerID, app.Spec.OwnerID, b.Domain) {
		matches = append(matches, "Host(`"+host+"`)")
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"entryPoints": []any{entryPoint},
		"routes": []any{map[string]any{
			"match":    strings.Join(matches, " || "),
			"kind":     "Rule",
			"services": []any{map[string]any{"name": workerapp.ExternalName(app.Name), "port": int64(servicePort)}},
		}},
		"tls": map[string]any{"secretName": tlsSecret},
	}}}
	u.SetGroupVersionKind(Routes().GroupVersion().WithKind(routeKind))
	u.SetNamespace(b.IngressNamespace)
	u.SetName(app.Name)
	u.SetAnnotations(map[string]string{WorkersAnnotation: b.WorkerNamespace})
	c, err := setHashes(app, Child{Resource: Routes(), Object: u})
	c.Replaceable, c.Deferred = true, !migration.Routed
	return c, err
}

// RoutePort returns the port of N-ext to which a route of Inner leads; 0 where it leads elsewhere.
func RoutePort(route *unstructured.Unstructured) int32 {
	routes, _, err := unstructured.NestedSlice(route.Object, "spec", "routes")
	if err != nil || len(routes) != 1 {
		return 0
	}
	rule, ok := routes[0].(map[string]any)
	if !ok {
		return 0
	}
	services, _, err := unstructured.NestedSlice(rule, "services")
	if err != nil || len(services) != 1 {
		return 0
	}
	service, ok := services[0].(map[string]any)
	if !ok {
		return 0
	}
	port, _, err := unstructured.NestedInt64(service, "port")
	if err != nil || port < 0 || port > 65535 || service["name"] != workerapp.ExternalName(route.GetName()) {
		return 0
	}
	return int32(port)
}

// FormerPort returns the port that Inner has beside port 80 in N-ext while a worker is moved over; 0 where there is none.
func LegacyPortOf(external *corev1.Service) int32 {
	for _, port := range external.Spec.Ports {
		if port.Name == legacyPortName {
			return port.Port
		}
	}
	return 0
}

// IsServicePort tells whether it is the port of N-http.
func IsServicePort(port int32) bool { return port == servicePort }

// IsFormer tells whether a Service is the one by which an earlier release led to a worker's pods.
func IsLegacyService(service *corev1.Service, app string) bool {
	return service.Name == app && service.Spec.ClusterIP == corev1.ClusterIPNone && service.Spec.Selector[workerapp.AppLabel] == app
}
