"""What a running store is watched by: figures for Prometheus, traces for OpenTelemetry, or nobody."""

from __future__ import annotations

import importlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import Misconfigured
from strongroom.cli.settings import split_address
from strongroom.store.observers import Observers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.export import SpanExporter

    from strongroom.cli.config import MetricsSettings, TelemetrySettings
    from strongroom.store.metrics import Metrics
    from strongroom.store.observers import Observer

__all__ = ["traces", "watched"]

_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


@contextmanager
def watched(
    metrics_settings: MetricsSettings, telemetry: TelemetrySettings
) -> Iterator[tuple[Observer, Metrics | None, str]]:
    """Give a service's observer, the figures in it and their address; what was begun ends with the block."""
    from strongroom.store.metrics import Metrics

    observers: list[Observer] = []
    figures, address = None, ""
    with ExitStack() as stack:
        if metrics_settings.listen:
            from strongroom.cli.figures import metrics_listener

            figures = Metrics()
            host, port = split_address(metrics_settings.listen, "metrics.listen")
            address = stack.enter_context(metrics_listener(host, port, figures.text))
            observers.append(figures)
        if telemetry.traces:
            observers.append(stack.enter_context(traces(_exporter(telemetry.endpoint))))
        yield Observers(*observers), figures, address


@contextmanager
def traces(exporter: SpanExporter) -> Iterator[Observer]:
    """Give an observer whose spans go to ``exporter``; what is left is sent when the block is left."""
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from strongroom.store.tracing import Spans
    except ImportError as cause:
        raise _missing("opentelemetry-sdk") from cause
    # the resource is ours alone: the SDK's own would name the host and the process
    provider = TracerProvider(resource=Resource({"service.name": "strongroom"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield Spans(provider.get_tracer("strongroom"))
    finally:
        provider.shutdown()


def _exporter(endpoint: str) -> SpanExporter:
    if not endpoint:
        raise Misconfigured("traces are made, but sent nowhere", setting="telemetry.endpoint")
    try:
        module: Any = importlib.import_module(_EXPORTER)
    except ImportError as cause:
        raise _missing("opentelemetry-exporter-otlp-proto-http") from cause
    exporter: SpanExporter = module.OTLPSpanExporter(endpoint=endpoint)
    return exporter


def _missing(package: str) -> Misconfigured:
    return Misconfigured(f"traces need {package}, which is not installed", setting="telemetry.traces")
