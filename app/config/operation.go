package config

import (
	"net"
	"net/url"
	"time"
)

// TLS names the files that the HTTP interface is encrypted with; without a certificate it is not.
type TLS struct {
	Certificate    string        `mapstructure:"certificate"`
	Key            string        `mapstructure:"key"`
	ClientCA       string        `mapstructure:"clientCA"`
	ReloadInterval time.Duration `mapstructure:"reloadInterval"`
}

// Enabled tells whether the HTTP interface speaks TLS.
func (t TLS) Enabled() bool { return t.Certificate != "" }

// Profiling is the HTTP interface of Go's profiler.
type Profiling struct {
	Listen string `mapstructure:"listen"`
}

// Tracing says where traces are sent and how many.
type Tracing struct {
	Endpoint string        `mapstructure:"endpoint"`
	Ratio    float64       `mapstructure:"ratio"`
	Timeout  time.Duration `mapstructure:"timeout"`
}

// Enabled tells whether traces are made.
func (t Tracing) Enabled() bool { return t.Endpoint != "" }

// validateOperation checks what concerns the way in, the profiler and traces.
func (c *Config) validateOperation(fault func(key, format string, args ...any)) {
	tls := c.HTTP.TLS
	if (tls.Certificate == "") != (tls.Key == "") {
		fault("http.tls.key", "certificate and key come together")
	}
	if tls.ClientCA != "" && !tls.Enabled() {
		fault("http.tls.clientCA", "requires http.tls.certificate")
	}
	if listen := c.Profiling.Listen; listen != "" && !isLoopback(listen) {
		fault("profiling.listen", "must be host:port of a loopback address, such as 127.0.0.1:9902")
	}
	if u, err := url.Parse(c.Tracing.Endpoint); c.Tracing.Enabled() && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "") {
		fault("tracing.endpoint", "must be an http:// or https:// URL")
	}
}

// minHeaderLimit is what an honest client's header needs; net/http adds 4 KiB to the limit by itself.
const minHeaderLimit = 4096

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
