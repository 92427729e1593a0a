package config

import (
	"context"
	"net"
	"time"
)

// HTTP is the cluster-internal HTTP interface.
type HTTP struct {
	Listen            string        `mapstructure:"listen"`
	MetricsListen     string        `mapstructure:"metricsListen"`
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
	// Access holds the access rule of each kind of routes.
	Access map[string]Access `mapstructure:"access"`
}

// TLS names the certificate files of the HTTP interface. Without a certificate it speaks plain HTTP.
type TLS struct {
	Certificate    string        `mapstructure:"certificate"`
	Key            string        `mapstructure:"key"`
	ClientCA       string        `mapstructure:"clientCA"`
	ReloadInterval time.Duration `mapstructure:"reloadInterval"`
}

// Enabled tells whether the HTTP interface speaks TLS.
func (t TLS) Enabled() bool { return t.Certificate != "" }

// Access defines which clients may call the routes of one kind.
type Access struct {
	Mode      string   `mapstructure:"mode"`
	Namespace string   `mapstructure:"namespace"`
	Labels    string   `mapstructure:"labels"`
	Audience  string   `mapstructure:"audience"`
	Subjects  []string `mapstructure:"subjects"`
}

// Values of Access.Mode.
const (
	AccessNone           = "none"
	AccessCombinatorPods = "combinator-pods"
	AccessPods           = "pods"
	AccessToken          = "token"
)

// Kinds of routes, the keys of HTTP.Access.
const (
	SecretRoutes    = "secrets"
	UsageRoutes     = "usage"
	TaskRoutes      = "tasks"
	WorkerRoutes    = "workers"
	OperationRoutes = "operations"
)

// minHeaderLimit is the size of an ordinary client's header in bytes; net/http adds 4 KiB to the limit by itself.
const minHeaderLimit = 4096

func httpLimits() limits {
	return limits{
		numbers: map[string][2]float64{
			"http.bodyLimit":      {1 << 10, 1 << 28},
			"http.taskBodyLimit":  {1 << 10, 1 << 28},
			"http.bodyMemory":     {1 << 10, 1 << 40},
			"http.headerLimit":    {minHeaderLimit, 1 << 20},
			"http.maxRequests":    {1, 100_000},
			"http.maxConnections": {1, 1_000_000},
		},
		durations: map[string][2]time.Duration{
			"http.requestTimeout":     {100 * time.Millisecond, 10 * time.Minute},
			"http.readHeaderTimeout":  {100 * time.Millisecond, 10 * time.Minute},
			"http.readTimeout":        {100 * time.Millisecond, time.Hour},
			"http.writeTimeout":       {100 * time.Millisecond, 2 * time.Hour},
			"http.idleTimeout":        {time.Second, day},
			"http.tls.reloadInterval": {100 * time.Millisecond, day},
			"http.drainTime":          {0, 10 * time.Minute},
			"http.shutdownTimeout":    {100 * time.Millisecond, 10 * time.Minute},
		},
	}
}

func (h HTTP) validate(invalid invalidFunc) {
	if _, _, ok := splitAddress(h.Listen); !ok {
		invalid("http.listen", "must be host:port")
	}
	if _, _, ok := splitAddress(h.MetricsListen); h.MetricsListen != "" && !ok {
		invalid("http.metricsListen", "must be host:port, or empty")
	}
	if (h.TLS.Certificate == "") != (h.TLS.Key == "") {
		invalid("http.tls.key", "certificate and key must be set together")
	}
	if h.TLS.ClientCA != "" && !h.TLS.Enabled() {
		invalid("http.tls.clientCA", "requires http.tls.certificate")
	}
	invalid.atMost("http.readHeaderTimeout", h.ReadHeaderTimeout, "http.readTimeout", h.ReadTimeout)
	// The write timeout begins at the end of the header: it covers the body, the work and the answer.
	if h.WriteTimeout <= h.ReadTimeout+h.RequestTimeout {
		invalid("http.writeTimeout", "must be longer than http.readTimeout and http.requestTimeout together")
	}
	if h.BodyMemory < max(h.BodyLimit, h.TaskBodyLimit) {
		invalid("http.bodyMemory", "must be at least http.bodyLimit and http.taskBodyLimit")
	}
	for kind, a := range h.Access {
		a.validate("http.access."+kind, invalid)
	}
}

// splitAddress returns the parts of an address to listen on.
func splitAddress(text string) (host string, port int, ok bool) {
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, false
	}
	// A number, or a name such as https, which is looked up without the network.
	n, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", number)
	return host, n, err == nil
}

// isAny reports whether a host means all addresses of the machine.
func isAny(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

func (a Access) validate(key string, invalid invalidFunc) {
	switch a.Mode {
	case AccessNone, AccessCombinatorPods:
	case AccessPods:
		if !dnsLabel.MatchString(a.Namespace) || a.Labels == "" {
			invalid(key, "namespace and labels are required with mode %s", AccessPods)
		}
	case AccessToken:
		if a.Audience == "" || len(a.Subjects) == 0 {
			invalid(key, "audience and subjects are required with mode %s", AccessToken)
		}
	default:
		invalid(key+".mode", "must be %s, %s, %s or %s", AccessCombinatorPods, AccessPods, AccessToken, AccessNone)
	}
}
