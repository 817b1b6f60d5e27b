"""Card keys that the shop has encrypted to a public key of yours. It needs cardshop-client[encryption]."""

import json
from collections.abc import Mapping
from typing import Any

from cardshop_client.errors import CannotDecrypt

CONTENT = "A256GCM"
ALGORITHMS = {"RSA": "RSA-OAEP-256", "EC": "ECDH-ES+A256KW", "OKP": "ECDH-ES+A256KW"}  # by kind of key


class PrivateKey:
    """A PEM, or a JWK as mapping: RSA, or on P-256 or X25519. Raises ValueError, and ImportError without
    joserfc.
    """

    def __init__(self, key: str | Mapping[str, Any]) -> None:
        self._key, self._algorithm = _read(key)

    def __repr__(self) -> str:
        return "PrivateKey(…)"

    def opened(self, encrypted_keys: str) -> list[str]:
        """Raises CannotDecrypt."""
        from joserfc import jwe
        from joserfc.errors import JoseError

        try:
            said = jwe.decrypt_compact(encrypted_keys, self._key, algorithms=[self._algorithm, CONTENT])
            return list(json.loads(said.plaintext or b""))
        except (JoseError, ValueError) as error:
            raise CannotDecrypt(type(error).__name__) from None


def _read(key: str | Mapping[str, Any]) -> tuple[Any, str]:
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    kinds: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = _kind_of_pem(key) if isinstance(key, str) else str(key.get("kty"))
    if kind not in kinds:
        raise ValueError("this is no key of RSA, P-256 or X25519")
    read = kinds[kind].import_key(key if isinstance(key, str) else dict(key))
    if not read.is_private:
        raise ValueError("this is no private key")
    return read, ALGORITHMS[kind]


def _kind_of_pem(pem: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    kinds = {RSAPrivateKey: "RSA", EllipticCurvePrivateKey: "EC", X25519PrivateKey: "OKP"}
    loaded = load_pem_private_key(pem.encode(), None)
    return next((name for kind, name in kinds.items() if isinstance(loaded, kind)), "")
