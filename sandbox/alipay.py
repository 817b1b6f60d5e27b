"""Alipay's OpenAPI as its platform sees it: RSA2 over calls, answers and notices. Pure functions."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.ledger import BEIJING, Status, Trade

WINDOW_S = 600


def sign(text: str, key: rsa.RSAPrivateKey) -> str:
    return b64encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def is_signed(params: Mapping[str, str], key: rsa.RSAPublicKey) -> bool:
    """A merchant's call: everything but `sign` counts, `sign_type` too."""
    if params.get("sign_type") != "RSA2":
        return False
    pairs = sorted((name, value) for name, value in params.items() if value and name != "sign")
    text = "&".join(f"{name}={value}" for name, value in pairs)
    try:
        signature = b64decode(params.get("sign", ""), validate=True)
        key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def is_recent(stamp: str, *, now: float) -> bool:
    try:
        moment = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except ValueError:
        return False
    return abs(moment.timestamp() - now) <= WINDOW_S


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def seller_of(app_id: str) -> str:
    """The account that an app's money goes to."""
    return f"2088{app_id:0>12}"


def exists(trade: Trade) -> bool:
    """A code that nobody has scanned is no trade yet."""
    return bool(trade.is_scanned) or trade.status is not Status.UNPAID


def status_of(trade: Trade) -> str:
    """Refunded as a whole it is closed, in part it is a success as before."""
    if trade.status is Status.UNPAID:
        return "WAIT_BUYER_PAY"
    is_over = trade.status is Status.CLOSED or trade.refunded_fen == trade.money_fen
    return "TRADE_CLOSED" if is_over else "TRADE_SUCCESS"


def answer(method: str, said: Mapping[str, object], key: rsa.RSAPrivateKey) -> bytes:
    """The answer as it goes over the wire: the node as text, and the signature of just that text.

    With a space here and a slash escaped there, as the original's are: whoever writes the node anew before
    looking at the signature has another text.
    """
    node = json.dumps(said, ensure_ascii=False, separators=(", ", ":")).replace("/", "\\/")
    name = f"{method.replace('.', '_')}_response"
    return f'{{"{name}":{node},"sign":"{sign(node, key)}"}}'.encode()


def signed_notice(said: Mapping[str, str], key: rsa.RSAPrivateKey) -> dict[str, str]:
    """Neither `sign` nor `sign_type` counts."""
    text = "&".join(f"{name}={value}" for name, value in sorted(said.items()) if value)
    return {**said, "sign": sign(text, key), "sign_type": "RSA2"}
