// Package metrics holds the task queue's Prometheus metrics.
package metrics

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/modules/tasks/internal/store"
)

// Batch kinds, the values of the label "kind" of inner_tasks_batch_size.
const (
	AcceptBatch   = "accept"
	ClaimBatch    = "claim"
	CompleteBatch = "end"
)

// Metrics are the counters and histograms of one process. Times are in seconds.
type Metrics struct {
	// Accepted counts committed tasks by type.
	Accepted *prometheus.CounterVec
	// Started counts executions by type, Ended ended tasks by type and status.
	Started, Ended *prometheus.CounterVec
	// Failed counts failed attempts by type, including those that are retried.
	Failed *prometheus.CounterVec
	// AcceptTime is the time from the call to the commit; WaitTime from the commit to the execution, by lane; RunTime
	// the duration of an execution, by type.
	AcceptTime prometheus.Histogram
	WaitTime   *prometheus.HistogramVec
	RunTime    *prometheus.HistogramVec
	// ActiveWorkers is the number of workers that run a task, by lane; Workers the number of workers.
	ActiveWorkers, Workers *prometheus.GaugeVec
	// Recovered counts tasks recovered from dead processes.
	Recovered prometheus.Counter
	// Rescheduled counts tasks that were made due because the database's clock was set back.
	Rescheduled prometheus.Counter
	// Batch is the number of tasks of one statement, by kind.
	Batch *prometheus.HistogramVec
}

// New registers the metrics with r.
func New(r *prometheus.Registry) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"lane"})
	}
	times := func(name, help string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 14)}
	}
	m := &Metrics{
		Accepted:   counter("inner_tasks_accepted_total", "Tasks committed.", "type"),
		Started:    counter("inner_tasks_executions_total", "Executions started.", "type"),
		Ended:      counter("inner_tasks_ended_total", "Tasks that ended.", "type", "status"),
		Failed:     counter("inner_tasks_failed_attempts_total", "Attempts that failed.", "type"),
		AcceptTime: prometheus.NewHistogram(times("inner_tasks_accept_duration_seconds", "Time from an accept to its commit.")),
		WaitTime: prometheus.NewHistogramVec(times("inner_tasks_wait_duration_seconds",
			"Time from the commit of a task to an execution of it."), []string{"lane"}),
		RunTime: prometheus.NewHistogramVec(times("inner_tasks_run_duration_seconds",
			"Duration of an execution."), []string{"type"}),
		ActiveWorkers: gauge("inner_tasks_active_workers", "Workers that are running a task."),
		Workers:       gauge("inner_tasks_workers", "Workers of this process."),
		Recovered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "inner_tasks_recovered_total", Help: "Tasks recovered from dead processes.",
		}),
		Rescheduled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "inner_tasks_rescheduled_total", Help: "Tasks made due because the database's clock was set back.",
		}),
		Batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "inner_tasks_batch_size", Help: "Tasks of one statement.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}, []string{"kind"}),
	}
	return m, errors.Join(r.Register(m.Accepted), r.Register(m.Started), r.Register(m.Ended), r.Register(m.Failed),
		r.Register(m.AcceptTime), r.Register(m.WaitTime), r.Register(m.RunTime), r.Register(m.ActiveWorkers), r.Register(m.Workers),
		r.Register(m.Recovered), r.Register(m.Rescheduled), r.Register(m.Batch))
}

// Declare starts the counters of these job types at zero: a rate needs a sample before the first event.
func (m *Metrics) Declare(types []string) {
	for _, name := range types {
		for _, vector := range []*prometheus.CounterVec{m.Accepted, m.Started, m.Failed} {
			vector.WithLabelValues(name)
		}
		for _, status := range []store.Status{store.Finished, store.Failed, store.Superseded} {
			m.Ended.WithLabelValues(name, string(status))
		}
	}
}
