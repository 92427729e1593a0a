package objects

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/kube/drift"
	"app238.com/inner/app/logging"
)

// Kind is one of the kinds of objects that serve a domain.
type Kind struct {
	// Name is the kind's, such as Service.
	Name string
	// Resource is where the API keeps it.
	Resource schema.GroupVersionResource
}

// Services are ExternalName Services, which lead to the target.
func Services() Kind {
	return Kind{"Service", corev1.SchemeGroupVersion.WithResource("services")}
}

// Certificates are cert-manager's.
func Certificates() Kind {
	return Kind{"Certificate", schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}}
}

// Routes are Traefik's IngressRoutes.
func Routes() Kind {
	return Kind{"IngressRoute", schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}}
}

// Kinds returns the kinds in the order in which they are made: a route comes after what it names.
func Kinds() []Kind { return []Kind{Services(), Certificates(), Routes()} }

// Secrets is where Secrets live in the API.
func Secrets() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("secrets") }

// Domain is what objects are built for. Host and Target are in the spelling of package hostname.
type Domain struct {
	CDID, UserUID, Host, Target string
}

// Builder builds objects. Its fields are the platform's settings that they depend on.
type Builder struct {
	// Namespace is that of the ingress, Issuer the name of the ClusterIssuer.
	Namespace, Issuer string
	// Platform is config.PlatformMark.
	Platform string
}

const (
	httpsPort  = int64(443)
	entryPoint = "websecure"
)

// Build returns an object of one kind.
func (b Builder) Build(k Kind, d Domain) (*unstructured.Unstructured, error) {
	var spec map[string]any
	switch k {
	case Services():
		spec = map[string]any{
			"type": string(corev1.ServiceTypeExternalName), "externalName": d.Target,
			"ports": []any{map[string]any{"name": "https", "port": httpsPort, "protocol": string(corev1.ProtocolTCP)}},
		}
	case Certificates():
		spec = b.certificate(d)
	case Routes():
		spec = route(d)
	default:
		return nil, fmt.Errorf("no object of kind %s serves a domain", k.Name)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetGroupVersionKind(k.Resource.GroupVersion().WithKind(k.Name))
	u.SetNamespace(b.Namespace)
	u.SetName(Name(d.CDID))
	u.SetLabels(labels(d))
	u.SetAnnotations(map[string]string{IDAnnotation: d.CDID, UserAnnotation: d.UserUID, PlatformAnnotation: b.Platform})
	return u, drift.SetHash(u)
}

// Foreign tells whether another platform made an object. What an earlier release made does not say whose it is.
func (b Builder) Foreign(live *unstructured.Unstructured) bool {
	if live == nil {
		return false
	}
	mark := live.GetAnnotations()[PlatformAnnotation]
	return mark != "" && mark != b.Platform
}

func labels(d Domain) map[string]string {
	return map[string]string{AppLabel: App, UserLabel: userLabel(d.UserUID)}
}

func (b Builder) certificate(d Domain) map[string]any {
	secretLabels := map[string]any{}
	for key, value := range labels(d) {
		secretLabels[key] = value
	}
	return map[string]any{
		"secretName":     SecretName(d.CDID),
		"secretTemplate": map[string]any{"labels": secretLabels},
		"dnsNames":       []any{d.Host},
		"issuerRef":      map[string]any{"name": b.Issuer, "kind": "ClusterIssuer", "group": "cert-manager.io"},
	}
}

// route passes the target's name on as the request's host: with the domain's own the platform's ingress, to which the target
// leads, would find this very route again. The domain stands in X-Forwarded-Host.
func route(d Domain) map[string]any {
	return map[string]any{
		"entryPoints": []any{entryPoint},
		"routes": []any{map[string]any{
			"match": "Host(`" + d.Host + "`)",
			"kind":  "Rule",
			"services": []any{map[string]any{
				"name": Name(d.CDID), "port": httpsPort, "scheme": "https", "passHostHeader": false,
			}},
		}},
		"tls": map[string]any{"secretName": SecretName(d.CDID)},
	}
}

// shownLength is how much of cert-manager's own words is shown.
const shownLength = 200

// Ready is what Readiness says of a certificate that serves.
const Ready = "ready"

// Readiness says in words how a certificate is; live is nil where there is none.
func Readiness(live *unstructured.Unstructured) string {
	const waiting = "not issued yet"
	if live == nil {
		return waiting
	}
	conditions, _, err := unstructured.NestedSlice(live.Object, "status", "conditions")
	if err != nil {
		return waiting
	}
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if !ok || condition["type"] != "Ready" {
			continue
		}
		if condition["status"] == string(corev1.ConditionTrue) {
			return Ready
		}
		if message, ok := condition["message"].(string); ok && message != "" {
			return logging.Clip("not ready: "+message, shownLength)
		}
	}
	return waiting
}
