"""WeChat Pay v3 as its platform sees it: RSA over calls, answers and notices, AES inside of notices."""

import json
import re
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox import epay_v2

WINDOW_S = 300
SCHEME = "WECHATPAY2-SHA256-RSA2048"
NAMES = (
    "mchid",
    "appid",
    "serial",
    "merchant_key",
    "api_v3_key",
    "platform_key",
    "platform_key_id",
    "app_secret",
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """The merchant of WeChat Pay, and what we sign and seal with for him. `codes` are of logins: code to
    openid, each good once.
    """

    mchid: str
    appid: str
    serial: str
    merchant_key: rsa.RSAPublicKey
    api_v3_key: bytes = field(repr=False)
    platform_key: rsa.RSAPrivateKey = field(repr=False)
    platform_key_id: str
    app_secret: str = field(repr=False)
    codes: dict[str, str] = field(default_factory=dict, repr=False)


def read_account(text: str) -> Account:
    """From a JSON object with NAMES. Raises ValueError, without the values: some are secret."""
    try:
        said = {name: str(json.loads(text)[name]) for name in NAMES}
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"not a JSON object with {', '.join(NAMES)}") from None
    if len(said["api_v3_key"].encode()) != 32:
        raise ValueError("api_v3_key has not 32 bytes")
    return Account(
        mchid=said["mchid"],
        appid=said["appid"],
        serial=said["serial"],
        merchant_key=epay_v2.read_public_key(said["merchant_key"]),
        api_v3_key=said["api_v3_key"].encode(),
        platform_key=epay_v2.read_private_key(said["platform_key"]),
        platform_key_id=said["platform_key_id"],
        app_secret=said["app_secret"],
    )


def wrong_with(
    authorization: str, *, method: str, target: str, body: bytes, account: Account, now: float
) -> str:
    """What is wrong with a call's header; nothing if it is the merchant's."""
    scheme, _, rest = authorization.partition(" ")
    said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if scheme != SCHEME or (said.get("mchid"), said.get("serial_no")) != (account.mchid, account.serial):
        return "Http头缺少Authorization，或商户号、证书序列号有误"
    stamp = said.get("timestamp", "")
    if not (stamp.isascii() and stamp.isdigit()) or abs(int(stamp) - now) > WINDOW_S:
        return "Http头Authorization值的时间戳已过期"
    text = b"\n".join(
        [method.encode(), target.encode(), stamp.encode(), said["nonce_str"].encode(), body, b""]
    )
    try:
        signature = b64decode(said["signature"], validate=True)
        account.merchant_key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError, KeyError):
        return "错误的签名，验签失败"
    return ""


def signed_headers(body: bytes, account: Account, *, now: float, corrupt: bool = False) -> dict[str, str]:
    """Of an answer or a notice. `corrupt`, and they are another body's."""
    stamp, nonce = str(int(now)), secrets.token_hex(16)
    text = b"\n".join([stamp.encode(), nonce.encode(), body + b" " if corrupt else body, b""])
    signature = account.platform_key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return {
        "Wechatpay-Timestamp": stamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": account.platform_key_id,
        "Wechatpay-Signature": b64encode(signature).decode(),
        "Wechatpay-Signature-Type": SCHEME,
    }


def notice(kind: str, said: object, account: Account, *, number: str, created: str) -> bytes:
    """The body of a notice: what it says is sealed."""
    nonce, about = secrets.token_hex(6), "transaction"
    plain = json.dumps(said, ensure_ascii=False).encode()
    sealed = AESGCM(account.api_v3_key).encrypt(nonce.encode(), plain, about.encode())
    content = {
        "id": number,
        "create_time": created,
        "resource_type": "encrypt-resource",
        "event_type": kind,
        "summary": "支付成功",
        "resource": {
            "original_type": "transaction",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": b64encode(sealed).decode(),
            "associated_data": about,
            "nonce": nonce,
        },
    }
    return json.dumps(content, ensure_ascii=False).encode()
