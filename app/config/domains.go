package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Domains is how custom domains are checked and served.
type Domains struct {
	Targets          []string      `mapstructure:"targets"`
	RequireTarget    bool          `mapstructure:"requireTarget"`
	Issuer           string        `mapstructure:"issuer"`
	ScanInterval     time.Duration `mapstructure:"scanInterval"`
	ResyncInterval   time.Duration `mapstructure:"resyncInterval"`
	Checks           int           `mapstructure:"checks"`
	CheckTimeout     time.Duration `mapstructure:"checkTimeout"`
	ScheduleFor      time.Duration `mapstructure:"scheduleFor"`
	CheckInterval    time.Duration `mapstructure:"checkInterval"`
	PassTimeout      time.Duration `mapstructure:"passTimeout"`
	WithdrawFailures int           `mapstructure:"withdrawFailures"`
	WithdrawAfter    time.Duration `mapstructure:"withdrawAfter"`
	RetryInterval    time.Duration `mapstructure:"retryInterval"`
	RemovalMinimum   int           `mapstructure:"removalMinimum"`
	RemovalShare     float64       `mapstructure:"removalShare"`
	RemovalGrace     time.Duration `mapstructure:"removalGrace"`
	Workers          int           `mapstructure:"workers"`
	DNS              DNS           `mapstructure:"dns"`
}

// DNS is how questions about custom domains are asked.
type DNS struct {
	Resolvers      []string      `mapstructure:"resolvers"`
	Roots          []string      `mapstructure:"roots"`
	Port           int           `mapstructure:"port"`
	PrivateServers bool          `mapstructure:"privateServers"`
	Questions      int           `mapstructure:"questions"`
	Timeout        time.Duration `mapstructure:"timeout"`
	Delegations    time.Duration `mapstructure:"delegations"`
}

// clusterZone ends the names by which the cluster's own services are found.
const clusterZone = "cluster.local"

func (d Domains) validate(fault func(key, format string, args ...any)) {
	for _, target := range d.Targets {
		switch {
		case !dnsName.MatchString(target) || !strings.Contains(target, "."):
			fault("domains.targets", "must be DNS names in lower case with at least two labels")
		case target == clusterZone || strings.HasSuffix(target, "."+clusterZone):
			fault("domains.targets", "must not be names of the cluster")
		}
	}
	if !dnsName.MatchString(d.Issuer) {
		fault("domains.issuer", "must be the name of a ClusterIssuer")
	}
	if d.RemovalShare == 0 {
		fault("domains.removalShare", "must be above 0")
	}
	d.DNS.validate(fault)
}

func (d DNS) validate(fault func(key, format string, args ...any)) {
	for _, resolver := range d.Resolvers {
		host, port, err := net.SplitHostPort(resolver)
		_, notAddress := netip.ParseAddr(host)
		if n, notNumber := strconv.Atoi(port); err != nil || notAddress != nil || notNumber != nil || n < 1 || n > maxPort {
			fault("domains.dns.resolvers", "must be address:port")
		}
	}
	for _, root := range d.Roots {
		if _, err := netip.ParseAddr(root); err != nil {
			fault("domains.dns.roots", "must be addresses")
		}
	}
}

const maxPort = 65535
