"""RSA keys for the demo shop's channel and the sandbox's side of it, as bare base64."""

from base64 import b64decode, b64encode

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)


def new_key() -> str:
    """PKCS #8."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def public_of(private: str) -> str:
    key = load_der_private_key(b64decode(private), password=None).public_key()
    return b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
