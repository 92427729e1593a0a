package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Domains are the settings of checking and serving custom domains.
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
	JobTimeout       time.Duration `mapstructure:"jobTimeout"`
	WithdrawFailures int           `mapstructure:"withdrawFailures"`
	WithdrawAfter    time.Duration `mapstructure:"withdrawAfter"`
	RetryInterval    time.Duration `mapstructure:"retryInterval"`
	RemovalMinimum   int           `mapstructure:"removalMinimum"`
	RemovalShare     float64       `mapstructure:"removalShare"`
	RemovalGrace     time.Duration `mapstructure:"removalGrace"`
	Workers          int           `mapstructure:"workers"`
	DNS              DNS           `mapstructure:"dns"`
}

// DNS are the settings of DNS queries about custom domains.
type DNS struct {
	Resolvers      []string      `mapstructure:"resolvers"`
	Roots          []string      `mapstructure:"roots"`
	Port           int           `mapstructure:"port"`
	PrivateServers bool          `mapstructure:"privateServers"`
	Queries        int           `mapstructure:"queries"`
	Timeout        time.Duration `mapstructure:"timeout"`
	Delegations    time.Duration `mapstructure:"delegations"`
}

// clusterZone is the DNS zone of the cluster's own Services.
const clusterZone = "cluster.local"

const maxPort = 65535

func domainsLimits() limits {
	return limits{
		numbers: map[string][2]float64{
			"domains.checks":           {1, 100_000},
			"domains.withdrawFailures": {1, 1000},
			"domains.removalMinimum":   {1, 1_000_000_000},
			"domains.removalShare":     {0, 1},
			"domains.workers":          {1, maxWorkers},
			"domains.dns.port":         {1, maxPort},
			"domains.dns.queries":      {1, 100_000},
		},
		durations: map[string][2]time.Duration{
			"domains.scanInterval":    {10 * time.Millisecond, time.Hour},
			"domains.resyncInterval":  {10 * time.Millisecond, day},
			"domains.checkTimeout":    {100 * time.Millisecond, 10 * time.Minute},
			"domains.scheduleFor":     {time.Second, year},
			"domains.checkInterval":   {time.Second, year},
			"domains.jobTimeout":      {time.Second, week},
			"domains.withdrawAfter":   {time.Second, year},
			"domains.retryInterval":   {time.Second, year},
			"domains.removalGrace":    {time.Second, year},
			"domains.dns.timeout":     {10 * time.Millisecond, time.Minute},
			"domains.dns.delegations": {time.Second, day},
		},
	}
}

func (d Domains) validate(invalid invalidFunc) {
	for _, target := range d.Targets {
		switch {
		case !dnsName.MatchString(target) || !strings.Contains(target, "."):
			invalid("domains.targets", "must be DNS names in lower case with at least two labels")
		case target == clusterZone || strings.HasSuffix(target, "."+clusterZone):
			invalid("domains.targets", "must not be names of the cluster")
		}
	}
	if !dnsName.MatchString(d.Issuer) {
		invalid("domains.issuer", "must be the name of a ClusterIssuer")
	}
	if d.RemovalShare == 0 {
		invalid("domains.removalShare", "must be above 0")
	}
	invalid.atMost("domains.dns.timeout", d.DNS.Timeout, "domains.checkTimeout", d.CheckTimeout)
	invalid.atMost("domains.checkTimeout", d.CheckTimeout, "domains.jobTimeout", d.JobTimeout)
	d.DNS.validate(invalid)
}

func (d DNS) validate(invalid invalidFunc) {
	for _, resolver := range d.Resolvers {
		host, port, err := net.SplitHostPort(resolver)
		_, notAddress := netip.ParseAddr(host)
		if n, notNumber := strconv.Atoi(port); err != nil || notAddress != nil || notNumber != nil || n < 1 || n > maxPort {
			invalid("domains.dns.resolvers", "must be address:port")
		}
	}
	for _, root := range d.Roots {
		if _, err := netip.ParseAddr(root); err != nil {
			invalid("domains.dns.roots", "must be addresses")
		}
	}
}
