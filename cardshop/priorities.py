"""What comes first when not all can be served: paying and collecting keys, then buying and looking for what
one has bought, then the rest.
"""

from django.conf import settings

# Who is told no here has paid, is paying, or holds a place; or is a provider that says so. So are those whose
# answer costs hardly more than a refusal (a ticket of the line, a static file), and who watches over us.
ALWAYS = (
    *("/o/", "/pay/", "/line/", "/api/v1/orders/", "/api/v1/tickets/", "/static/"),
    *("/healthz", "/readyz", "/metrics"),
)
NEW_ORDERS = "/api/v1/orders/"
BUYING = ("/buy/", "/orders/", "/api/v1/passes/", "/api/reseller/", "/reseller/", NEW_ORDERS)
STAFF = ("/admin/", "/api/merchant/")


def patience_of(method: str, path: str) -> float | None:
    """Seconds that a request may have waited before it is refused under pressure; None: never refused."""
    path = path.removeprefix("/en")
    if path.startswith(ALWAYS) and path != NEW_ORDERS:
        return None
    if path.startswith((*BUYING, *STAFF)):
        return settings.SHED_BUYING_AFTER
    return settings.SHED_BROWSING_AFTER
