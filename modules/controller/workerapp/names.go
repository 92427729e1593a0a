package workerapp

import "app238.com/inner/app/identifier"

// objectStyle leaves room for the longest suffix, "-secret", in the 63 characters of a label.
func objectStyle() identifier.Style {
	return identifier.Style{Separator: "-", Limit: 63 - len("-secret")}
}

func hostStyle() identifier.Style { return identifier.Style{Separator: "-", Limit: 63} }

// Name returns N of the contract: the name of the WorkerApp, its Deployment and its IngressRoute.
func Name(workerID, ownerID string) string { return objectStyle().Name("w", workerID, ownerID) }

// EnvName returns the name of the ConfigMap with the environment of the worker named n.
func EnvName(n string) string { return n + "-env" }

// SecretName returns the name of the Secret with the secret environment of the worker named n.
func SecretName(n string) string { return n + "-secret" }

// ServiceName returns the name of the Service, in the worker namespace, of the worker named n.
func ServiceName(n string) string { return n + "-http" }

// ExternalName returns the name of the ExternalName Service, in the ingress namespace, of the worker named n.
func ExternalName(n string) string { return n + "-ext" }

// Hosts returns the host names under which a worker is served, of which the first is the shortest.
func Hosts(workerID, ownerID, domain string) []string {
	style, suffix := hostStyle(), ".worker."+domain
	return []string{
		style.Name("", workerID) + suffix,
		style.Name("", workerID, ownerID) + suffix,
		Name(workerID, ownerID) + suffix,
	}
}
