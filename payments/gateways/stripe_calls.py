"""Calls by the `stripe` package: over our own HTTP client and its limits, never repeated, and exact about
what came of them.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import httpx
import stripe

from payments.gateways.base import GatewayError, GatewayRefused
from payments.gateways.exchange import ask

_PAGE, _MOST_PAGES = 100, 1000

# Neither measurements of our calls for Stripe, nor the calls themselves in our log.
stripe.enable_telemetry = False
logging.getLogger("stripe").setLevel(logging.WARNING)


class NotThere(GatewayRefused):
    """Stripe knows nothing by that name."""


class StripeCalls:
    """`v1` are the package's methods, to be called through `ask` and `rows`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self.v1 = client.v1

    def ask(self, call: Callable[..., Any], *about: Any) -> dict[str, Any]:
        """The answer's JSON object. Raises GatewayRefused, GatewayError."""
        try:
            said = call(*about).last_response.data
        except stripe.InvalidRequestError as error:
            kind = NotThere if error.code == "resource_missing" else GatewayRefused
            raise kind(_why(error)) from None
        except (stripe.CardError, stripe.PermissionError) as error:
            raise GatewayRefused(_why(error)) from None
        except stripe.StripeError as error:
            # Without its message, which may quote all of an answer.
            raise GatewayError(f"answered {error.http_status}: {type(error).__name__}") from None
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise GatewayError("answered what cannot be read") from None
        if not isinstance(said, dict):
            raise GatewayError("answered what is not an object")
        return said

    def rows(self, listing: Callable[..., Any], params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """All of a list, newest first. Raises GatewayError."""
        after: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            try:
                page = self.ask(listing, {**params, "limit": _PAGE, **after})
            except GatewayRefused as error:
                raise GatewayError(str(error)) from error
            rows = page.get("data")
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise GatewayError("answered with a list that is none")
            yield from rows
            if not rows or not page.get("has_more"):
                return
            after = {"starting_after": str(rows[-1].get("id"))}
        raise GatewayError("answered with a list without end")


@lru_cache(maxsize=64)
def calls_to(base_url: str, api_key: str, http: httpx.Client) -> StripeCalls:
    return StripeCalls(
        stripe.StripeClient(
            api_key,
            base_addresses={"api": base_url.rstrip("/")},
            http_client=_OurHttp(http),
            max_network_retries=0,
        )
    )


class _OurHttp(stripe.HTTPClient):
    """What our client raises is no error of Stripe's, and passes through."""

    name = "httpx"

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self._http = http

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        said = ask(self._http, method.upper(), url, headers=headers, content=post_data)
        return said.content.decode(errors="replace"), said.status, {}


def _why(error: stripe.StripeError) -> str:
    return str(error.user_message or error.code or error.http_status)[:200]
