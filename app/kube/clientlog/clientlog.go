// Package clientlog has the Kubernetes client libraries write to the program's log instead of to standard error.
package clientlog

import (
	"fmt"
	"slices"
	"sync"

	"github.com/go-logr/logr"
	"go.uber.org/zap"
	"k8s.io/klog/v2"

	"app238.com/inner/app/logging"
)

// shownLength is how much of one value a line repeats.
const shownLength = 300

// New returns a logger for the libraries that take one from the context.
func New(log *zap.Logger) klog.Logger { return logr.New(sink{log: log}) }

// installed guards what the libraries have one of for the process and do not guard themselves.
var installed sync.Once

// Install has the libraries' process-wide logger write to log. It must be called before any client is in use, and counts the
// first time only: of several programs in one process, as in tests, the others' clients may be in use by then.
func Install(log *zap.Logger) {
	installed.Do(func() { klog.SetLogger(New(log)) })
}

// sink writes every line under one constant message; the libraries' own message is a field.
type sink struct {
	log    *zap.Logger
	fields []zap.Field
}

func (sink) Init(logr.RuntimeInfo) {}

// Enabled leaves the libraries' finer levels out: they hold whole requests.
func (s sink) Enabled(level int) bool { return level == 0 }

func (s sink) Info(_ int, message string, pairs ...any) {
	s.log.Debug("kubernetes client", s.line(message, pairs)...)
}

func (s sink) Error(err error, message string, pairs ...any) {
	s.log.Warn("kubernetes client failed", append(s.line(message, pairs), logging.Error(err))...)
}

func (s sink) WithValues(pairs ...any) logr.LogSink {
	s.fields = append(slices.Clip(s.fields), fields(pairs)...)
	return s
}

func (s sink) WithName(string) logr.LogSink { return s }

func (s sink) line(message string, pairs []any) []zap.Field {
	return append(append([]zap.Field{zap.String("text", cut(message))}, s.fields...), fields(pairs)...)
}

// fields keeps words, numbers and errors. Objects are left out: one of them may be a Secret.
func fields(pairs []any) []zap.Field {
	var kept []zap.Field
	for i := 0; i+1 < len(pairs); i += 2 {
		key := "client." + fmt.Sprint(pairs[i])
		switch value := pairs[i+1].(type) {
		case string:
			kept = append(kept, zap.String(key, cut(value)))
		case int, int32, int64, bool:
			kept = append(kept, zap.Any(key, value))
		case error:
			kept = append(kept, zap.String(key, cut(value.Error())))
		}
	}
	return kept
}

func cut(s string) string { return logging.Clip(logging.Redact(s), shownLength) }
