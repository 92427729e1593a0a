package config

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"app238.com/inner/app/identifier"
)

var (
	dnsName  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
)

// invalidFunc records why the value of a key is invalid.
type invalidFunc func(key, format string, args ...any)

// atMost records a duration that is longer than that of another key.
func (invalid invalidFunc) atMost(key string, d time.Duration, most string, limit time.Duration) {
	if d > limit {
		invalid(key, "must be at most %s", most)
	}
}

// Validate checks every value and returns all errors at once, each with its key. It does not require a database's DSN:
// that is checked where the database is opened.
func (c *Config) Validate() error {
	var errs []error
	c.validate(func(_ string, err error) { errs = append(errs, err) })
	return errors.Join(errs...)
}

// validate calls report for each invalid value.
func (c *Config) validate(report func(key string, err error)) {
	invalid := invalidFunc(func(key, format string, args ...any) {
		report(key, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	})
	c.validateNames(invalid)
	c.validateMasks(invalid)
	c.validateLimits(invalid)
	c.Log.validate(invalid)
	c.HTTP.validate(invalid)
	c.validateListeners(invalid)
	c.Kubernetes.Namespaces.validate(invalid)
	c.Tasks.validate(invalid)
	if c.Tasks.TakeoverAfter < c.Database.ConnectTimeout {
		invalid("tasks.takeoverAfter", "must be at least database.connectTimeout: a heartbeat may need a new connection")
	}
	c.Controller.validate(invalid)
	c.Profiling.validate(invalid)
	c.Tracing.validate(invalid)
	c.Domains.validate(invalid)
	c.Audit.validate(invalid)
	c.Combinator.validate(invalid)
}

func (c *Config) validateNames(invalid invalidFunc) {
	if c.Domain != "" && (!dnsName.MatchString(c.Domain) || len(c.Domain) > 180) {
		invalid("domain", "must be a DNS name in lower case of at most 180 characters")
	}
	if !dnsName.MatchString(c.Platform) && identifier.Check("platform", c.Platform) != nil && c.Platform != "" {
		invalid("platform", "must be letters, digits, '-' and '_', or a DNS name, or be empty")
	}
}

// validateListeners finds addresses that the process cannot listen on at once.
func (c *Config) validateListeners(invalid invalidFunc) {
	type listener struct {
		key, host string
		port      int
	}
	var all []listener
	for _, l := range [][2]string{
		{"http.listen", c.HTTP.Listen}, {"http.metricsListen", c.HTTP.MetricsListen}, {"profiling.listen", c.Profiling.Listen},
	} {
		host, port, ok := splitAddress(l[1])
		if !ok || port == 0 {
			continue
		}
		for _, other := range all {
			if port == other.port && (host == other.host || isAny(host) || isAny(other.host)) {
				invalid(l[0], "must have another port than %s", other.key)
			}
		}
		all = append(all, listener{l[0], host, port})
	}
}

// validateMasks finds masks that were copied from inner config print.
func (c *Config) validateMasks(invalid invalidFunc) {
	for _, s := range c.settings() {
		if s.secret() && s.value.String() == mask {
			invalid(s.key, "is a mask as inner config print shows, not a secret")
		}
	}
}
