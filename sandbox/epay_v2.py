"""EPay v2 as its provider sees it: RSA over the text that v1 signs, and a time stamp. Pure functions."""

from base64 import b64decode, b64encode
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox import epay

WINDOW_S = 300


def read_private_key(text: str) -> rsa.RSAPrivateKey:
    """From PKCS #8 in bare base64. Raises ValueError."""
    key = serialization.load_der_private_key(b64decode(text), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("no RSA key")
    return key


def read_public_key(text: str) -> rsa.RSAPublicKey:
    """From bare base64. Raises ValueError."""
    key = serialization.load_der_public_key(b64decode(text))
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("no RSA key")
    return key


def signed(params: Mapping[str, object], key: rsa.RSAPrivateKey, *, now: float) -> dict[str, object]:
    """With time stamp and signature. Arrays are not signed: PHP's implode() would choke on them."""
    stamped = {**params, "timestamp": str(int(now))}
    signature = key.sign(_text(stamped).encode(), padding.PKCS1v15(), hashes.SHA256())
    return {**stamped, "sign": b64encode(signature).decode(), "sign_type": "RSA"}


def verify(params: Mapping[str, str], key: rsa.RSAPublicKey, *, now: float) -> str:
    """What is wrong with a call, in the original's words; nothing if it is a merchant's own."""
    if params.get("sign_type") != "RSA":
        return "签名类型不支持"
    stamp = params.get("timestamp", "")
    if not (stamp.isdigit() and abs(now - int(stamp)) <= WINDOW_S):
        return "timestamp字段错误"
    try:
        signature = b64decode(params.get("sign", ""), validate=True)
        key.verify(signature, _text(params).encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return "RSA签名校验失败"
    return ""


def _text(params: Mapping[str, object]) -> str:
    pairs = sorted(
        (name, str(value))
        for name, value in params.items()
        if name not in epay.UNSIGNED and value is not None and not isinstance(value, list | dict)
    )
    return "&".join(f"{name}={value}" for name, value in pairs if value.strip(epay.PHP_BLANKS))
