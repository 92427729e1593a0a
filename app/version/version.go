// Package version names the release of this process, which log, metrics, /health and the row of the process carry.
package version

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

// Version is the name of a release, such as v0.1.0.
type Version string

// Development is the version of a program that was built without one.
const Development Version = "development"

// Register registers the metric of the version with r.
func Register(r *prometheus.Registry, v Version) error {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "inner_build_info", Help: "1, labelled with the versions of the process and of Go.",
		ConstLabels: prometheus.Labels{"version": string(v), "goversion": runtime.Version()},
	})
	info.Set(1)
	return r.Register(info)
}
