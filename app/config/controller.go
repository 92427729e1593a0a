package config

import "time"

// Controller reconciles WorkerApps.
type Controller struct {
	Workers          int           `mapstructure:"workers"`
	ProgressDeadline time.Duration `mapstructure:"progressDeadline"`
	FailureGrace     time.Duration `mapstructure:"failureGrace"`
	MinReady         time.Duration `mapstructure:"minReady"`
	// ScaleToZeroAfter is how long a worker that has never served keeps pods that fail; 0 for ever.
	ScaleToZeroAfter time.Duration `mapstructure:"scaleToZeroAfter"`
	// RestartsPerSecond is how many workers may have their pods made anew without a deploy.
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

// SlowDown bounds how often one WorkerApp may have its objects or its status written.
type WriteRateLimit struct {
	Burst    int           `mapstructure:"burst"`
	Interval time.Duration `mapstructure:"interval"`
}

// Limits is the most that one worker may be given; all but Replicas are quantities as in Kubernetes.
type Limits struct {
	CPU      string `mapstructure:"cpu"`
	Memory   string `mapstructure:"memory"`
	Disk     string `mapstructure:"disk"`
	Replicas int64  `mapstructure:"replicas"`
}

// LeaderElection says how replicas agree on the one whose controller writes.
type LeaderElection struct {
	Lease         string        `mapstructure:"lease"`
	LeaseDuration time.Duration `mapstructure:"leaseDuration"`
	RenewDeadline time.Duration `mapstructure:"renewDeadline"`
	RetryPeriod   time.Duration `mapstructure:"retryPeriod"`
}

// Pods is how every worker's pods run.
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
