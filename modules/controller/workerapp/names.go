package workerapp

import "app238.com/inner/app/identifier"

// objectStyle leaves room for the longest suffix, "-secret", within the 63 characters of a label.
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

// ServiceSuffix returns the suffix of the DNS names of a namespace's Services.
func ServiceSuffix(namespace string) string { return "." + namespace + ".svc.cluster.local" }

// Hosts returns the host names of a worker, the shortest first.
func Hosts(workerID, ownerID, domain string) []string {
	style := hostStyle()
	return []string{
		Host(style.Name("", workerID), domain),
		Host(style.Name("", workerID, ownerID), domain),
		Host(Name(workerID, ownerID), domain),
	}
}

// Host returns the host name of name, such as N, under the platform's domain.
func Host(name, domain string) string { return name + ".worker." + domain }
