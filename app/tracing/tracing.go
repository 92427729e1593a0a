// Package tracing records OpenTelemetry traces of requests and tasks and exports them to a collector. If it is off, nothing is
// wrapped and it costs nothing.
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

// service is the service name of the traces, scope the name of the tracer.
const (
	service = "inner-gateway"
	scope   = "app238.com/inner"
)

// stopTimeout bounds the export of the last spans.
const stopTimeout = 5 * time.Second

// Tracing starts spans. A nil *Tracing is off.
type Tracing struct {
	provider trace.TracerProvider
	stop     func(context.Context) error
}

// New returns the Tracing of tracing.endpoint, nil if that is empty. It does not connect.
func New(c *config.Config) (*Tracing, error) {
	if !c.Tracing.Enabled() {
		return nil, nil //nolint:nilnil // a nil *Tracing is off
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

// Stop exports the remaining spans. An unreachable collector does not delay the shutdown beyond stopTimeout.
func (t *Tracing) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	_ = t.stop(ctx)
	return nil
}

// Parent returns the trace of ctx as a W3C traceparent, to be stored and continued later; "" if it is not sampled.
func (t *Tracing) Parent(ctx context.Context) string {
	if t == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// Continue starts the span of a task's attempt in the trace of parent, a result of Parent; without a parent it starts none. The
// returned function ends the span with the result of the attempt.
func (t *Tracing) Continue(ctx context.Context, parent, taskType string, task int64, attempt int) (context.Context, func(error)) {
	if t == nil || parent == "" {
		return ctx, func(error) {}
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
	return t.begin(ctx, "task "+taskType, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.Int64("task", task), attribute.Int("attempt", attempt)))
}

// Request is the span of a request that is handled in a batch. The zero Request is not traced.
type Request struct{ span trace.Span }

// RequestOf returns the request of ctx.
func (t *Tracing) RequestOf(ctx context.Context) Request {
	if t == nil {
		return Request{}
	}
	if span := trace.SpanFromContext(ctx); span.SpanContext().IsSampled() {
		return Request{span}
	}
	return Request{}
}

// Shared starts a span for the work on a batch of requests: in the trace of the first traced one, linked with the others. If
// none of them is traced, the work is not traced either.
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

// LogErrors logs errors of OpenTelemetry, such as failed exports, instead of writing them to standard error.
func LogErrors(log *zap.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("trace export failed", logging.Error(err)) }))
}
