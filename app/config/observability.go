package config

import (
	"net"
	"net/url"
	"time"
)

// Log are the settings of log lines.
type Log struct {
	Format string `mapstructure:"format"`
}

func (l Log) validate(invalid invalidFunc) {
	if l.Format != "json" && l.Format != "console" {
		invalid("log.format", "must be json or console")
	}
}

// Profiling is the HTTP interface of Go's profiler.
type Profiling struct {
	Listen string `mapstructure:"listen"`
}

// Tracing are the settings of OpenTelemetry traces.
type Tracing struct {
	Endpoint string        `mapstructure:"endpoint"`
	Ratio    float64       `mapstructure:"ratio"`
	Timeout  time.Duration `mapstructure:"timeout"`
}

// Enabled tells whether traces are recorded.
func (t Tracing) Enabled() bool { return t.Endpoint != "" }

func tracingLimits() limits {
	return limits{
		numbers:   map[string][2]float64{"tracing.ratio": {0, 1}},
		durations: map[string][2]time.Duration{"tracing.timeout": {100 * time.Millisecond, 5 * time.Minute}},
	}
}

func (p Profiling) validate(invalid invalidFunc) {
	if p.Listen != "" && !isLoopback(p.Listen) {
		invalid("profiling.listen", "must be host:port of a loopback address, such as 127.0.0.1:9902")
	}
}

func (t Tracing) validate(invalid invalidFunc) {
	u, err := url.Parse(t.Endpoint)
	if t.Enabled() && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "") {
		invalid("tracing.endpoint", "must be an http:// or https:// URL")
	}
}

func isLoopback(address string) bool {
	host, _, ok := splitAddress(address)
	ip := net.ParseIP(host)
	return ok && (host == "localhost" || (ip != nil && ip.IsLoopback()))
}
