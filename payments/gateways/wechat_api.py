"""Calls to WeChat Pay v3: signed on the way there, and believed only when signed on the way back.

Every answer is signed once our own signature was right, a no too; 401 alone need not be. A bill that is
downloaded is not signed, but its digest was.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from payments.gateways import rsa, wechat_signing
from payments.gateways.base import GatewayError, Unreachable
from payments.gateways.exchange import Answer, ask

MAX_BILL_BYTES, MAX_BILL_SECONDS = 32_000_000, 60.0
BILL_HOSTS = {"api.mch.weixin.qq.com", "api2.mch.weixin.qq.com"}
# Said of what may be well again in a moment, whatever the status. Older services write them without "_".
_TROUBLE = {"SYSTEMERROR", "FREQUENCYLIMITED", "FREQUENCYLIMITEXCEED", "RATELIMITEXCEEDED", "BANKERROR"}


class SaidNo(Exception):
    """WeChat's no, signed. `code` is its own, without underscores, as not all its services write them."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}"[:200])
        self.code = code


@dataclass(frozen=True, kw_only=True)
class WechatApi:
    """`serial_no` is of our certificate, whose key is `private_key`; `provider_key` is WeChat's public key,
    called `provider_key_id`.
    """

    base_url: str
    merchant_id: str
    serial_no: str
    private_key: str = field(repr=False)
    provider_key: str
    provider_key_id: str
    http: httpx.Client = field(repr=False)
    clock: Callable[[], datetime]

    def call(self, method: str, target: str, about: Mapping[str, object] | None = None) -> dict[str, Any]:
        """What WeChat says, signed; empty for 204. Raises SaidNo, GatewayError."""
        body = json.dumps(about, ensure_ascii=False, separators=(",", ":")) if about else ""
        answer = self._send(method, f"{self.base_url.rstrip('/')}{target}", body)
        if answer.status in (401, 429) or answer.status >= 500:
            raise GatewayError(f"answered {answer.status}")
        said = self._signed(answer)
        if answer.status < 300:
            return said
        code = str(said.get("code", "")).replace("_", "")
        if answer.status < 400 or code in _TROUBLE:
            raise GatewayError(f"answered {answer.status} {code}"[:200])
        raise SaidNo(code, str(said.get("message", "")))

    def download(self, url: str) -> bytes:
        """Only from where we call anyway: the address is the provider's to say, and not every host's."""
        parts, ours = urlsplit(url), urlsplit(self.base_url)
        is_theirs = parts.scheme == "https" and parts.netloc in BILL_HOSTS
        if not is_theirs and (parts.scheme, parts.netloc) != (ours.scheme, ours.netloc):
            raise GatewayError("answered with a bill that lies elsewhere")
        answer = self._send("GET", url, "", most_bytes=MAX_BILL_BYTES, most_seconds=MAX_BILL_SECONDS)
        if answer.status != 200:
            raise GatewayError(f"answered {answer.status}")
        return answer.content

    def check_signed(self, headers: Mapping[str, str], body: str, *, at: datetime) -> None:
        """Of an answer or a notice, whose headers are in lower case. Raises wechat_signing.NotTheirs."""
        try:
            key = rsa.public_key(self.provider_key)
        except rsa.BadKey as error:
            raise wechat_signing.NotTheirs(f"WeChat's key is {error}") from error
        wechat_signing.check_signed(headers, body, key=key, key_id=self.provider_key_id, at=at)

    @property
    def key(self) -> RSAPrivateKey:
        """Our own. Raises Unreachable."""
        try:
            return rsa.private_key(self.private_key)
        except rsa.BadKey as error:
            raise Unreachable(f"our own key is {error}") from error

    def _send(self, method: str, url: str, body: str, **limits: Any) -> Answer:
        parts = urlsplit(url)
        headers = {
            "Authorization": wechat_signing.authorization(
                method,
                f"{parts.path}?{parts.query}" if parts.query else parts.path,
                body,
                merchant=self.merchant_id,
                serial=self.serial_no,
                key=self.key,
                at=self.clock(),
            ),
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Wechatpay-Serial": self.provider_key_id,
        }
        return ask(self.http, method, url, headers=headers, content=body.encode(), **limits)

    def _signed(self, answer: Answer) -> dict[str, Any]:
        try:
            text = answer.content.decode()
            headers = {name.lower(): value for name, value in answer.headers.items()}
            self.check_signed(headers, text, at=self.clock())
            said = json.loads(text) if text else {}
        except wechat_signing.NotTheirs as error:
            raise GatewayError(f"answered {answer.status}: {error}") from error
        except (ValueError, RecursionError):
            raise GatewayError("answered what cannot be read") from None
        if not isinstance(said, dict):
            raise GatewayError("answered what cannot be read")
        return said


def text_of(said: Mapping[str, Any], name: str, *, longest: int = 4000) -> str:
    """Raises GatewayError where there is none."""
    value = said.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise GatewayError(f"without a readable {name}")
    return value
