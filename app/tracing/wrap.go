package tracing

import (
	"context"
	"database/sql/driver"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.32.0"
	"go.opentelemetry.io/otel/trace"

	"app238.com/inner/app/config"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/server"
)

// tracesPath is the default path of OTLP over HTTP.
const tracesPath = "/v1/traces"

func endpoint(c config.Tracing) string {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return c.Endpoint // validated before
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = tracesPath
	}
	return u.String()
}

// begin starts a span and returns a function that ends it with the result of its work.
//
//nolint:spancheck // the caller ends the span
func (t *Tracing) begin(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, func(error)) {
	ctx, span := t.provider.Tracer(scope).Start(ctx, name, options...)
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, logging.Redact(err.Error()))
		}
		span.End()
	}
}

// Middleware returns the middleware that traces requests, nil if tracing is off. It continues traces of clients.
func (t *Tracing) Middleware() server.Middleware {
	if t == nil {
		return nil
	}
	return func(route server.Route, next http.Handler) http.Handler {
		if route.Monitoring {
			return next
		}
		name := route.Method + " " + route.Path
		return otelhttp.NewHandler(next, name,
			otelhttp.WithTracerProvider(t.provider), otelhttp.WithMeterProvider(noop.NewMeterProvider()),
			otelhttp.WithPropagators(propagation.TraceContext{}),
			otelhttp.WithSpanNameFormatter(func(name string, _ *http.Request) string { return name }),
			otelhttp.WithSpanOptions(trace.WithAttributes(semconv.HTTPRoute(route.Path))))
	}
}

// Transport returns a wrapper of transports that traces requests within a trace; nil if tracing is off.
func (t *Tracing) Transport() func(http.RoundTripper) http.RoundTripper {
	if t == nil {
		return nil
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(next,
			otelhttp.WithTracerProvider(t.provider), otelhttp.WithMeterProvider(noop.NewMeterProvider()),
			otelhttp.WithPropagators(propagation.TraceContext{}),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return "HTTP " + r.Method }),
			otelhttp.WithFilter(func(r *http.Request) bool { return inTrace(r.Context()) }))
	}
}

func inTrace(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsValid() }

// Connector returns a connector that traces statements within a trace; connector itself if tracing is off. The text of
// statements must be constant: spans contain the text, not the arguments.
func (t *Tracing) Connector(connector driver.Connector) (driver.Connector, error) {
	if t == nil {
		return connector, nil
	}
	wrapped, ok := otelsql.WrapDriver(connectorDriver{connector},
		otelsql.WithTracerProvider(t.provider), otelsql.WithMeterProvider(noop.NewMeterProvider()),
		otelsql.WithAttributes(semconv.DBSystemNamePostgreSQL),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			DisableErrSkip: true, OmitConnResetSession: true, OmitConnectorConnect: true, OmitRows: true, OmitConnPrepare: true,
			RecordError: func(error) bool { return false }, // its text may contain values
			SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
				return inTrace(ctx)
			},
		})).(driver.DriverContext)
	if !ok {
		return nil, errors.New("the traced driver opens no connector")
	}
	traced, err := wrapped.OpenConnector("")
	if err != nil {
		return nil, err
	}
	return validatingConnector{traced}, nil
}

// validatingConnector adds driver.Validator to the traced connections: otelsql hides it from the pool.
type validatingConnector struct{ driver.Connector }

// Connect opens a connection.
func (v validatingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := v.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	traced, ok := conn.(tracedConn)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("the traced connection lacks a method")
	}
	return validConn{traced}, nil
}

// tracedConn is the type of otelsql's connections.
type tracedConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	Raw() driver.Conn
}

type validConn struct{ tracedConn }

// IsValid implements driver.Validator.
func (c validConn) IsValid() bool {
	beneath, ok := c.Raw().(driver.Validator)
	return !ok || beneath.IsValid()
}

// connectorDriver is a driver with one connector.
type connectorDriver struct{ driver.Connector }

// Open implements driver.Driver.
func (d connectorDriver) Open(string) (driver.Conn, error) { return d.Connect(context.Background()) }

// OpenConnector implements driver.DriverContext.
func (d connectorDriver) OpenConnector(string) (driver.Connector, error) { return d.Connector, nil }
