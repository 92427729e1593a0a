// Package config is the one typed configuration of the program, read and checked once at its start.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"time"
)

// Config holds every setting. configs/inner.yaml explains each of them and gives its default.
type Config struct {
	Domain     string     `mapstructure:"domain"`
	Platform   string     `mapstructure:"platform"`
	Debug      bool       `mapstructure:"debug"`
	Log        Log        `mapstructure:"log"`
	HTTP       HTTP       `mapstructure:"http"`
	Database   Database   `mapstructure:"database"`
	Kubernetes Kubernetes `mapstructure:"kubernetes"`
	Tasks      Tasks      `mapstructure:"tasks"`
	Cron       Cron       `mapstructure:"cron"`
	Controller Controller `mapstructure:"controller"`
	Profiling  Profiling  `mapstructure:"profiling"`
	Tracing    Tracing    `mapstructure:"tracing"`
	Domains    Domains    `mapstructure:"domains"`
	Audit      Audit      `mapstructure:"audit"`
	Combinator Combinator `mapstructure:"combinator"`
}

// platformMark is the length of PlatformMark, in hexadecimal digits of 4 bits.
const platformMark = 16

// PlatformMark is what stands on all that this platform makes where others may make such things too: 16 hexadecimal digits
// that tell platforms apart and say nothing else.
func (c *Config) PlatformMark() string {
	name := c.Platform
	if name == "" {
		name = c.Domain
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:platformMark]
}

// Log says how log lines are written.
type Log struct {
	Format string `mapstructure:"format"`
}

// HTTP is the cluster-internal HTTP interface.
type HTTP struct {
	Listen            string        `mapstructure:"listen"`
	BodyLimit         int64         `mapstructure:"bodyLimit"`
	TaskBodyLimit     int64         `mapstructure:"taskBodyLimit"`
	BodyMemory        int64         `mapstructure:"bodyMemory"`
	HeaderLimit       int           `mapstructure:"headerLimit"`
	MaxRequests       int           `mapstructure:"maxRequests"`
	MaxConnections    int           `mapstructure:"maxConnections"`
	TLS               TLS           `mapstructure:"tls"`
	RequestTimeout    time.Duration `mapstructure:"requestTimeout"`
	ReadHeaderTimeout time.Duration `mapstructure:"readHeaderTimeout"`
	ReadTimeout       time.Duration `mapstructure:"readTimeout"`
	DrainTime         time.Duration `mapstructure:"drainTime"`
	WriteTimeout      time.Duration `mapstructure:"writeTimeout"`
	IdleTimeout       time.Duration `mapstructure:"idleTimeout"`
	ShutdownTimeout   time.Duration `mapstructure:"shutdownTimeout"`
	// Access says by kind of route who may call it.
	Access map[string]Access `mapstructure:"access"`
}

// Database is the platform's PostgreSQL or CockroachDB.
type Database struct {
	DSN                Secret        `mapstructure:"dsn"`
	MaxOpenConnections int           `mapstructure:"maxOpenConnections"`
	MaxIdleConnections int           `mapstructure:"maxIdleConnections"`
	ConnectTimeout     time.Duration `mapstructure:"connectTimeout"`
	StatementTimeout   time.Duration `mapstructure:"statementTimeout"`
	// MaxConnectionLifetime is the time after which a connection is replaced by a new one.
	MaxConnectionLifetime time.Duration `mapstructure:"maxConnectionLifetime"`
}

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

// Tasks is the queue and its processor pool.
type Tasks struct {
	Workers           int            `mapstructure:"workers"`
	Lanes             map[string]int `mapstructure:"lanes"`
	Buffer            int            `mapstructure:"buffer"`
	PollInterval      time.Duration  `mapstructure:"pollInterval"`
	HeartbeatInterval time.Duration  `mapstructure:"heartbeatInterval"`
	TakeoverAfter     time.Duration  `mapstructure:"takeoverAfter"`
	MaxTakeovers      int            `mapstructure:"maxTakeovers"`
	ShutdownTimeout   time.Duration  `mapstructure:"shutdownTimeout"`
	Attempts          int            `mapstructure:"attempts"`
	JobTimeout        time.Duration  `mapstructure:"jobTimeout"`
	RetryDelay        time.Duration  `mapstructure:"retryDelay"`
	RetryDelayMax     time.Duration  `mapstructure:"retryDelayMax"`
	ParkedRecheck     time.Duration  `mapstructure:"parkedRecheck"`
	EncryptionKeys    Secret         `mapstructure:"encryptionKeys"`
	Retention         Retention      `mapstructure:"retention"`
}

// Retention says how long ended tasks are kept.
type Retention struct {
	Finished time.Duration `mapstructure:"finished"`
	Failed   time.Duration `mapstructure:"failed"`
	Interval time.Duration `mapstructure:"interval"`
}

// Lease returns how long a process may run what it claimed after a heartbeat: less than others wait before they take over.
func (t Tasks) Lease() time.Duration { return t.TakeoverAfter * 2 / 3 }

// HeartbeatTimeout returns how long a heartbeat may take before its connection is given up: a fraction of the lease, so that
// there is time for others on new connections.
func (t Tasks) HeartbeatTimeout() time.Duration { return t.Lease() / 4 }

// LongestWait returns the longest time for which a task is ever put off: between attempts, by chance up to half as much
// again; for a dependency; and until a parked one is looked at again.
func (t Tasks) LongestWait() time.Duration {
	return max(t.RetryDelayMax*3/2, t.ParkedRecheck*6/5, LongestSnooze*6/5)
}

// LongestSnooze is the longest time for which a job may put its task off, jitter left out.
const LongestSnooze = 5 * time.Minute

// DefaultLane is the lane of tasks whose job type names none; Tasks.Workers is its number of workers.
const DefaultLane = "default"

// WorkersOfLanes returns the number of workers of every lane.
func (t Tasks) WorkersOfLanes() map[string]int {
	lanes := map[string]int{DefaultLane: t.Workers}
	maps.Copy(lanes, t.Lanes)
	return lanes
}

// Cron is the ticker of the periodic jobs.
type Cron struct {
	CheckInterval time.Duration `mapstructure:"checkInterval"`
	StartInterval time.Duration `mapstructure:"startInterval"`
}

// Secret is a setting that must not be shown: whatever prints or encodes it writes "***".
type Secret string

// String hides the value from fmt and from logs.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the value from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the value, for the one that uses it.
func (s Secret) Reveal() string { return string(s) }
