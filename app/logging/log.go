// Package logging makes the program's loggers, and hides in all that is logged what must not be written down.
package logging

import (
	"fmt"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"app238.com/inner/app/config"
)

// NewLogger returns the root logger, which writes to standard error and hides secrets whoever logs them. Parts of the
// program name theirs: controller, job, processor, cron, http.
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

// Redacting returns a logger that writes to inner and hides like the one of NewLogger.
func Redacting(inner zapcore.Core, secrets ...string) *zap.Logger {
	return zap.New(inner, withRedaction(secrets))
}
