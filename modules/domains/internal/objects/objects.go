package objects

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/kube/drift"
	"app238.com/inner/app/logging"
)

// Kind is one of the kinds of objects that serve a domain.
type Kind struct {
	// Name is the name of the kind, such as Service.
	Name string
	// Resource is its resource in the API.
	Resource schema.GroupVersionResource
}

// Services is the kind of ExternalName Services that point at the target.
func Services() Kind {
	return Kind{"Service", corev1.SchemeGroupVersion.WithResource("services")}
}

// Certificates is the kind of cert-manager's Certificates.
func Certificates() Kind {
	return Kind{"Certificate", schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}}
}

// Routes is the kind of Traefik's IngressRoutes.
func Routes() Kind {
	return Kind{"IngressRoute", schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}}
}

// Kinds returns the kinds in the order of creation: a route follows the objects that it refers to.
func Kinds() []Kind { return []Kind{Services(), Certificates(), Routes()} }

// Secrets returns the resource of Secrets in the API.
func Secrets() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("secrets") }

// Domain is the domain of the objects. Host and Target are canonical.
type Domain struct {
	CDID, UserUID, Host, Target string
}

// Builder builds objects from the settings of the platform.
type Builder struct {
	// Namespace is the ingress namespace, Issuer the name of the ClusterIssuer.
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

// OwnedByOther reports whether an object belongs to another platform. Objects of an earlier release have no mark and belong to
// any.
func (b Builder) OwnedByOther(live *unstructured.Unstructured) bool {
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

// route sends the target as the Host header: with the domain itself, the platform's ingress, to which the target resolves,
// would match this route again. The domain is in X-Forwarded-Host.
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

// maxMessage is the maximum length, in characters, of a message of cert-manager.
const maxMessage = 200

// Ready is the Readiness of an issued certificate.
const Ready = "ready"

// Readiness describes the state of a certificate for operators; live may be nil.
func Readiness(live *unstructured.Unstructured) string {
	const notIssued = "not issued yet"
	if live == nil {
		return notIssued
	}
	// Each condition is read alone: a malformed one must not hide the others, as it would when all are decoded at once.
	conditions, _, err := unstructured.NestedSlice(live.Object, "status", "conditions")
	if err != nil {
		return notIssued
	}
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if !ok || condition["type"] != "Ready" {
			continue
		}
		if condition["status"] == string(metav1.ConditionTrue) {
			return Ready
		}
		if message, ok := condition["message"].(string); ok && message != "" {
			return logging.Clip("not ready: "+message, maxMessage)
		}
	}
	return notIssued
}
