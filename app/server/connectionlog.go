package server

import (
	"log" //nolint:depguard // the type that net/http takes; its lines go to the program's logger
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// connectionLogInterval is the interval in which one failed connection is logged: a client can cause any number.
const connectionLogInterval = 10 * time.Second

// connectionCore replaces the message of a line of net/http by a constant one, and puts the text into a field.
type connectionCore struct{ zapcore.Core }

// connectionLog returns the logger for errors of net/http outside of handlers: handshakes, broken connections.
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
	reason := entry.Message
	entry.Message = "connection failed"
	if checked := c.Core.Check(entry, nil); checked != nil {
		checked.Write(append(fields, zap.String("reason", reason))...)
	}
	return nil
}
