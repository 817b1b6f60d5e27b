"""Calls to PayPal's REST API: a token for each account, JSON both ways, exact about what came of them."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx

from payments.gateways.base import GatewayError, GatewayRefused
from payments.gateways.exchange import Answer, ask

_NO = {400, 403, 404, 422}
# Said with a no, and no answer all the same: another call under this number is not over, or was another call.
_NOT_A_NO = {"PREVIOUS_REQUEST_IN_PROGRESS", "PAYPAL_REQUEST_ID_PREVIOUSLY_USED", "DUPLICATE_REQUEST_ID"}
_TOKEN = re.compile(r"[!-~]{1,4000}", re.ASCII)
_MOST_TOKENS = 100
_EARLY = timedelta(seconds=60)  # before its end a token is not used any more
_tokens: dict[tuple[str, ...], tuple[str, datetime]] = {}


class NotThere(GatewayRefused):
    """PayPal knows nothing by that name."""


@dataclass(frozen=True, kw_only=True)
class PayPalCalls:
    base_url: str
    client_id: str
    secret: str = field(repr=False)
    http: httpx.Client = field(repr=False)
    clock: Callable[[], datetime]

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> dict[str, Any]:
        """The answer's JSON object. `request_id` makes repetitions one call, for hours at least.

        Raises GatewayRefused, GatewayError.
        """
        headers = {"PayPal-Request-Id": request_id} if request_id else {}
        request: dict[str, Any] = {"headers": headers, "json": body, "params": params}
        answer = self._ask(method, path, **request)
        if answer.status == 401:  # an account may have its tokens taken away before their time
            _tokens.pop(self._account, None)
            answer = self._ask(method, path, **request)
        status, said = answer.status, _object(answer.content)
        if status in (200, 201) and said is not None:
            return said
        issue = _issue(said or {})
        if status not in _NO or issue in _NOT_A_NO:
            raise GatewayError(f"answered {status}, {issue or 'which cannot be read'}")
        raise (NotThere if status == 404 else GatewayRefused)(issue or f"answered {status}")

    def _ask(self, method: str, path: str, *, headers: Mapping[str, str], **request: Any) -> Answer:
        headers = {**headers, "Authorization": f"Bearer {self._token()}", "Prefer": "return=representation"}
        return ask(self.http, method, self._url(path), headers=headers, **request)

    def _token(self) -> str:
        """The account's, until shortly before its end. Raises GatewayError."""
        token, until = _tokens.get(self._account, ("", self.clock()))
        if token and self.clock() < until:
            return token
        answer = ask(
            self.http,
            "POST",
            self._url("v1/oauth2/token"),
            data={"grant_type": "client_credentials"},
            auth=(self.client_id, self.secret),
        )
        said = _object(answer.content) or {}
        token, lasts = str(said.get("access_token")), said.get("expires_in")
        if answer.status != 200 or not _TOKEN.fullmatch(token) or type(lasts) is not int:
            raise GatewayError(f"answered {answer.status} to our credentials")
        if len(_tokens) >= _MOST_TOKENS:
            _tokens.clear()
        _tokens[self._account] = (
            token,
            self.clock() + timedelta(seconds=min(max(lasts, 0), 86_400)) - _EARLY,
        )
        return token

    @property
    def _account(self) -> tuple[str, ...]:
        return (self.base_url, self.client_id, sha256(self.secret.encode()).hexdigest())

    def _url(self, path: str) -> str:
        return f"{self.base_url.rstrip('/')}/{path}"


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        # Numbers stay text: a float could already have lost a cent.
        said = json.loads(content, parse_float=str)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _issue(said: Mapping[str, Any]) -> str:
    """The exact one of its reasons: "ORDER_NOT_APPROVED" and its like."""
    details = said.get("details")
    first = details[0] if isinstance(details, list) and details else None
    issue = first.get("issue") if isinstance(first, dict) else None
    return str(issue or said.get("name") or "")[:200]
