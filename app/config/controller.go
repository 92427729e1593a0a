package config

import (
	"net/netip"
	"regexp"
	"time"
)

// Controller reconciles WorkerApps.
type Controller struct {
	Workers          int           `mapstructure:"workers"`
	ProgressDeadline time.Duration `mapstructure:"progressDeadline"`
	FailureGrace     time.Duration `mapstructure:"failureGrace"`
	MinReady         time.Duration `mapstructure:"minReady"`
	// ScaleToZeroAfter is how long a worker that has never been ready keeps failing pods; 0 means for ever.
	ScaleToZeroAfter time.Duration `mapstructure:"scaleToZeroAfter"`
	// RestartsPerSecond is how many workers may have their pods replaced without a deploy.
	RestartsPerSecond float64        `mapstructure:"restartsPerSecond"`
	RetryDelay        time.Duration  `mapstructure:"retryDelay"`
	RetryDelayMax     time.Duration  `mapstructure:"retryDelayMax"`
	ResyncInterval    time.Duration  `mapstructure:"resyncInterval"`
	WriteRateLimit    WriteRateLimit `mapstructure:"writeRateLimit"`
	Limits            Limits         `mapstructure:"limits"`
	LeaderElection    LeaderElection `mapstructure:"leaderElection"`
	Pods              Pods           `mapstructure:"pods"`
	NetworkPolicy     NetworkPolicy  `mapstructure:"networkPolicy"`
}

// WriteRateLimit bounds how often the objects and the status of one WorkerApp are written.
type WriteRateLimit struct {
	Burst    int           `mapstructure:"burst"`
	Interval time.Duration `mapstructure:"interval"`
}

// Limits are the largest resources of one worker; all but Replicas are Kubernetes quantities.
type Limits struct {
	CPU      string `mapstructure:"cpu"`
	Memory   string `mapstructure:"memory"`
	Disk     string `mapstructure:"disk"`
	Replicas int64  `mapstructure:"replicas"`
}

// LeaderElection configures the election of the replica whose controller writes.
type LeaderElection struct {
	Lease         string        `mapstructure:"lease"`
	LeaseDuration time.Duration `mapstructure:"leaseDuration"`
	RenewDeadline time.Duration `mapstructure:"renewDeadline"`
	RetryPeriod   time.Duration `mapstructure:"retryPeriod"`
}

// Pods are the settings of every worker's pods.
type Pods struct {
	RunAsNonRoot     bool          `mapstructure:"runAsNonRoot"`
	ImagePullSecrets []string      `mapstructure:"imagePullSecrets"`
	StopDelay        time.Duration `mapstructure:"stopDelay"`
	StopGrace        time.Duration `mapstructure:"stopGrace"`
}

// NetworkPolicy isolates workers from one another.
type NetworkPolicy struct {
	Enabled         bool     `mapstructure:"enabled"`
	DNSNamespace    string   `mapstructure:"dnsNamespace"`
	DNSNetworks     []string `mapstructure:"dnsNetworks"`
	PrivateNetworks []string `mapstructure:"privateNetworks"`
}

func controllerLimits() limits {
	return limits{
		numbers: map[string][2]float64{
			"controller.workers":              {1, maxWorkers},
			"controller.writeRateLimit.burst": {1, 100_000},
			"controller.limits.replicas":      {1, 1_000_000},
			"controller.restartsPerSecond":    {0.01, 10_000},
		},
		durations: map[string][2]time.Duration{
			"controller.progressDeadline":             {time.Second, day},
			"controller.failureGrace":                 {time.Millisecond, day},
			"controller.minReady":                     {0, time.Hour},
			"controller.scaleToZeroAfter":             {0, year},
			"controller.retryDelay":                   {time.Millisecond, day},
			"controller.retryDelayMax":                {time.Millisecond, day},
			"controller.resyncInterval":               {time.Second, day},
			"controller.writeRateLimit.interval":      {10 * time.Millisecond, day},
			"controller.leaderElection.leaseDuration": {time.Second, 10 * time.Minute},
			"controller.leaderElection.renewDeadline": {100 * time.Millisecond, 10 * time.Minute},
			"controller.leaderElection.retryPeriod":   {10 * time.Millisecond, 10 * time.Minute},
			"controller.pods.stopDelay":               {0, time.Hour},
			"controller.pods.stopGrace":               {0, day},
		},
	}
}

// retryShare is how many attempts must fit into renewDeadline, so that one lost request does not cost the lease.
const retryShare = 2

// quantity matches the Kubernetes quantities that a limit may be: a whole number above zero, with or without a unit.
var quantity = regexp.MustCompile(`^[1-9][0-9]{0,11}(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`)

func (c Controller) validate(invalid invalidFunc) {
	invalid.atMost("controller.retryDelay", c.RetryDelay, "controller.retryDelayMax", c.RetryDelayMax)
	c.LeaderElection.validate(invalid)
	if c.MinReady%time.Second != 0 || c.MinReady >= c.ProgressDeadline {
		invalid("controller.minReady", "must be whole seconds and less than controller.progressDeadline")
	}
	for key, limit := range map[string]string{"cpu": c.Limits.CPU, "memory": c.Limits.Memory, "disk": c.Limits.Disk} {
		if !quantity.MatchString(limit) {
			invalid("controller.limits."+key, "must be a quantity like 500m, 64 or 256Gi")
		}
	}
	c.Pods.validate(invalid)
	c.NetworkPolicy.validate(invalid)
}

func (e LeaderElection) validate(invalid invalidFunc) {
	if !dnsName.MatchString(e.Lease) {
		invalid("controller.leaderElection.lease", "must be a DNS name in lower case")
	}
	if e.LeaseDuration%time.Second != 0 {
		invalid("controller.leaderElection.leaseDuration", "must be whole seconds")
	}
	if e.RenewDeadline >= e.LeaseDuration {
		invalid("controller.leaderElection.renewDeadline", "must be less than controller.leaderElection.leaseDuration")
	}
	if e.RetryPeriod*retryShare > e.RenewDeadline {
		invalid("controller.leaderElection.retryPeriod", "must be at most half of controller.leaderElection.renewDeadline")
	}
}

func (p Pods) validate(invalid invalidFunc) {
	for _, name := range p.ImagePullSecrets {
		if !dnsName.MatchString(name) {
			invalid("controller.pods.imagePullSecrets", "must be names of Secrets")
		}
	}
	for key, d := range map[string]time.Duration{"stopDelay": p.StopDelay, "stopGrace": p.StopGrace} {
		if d%time.Second != 0 {
			invalid("controller.pods."+key, "must be whole seconds, 0 for none")
		}
	}
}

func (n NetworkPolicy) validate(invalid invalidFunc) {
	if !dnsLabel.MatchString(n.DNSNamespace) {
		invalid("controller.networkPolicy.dnsNamespace", "must be a DNS label")
	}
	for key, networks := range map[string][]string{"dnsNetworks": n.DNSNetworks, "privateNetworks": n.PrivateNetworks} {
		for _, network := range networks {
			if prefix, err := netip.ParsePrefix(network); err != nil || prefix != prefix.Masked() {
				invalid("controller.networkPolicy."+key, "must be networks like 10.0.0.0/8")
			}
		}
	}
}
