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

// Service builds the headless Service N in the worker namespace. The port is that on which the serving pods listen.
func (b Builder) Service(app *workerapp.WorkerApp, port int32) (Child, error) {
	spec := corev1ac.ServiceSpec().WithClusterIP(corev1.ClusterIPNone).WithSelector(selector(app)).
		WithPorts(servicePort(port).WithTargetPort(intstr.FromInt32(port)))
	c, err := child(Services(), corev1ac.Service(app.Name, b.WorkerNamespace).
		WithLabels(labels(app)).WithOwnerReferences(owner(app)).WithSpec(spec))
	c.Replaceable = true
	return c, err
}

// External builds the ExternalName Service N-ext in the ingress namespace, by which the route reaches the other namespace.
func (b Builder) External(app *workerapp.WorkerApp, port int32) (Child, error) {
	spec := corev1ac.ServiceSpec().WithType(corev1.ServiceTypeExternalName).
		WithExternalName(app.Name + b.externalSuffix()).
		WithPorts(servicePort(port))
	c, err := child(Services(), corev1ac.Service(workerapp.ExternalName(app.Name), b.IngressNamespace).
		WithLabels(labels(app)).WithSpec(spec))
	c.Replaceable = true
	return c, err
}

// Points tells whether an ExternalName Service leads to workers of this Inner's worker namespace.
func (b Builder) Points(external *corev1.Service) bool {
	return strings.HasSuffix(external.Spec.ExternalName, b.externalSuffix())
}

func (b Builder) externalSuffix() string { return "." + b.WorkerNamespace + ".svc.cluster.local" }

func servicePort(port int32) *corev1ac.ServicePortApplyConfiguration {
	return corev1ac.ServicePort().WithName("http").WithPort(port).WithProtocol(corev1.ProtocolTCP)
}

// Route builds the IngressRoute N in the ingress namespace.
func (b Builder) Route(app *workerapp.WorkerApp, port int32) (Child, error) {
	var matches []string
	for _, host := range workerapp.Hosts(app.Spec.WorkerID, app.Spec.OwnerID, b.Domain) {
		matches = append(matches, "Host(`"+host+"`)")
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"entryPoints": []any{entryPoint},
		"routes": []any{map[string]any{
			"match":    strings.Join(matches, " || "),
			"kind":     "Rule",
			"services": []any{map[string]any{"name": workerapp.ExternalName(app.Name), "port": int64(port)}},
		}},
		"tls": map[string]any{"secretName": tlsSecret},
	}}}
	u.SetGroupVersionKind(Routes().GroupVersion().WithKind(routeKind))
	u.SetNamespace(b.IngressNamespace)
	u.SetName(app.Name)
	u.SetLabels(labels(app))
	c, err := seal(Child{Resource: Routes(), Object: u})
	c.Replaceable = true
	return c, err
}

func nestedString(object map[string]any, path ...string) string {
	value, _, err := unstructured.NestedString(object, path...)
	if err != nil {
		return ""
	}
	return value
}
