// Package logging creates the program's loggers, which redact secrets in all that is logged.
package logging

import (
	"fmt"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"app238.com/inner/app/config"
)

// NewLogger returns the root logger, which writes to standard error and redacts secrets. Components name theirs: controller,
// job, processor, cron, http.
func NewLogger(c *config.Config) (*zap.Logger, error) {
	zc := zap.NewProductionConfig()
	zc.Sampling = nil
	zc.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	zc.EncoderConfig.EncodeDuration = zapcore.StringDurationEncoder
	zc.Encoding = c.Log.Format
	if c.Log.Format == "console" {
		zc.EncoderConfig = zap.NewDevelopmentEncoderConfig()
	}
	if c.Debug {
		zc.Level.SetLevel(zap.DebugLevel)
	}
	logger, err := zc.Build(zap.WithCaller(false), zap.AddStacktrace(zap.DPanicLevel), withRedaction(c.Secrets()))
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return logger, nil
}

// Redacting returns a logger that writes to inner and redacts like that of NewLogger.
func Redacting(inner zapcore.Core, secrets ...string) *zap.Logger {
	return zap.New(inner, withRedaction(secrets))
}
