"""Each request a span, whose trace is called as the request is."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cardshop.common.tracing import is_wanted, request_span

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def traced(inner: "WSGIApplication") -> "WSGIApplication":
    """`inner` itself, unless traces are wanted.

    The gateway gives every request an id of 32 hexadecimal digits, which becomes the trace's, so that logs
    and traces name each other. `traceparent` is not read: here everybody may send one.
    """
    if not is_wanted():
        return inner

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        trace_id = int(given, 16) if _TRACE_ID.fullmatch(given) else 0
        with request_span(environ["REQUEST_METHOD"], trace_id=trace_id) as opened:
            if not trace_id:
                environ["HTTP_X_REQUEST_ID"] = f"{opened.get_span_context().trace_id:032x}"

            def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
                opened.set_attribute("http.response.status_code", int(status[:3]))
                return start_response(status, headers, *more)

            return inner(environ, started)

    return application
