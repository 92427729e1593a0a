package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"app238.com/inner/app/config"
	"app238.com/inner/app/logging"
)

const secret = "hunter2MARK"

// vault holds a secret and shows it by every way that zap knows.
type vault struct{ Text string }

func (v vault) String() string { return v.Text }

func (v vault) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("words", v.Text)
	to.AddString("password", v.Text)
	to.AddByteString("bytes", []byte(v.Text))
	to.AddBinary("binary", []byte(v.Text))
	if err := to.AddReflected("reflected", struct{ A string }{v.Text}); err != nil {
		return err
	}
	to.OpenNamespace("inside")
	to.AddString("words", v.Text)
	return nil
}

type box struct{ A, B string }

// verboseError formats itself with more than its text.
type verboseError struct{ error }

func (f verboseError) Format(s fmt.State, _ rune) { _, _ = fmt.Fprint(s, secret) }

// logged writes with a logger that hides secrets, as JSON and for the console.
func logged(write func(*zap.Logger), secrets ...string) string {
	var out bytes.Buffer
	for _, encoder := range []zapcore.Encoder{
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		write(logging.Redacting(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel), secrets...))
	}
	return out.String()
}

func everyField(text string) []zap.Field {
	v := vault{text}
	return []zap.Field{
		zap.String("text", text), zap.Stringp("pointer", &text), zap.Strings("list", []string{text}), zap.Stringer("stringer", v),
		zap.ByteString("bytes", []byte(text)), zap.ByteStrings("byteses", [][]byte{[]byte(text)}), zap.Binary("binary", []byte(text)),
		zap.Error(errors.New(text)), zap.NamedError("verbose", verboseError{errors.New(text)}),
		zap.Errors("errors", []error{errors.New(text)}),
		zap.Object("object", v), zap.Inline(v), zap.Dict("dict", zap.String("text", text)), zap.Objects("objects", []vault{v}),
		zap.Stringers("stringers", []vault{v}), zap.Any("any", v), zap.Any("struct", box{text, text}),
		zap.Any("pair", &box{text, text}),
		zap.Any("map", map[string]string{"a": text}), zap.Any("nested", map[string]any{"a": []any{text}}),
		zap.Reflect("reflect", box{text, text}),
	}
}

func TestKnownSecretIsMaskedInEveryField(t *testing.T) {
	t.Parallel()
	for _, f := range everyField("so " + secret + " it is") {
		line := logged(func(l *zap.Logger) {
			l.Info("message", f)
			l.With(f).Named("part").Warn("message")
			l.WithLazy(f).Error("message")
			l.Sugar().Errorw("message "+secret, "more", f.Interface)
		}, secret)
		require.NotContains(t, line, secret, f.Key)
		require.Contains(t, line, "message")
	}
}

func TestPatternIsMaskedInEveryField(t *testing.T) {
	t.Parallel()
	for _, f := range everyField("postgres://inner:" + secret + "@db/x") {
		line := logged(func(l *zap.Logger) {
			l.Info("at postgres://inner:"+secret+"@db/x", f)
			l.With(f).Info("message")
		})
		require.NotContains(t, line, secret, f.Key)
	}
}

func TestFieldsWithSecretNamesAreMasked(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"password", "dsn", "env", "task_info", "data", "secret_key", "payload", "Authorization", "client.token", "userPassword",
		"env_json", "value",
	} {
		require.NotContains(t, logged(func(l *zap.Logger) {
			l.Info("x", zap.String(name, secret), zap.Any(name, box{secret, secret}))
			l.Info("x", zap.Any("map", map[string]any{name: secret}))
			l.With(zap.Any(name, []string{secret})).Info("x")
		}), secret, name)
	}
}

func TestOrdinaryFieldsAreUnchanged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logging.Redacting(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg"}), zapcore.AddSync(&out),
		zap.InfoLevel))
	log.Debug("left out")
	log.With(zap.String("app", "w-hello-demo")).Info("phase changed", zap.Int64("task", 7), zap.Duration("took", time.Second),
		zap.Strings("parts", []string{"a", "b"}), zap.Any("counts", map[string]any{"x": 1}), zap.Bool("ok", true),
		zap.String("path", "/api/tasks/7"), zap.Stringer("d", time.Minute), zap.Error(errors.New("plain")), zap.Namespace("in"),
		zap.Uint8("n", 1))
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line), out.String())
	require.Equal(t, map[string]any{
		"msg": "phase changed", "app": "w-hello-demo", "task": 7.0, "took": 1e9, "parts": []any{"a", "b"},
		"counts": map[string]any{"x": 1.0}, "ok": true, "path": "/api/tasks/7", "d": "1m0s", "error": "plain",
		"in": map[string]any{"n": 1.0},
	}, line)
}

func TestLoggerMasksHiddenValues(t *testing.T) {
	t.Parallel()
	line := logged(func(l *zap.Logger) {
		child := l.With(zap.Int("task", 1), logging.Hiding(secret, "x"), zap.String("text", secret))
		child.Named("job").With(zap.String("more", secret)).Info(secret, zap.Error(errors.New(secret)))
		l.Info("the others", zap.String("text", "an x"))
	})
	require.NotContains(t, line, secret)
	require.Contains(t, line, "an x", "short values are not masked")
}

func TestPanickingStringerIsLoggedByType(t *testing.T) {
	t.Parallel()
	var none *time.Location
	var broken fmt.Stringer = (*box2)(nil)
	require.Contains(t, logged(func(l *zap.Logger) { l.Info("x", zap.Stringer("s", broken), zap.Stringer("l", none)) }), "box2")
}

type box2 struct{ text string }

func (b *box2) String() string { return b.text }

func TestSecretsOfConfigurationAreKnown(t *testing.T) {
	t.Parallel()
	c := &config.Config{Database: config.Database{DSN: "postgres://u:p%40ssw0rd@h/d"}}
	require.ElementsMatch(t, []string{"postgres://u:p%40ssw0rd@h/d", "p@ssw0rd", "p%40ssw0rd", "p@ssw0rd"}, c.Secrets())
	c.Database.DSN = "host=h password='p ssw0rd' user=u"
	require.Contains(t, c.Secrets(), "p ssw0rd")
}

// BenchmarkLine writes the two lines of a task that goes well, beside the same without hiding.
func BenchmarkLine(b *testing.B) {
	out := func() zapcore.Core {
		return zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel)
	}
	for name, log := range map[string]*zap.Logger{"bare": zap.New(out()), "hiding": logging.Redacting(out(), secret)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				log.Info("request", zap.String("method", "POST"), zap.String("path", "/api/acceptTask"), zap.Int("status", 200),
					zap.Int64("bytes", 110), zap.Duration("took", time.Millisecond), zap.String("from", "127.0.0.1:43210"),
					zap.String("request_id", "KZ3XQ5TJ2ZJ7V2W6N4ZQ3YB5XA"))
				log.Info("task finished", zap.Int64("task", 12345), zap.String("type", "worker.delete_worker_cr"),
					zap.Int("attempt", 1), zap.Duration("took", time.Millisecond))
			}
		})
	}
}
