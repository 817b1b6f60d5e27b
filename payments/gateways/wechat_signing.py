"""WeChat Pay v3: what is signed, and what is sealed. Pure functions.

Source: the platform's "签名生成", "签名验证" and "证书和回调报文解密"; vectors of wechatpay-go@6dbd7ce.
"""

import secrets
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from payments.gateways import rsa

SCHEME = "WECHATPAY2-SHA256-RSA2048"
ALGORITHM = "AEAD_AES_256_GCM"
NONCE_BYTES = 12
WINDOW_SECONDS = 300
# Sent now and then to see whether a merchant looks at signatures at all.
PROBE = "WECHATPAY/SIGNTEST/"


class NotTheirs(Exception):
    """WeChat has not signed, or not sealed, this for us. Says why, without secrets."""


def lines(*parts: str) -> str:
    """The text that is signed: every part ends its line, the last and the empty ones too."""
    return "".join(f"{part}\n" for part in parts)


def authorization(
    method: str, target: str, body: str, *, merchant: str, serial: str, key: RSAPrivateKey, at: datetime
) -> str:
    """The header of a call. `target` is the path with its query, as it is sent."""
    stamp, nonce = str(int(at.timestamp())), secrets.token_hex(16)
    said = {
        "mchid": merchant,
        "nonce_str": nonce,
        "signature": rsa.sign(lines(method, target, stamp, nonce, body), key),
        "timestamp": stamp,
        "serial_no": serial,
    }
    return f"{SCHEME} " + ",".join(f'{name}="{value}"' for name, value in said.items())


def check_signed(
    headers: Mapping[str, str], body: str, *, key: RSAPublicKey, key_id: str, at: datetime
) -> None:
    """Of an answer or a notice, whose headers are in lower case. Raises NotTheirs."""
    stamp = headers.get("wechatpay-timestamp", "")
    signature = headers.get("wechatpay-signature", "")
    if signature.startswith(PROBE):
        raise NotTheirs("a probe, whose signature is meant to be wrong")
    if headers.get("wechatpay-signature-type", SCHEME) != SCHEME:
        raise NotTheirs("signed in another way")
    if headers.get("wechatpay-serial") != key_id:
        raise NotTheirs("signed with another key")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        raise NotTheirs("without a time stamp")
    if abs(at.timestamp() - int(stamp)) >= WINDOW_SECONDS:
        raise NotTheirs("signed too long ago, or ahead of time")
    if not rsa.verify(lines(stamp, headers.get("wechatpay-nonce", ""), body), signature, key):
        raise NotTheirs("bad signature")


def opened(sealed: Mapping[str, Any], api_v3_key: str) -> str:
    """What is in a notice's `resource`. Raises NotTheirs."""
    try:
        if sealed["algorithm"] != ALGORITHM:
            raise NotTheirs("sealed in another way")
        nonce, about = sealed["nonce"].encode(), (sealed.get("associated_data") or "").encode()
        if len(nonce) != NONCE_BYTES:
            raise NotTheirs("not sealed as agreed")
        ciphertext = b64decode(sealed["ciphertext"], validate=True)
        return AESGCM(api_v3_key.encode()).decrypt(nonce, ciphertext, about).decode()
    except (InvalidTag, KeyError, TypeError, AttributeError, ValueError):
        raise NotTheirs("cannot be opened with our key") from None


def app_call(prepay_id: str, *, app_id: str, key: RSAPrivateKey, at: datetime) -> dict[str, str]:
    """What a page hands to the WeChat around it (getBrandWCPayRequest)."""
    stamp, nonce, package = str(int(at.timestamp())), secrets.token_hex(16), f"prepay_id={prepay_id}"
    return {
        "appId": app_id,
        "timeStamp": stamp,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": rsa.sign(lines(app_id, stamp, nonce, package), key),
    }
