"""How each service is spoken to: what is entered for it, the call, what its answer means. No network here."""

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cardshop.common.outgoing import Answer

TELEGRAM_MOST = 4096  # characters
WECOM_MOST = 2048  # bytes
MAIL_MOST = 20  # addresses


@dataclass(frozen=True)
class Letter:
    """What is to be said. `items` is the same for programs."""

    uid: str
    title: str
    text: str
    at: datetime
    items: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Call:
    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Setting:
    """`check` raises ValueError with words for whoever enters it."""

    name: str
    label: str | Promise
    help_text: str | Promise = ""
    is_secret: bool = False
    initial: str = ""
    check: Callable[[str], object] | None = None


@dataclass(frozen=True)
class Driver:
    """`settings`: "address" and the secret, of which there is at most one, and options.

    `call` makes the request, `refusal` says why an answer is a no, and is empty for a yes. Mail has neither.
    """

    name: str
    label: str | Promise
    settings: Sequence[Setting]
    call: Callable[[str, Mapping[str, Any], str, Letter], Call] | None = None
    refusal: Callable[[Answer], str] | None = None

    @property
    def has_address(self) -> bool:
        return any(setting.name == "address" for setting in self.settings)

    @property
    def secret(self) -> Setting | None:
        return next((setting for setting in self.settings if setting.is_secret), None)


def _json(url: str, said: Mapping[str, Any], **headers: str) -> Call:
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return Call(url, body, {"Content-Type": "application/json; charset=utf-8", **headers})


def _said(answer: Answer) -> dict[str, Any]:
    """What it said as JSON; empty for anything else."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _telegram(address: str, options: Mapping[str, Any], secret: str, letter: Letter) -> Call:
    text = f"{letter.title}\n\n{letter.text}"
    said = {
        "chat_id": options["chat_id"],
        "text": text if len(text) <= TELEGRAM_MOST else text[: TELEGRAM_MOST - 1] + "…",
        "link_preview_options": {"is_disabled": True},
    }
    return _json(f"{address.rstrip('/')}/bot{quote(secret, safe=':')}/sendMessage", said)


def _telegram_refusal(answer: Answer) -> str:
    said = _said(answer)
    return "" if said.get("ok") is True else _why(answer, said.get("description"))


def _bark(address: str, options: Mapping[str, Any], secret: str, letter: Letter) -> Call:
    said = {"device_key": secret, "title": letter.title, "body": letter.text, "group": "Cardshop"}
    return _json(f"{address.rstrip('/')}/push", said)


def _bark_refusal(answer: Answer) -> str:
    """Its `code` counts: servers in between have been seen to answer 200 for it."""
    said = _said(answer)
    return "" if answer.is_yes and said.get("code") == 200 else _why(answer, said.get("message"))


def _wecom(address: str, options: Mapping[str, Any], secret: str, letter: Letter) -> Call:
    content = f"{letter.title}\n{letter.text}".encode()
    if len(content) > WECOM_MOST:
        content = content[: WECOM_MOST - 3].decode(errors="ignore").encode() + "…".encode()
    said = {"msgtype": "text", "text": {"content": content.decode()}}
    return _json(f"{address}?key={quote(secret, safe='')}", said)


def _wecom_refusal(answer: Answer) -> str:
    """It answers 200 for errors, too."""
    said = _said(answer)
    return "" if answer.is_yes and said.get("errcode") == 0 else _why(answer, said.get("errmsg"))


def _webhook(address: str, options: Mapping[str, Any], secret: str, letter: Letter) -> Call:
    said = {
        "id": letter.uid,
        "sent_at": letter.at.isoformat(),
        "title": letter.title,
        "text": letter.text,
        "alerts": list(letter.items),
    }
    call = _json(address, said)
    timestamp = str(int(letter.at.timestamp()))
    signed = {
        "X-Cardshop-Id": letter.uid,
        "X-Cardshop-Timestamp": timestamp,
        "X-Cardshop-Signature": "sha256=" + signature(secret, timestamp, call.body),
    }
    return Call(call.url, call.body, {**call.headers, **signed})


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Hex of the HMAC-SHA256, under the shared secret, of the timestamp, a full stop and the body."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()


def _webhook_refusal(answer: Answer) -> str:
    return "" if answer.is_yes else _why(answer, None)


def _why(answer: Answer, said: object) -> str:
    words = " ".join(str(said).split()) if isinstance(said, str) and said.strip() else ""
    return f"HTTP {answer.status}" + (f": {words}" if words else "")


def recipients(text: str) -> list[str]:
    """The addresses, one a line or separated by commas. Raises ValueError."""
    found = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    for address in found:
        try:
            validate_email(address)
        except ValidationError:
            raise ValueError(_("This is not an e-mail address: %s") % address[:60]) from None
    if not 1 <= len(found) <= MAIL_MOST:
        raise ValueError(_("Enter between one and twenty addresses."))
    return found


def _require_no_space(text: str) -> None:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(_("There is a character in it that does not belong there."))


def _require_bare_path(text: str) -> None:
    if urlsplit(text).query:
        raise ValueError(_("Leave out “?” and what follows: the key has a field of its own."))


DRIVERS = {
    driver.name: driver
    for driver in (
        Driver(
            "mail",
            _("E-mail"),
            [
                Setting(
                    "recipients", _("To"), _("One or more addresses, separated by commas."), check=recipients
                )
            ],
        ),
        Driver(
            "telegram",
            "Telegram",
            [
                Setting(
                    "address",
                    _("Address of the Bot API"),
                    _("Only where you go through a server of your own."),
                    initial="https://api.telegram.org",
                ),
                Setting(
                    "secret",
                    _("Token of the bot"),
                    _("@BotFather gives it to you."),
                    is_secret=True,
                    check=_require_no_space,
                ),
                Setting(
                    "chat_id",
                    _("Chat"),
                    _("Its number, or @name of a channel. Write to the bot first, or add it to the group."),
                    check=_require_no_space,
                ),
            ],
            _telegram,
            _telegram_refusal,
        ),
        Driver(
            "bark",
            "Bark",
            [
                Setting("address", _("Server"), initial="https://api.day.app"),
                Setting(
                    "secret",
                    _("Device key"),
                    _("The app shows it in its test address, after the server's name."),
                    is_secret=True,
                    check=_require_no_space,
                ),
            ],
            _bark,
            _bark_refusal,
        ),
        Driver(
            "wecom",
            _("WeCom group robot"),
            [
                Setting(
                    "address",
                    _("Webhook address"),
                    initial="https://qyapi.weixin.qq.com/cgi-bin/webhook/send",
                    check=_require_bare_path,
                ),
                Setting(
                    "secret",
                    _("Key of the robot"),
                    _("What follows “key=” in its webhook address."),
                    is_secret=True,
                    check=_require_no_space,
                ),
            ],
            _wecom,
            _wecom_refusal,
        ),
        Driver(
            "webhook",
            _("Webhook of your own"),
            [
                Setting("address", _("Address"), _("It gets JSON by POST.")),
                Setting(
                    "secret",
                    _("Shared secret"),
                    _("Calls are signed with it: X-Cardshop-Signature."),
                    is_secret=True,
                ),
            ],
            _webhook,
            _webhook_refusal,
        ),
    )
}
