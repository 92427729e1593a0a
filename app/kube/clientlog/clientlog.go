// Package clientlog redirects the Kubernetes client libraries' log from standard error to the program's log.
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

// maxValueLength is the most characters of one logged value.
const maxValueLength = 300

// New returns a klog logger that writes to log, for libraries that take one from the context.
func New(log *zap.Logger) klog.Logger { return logr.New(sink{log: log}) }

// installed guards klog's process-wide logger, which klog does not guard itself.
var installed sync.Once

// Install makes klog's process-wide logger write to log. It must be called before any client is used. Only the first call
// counts: with several programs in one process, as in tests, clients may already be in use.
func Install(log *zap.Logger) {
	installed.Do(func() { klog.SetLogger(New(log)) })
}

// sink logs every line under one constant message; the library's message is a field.
type sink struct {
	log    *zap.Logger
	fields []zap.Field
}

func (sink) Init(logr.RuntimeInfo) {}

// Enabled drops the finer levels: they hold whole requests.
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
	return append(append([]zap.Field{zap.String("text", clip(message))}, s.fields...), fields(pairs)...)
}

// fields keeps strings, numbers, booleans and errors. It drops objects: one may be a Secret.
func fields(pairs []any) []zap.Field {
	var kept []zap.Field
	for i := 0; i+1 < len(pairs); i += 2 {
		key := "client." + fmt.Sprint(pairs[i])
		switch value := pairs[i+1].(type) {
		case string:
			kept = append(kept, zap.String(key, clip(value)))
		case int, int32, int64, bool:
			kept = append(kept, zap.Any(key, value))
		case error:
			kept = append(kept, zap.String(key, clip(value.Error())))
		}
	}
	return kept
}

func clip(s string) string { return logging.Clip(logging.Redact(s), maxValueLength) }
