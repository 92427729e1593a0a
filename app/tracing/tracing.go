// Package tracing makes OpenTelemetry traces of requests and tasks and sends them to a collector. Where it is off nothing
// is wrapped, so that it costs nothing.
package tracing

import (
	"context"
	"fmt"
	"iter"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.32.0"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/logging"
)

// service is the name under which a collector shows what is traced here, and the name of its tracer.
const (
	service = "inner-gateway"
	scope   = "app238.com/inner"
)

// stopTimeout bounds the sending of the last spans.
const stopTimeout = 5 * time.Second

// Tracing begins spans. A nil *Tracing is one that is off.
type Tracing struct {
	provider trace.TracerProvider
	stop     func(context.Context) error
}

// New returns what tracing.endpoint asks for: nil where it is empty. It does not connect.
func New(c *config.Config) (*Tracing, error) {
	if !c.Tracing.Enabled() {
		return nil, nil //nolint:nilnil // a nil *Tracing is off, as its methods know
	}
	exporter, err := otlptracehttp.New(context.Background(),
		otlptracehttp.WithEndpointURL(endpoint(c.Tracing)), otlptracehttp.WithTimeout(c.Tracing.Timeout))
	if err != nil {
		return nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithExportTimeout(c.Tracing.Timeout)),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName(service))),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Tracing.Ratio))),
	)
	return &Tracing{provider: provider, stop: provider.Shutdown}, nil
}

// Stop sends what has not been sent. A collector that is away does not keep the program from ending.
func (t *Tracing) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	// What cannot be sent is lost; nothing depends on it.
	_ = t.stop(ctx)
	return nil
}

// Parent returns the trace that ctx belongs to as a W3C traceparent, for a record from which the work goes on later; "" where
// there is none to be kept.
func (t *Tracing) Parent(ctx context.Context) string {
	if t == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// Continue begins the span of an attempt at a task of a type in the trace that parent names, which Parent returned; without
// one nothing is traced. The returned function ends the span with the result of the work.
func (t *Tracing) Continue(ctx context.Context, parent, taskType string, task int64, attempt int) (context.Context, func(error)) {
	if t == nil || parent == "" {
		return ctx, func(error) {}
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
	return t.begin(ctx, "task "+taskType, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.Int64("task", task), attribute.Int("attempt", attempt)))
}

// Request is one whose work is done together with that of others. The zero Request is not traced.
type Request struct{ span trace.Span }

// RequestOf returns the request that ctx belongs to.
func (t *Tracing) RequestOf(ctx context.Context) Request {
	if t == nil {
		return Request{}
	}
	if span := trace.SpanFromContext(ctx); span.SpanContext().IsSampled() {
		return Request{span}
	}
	return Request{}
}

// Shared begins a span for work that is done for several requests at once: in the trace of the first one, linked with the
// others. Where none of them is traced the work is not, whatever ctx says.
func (t *Tracing) Shared(ctx context.Context, name string, requests iter.Seq[Request]) (context.Context, func(error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	var first trace.Span
	var links []trace.Link
	for r := range requests {
		switch {
		case r.span == nil:
		case first == nil:
			first = r.span
		default:
			links = append(links, trace.Link{SpanContext: r.span.SpanContext()})
		}
	}
	switch {
	case first != nil:
		ctx = trace.ContextWithSpan(ctx, first)
		return t.begin(ctx, name, trace.WithLinks(links...))
	case inTrace(ctx):
		ctx = trace.ContextWithSpan(ctx, nil)
	}
	return ctx, func(error) {}
}

// LogErrors has what OpenTelemetry would write to standard error by itself, spans that could not be sent, logged.
func LogErrors(log *zap.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces could not be sent", logging.Error(err)) }))
}
