package server

import (
	"log" //nolint:depguard // the type that net/http takes; its lines go to the program's logger
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Of what goes wrong with connections, one line in each of these intervals is logged: any client can cause any number.
const connectionLogInterval = 10 * time.Second

// connectionLines gives what net/http logs a constant message, and its own words a field.
type connectionCore struct{ zapcore.Core }

// connectionLog is for the errors that net/http meets outside of handlers: handshakes, broken connections.
func connectionLog(logger *zap.Logger) *log.Logger {
	return zap.NewStdLog(logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return connectionCore{zapcore.NewSamplerWithOptions(core, connectionLogInterval, 1, 0)}
	})))
}

// Check implements zapcore.Core.
func (c connectionCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, c)
}

// Write implements zapcore.Core.
func (c connectionCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	what := entry.Message
	entry.Message = "connection failed"
	if checked := c.Core.Check(entry, nil); checked != nil {
		checked.Write(append(fields, zap.String("what", what))...)
	}
	return nil
}
