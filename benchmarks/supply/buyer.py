"""Somebody who buys by the shop's API and pays at the sandbox."""

import time
from http import HTTPStatus
from typing import Any

import httpx

CONTACT = "lin@example.org"
# One channel of the demo takes it, so it is known which provider's page opens; and it can give money back.
METHOD = "bank"


class Buyer:
    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False, follow_redirects=True)

    def buy(self, code: str) -> str:
        """Pay for one of it; returns the token that the order's page goes by."""
        minted = self._call("POST", "/api/v1/passes/", {"variant": code})
        wanted = {"variant": code, "quantity": 1, "contact_email": CONTACT, **minted}
        token: str = self._call("POST", "/api/v1/orders/", wanted)["token"]
        attempt = self._call("POST", f"/api/v1/orders/{token}/payments/", {"method": METHOD})
        page = self._http.get(attempt["pay_url"])
        self._http.post(page.url, data={"action": "pay"}).raise_for_status()
        return token

    def status(self, token: str) -> str:
        return str(self._call("GET", f"/api/v1/orders/{token}/")["status"])

    def page(self, token: str) -> str:
        """Of the order, as the browser gets it."""
        return self._http.get(f"/o/{token}/").raise_for_status().text

    def _call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._http.request(method, path, json=body)
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            time.sleep(int(answer.headers["Retry-After"]))
            return self._call(method, path, body)
        return answer.raise_for_status().json()
