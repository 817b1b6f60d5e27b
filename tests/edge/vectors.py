"""Passes, good and bad, that every reader of passes must agree about.

`python -m tests.edge.vectors` writes them to deploy/edge/vectors.json. What is good and what is bad is
said here, by hand: were Python asked, its mistakes would become everybody's.
"""

import json
import os
from pathlib import Path
from typing import Any

from django.test import override_settings

from cardshop.common.ids import derived_key
from cardshop.traffic.passes import _contact_digest, _signed

FILE = Path(__file__).resolve().parents[2] / "deploy/edge/vectors.json"
SECRET = "vector"
VARIANT = "steam-50"
BUYER = "Zm9yIHRlc3RpbmcgYnV5ZX"
EXPIRES = 1_772_373_600
NOW = EXPIRES - 7200


def as_text() -> str:
    """The content of FILE. `good` is what the pass says, or null for a pass that admits nobody."""
    with override_settings(SECRET_KEY=SECRET):
        vectors = {"key_hex": derived_key("buyer-pass").hex(), "passes": [*_good(), *_bad()]}
    return json.dumps(vectors, indent=1) + "\n"


def _good() -> list[dict[str, Any]]:
    v1, v2 = _v1(), _v2()
    says = {"buyer_id": BUYER, "variant_code": VARIANT, "expires_at": EXPIRES, "bound_to": ""}
    bound = {**says, "bound_to": v2.split(".")[4]}
    longest, shortest = "x" * 60, "-"
    return [
        _case("v1", v1, good=says),
        _case("v2", v2, good=bound),
        _case("v1 in its last half second", v1, now=EXPIRES - 0.5, good=says),
        _case("v2 in its last second", v2, now=EXPIRES - 1, good=bound),
        _case("the longest variant", _v1(longest), longest, good={**says, "variant_code": longest}),
        _case("the shortest variant", _v1(shortest), shortest, good={**says, "variant_code": shortest}),
        _case(
            "far in the future",
            _signed(f"v1.{BUYER}.{VARIANT}.9999999999"),
            good={**says, "expires_at": 9_999_999_999},
        ),
    ]


def _bad() -> list[dict[str, Any]]:
    v1, v2 = _v1(), _v2()
    mac = v1.rpartition(".")[2]
    texts = {
        **{f"v1, part {part} altered": _altered(v1, part) for part in range(5)},
        **{f"v2, part {part} altered": _altered(v2, part) for part in range(6)},
        **{f"v1, part {part} missing": _without(v1, part) for part in range(5)},
        **{f"v2, part {part} missing": _without(v2, part) for part in range(6)},
        **{f"v1, part {part} empty": _with(v1, part, "") for part in range(5)},
        "v1 that calls itself v2": "v2" + v1[2:],
        "v2 that calls itself v1": "v1" + v2[2:],
        "v1 with a contact, signed": _signed(f"v1.{BUYER}.{VARIANT}.{EXPIRES}.{'A' * 16}"),
        "v2 without a contact, signed": _signed(f"v2.{BUYER}.{VARIANT}.{EXPIRES}"),
        "v2 with another contact": _with(v2, 4, "A" * 16),
        "v2 with a contact too short, signed": _signed(f"v2.{BUYER}.{VARIANT}.{EXPIRES}.{'A' * 15}"),
        "v2 with a contact too long, signed": _signed(f"v2.{BUYER}.{VARIANT}.{EXPIRES}.{'A' * 17}"),
        "v2 with two contacts, signed": _signed(f"v2.{BUYER}.{VARIANT}.{EXPIRES}.{'A' * 16}.{'A' * 16}"),
        "v0, signed": _signed(f"v0.{BUYER}.{VARIANT}.{EXPIRES}"),
        "v3, signed": _signed(f"v3.{BUYER}.{VARIANT}.{EXPIRES}"),
        "v11, signed": _signed(f"v11.{BUYER}.{VARIANT}.{EXPIRES}"),
        "a capital V, signed": _signed(f"V1.{BUYER}.{VARIANT}.{EXPIRES}"),
        "a buyer too short, signed": _signed(f"v1.{BUYER[1:]}.{VARIANT}.{EXPIRES}"),
        "a buyer too long, signed": _signed(f"v1.{BUYER}A.{VARIANT}.{EXPIRES}"),
        "a buyer in plain base64, signed": _signed(f"v1.+/{BUYER[2:]}.{VARIANT}.{EXPIRES}"),
        "a variant with a space, signed": _signed(f"v1.{BUYER}.steam 50.{EXPIRES}"),
        "a variant in Chinese, signed": _signed(f"v1.{BUYER}.游戏点.{EXPIRES}"),
        "a time with nine digits, signed": _signed(f"v1.{BUYER}.{VARIANT}.{EXPIRES // 10}"),
        "a time with eleven digits, signed": _signed(f"v1.{BUYER}.{VARIANT}.{EXPIRES}0"),
        "a time with a sign, signed": _signed(f"v1.{BUYER}.{VARIANT}.+{EXPIRES // 10}"),
        "a time with a fraction, signed": _signed(f"v1.{BUYER}.{VARIANT}.{EXPIRES}.5"),
        "a time in hexadecimal, signed": _signed(f"v1.{BUYER}.{VARIANT}.0x99999999"),
        "a time with an exponent, signed": _signed(f"v1.{BUYER}.{VARIANT}.00000009e9"),
        "a time in Arabic digits, signed": _signed(f"v1.{BUYER}.{VARIANT}.{_in_digits_from('٠')}"),
        "a time in full-width digits, signed": _signed(f"v1.{BUYER}.{VARIANT}.{_in_digits_from('０')}"),
        "a signature whose unused bits are set": v1[:-1] + _next_in_base64(v1[-1]),
        "a signature with padding": v1 + "=",
        "a signature cut short": v1[:-1],
        "a signature too long": v1 + "A",
        "a signature in hexadecimal": f"{v1.rpartition('.')[0]}.{mac.encode().hex()}",
        "a signature in the other case": f"{v1.rpartition('.')[0]}.{mac.swapcase()}",
        "a signature of nothing but A": f"{v1.rpartition('.')[0]}.{'A' * 43}",
        "a signature in plain base64": f"{v1.rpartition('.')[0]}.{mac.replace('-', '+').replace('_', '/')}",
        "a line feed after it": v1 + "\n",
        "a carriage return after it": v1 + "\r",
        "a line separator after it": v1 + "\u2028",
        "a line feed before it": "\n" + v1,
        "a space after it": v1 + " ",
        "a space before it": " " + v1,
        "a zero after it": v1 + "\0",
        "a zero in its variant, signed": _signed(f"v1.{BUYER}.steam\0-50.{EXPIRES}"),
        "a line feed in its variant, signed": _signed(f"v1.{BUYER}.steam\n50.{EXPIRES}"),
        "a mark that joins its last letter": v1 + "\u0301",
        "half a character after it": v1 + "\ud800",
        "a byte order mark before it": "\ufeff" + v1,
        "two of them": v1 + v1,
        "two of them on two lines": v1 + "\n" + v1,
        "a dot after it": v1 + ".",
        "a dot before it": "." + v1,
        "commas for dots": v1.replace(".", ","),
        "full-width dots": v1.replace(".", "．"),
        "percent-encoded dots": v1.replace(".", "%2E"),
        "too long": v1 + "A" * 10_000,
        "nothing but dots": "....",
        "nothing": "",
    }
    longer = "x" * 61
    return [
        *(_case(name, text) for name, text in texts.items()),
        _case("v1 at the moment it expires", v1, now=EXPIRES),
        _case("v2 at the moment it expires", v2, now=EXPIRES),
        _case("v1 long expired", v1, now=EXPIRES + 1_000_000),
        _case("another variant written in", _with(v1, 2, "steam-99"), "steam-99"),
        _case("v1 for another variant", v1, "steam-99"),
        _case("v2 for another variant", v2, "steam-99"),
        _case("for a variant that begins like it", v1, "steam-5"),
        _case("for a variant that goes on after it", v1, "steam-500"),
        _case("for a variant in the other case", v1, "STEAM-50"),
        _case("for no variant", v1, ""),
        _case("a variant too long, signed", _v1(longer), longer),
        _case("no variant, signed", _v1(""), ""),
    ]


def _v1(variant: str = VARIANT) -> str:
    return _signed(f"v1.{BUYER}.{variant}.{EXPIRES}")


def _v2() -> str:
    return _signed(f"v2.{BUYER}.{VARIANT}.{EXPIRES}.{_contact_digest('lin@example.org')}")


def _case(
    name: str, text: str, variant: str = VARIANT, *, now: float = NOW, good: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"name": name, "text": text, "variant": variant, "now": now, "good": good}


def _altered(text: str, part: int) -> str:
    """With another first character in one part. In the last character of a part some bits mean nothing."""
    was = text.split(".")[part]
    return _with(text, part, _next_in_base64(was[0]) + was[1:])


def _with(text: str, part: int, becomes: str) -> str:
    parts = text.split(".")
    return ".".join([*parts[:part], becomes, *parts[part + 1 :]])


def _without(text: str, part: int) -> str:
    parts = text.split(".")
    return ".".join([*parts[:part], *parts[part + 1 :]])


def _next_in_base64(character: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[(alphabet.index(character) + 1) % 64]


def _in_digits_from(zero: str) -> str:
    return "".join(chr(ord(zero) + int(digit)) for digit in str(EXPIRES))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cardshop.settings.test")
    FILE.write_text(as_text())
