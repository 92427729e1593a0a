package children

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// Traefik's entry point for the platform's traffic and the Secret with its certificate.
const (
	entryPoint = "websecure"
	tlsSecret  = "worker-tls"
	routeKind  = "IngressRoute"
)

// Services and route use servicePort. The target port is a name that each pod resolves itself, so that versions on different
// ports can serve at the same time.
const (
	servicePort    = 80
	portName       = "http"
	legacyPortName = "former"
)

// Migration is the progress of a worker's migration from an earlier release's headless Service with the pods' own port to a
// Service with a cluster IP.
type Migration struct {
	// LegacyPort is the port besides 80 that requests may still use; 0 for none.
	LegacyPort int32
	// Started means that N-ext points to the Service with a cluster IP.
	Started bool
	// Routed means that the route uses port 80.
	Routed bool
}

// Migrated returns the Migration of a worker without objects of an earlier release.
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

// External builds the ExternalName Service N-ext in the ingress namespace, through which the route reaches the worker namespace.
func (b Builder) External(app *workerapp.WorkerApp, migration Migration) (Child, error) {
	spec := corev1ac.ServiceSpec().WithType(corev1.ServiceTypeExternalName).
		WithExternalName(workerapp.ServiceName(app.Name) + b.externalSuffix()).
		WithPorts(migration.ports()...)
	c, err := child(app, Services(), corev1ac.Service(workerapp.ExternalName(app.Name), b.IngressNamespace).
		WithSpec(spec))
	c.Replaceable, c.Deferred = true, !migration.Started
	return c, err
}

// PointsToLegacy reports whether an ExternalName Service points to the headless Service of an earlier release in the worker
// namespace.
func PointsToLegacy(external *corev1.Service, workers string) bool {
	return external.Spec.ExternalName == external.Labels[workerapp.AppLabel]+workerapp.ServiceSuffix(workers)
}

// PointsToWorkers reports whether an ExternalName Service points to this platform's worker namespace.
func (b Builder) PointsToWorkers(external *corev1.Service) bool {
	return strings.HasSuffix(external.Spec.ExternalName, b.externalSuffix())
}

// Owns reports whether this platform created a worker's objects in the ingress namespace, which several platforms may share. A
// route of an earlier release has no annotation: its Service decides.
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

func (m Migration) ports() []*corev1ac.ServicePortApplyConfiguration {
	ports := []*corev1ac.ServicePortApplyConfiguration{
		corev1ac.ServicePort().WithName(portName).WithPort(servicePort).WithProtocol(corev1.ProtocolTCP),
	}
	if m.LegacyPort != 0 && m.LegacyPort != servicePort {
		ports = append(ports, corev1ac.ServicePort().WithName(legacyPortName).WithPort(m.LegacyPort).WithProtocol(corev1.ProtocolTCP))
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

// RoutePort returns the port of N-ext that a route uses; 0 if it uses another Service.
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

// LegacyPortOf returns the port of N-ext besides 80 during a migration; 0 if there is none.
func LegacyPortOf(external *corev1.Service) int32 {
	for _, port := range external.Spec.Ports {
		if port.Name == legacyPortName {
			return port.Port
		}
	}
	return 0
}

// IsServicePort reports whether port is that of N-http.
func IsServicePort(port int32) bool { return port == servicePort }

// IsLegacyService reports whether a Service is the headless one of an earlier release.
func IsLegacyService(service *corev1.Service, app string) bool {
	return service.Name == app && service.Spec.ClusterIP == corev1.ClusterIPNone && service.Spec.Selector[workerapp.AppLabel] == app
}
