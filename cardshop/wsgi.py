"""The WSGI entry point served by gunicorn."""

import os
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cardshop.settings.development")


def utf8_only(inner: "WSGIApplication") -> "WSGIApplication":
    """Forget any charset that a request claims: everything here is UTF-8.

    Django takes the name for a codec before any middleware runs, and not all of Python's codecs
    ("hex", "zlib", "punycode") are for text: they end in a bare 500.
    """

    def outer(environ: "WSGIEnvironment", start_response: "StartResponse"):  # type: ignore[no-untyped-def]
        kind, *parameters = environ.get("CONTENT_TYPE", "").split(";")
        kept = [part for part in parameters if part.strip()[:7].lower() != "charset"]
        environ["CONTENT_TYPE"] = ";".join([kind, *kept])
        return inner(environ, start_response)

    return outer


django_application = get_wsgi_application()

# These need the apps to be ready.
from cardshop.common.tracing import start_tracing  # noqa: E402
from cardshop.priorities import patience_of  # noqa: E402
from cardshop.traffic.shedding import shedding  # noqa: E402
from cardshop.traffic.short_way import short_ways  # noqa: E402
from cardshop.traffic.tracing import traced  # noqa: E402
from orders.admission.hot import TICKETS, ticket  # noqa: E402
from payments.checkout.hot import ORDERS, order  # noqa: E402

WAYS = {TICKETS: ticket, ORDERS: order}
start_tracing("web")
application = traced(shedding(short_ways(utf8_only(django_application), WAYS), patience_of))
