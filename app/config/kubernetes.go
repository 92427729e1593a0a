package config

import "time"

// Kubernetes is the cluster in which workers run.
type Kubernetes struct {
	Kubeconfig string        `mapstructure:"kubeconfig"`
	QPS        float32       `mapstructure:"qps"`
	Burst      int           `mapstructure:"burst"`
	Timeout    time.Duration `mapstructure:"timeout"`
	Namespaces Namespaces    `mapstructure:"namespaces"`
}

// Namespaces names the platform's four namespaces.
type Namespaces struct {
	Control    string `mapstructure:"control"`
	Worker     string `mapstructure:"worker"`
	Ingress    string `mapstructure:"ingress"`
	Combinator string `mapstructure:"combinator"`
}

func kubernetesLimits() limits {
	return limits{
		numbers:   map[string][2]float64{"kubernetes.qps": {1, 100_000}, "kubernetes.burst": {1, 1_000_000}},
		durations: map[string][2]time.Duration{"kubernetes.timeout": {time.Second, 10 * time.Minute}},
	}
}

func (n Namespaces) validate(invalid invalidFunc) {
	names := map[string]string{"control": n.Control, "worker": n.Worker, "ingress": n.Ingress, "combinator": n.Combinator}
	for key, name := range names {
		if !dnsLabel.MatchString(name) {
			invalid("kubernetes.namespaces."+key, "must be a DNS label")
		}
	}
	if n.Worker == n.Ingress {
		invalid("kubernetes.namespaces.ingress", "must differ from kubernetes.namespaces.worker")
	}
}
