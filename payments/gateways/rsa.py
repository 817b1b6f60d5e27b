"""SHA256 with RSA (PKCS #1 v1.5), with keys as providers hand them out: base64 without a PEM header."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

LEAST_BITS = 2048


class BadKey(ValueError):
    """What was entered is no RSA key of the kind that is wanted. Says nothing of what it is."""


@lru_cache(maxsize=64)
def private_key(text: str) -> RSAPrivateKey:
    """PKCS #1 or PKCS #8, with or without its PEM frame. Raises BadKey."""
    try:
        key = load_der_private_key(_der(text), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("not a private key") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < LEAST_BITS:
        raise BadKey(f"not an RSA key of at least {LEAST_BITS} bits")
    return key


@lru_cache(maxsize=64)
def public_key(text: str) -> RSAPublicKey:
    """With or without its PEM frame. Raises BadKey."""
    try:
        key = load_der_public_key(_der(text))
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("not a public key") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_BITS:
        raise BadKey(f"not an RSA key of at least {LEAST_BITS} bits")
    return key


def new_key() -> str:
    """A private key as PKCS #8, for the demo shop and for tests."""
    key = generate_private_key(public_exponent=65537, key_size=LEAST_BITS)
    return b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def public_of(private: str) -> str:
    """What the other side is given of a private key. Raises BadKey."""
    key = private_key(private).public_key()
    return b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def sign(text: str, key: RSAPrivateKey) -> str:
    """The signature in base64."""
    return b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()


def verify(text: str, signature: str, key: RSAPublicKey) -> bool:
    try:
        key.verify(b64decode(signature, validate=True), text.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _der(text: str) -> bytes:
    # The frame by itself, not its lines: a browser's field for passwords has made one line of them.
    bare = re.sub(r"-----[^-]*-----", "", text)
    try:
        return b64decode("".join(bare.split()), validate=True)
    except (Base64Error, ValueError):
        raise BadKey("not base64") from None
