"""Card keys that only the reseller's own private key opens: a JWE, by RFC 7516, for each line of an order."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from joserfc import jwe
from joserfc.jwk import ECKey, OKPKey, RSAKey

from cardshop.common.errors import Invalid

CONTENT = "A256GCM"
ALGORITHM = {"RSA": "RSA-OAEP-256", "EC": "ECDH-ES+A256KW", "OKP": "ECDH-ES+A256KW"}  # by kind of key
LONGEST = 10_000  # characters of a key as it is entered
KID_LENGTH = 64
_LEAST_BITS, _MOST_BITS = 2048, 8192  # of an RSA key: more only costs time
_MOST_BITS_OF_EXPONENT = 32
_CURVES = {"EC": "P-256", "OKP": "X25519"}
_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_NOT_THIS = _("Send an RSA key of 2048 to 8192 bits, or one on P-256 or X25519, as PEM or JWK.")
_IS_PRIVATE = _(
    "This is a private key. Keep it to yourself, use it no more, and send the public part of another."
)

Jwk = dict[str, str]
Key = RSAKey | ECKey | OKPKey
_CLASSES: dict[str, type[Key]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_KINDS: dict[type, type[Key]] = {
    RSAPublicKey: RSAKey,
    EllipticCurvePublicKey: ECKey,
    X25519PublicKey: OKPKey,
}


def read_public_key(said: str | Mapping[str, Any]) -> Jwk:
    """A PEM, or a JWK as JSON or parsed, as the JWK that is kept: public, with a `kid`, without all else.

    A JWK keeps its `kid`; otherwise it is the thumbprint of RFC 7638. Raises Invalid.
    """
    key = _of_pem(said) if isinstance(said, str) and "-----BEGIN" in said else _of_jwk(_parsed(said))
    if not _is_one_of_ours(key):
        raise Invalid(_NOT_THIS)
    members = key.as_dict(private=False)
    jwk = {name: str(members[name]) for name in _MEMBERS[key.key_type]}
    jwk["kid"] = key.thumbprint() if key.kid is None else key.kid
    try:
        encrypted([], jwk)
    except Exception as odd:  # a point that no secret can be shared with: better heard of now
        raise Invalid(_NOT_THIS) from odd
    return jwk


@sensitive_variables("keys")
def encrypted(keys: Sequence[str], jwk: Jwk) -> str:
    """The JSON list of `keys`, as a compact JWE that whoever has the private key of `jwk` reads."""
    kind = jwk["kty"]
    header = {"alg": ALGORITHM[kind], "enc": CONTENT, "kid": jwk["kid"], "cty": "json"}
    public = _CLASSES[kind].import_key({name: jwk[name] for name in _MEMBERS[kind]})
    plain = json.dumps(list(keys), ensure_ascii=False).encode()
    return jwe.encrypt_compact(header, plain, public, algorithms=[ALGORITHM[kind], CONTENT])


def _is_one_of_ours(key: Key) -> bool:
    if isinstance(key, RSAKey):
        numbers = key.public_key.public_numbers()
        is_fit = _LEAST_BITS <= numbers.n.bit_length() <= _MOST_BITS
        return is_fit and numbers.e.bit_length() <= _MOST_BITS_OF_EXPONENT
    return key.as_dict(private=False)["crv"] == _CURVES[key.key_type]


def _parsed(said: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            raise Invalid(_NOT_THIS) from None
    if not isinstance(said, Mapping):
        raise Invalid(_NOT_THIS)
    return said


def _of_pem(said: str) -> Key:
    if "PRIVATE KEY" in said:
        raise Invalid(_IS_PRIVATE)
    try:
        loaded = load_pem_public_key(said.encode())
        kind = next(mine for theirs, mine in _KINDS.items() if isinstance(loaded, theirs))
        return kind.import_key(said)
    except Exception as odd:  # whatever the parsers have against it
        raise Invalid(_NOT_THIS) from odd


def _of_jwk(said: Mapping[str, Any]) -> Key:
    if len(json.dumps(said)) > LONGEST:
        raise Invalid(_NOT_THIS)
    if not _PRIVATE.isdisjoint(said):
        raise Invalid(_IS_PRIVATE)
    kind = said.get("kty")
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise Invalid(_NOT_THIS)
    if said.get("use", "enc") != "enc" or said.get("alg", ALGORITHM[kind]) != ALGORITHM[kind]:
        raise Invalid(_NOT_THIS)
    kid = said.get("kid")
    if kid is not None and not _is_kid(kid):
        raise Invalid(_("A kid has 1 to %d visible characters.") % KID_LENGTH)
    try:
        members = {name: said[name] for name in _MEMBERS[kind]}
        key = _CLASSES[kind].import_key({**members, **({} if kid is None else {"kid": kid})})
        key.public_key  # noqa: B018  made of the members only now, if they are a key at all
    except Exception as odd:  # whatever the parsers have against it
        raise Invalid(_NOT_THIS) from odd
    return key


def _is_kid(said: object) -> bool:
    return isinstance(said, str) and 0 < len(said) <= KID_LENGTH and all("!" <= each <= "~" for each in said)
