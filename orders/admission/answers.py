"""How a ticket's standing is told: one body and one set of headers, whichever view answers."""

from typing import Any

from orders.admission.entering import retry_after
from orders.admission.gate import Standing


def ticket_path(code: str, ticket_id: str) -> str:
    """Where the ticket is asked about. Known to the buyer only: with `held` it names the order."""
    return f"/api/v1/tickets/{code}/{ticket_id}/"


def ticket_body(ticket_id: str, standing: Standing) -> dict[str, Any]:
    return {
        "ticket": ticket_id,
        "status": standing.status,
        "ahead": standing.ahead,
        "expected_wait": standing.expected_wait,
        "order": {"token": standing.order_token} if standing.order_token else None,
        "reason": standing.reason,
    }


def ticket_headers(standing: Standing) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if seconds := retry_after(standing):
        headers["Retry-After"] = str(seconds)
    return headers
