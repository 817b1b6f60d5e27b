"""What a buyer's page would send."""

import re
import secrets

import httpx

TICKETS = "/api/v1/tickets/"


def click_of(buyer: httpx.Client, code: str, *, quantity: int = 1, **fields: object) -> dict[str, object]:
    """What the page of this variant would send by its script."""
    return {
        "variant": code,
        "quantity": quantity,
        "contact_email": f"{secrets.token_hex(8)}@example.org",
        **buyer.post("/api/v1/passes/", json={"variant": code}).json(),
        **fields,
    }


def form_of(buyer: httpx.Client, path: str) -> dict[str, str]:
    """What the page at this address would send without a script."""
    page = buyer.get(path).text
    hidden = dict(re.findall(r'name="(pass|idempotency_key)" value="([^"]+)"', page))
    return {"quantity": "1", "contact_email": f"{secrets.token_hex(8)}@example.org", **hidden}
