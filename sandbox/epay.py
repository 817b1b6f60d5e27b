"""EPay v1 as its provider sees it: signatures, money, names and forms, as pure functions.

The original is written in PHP, and some of PHP shows on the wire; those places say so.
"""

import re
from collections.abc import Mapping
from hashlib import md5
from hmac import compare_digest
from urllib.parse import parse_qsl, urlencode

UNSIGNED = {"sign", "sign_type"}
PHP_BLANKS = " \t\n\r\0\x0b"  # what trim() takes off; U+3000 for one stays
NAME_BYTES = 127
MONEY = re.compile(r"([0-9]{1,8})(?:\.([0-9]{1,2}))?")
FIELDS = 100  # a form with more is no honest call


class BadMoney(ValueError):
    """Not a positive amount in yuan with at most two decimals."""


def sign(params: Mapping[str, str], key: str) -> str:
    """MD5 over the sorted, non-blank, un-encoded pairs, and the key after them."""
    pairs = sorted(
        (name, value) for name, value in params.items() if name not in UNSIGNED and value.strip(PHP_BLANKS)
    )
    text = "&".join(f"{name}={value}" for name, value in pairs)
    return md5((text + key).encode(), usedforsecurity=False).hexdigest()


def signed(params: Mapping[str, str], key: str) -> dict[str, str]:
    return {**params, "sign": sign(params, key), "sign_type": "MD5"}


def verify(params: Mapping[str, str], key: str) -> bool:
    if params.get("sign_type", "MD5") != "MD5":
        return False
    # As bytes: on text, compare_digest raises for a non-ASCII `sign`.
    return compare_digest(params.get("sign", "").encode(), sign(params, key).encode())


def to_fen(text: str) -> int:
    """Fen of an amount like "9.9". Raises BadMoney; "1e3", "+1", ".5" and "١" are no amounts."""
    match = MONEY.fullmatch(text)
    if match is None:
        raise BadMoney(text)
    yuan, decimals = match[1], (match[2] or "").ljust(2, "0")
    if (fen := int(yuan) * 100 + int(decimals)) == 0:
        raise BadMoney(text)
    return fen


def as_decimal(fen: int) -> str:
    """Yuan as api.php shows it, from a DECIMAL column: "9.90"."""
    return f"{fen // 100}.{fen % 100:02d}"


def as_php_float(fen: int) -> str:
    """Yuan as notices carry it, after a cast to float: "1.00" has become "1", "9.90" "9.9"."""
    return as_decimal(fen).rstrip("0").rstrip(".")


def cut_name(name: str) -> str:
    """At most NAME_BYTES of UTF-8 with no character cut in two, as mb_strcut() does it."""
    return name.encode()[:NAME_BYTES].decode(errors="ignore")


def read_form(raw: bytes) -> dict[str, str]:
    """A query or form as PHP reads it. Raises ValueError if it is not UTF-8 or far too long.

    Of a repeated name the last value counts. An array (`name[]=…`) takes the place of a plain
    value, and since signing and every field skip arrays, it is as if the field were missing.
    """
    form: dict[str, str] = {}
    pairs = parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS)
    for name, value in pairs:
        plain, bracket, _ = name.partition("[")
        if bracket:
            form.pop(plain, None)
        else:
            form[name] = value
    return form


def with_query(url: str, params: Mapping[str, str]) -> str:
    """`url` and its own query, if any, followed by `params`."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"
