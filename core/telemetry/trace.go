package telemetry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TracingWanted reports whether the environment asks for traces. The OpenTelemetry SDK would export to localhost unasked; Keyward traces
// nothing unless one of these variables is set.
func TracingWanted(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return getenv("OTEL_TRACES_EXPORTER") != "" || getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" ||
		getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// StartTracing makes a tracer provider as the standard OTEL_* variables say, and sets it with the W3C propagators as the process's own,
// which libraries use. Spans are of the service "keyward", or "keyward-" and the role of a process that has one, and of an instance whose
// ID no other has. Without such variables nothing is set and the provider is nil. The returned function sends what is still held back and
// ends tracing; call it once, after the last span has ended.
func StartTracing(
	ctx context.Context, getenv func(string) string, role string, build Build,
) (trace.TracerProvider, func(context.Context) error, error) {
	if !TracingWanted(getenv) {
		return nil, func(context.Context) error { return nil }, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("start tracing: %w", err)
	}
	name := "keyward"
	if role != "" {
		name += "-" + role
	}
	// What the operator says in OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES comes last and wins.
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", name), attribute.String("service.instance.id", rand.Text()),
			attribute.String("service.version", build.Version)),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("start tracing: %w", errors.Join(err, exporter.Shutdown(ctx)))
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	return provider, provider.Shutdown, nil
}
