"""Traces: which request, batch of work and call to a provider belong together (OpenTelemetry).

Off unless OTEL_EXPORTER_OTLP_ENDPOINT names a collector; the other OTEL_… variables mean what OpenTelemetry
says they do. https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/

The spans are few and our own. OpenTelemetry's instrumentations record addresses and messages of errors: an
order's address opens it, a provider's may hold a key.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

LONGEST_CAUSE = 55  # characters of a W3C traceparent
_MOST_LINKS = 100

_tracer = trace.get_tracer("cardshop")
_w3c = TraceContextTextMapPropagator()
_wanted_id: ContextVar[int] = ContextVar("wanted_trace_id", default=0)


def is_wanted() -> bool:
    """Whether the environment names a collector."""
    return bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))


def start_tracing(process: str) -> None:
    """Send this process's spans from now on, if they are wanted. Once, after any fork: it starts a thread."""
    if not is_wanted():
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class RequestIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _wanted_id.get() or super().generate_trace_id()

    name = os.environ.get("OTEL_SERVICE_NAME", "cardshop")
    resource = Resource.create({"service.name": name, "cardshop.process": process})
    provider = TracerProvider(resource=resource, id_generator=RequestIds())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


@contextmanager
def span(name: str, *, kind: SpanKind = SpanKind.INTERNAL, **attributes: AttributeValue) -> Iterator[None]:
    """What happens inside, below the span that is open here."""
    with _opened(name, kind=kind, attributes={f"cardshop.{key}": said for key, said in attributes.items()}):
        yield


@contextmanager
def request_span(name: str, *, trace_id: int = 0) -> Iterator[Span]:
    """A span that nothing comes before; its trace is called `trace_id`, unless that is 0."""
    token = _wanted_id.set(trace_id)
    try:
        with _opened(name, kind=SpanKind.SERVER) as opened:
            yield opened
    finally:
        _wanted_id.reset(token)


@contextmanager
def work_span(name: str, causes: Sequence[str]) -> Iterator[None]:
    """Work that was promised elsewhere. What has one cause alone goes on in its trace; a batch is a trace of
    its own, with links to those that caused it.
    """
    contexts = [_w3c.extract({"traceparent": cause}) for cause in dict.fromkeys(causes) if cause]
    alone = len(causes) == len(contexts) == 1
    links = [Link(trace.get_current_span(context).get_span_context()) for context in contexts[:_MOST_LINKS]]
    with _opened(
        name,
        kind=SpanKind.CONSUMER,
        context=contexts[0] if alone else None,
        links=() if alone else links,
        attributes={"cardshop.batch": len(causes)},
    ):
        yield


def here() -> str:
    """The open span as others may name it as their cause (W3C traceparent); "" if there is none."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier)
    return carrier.get("traceparent", "")


def name_span(name: str) -> None:
    """Call the open span by its route, once that is known."""
    trace.get_current_span().update_name(name)


@contextmanager
def _opened(name: str, **options: Any) -> Iterator[Span]:
    """Of an error only the class is recorded: its message may quote what is secret."""
    with _tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False, **options
    ) as opened:
        try:
            yield opened
        except Exception as error:
            opened.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
