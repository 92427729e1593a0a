package config

import (
	"net/netip"
	"regexp"
	"time"
)

// retryShare is how many tries have to fit into the time in which the lease must be renewed, so that one lost request
// costs no leadership.
const retryShare = 2

// quantity is what of Kubernetes' quantities a limit may be: a whole number above zero, with or without a unit.
var quantity = regexp.MustCompile(`^[1-9][0-9]{0,11}(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`)

func (c Controller) validate(fault func(key, format string, args ...any)) {
	e := c.LeaderElection
	if !dnsName.MatchString(e.Lease) {
		fault("controller.leaderElection.lease", "must be a DNS name in lower case")
	}
	if e.LeaseDuration%time.Second != 0 {
		fault("controller.leaderElection.leaseDuration", "must be whole seconds")
	}
	if e.RenewDeadline >= e.LeaseDuration {
		fault("controller.leaderElection.renewDeadline", "must be less than controller.leaderElection.leaseDuration")
	}
	if e.RetryPeriod*retryShare > e.RenewDeadline {
		fault("controller.leaderElection.retryPeriod", "must be at most half of controller.leaderElection.renewDeadline")
	}
	if c.MinReady%time.Second != 0 || c.MinReady >= c.ProgressDeadline {
		fault("controller.minReady", "must be whole seconds and less than controller.progressDeadline")
	}
	for key, limit := range map[string]string{"cpu": c.Limits.CPU, "memory": c.Limits.Memory, "disk": c.Limits.Disk} {
		if !quantity.MatchString(limit) {
			fault("controller.limits."+key, "must be a quantity like 500m, 64 or 256Gi")
		}
	}
	c.Pods.validate(fault)
	c.NetworkPolicy.validate(fault)
}

func (p Pods) validate(fault func(key, format string, args ...any)) {
	for _, name := range p.ImagePullSecrets {
		if !dnsName.MatchString(name) {
			fault("controller.pods.imagePullSecrets", "must be names of Secrets")
		}
	}
	for key, d := range map[string]time.Duration{"stopDelay": p.StopDelay, "stopGrace": p.StopGrace} {
		if d%time.Second != 0 {
			fault("controller.pods."+key, "must be whole seconds, 0 for none")
		}
	}
}

func (n NetworkPolicy) validate(fault func(key, format string, args ...any)) {
	if !dnsLabel.MatchString(n.DNSNamespace) {
		fault("controller.networkPolicy.dnsNamespace", "must be a DNS label")
	}
	for key, networks := range map[string][]string{"dnsNetworks": n.DNSNetworks, "privateNetworks": n.PrivateNetworks} {
		for _, network := range networks {
			if prefix, err := netip.ParsePrefix(network); err != nil || prefix != prefix.Masked() {
				fault("controller.networkPolicy."+key, "must be networks like 10.0.0.0/8")
			}
		}
	}
}
