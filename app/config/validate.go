package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"time"
)

var (
	dnsName  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
)

// minConnectionLifetime is long beside what it takes to open a connection.
const minConnectionLifetime = 10 * time.Second

// Validate checks every value and returns all faults at once, each naming its key. It does not ask for a database:
// that is checked where one is opened.
func (c *Config) Validate() error {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	c.validateNames(fault)
	c.validateOperation(fault)
	c.Domains.validate(fault)
	c.validateCombinator(fault)
	c.validateAccess(fault)
	c.validateMasks(fault)
	c.validateNumbers(fault)
	c.Audit.validate(fault)
	for lane, n := range c.Tasks.Lanes {
		if lane == DefaultLane || n < 1 {
			fault("tasks.lanes."+lane, "must be at least 1, and not the default lane")
		}
	}
	durations := c.durations()
	maps.Copy(durations, c.Domains.durations())
	for key, d := range durations {
		if d < time.Millisecond {
			fault(key, "must be at least 1ms")
		}
	}
	if c.HTTP.DrainTime < 0 {
		fault("http.drainTime", "must not be negative")
	}
	if c.Database.MaxConnectionLifetime < minConnectionLifetime {
		fault("database.maxConnectionLifetime", "must be at least %s", minConnectionLifetime)
	}
	c.validateLease(fault)
	if _, err := c.Tasks.Keys(); err != nil {
		fault("tasks.encryptionKeys", "%s", err)
	}
	c.Controller.validate(fault)
	return errors.Join(faults...)
}

// minTakeoverAfter leaves a heartbeat the time that a busy database needs to answer it.
const minTakeoverAfter = 300 * time.Millisecond

// validateLease finds what would let the lease of a process that lives run out.
func (c *Config) validateLease(fault func(key, format string, args ...any)) {
	if c.Tasks.TakeoverAfter < minTakeoverAfter {
		fault("tasks.takeoverAfter", "must be at least %s", minTakeoverAfter)
	}
	if c.Tasks.TakeoverAfter < 3*c.Tasks.HeartbeatInterval {
		fault("tasks.takeoverAfter", "must be at least three times tasks.heartbeatInterval")
	}
	if c.Tasks.TakeoverAfter < c.Database.ConnectTimeout {
		fault("tasks.takeoverAfter", "must be at least database.connectTimeout: where a connection takes so long, no heartbeat comes in time")
	}
}

// validateMasks finds what was copied from a print that hides secrets.
func (c *Config) validateMasks(fault func(key, format string, args ...any)) {
	for _, s := range c.settings() {
		if s.secret() && s.value.String() == mask {
			fault(s.key, "is a mask as inner config print shows, not a secret")
		}
	}
}

func (c *Config) validateNumbers(fault func(key, format string, args ...any)) {
	numbers := map[string]int64{
		"http.bodyLimit":              c.HTTP.BodyLimit,
		"database.maxOpenConnections": int64(c.Database.MaxOpenConnections),
		"kubernetes.burst":            int64(c.Kubernetes.Burst),
		"kubernetes.qps":              int64(c.Kubernetes.QPS),
		"tasks.workers":               int64(c.Tasks.Workers),
		"tasks.buffer":                int64(c.Tasks.Buffer),
		"tasks.attempts":              int64(c.Tasks.Attempts),
		"tasks.maxTakeovers":          int64(c.Tasks.MaxTakeovers),
		"controller.workers":          int64(c.Controller.Workers),
		"controller.slowDown.burst":   int64(c.Controller.SlowDown.Burst),
		"audit.pageSize":              int64(c.Audit.PageSize),
		"audit.maxObjects":            int64(c.Audit.MaxObjects),
		"audit.maxRepairs":            int64(c.Audit.MaxRepairs),
		"audit.maxDeletions":          int64(c.Audit.MaxDeletions),
	}
	maps.Copy(numbers, c.Domains.numbers())
	for key, n := range numbers {
		if n < 1 {
			fault(key, "must be at least 1")
		}
	}
}

func (c *Config) validateNames(fault func(key, format string, args ...any)) {
	switch {
	case c.Domain == "":
		fault("domain", "required (DOMAIN, INNER_DOMAIN or the configuration file), unless ENV=test")
	case !dnsName.MatchString(c.Domain) || len(c.Domain) > 180:
		fault("domain", "must be a DNS name in lower case of at most 180 characters")
	}
	if c.Log.Format != "json" && c.Log.Format != "console" {
		fault("log.format", "must be json or console")
	}
	if _, _, err := net.SplitHostPort(c.HTTP.Listen); err != nil {
		fault("http.listen", "must be host:port")
	}
	ns := c.Kubernetes.Namespaces
	for key, name := range map[string]string{"control": ns.Control, "worker": ns.Worker, "ingress": ns.Ingress, "combinator": ns.Combinator} {
		if !dnsLabel.MatchString(name) {
			fault("kubernetes.namespaces."+key, "must be a DNS label")
		}
	}
	if ns.Worker == ns.Ingress {
		fault("kubernetes.namespaces.ingress", "must differ from kubernetes.namespaces.worker")
	}
}

func (c *Config) durations() map[string]time.Duration {
	return map[string]time.Duration{
		"http.requestTimeout":         c.HTTP.RequestTimeout,
		"http.readHeaderTimeout":      c.HTTP.ReadHeaderTimeout,
		"http.readTimeout":            c.HTTP.ReadTimeout,
		"http.writeTimeout":           c.HTTP.WriteTimeout,
		"http.idleTimeout":            c.HTTP.IdleTimeout,
		"http.tls.reloadInterval":     c.HTTP.TLS.ReloadInterval,
		"tracing.timeout":             c.Tracing.Timeout,
		"http.shutdownTimeout":        c.HTTP.ShutdownTimeout,
		"database.connectTimeout":     c.Database.ConnectTimeout,
		"database.statementTimeout":   c.Database.StatementTimeout,
		"kubernetes.timeout":          c.Kubernetes.Timeout,
		"tasks.pollInterval":          c.Tasks.PollInterval,
		"tasks.heartbeatInterval":     c.Tasks.HeartbeatInterval,
		"tasks.takeoverAfter":         c.Tasks.TakeoverAfter,
		"tasks.shutdownTimeout":       c.Tasks.ShutdownTimeout,
		"tasks.jobTimeout":            c.Tasks.JobTimeout,
		"tasks.retryDelay":            c.Tasks.RetryDelay,
		"tasks.retryDelayMax":         c.Tasks.RetryDelayMax,
		"tasks.parkedRecheck":         c.Tasks.ParkedRecheck,
		"tasks.retention.finished":    c.Tasks.Retention.Finished,
		"tasks.retention.failed":      c.Tasks.Retention.Failed,
		"tasks.retention.interval":    c.Tasks.Retention.Interval,
		"cron.checkInterval":          c.Cron.CheckInterval,
		"cron.startInterval":          c.Cron.StartInterval,
		"audit.interval":              c.Audit.Interval,
		"audit.timeout":               c.Audit.Timeout,
		"audit.callTimeout":           c.Audit.CallTimeout,
		"audit.grace":                 c.Audit.Grace,
		"audit.minAge":                c.Audit.MinAge,
		"audit.shrinkWindow":          c.Audit.ShrinkWindow,
		"controller.progressDeadline": c.Controller.ProgressDeadline,
		"controller.failureGrace":     c.Controller.FailureGrace,
		"controller.retryDelay":       c.Controller.RetryDelay,
		"controller.retryDelayMax":    c.Controller.RetryDelayMax,
		"controller.resyncInterval":   c.Controller.ResyncInterval,

		"controller.slowDown.interval":            c.Controller.SlowDown.Interval,
		"controller.leaderElection.leaseDuration": c.Controller.LeaderElection.LeaseDuration,
		"controller.leaderElection.renewDeadline": c.Controller.LeaderElection.RenewDeadline,
		"controller.leaderElection.retryPeriod":   c.Controller.LeaderElection.RetryPeriod,
	}
}
