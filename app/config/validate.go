package config

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"app238.com/inner/app/identifier"
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
	c.validateLimits(fault)
	c.validateTogether(fault)
	c.Audit.validate(fault)
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

// validateTogether finds settings that contradict one another: the one would make the other impossible or idle.
func (c *Config) validateTogether(fault func(key, format string, args ...any)) {
	for _, pair := range []struct {
		key  string
		d    time.Duration
		most string
		of   time.Duration
	}{
		{"http.readHeaderTimeout", c.HTTP.ReadHeaderTimeout, "http.readTimeout", c.HTTP.ReadTimeout},
		{"tasks.retryDelay", c.Tasks.RetryDelay, "tasks.retryDelayMax", c.Tasks.RetryDelayMax},
		{"controller.retryDelay", c.Controller.RetryDelay, "controller.retryDelayMax", c.Controller.RetryDelayMax},
		{"audit.callTimeout", c.Audit.CallTimeout, "audit.timeout", c.Audit.Timeout},
		{"domains.dns.timeout", c.Domains.DNS.Timeout, "domains.checkTimeout", c.Domains.CheckTimeout},
		{"domains.checkTimeout", c.Domains.CheckTimeout, "domains.passTimeout", c.Domains.PassTimeout},
		{"combinator.rdb.lockTimeout", c.Combinator.RDB.LockTimeout, "combinator.rdb.requestTimeout", c.Combinator.RDB.RequestTimeout},
	} {
		if pair.d > pair.of {
			fault(pair.key, "must be at most %s", pair.most)
		}
	}
	// From the end of the header on, the body is received and the request worked on before the answer is written.
	if c.HTTP.WriteTimeout <= c.HTTP.ReadTimeout+c.HTTP.RequestTimeout {
		fault("http.writeTimeout", "must be longer than http.readTimeout and http.requestTimeout together")
	}
	if c.HTTP.BodyMemory < max(c.HTTP.BodyLimit, c.HTTP.TaskBodyLimit) {
		fault("http.bodyMemory", "must be at least http.bodyLimit and http.taskBodyLimit")
	}
}

func (c *Config) validateNames(fault func(key, format string, args ...any)) {
	switch {
	case c.Domain == "":
		fault("domain", "required (DOMAIN, INNER_DOMAIN or the configuration file), unless ENV=test")
	case !dnsName.MatchString(c.Domain) || len(c.Domain) > 180:
		fault("domain", "must be a DNS name in lower case of at most 180 characters")
	}
	if !dnsName.MatchString(c.Platform) && identifier.Check("platform", c.Platform) != nil && c.Platform != "" {
		fault("platform", "must be letters, digits, '-' and '_', or a DNS name, or be empty")
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
